"""One room, four ways into it: WHIP, LiveKit, mediasoup and WHEP; each sees and hears each other, decoded.

Pages are driven from this thread, where Playwright keeps its loop; the other peers run in a loop of another thread.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiortc_peer import TONE_HZ as WHIP_TONE_HZ
from aiortc_peer import Peer, assert_is_the_picture, publish, tone_share, watch
from conftest import Run, Server, token, until
from livekit import rtc
from livekit_peer import TONE_HZ as LIVEKIT_TONE_HZ
from livekit_peer import LiveKitPeer, Subscribed, hear_tone, pictures
from mediasoup_pages import MediasoupPage, OpenPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ROOM = "everybody"
BLUE = (20, 20, 210)
CARD_TONE_HZ = 440
"""What the page's test card plays."""
LIVEKIT_SIZE, MEDIASOUP_SIZE, WHIP_SIZE = (320, 180), (480, 270), (320, 240)


async def tracks_by_identity(peer: LiveKitPeer, count: int) -> dict[tuple[str, str], Subscribed]:
    """Wait until so many tracks came; by whose and of what kind they are."""
    found: dict[tuple[str, str], Subscribed] = {}
    while len(found) < count:
        seen = await asyncio.wait_for(peer.subscribed.get(), 60)
        kind = "video" if seen.track.kind == rtc.TrackKind.KIND_VIDEO else "audio"
        found[seen.participant.identity, kind] = seen
    return found


async def size_of(track: rtc.Track) -> tuple[int, int]:
    """Decode twenty pictures and give the size of the last."""
    count = 0
    async with pictures(track) as seen:
        async for picture in seen:
            count += 1
            if count == 20:
                return picture.shape[1], picture.shape[0]
    raise AssertionError("the track ended")


async def see_grey(track: rtc.Track) -> None:
    """Wait for the picture of the WHIP publisher: light on the left, dark on the right."""
    async with pictures(track) as seen:
        async for picture in seen:
            if picture.shape[:2] == (WHIP_SIZE[1], WHIP_SIZE[0]):
                assert_is_the_picture(picture[:, :, :3].mean(axis=2))
                return
    raise AssertionError("the track ended")


async def livekit_joins(server: Server) -> LiveKitPeer:
    peer = await LiveKitPeer().connect(server.http, token(ROOM, "livekit"))
    await peer.publish_picture(BLUE, LIVEKIT_SIZE)
    await peer.publish_tone()
    return peer


async def blue_and_tone(viewer: Peer) -> None:
    """Decode the LiveKit participant's picture and sound, as a WHEP viewer."""
    for _ in range(200):
        frame = await viewer.frames(1)
        middle = frame.to_ndarray(format="rgb24")[frame.height // 2, frame.width // 2].astype(int)
        if max(abs(middle - BLUE)) < 24:
            break
    else:
        pytest.fail("no blue picture came")
    assert (frame.width, frame.height) == LIVEKIT_SIZE
    assert tone_share(await viewer.sound(100), LIVEKIT_TONE_HZ) > 0.9


def test_whip_livekit_mediasoup_and_whep_meet_in_one_room(server: Server, open_page: OpenPage, run: Run[Any]) -> None:
    whip: Peer = run(publish(server, ROOM, "whip"))
    livekit: LiveKitPeer = run(livekit_joins(server))
    page = MediasoupPage(open_page("/"), server, ROOM, "mediasoup")
    joined = page.join()
    producers = {
        (peer["peerId"], one["kind"]): one["producerId"]
        for peer in joined["mediasoup"]["peers"]
        for one in peer["producers"]
    }
    assert set(producers) == {(who, kind) for who in ("whip", "livekit") for kind in ("audio", "video")}
    page.publish(width=MEDIASOUP_SIZE[0], height=MEDIASOUP_SIZE[1])
    until(lambda: sorted(server.identities(ROOM)) == ["livekit", "mediasoup", "whip"], "all three publishers")

    # The mediasoup client sees and hears the other two.
    consumers = {key: page.consume(producer) for key, producer in producers.items()}
    page.wait_frames(consumers["whip", "video"], size=WHIP_SIZE)
    page.wait_frames(consumers["livekit", "video"], size=LIVEKIT_SIZE)
    for who in ("whip", "livekit"):
        page.wait_sound(consumers[who, "audio"])

    # So does the LiveKit participant.
    seen = run(tracks_by_identity(livekit, 4))
    assert set(seen) == {(who, kind) for who in ("whip", "mediasoup") for kind in ("audio", "video")}
    run(see_grey(seen["whip", "video"].track))
    assert run(size_of(seen["mediasoup", "video"].track)) == MEDIASOUP_SIZE
    assert abs(run(hear_tone(seen["whip", "audio"].track)) - WHIP_TONE_HZ) < 5
    assert abs(run(hear_tone(seen["mediasoup", "audio"].track)) - CARD_TONE_HZ) < 5

    # Viewers by WHEP are given whom they ask for.
    of_livekit: Peer = run(watch(server, ROOM, participant="livekit"))
    run(blue_and_tone(of_livekit))
    of_mediasoup: Peer = run(watch(server, ROOM, participant="mediasoup"))
    frame = run(of_mediasoup.frames(20))
    assert (frame.width, frame.height) == MEDIASOUP_SIZE

    for peer in (of_livekit, of_mediasoup, whip):
        run(peer.close())
    run(livekit.__aexit__(None, None, None))
