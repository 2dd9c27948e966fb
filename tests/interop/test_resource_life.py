"""A publisher or a viewer ends by DELETE, by a kick, by being killed; muting stops a track. Packets are counted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiortc import RTCPeerConnection
from aiortc_peer import Peer, assert_sees_and_hears, live, publish, watch
from conftest import PATIENCE_S, POLL_S, Server, token, until

pytestmark = pytest.mark.timeout(180)
VICTIM = Path(__file__).with_name("aiortc_process.py")
GONE_WITHIN_S = 30
"""A client killed hard is gone so long after the kill: the engine hears nothing for 25 s, the rest is control's."""
IN_FLIGHT = 30
"""Packets of the clock that may still pass before what was in flight has arrived."""
SILENCE = 100
"""Packets of the clock during which nothing may come: two seconds of sound."""


async def until_async(look: Callable[[], Awaitable[object]], what: str, patience_s: float = PATIENCE_S) -> None:
    """Look again and again until there is something."""
    for _ in range(int(patience_s / POLL_S)):
        if await look():
            return
        await asyncio.sleep(POLL_S)
    pytest.fail(f"{what} did not come")


@pytest.fixture
async def clock(server: Server) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Another room's publisher and viewer: the clock's unit is a packet of sound forwarded to that viewer."""
    publisher = await publish(server, "clock", "clock")
    await live(server, "clock")
    viewer = await watch(server, "clock")

    async def wait(packets: int) -> None:
        begun = (await viewer.received()).get("audio", 0)

        async def passed() -> bool:
            return (await viewer.received()).get("audio", 0) >= begun + packets

        await until_async(passed, "the clock's packets")

    await viewer.frames(1)
    yield wait
    await viewer.close()
    await publisher.close()


Clock = Callable[[int], Awaitable[None]]


async def assert_nothing_comes(viewer: Peer, clock: Clock, kinds: tuple[str, ...] = ("audio", "video")) -> None:
    """After what was in flight the viewer's counters stand still."""
    await clock(IN_FLIGHT)
    before = await viewer.received()
    await clock(SILENCE)
    after = await viewer.received()
    assert [after[kind] for kind in kinds] == [before[kind] for kind in kinds]


async def closed(pc: RTCPeerConnection) -> None:
    """Wait until the other side's DTLS has said goodbye."""

    async def look() -> bool:
        return pc.connectionState in {"closed", "failed"}

    await until_async(look, "the end of the connection")


async def pair(server: Server, room: str) -> tuple[Peer, Peer]:
    """A publisher, and a viewer who has decoded a picture."""
    publisher = await publish(server, room)
    await live(server, room)
    viewer = await watch(server, room)
    await viewer.frames(5)
    await viewer.sound(5)
    return publisher, viewer


async def test_a_viewers_delete_ends_its_media(server: Server, clock: Clock) -> None:
    publisher, viewer = await pair(server, "leave")
    assert len(server.room("leave", "/viewers")) == 1
    assert (await viewer.request("DELETE")).status_code == httpx.codes.OK
    await assert_nothing_comes(viewer, clock)
    assert server.room("leave", "/viewers") == []
    assert server.identities("leave") == ["aiortc"]
    assert (await viewer.request("DELETE")).status_code == httpx.codes.NOT_FOUND
    await closed(viewer.pc)
    await viewer.close()
    await publisher.close()


async def test_a_publishers_delete_ends_its_media_at_the_viewer(server: Server, clock: Clock) -> None:
    publisher, viewer = await pair(server, "stop")
    assert (await publisher.request("DELETE")).status_code == httpx.codes.OK
    await assert_nothing_comes(viewer, clock)
    assert server.identities("stop") == []
    await closed(publisher.pc)
    # The viewer is still there, and sees who comes next.
    second = await publish(server, "stop", "second")
    await assert_sees_and_hears(viewer)
    for peer in (viewer, publisher, second):
        await peer.close()


