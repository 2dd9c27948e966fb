"""A room is live as one program: a slate, then who speaks, in one picture that goes on; a phone is heard."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from conftest import PATIENCE_S, Server, start_server, stop_server, token, until
from hls_checker import broken, check_hls
from livekit import rtc
from livekit_peer import LiveKitPeer
from test_desk_phone import MODULES, api, baresip
from test_encoders import playlist
from test_live_hls import loudest, stream
from test_phone_in_a_room import write_tone

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240), pytest.mark.filterwarnings("ignore::ResourceWarning")]
WIDTH, HEIGHT, FPS = 640, 360, 25
VIDEO = f"v{HEIGHT}"
RED, BLUE = (210, 20, 20), (20, 20, 210)


def small_programs(folder: Path) -> Iterator[Server]:
    """A server whose programs are small and cost little."""
    running = start_server(
        folder / "data",
        ROOMTONE_LIVE__PROGRAM_SIZE=f"{WIDTH}x{HEIGHT}",
        ROOMTONE_LIVE__PROGRAM_FPS=str(FPS),
        ROOMTONE_LIVE__ENCODER_PRESET="ultrafast",
    )
    yield running
    stop_server(running)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    yield from small_programs(tmp_path)


async def soon(what: str, look: object) -> None:
    await asyncio.to_thread(until, look, what)


class Guest(NamedTuple):
    identity: str
    colour: tuple[int, int, int]
    hertz: int
    codec: int


ANN = Guest("ann", RED, 440, rtc.VideoCodec.VP8)
BOB = Guest("bob", BLUE, 1000, rtc.VideoCodec.H264)
PHONE_HZ = 700


async def joins(server: Server, peer: LiveKitPeer, guest: Guest) -> rtc.Track:
    """Publish a picture and a tone, and give what can be muted."""
    await peer.connect(server.http, token("panel", guest.identity))
    await peer.publish_picture(guest.colour, video_codec=guest.codec)
    publication = await peer.publish_tone(guest.hertz)
    assert publication.track is not None
    return publication.track


def name_of(frame: av.VideoFrame) -> str:
    """Say whose a picture is; of one between two nothing."""
    middle = frame.to_ndarray(format="rgb24")[frame.height // 2, frame.width // 2].astype(int)
    if middle[1] > middle[0] + 20 and middle[1] > middle[2] + 10:
        return "slate"
    near = [name for name, one in (("red", RED), ("blue", BLUE)) if np.abs(middle - one).max() < 40]
    return near[0] if near else ""


def seen(server: Server) -> list[tuple[float, str, tuple[int, int]]]:
    """Decode what is listed from its first segment on: times, whose they are, and sizes."""
    found = []
    lists = {"live_start_index": "0"}
    with av.open(f"{server.http}/live/panel/{VIDEO}/index.m3u8", options=lists, timeout=PATIENCE_S) as read:
        for frame in read.decode(video=0):
            assert frame.time is not None
            found.append((frame.time, name_of(frame), (frame.width, frame.height)))
            names = [name for _, name, _ in found]
            if names[-1] == "slate" and "blue" in names and names[-FPS:].count("slate") == FPS:
                break
    return found


def heard(server: Server) -> list[float]:
    """Give the two loudest tones of the mix."""
    samples = []
    with av.open(f"{server.http}/live/panel/audio/index.m3u8", timeout=PATIENCE_S) as read:
        for frame in read.decode(audio=0):
            samples.append(frame.to_ndarray()[0])
            if len(samples) >= 150:
                break
    return loudest(samples[50:], 2)


def segments(server: Server) -> int:
    return playlist(server, "panel", VIDEO).count("#EXTINF")


@pytest.mark.skipif(shutil.which("baresip") is None or not MODULES.is_dir(), reason="baresip is not installed")
async def test_a_room_of_three_is_one_program_with_a_slate_before_and_behind(server: Server, tmp_path: Path) -> None:
    sip = server.ready["sip_udp"][0]
    account = {"username": "1005", "password": "secret of 1005", "algorithm": "MD5"}
    await asyncio.to_thread(api, server, "sip-accounts", "POST", account)
    rule = {"name": "panel", "numbers": ["7005"], "target": {"kind": "room", "room": "panel"}}
    await asyncio.to_thread(api, server, "dispatch-rules", "POST", rule)
    line = f'<sip:1005@{sip}>;auth_pass="secret of 1005"'
    with baresip(tmp_path / "phone", line, "-e", f"/dial sip:7005@{sip}", tone=write_tone, hertz=PHONE_HZ):
        await soon("the phone", lambda: server.identities("panel") == ["sip_1005"])
        made = await asyncio.to_thread(stream, server, "panel", "POST", {"room": "panel", "picture": "program"})
        assert (made["picture"], made["sound"], made["publishers"]) == ("program", "mix", [])
        await soon("its playlist", lambda: stream(server, "panel")["state"] == "live")
        await soon("a slate", lambda: segments(server) >= 1)
        async with AsyncExitStack() as people:
            ann, bob = [await people.enter_async_context(LiveKitPeer()) for _ in range(2)]
            of_ann = await joins(server, ann, ANN)
            await soon("ann", lambda: stream(server, "panel")["publishers"] == ["ann"])
            before = segments(server)
            await soon("pictures of ann", lambda: segments(server) >= before + 2)
            await joins(server, bob, BOB)
            of_ann.mute()  # type: ignore[attr-defined]
            await soon("bob, who speaks", lambda: stream(server, "panel")["publishers"] == ["bob"])
            before = segments(server)
            await soon("pictures of bob", lambda: segments(server) >= before + 4)
            assert await asyncio.to_thread(heard, server) == pytest.approx([PHONE_HZ, BOB.hertz], abs=5)
        await soon("nobody", lambda: stream(server, "panel")["publishers"] == [])
        assert stream(server, "panel")["state"] == "live"
        found = await asyncio.to_thread(seen, server)
        lists = {name: playlist(server, "panel", name) for name in (VIDEO, "audio")}
        rules = await asyncio.to_thread(check_hls, f"{server.http}/live/panel/index.m3u8", 8)

    shown = [name for name, _ in groupby(name for _, name, _ in found if name)]
    assert shown == ["slate", "red", "blue", "slate"]
    assert sum(name == "" for _, name, _ in found) <= FPS, "pictures of a codec's first moments"
    assert {size for *_, size in found} == {(WIDTH, HEIGHT)}
    steps = [later[0] - earlier[0] for earlier, later in pairwise(found)]
    assert max(abs(step - 1 / FPS) for step in steps) < 0.002, "one picture at each step"
    for text in lists.values():
        assert "#EXT-X-DISCONTINUITY\n" not in text
        assert "GAP" not in text
    assert broken(rules) == {}
