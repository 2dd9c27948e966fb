"""A room goes live with three in it, one of them a phone: it shows who speaks, and all are heard."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import PATIENCE_S, Server, token, until
from livekit import rtc
from livekit_peer import LiveKitPeer
from test_desk_phone import MODULES, api, baresip
from test_live_hls import loudest, stream, wait_for_segments
from test_phone_in_a_room import write_tone

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.skipif(shutil.which("baresip") is None or not MODULES.is_dir(), reason="baresip is not installed"),
]
RED, BLUE = (210, 20, 20), (20, 20, 210)
ANN_HZ, BOB_HZ, PHONE_HZ = 440, 1000, 700


async def joins(
    server: Server, peer: LiveKitPeer, identity: str, colour: tuple[int, int, int], hertz: int
) -> rtc.Track:
    """Publish a picture and a tone, and give what can be muted."""
    await peer.connect(server.http, token("panel", identity))
    await peer.publish_picture(colour, video_codec=rtc.VideoCodec.H264)
    publication = await peer.publish_tone(hertz)
    assert publication.track is not None
    return publication.track


def shown(server: Server) -> list[str]:
    """Decode what is listed from its first segment on, until the second colour has come: all, in their order."""
    colours: list[str] = []
    lists = {"live_start_index": "0"}
    with av.open(f"{server.http}/live/panel/video/index.m3u8", options=lists, timeout=PATIENCE_S) as read:
        for frame in read.decode(video=0):
            middle = frame.to_ndarray(format="rgb24")[frame.height // 2, frame.width // 2].astype(int)
            near = [name for name, one in (("red", RED), ("blue", BLUE)) if np.abs(middle - one).max() < 40]
            assert len(near) == 1, middle
            colours += near
            if len(set(colours[-30:])) == 1 and len(set(colours)) > 1:
                break
    return [colour for colour, before in zip(colours, [None, *colours], strict=False) if colour != before]


def heard(server: Server) -> list[float]:
    """Give the two loudest tones of the mix."""
    samples = []
    with av.open(f"{server.http}/live/panel/audio/index.m3u8", timeout=PATIENCE_S) as read:
        for frame in read.decode(audio=0):
            samples.append(frame.to_ndarray()[0])
            if len(samples) >= 150:
                break
    return loudest(samples[50:], 2)


@pytest.mark.long
async def test_a_room_of_three_is_live_with_who_speaks(server: Server, tmp_path: Path) -> None:
    sip = server.ready["sip_udp"][0]
    account = {"username": "1005", "password": "secret of 1005", "algorithm": "MD5"}
    await asyncio.to_thread(api, server, "sip-accounts", "POST", account)
    rule = {"name": "panel", "numbers": ["7005"], "target": {"kind": "room", "room": "panel"}}
    await asyncio.to_thread(api, server, "dispatch-rules", "POST", rule)
    line = f'<sip:1005@{sip}>;auth_pass="secret of 1005"'
    async with LiveKitPeer() as ann, LiveKitPeer() as bob:
        of_ann = await joins(server, ann, "ann", RED, ANN_HZ)
        of_bob = await joins(server, bob, "bob", BLUE, BOB_HZ)
        of_bob.mute()  # type: ignore[attr-defined]
        with baresip(tmp_path / "phone", line, "-e", f"/dial sip:7005@{sip}", tone=write_tone, hertz=PHONE_HZ):
            there = ["ann", "bob", "sip_1005"]
            await asyncio.to_thread(until, lambda: sorted(server.identities("panel")) == there, "all three")
            wish = {"room": "panel", "sound": "mix", "picture": "speaker"}
            made = await asyncio.to_thread(until, lambda: stream(server, "panel", "POST", wish), "a live stream")
            assert (made["picture"], made["sound"]) == ("speaker", "mix")
            videos = f"{server.http}/live/panel/video/index.m3u8"
            await asyncio.to_thread(until, lambda: stream(server, "panel")["state"] == "live", "its playlist")
            await asyncio.to_thread(wait_for_segments, videos, 2)
            of_ann.mute()  # type: ignore[attr-defined]
            of_bob.unmute()  # type: ignore[attr-defined]

            def publishers() -> bool:
                return stream(server, "panel")["publishers"] == ["bob"]

            await asyncio.to_thread(until, publishers, "bob, who speaks")
            await asyncio.to_thread(wait_for_segments, videos, 8)
            assert await asyncio.to_thread(shown, server) == ["red", "blue"]
            assert await asyncio.to_thread(heard, server) == pytest.approx([PHONE_HZ, BOB_HZ], abs=5)