async def test_a_kick_ends_the_publishers_media(server: Server, clock: Clock) -> None:
    publisher, viewer = await pair(server, "kick")
    await asyncio.to_thread(server.room, "kick", "/participants/aiortc", "DELETE")
    await assert_nothing_comes(viewer, clock)
    assert server.identities("kick") == []
    await closed(publisher.pc)
    await viewer.close()
    await publisher.close()


async def test_a_kick_ends_one_viewers_media_and_not_anothers(server: Server, clock: Clock) -> None:
    publisher, viewer = await pair(server, "oneof")
    (first,) = server.room("oneof", "/viewers")
    other = await watch(server, "oneof")
    await other.frames(5)
    await asyncio.to_thread(server.room, "oneof", f"/viewers/{first['id']}", "DELETE")
    await assert_nothing_comes(viewer, clock)
    await closed(viewer.pc)
    await assert_sees_and_hears(other)
    for peer in (viewer, other, publisher):
        await peer.close()


async def test_a_muted_track_is_not_forwarded_until_it_is_unmuted(server: Server, clock: Clock) -> None:
    publisher, viewer = await pair(server, "mute")
    (video,) = (track["id"] for track in server.room("mute", "/tracks") if track["kind"] == "video")
    muted = await asyncio.to_thread(server.room, "mute", f"/tracks/{video}/muted", "PUT", {"muted": True})
    assert muted["muted"]
    before = await viewer.received()
    await assert_nothing_comes(viewer, clock, kinds=("video",))
    assert (await viewer.received())["audio"] > before["audio"]
    # The publisher goes on sending: it is the forwarding that stopped.
    sent = [report for report in (await publisher.pc.getStats()).values() if report.type == "outbound-rtp"]
    assert {report.kind for report in sent if report.packetsSent} == {"audio", "video"}

    await asyncio.to_thread(server.room, "mute", f"/tracks/{video}/muted", "PUT", {"muted": False})
    stopped_at = (await viewer.received())["video"]

    async def flows() -> bool:
        return (await viewer.received())["video"] > stopped_at + 10

    await until_async(flows, "video")
    await assert_sees_and_hears(viewer)
    await viewer.close()
    await publisher.close()


@asynccontextmanager
async def victim(server: Server, mode: str, room: str) -> AsyncIterator[None]:
    """A connected peer in another process, killed without a goodbye at the end."""
    url = f"{server.http}/{'whip' if mode == 'publish' else 'whep'}/{room}"
    process = await asyncio.to_thread(
        subprocess.Popen,
        [sys.executable, str(VICTIM), mode, url, token(room, "victim")],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "live\n"
        yield
    finally:
        process.kill()
        process.communicate()


def transports(server: Server) -> int:
    """How many transports the engine's shards say they have."""
    page = httpx.get(f"http://{server.ready['metrics'][0]}/metrics", timeout=PATIENCE_S).text
    samples = [line for line in page.splitlines() if line.startswith("roomtone_engine_transports{")]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in samples if 'type="shard"' in line)


@pytest.mark.long
@pytest.mark.alone
async def test_who_is_killed_hard_is_gone_within_30_seconds(server: Server, clock: Clock) -> None:
    publisher = await publish(server, "seen")
    await live(server, "seen")
    before = await asyncio.to_thread(transports, server)
    async with victim(server, "publish", "killed"), victim(server, "watch", "seen"):
        viewer = await watch(server, "killed")
        await viewer.frames(5)
        assert server.identities("killed") == ["victim"]
        (watching,) = server.room("seen", "/viewers")
        assert watching["connected"]
        assert await asyncio.to_thread(transports, server) == before + 3
        gone_by = time.monotonic() + GONE_WITHIN_S
    await assert_nothing_comes(viewer, clock)

    async def gone(look: Callable[[], bool], what: str) -> None:
        await asyncio.to_thread(until, look, what, gone_by - time.monotonic())

    await gone(lambda: server.identities("killed") == [], "the publisher's end")
    await gone(lambda: server.room("seen", "/viewers") == [], "the viewer's end")
    await gone(lambda: transports(server) == before + 1, "the end of both in the engine")
    assert len(server.room("killed", "/viewers")) == 1
    assert server.identities("seen") == ["aiortc"]
    await viewer.close()
    await publisher.close()
