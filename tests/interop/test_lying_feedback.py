"""A viewer whose feedback speaks of packets that were never sent: counted where an operator looks, and harmless."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from aiortc_peer import Peer, assert_sees_and_hears, live, publish, watch
from conftest import Server, until

pytestmark = pytest.mark.timeout(120)
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
EXTENSION_ID = 9
METRIC = "roomtone_engine_feedback_bogus_total"
FAR = 0x7000
"""Numbers of packets begin at 0, and no test sends so many."""
LIES = 100


def with_transport_feedback(offer: str) -> str:
    """Offer for the pictures what aiortc itself does not: numbers on all packets, and feedback about them."""
    before, video, after = offer.partition("m=video ")
    mine, audio, rest = after.partition("m=audio ")
    lines = []
    for line in mine.split("\r\n"):
        lines.append(line)
        if line.startswith("a=rtpmap:") and "/90000" in line and "rtx" not in line:
            lines.append(f"a=rtcp-fb:{line.removeprefix('a=rtpmap:').split()[0]} transport-cc")
        if line.startswith("a=mid:"):
            lines.append(f"a=extmap:{EXTENSION_ID} {TRANSPORT_CC}")
    return before + video + "\r\n".join(lines) + audio + rest


def feedback(first: int, count: int, *, arrived: bool) -> bytes:
    """Transport-wide feedback about a run of packets, all of which came, or none of which did."""
    chunks, left = b"", count
    while left:
        run = min(left, 0x1FFF)
        chunks += struct.pack("!H", (arrived << 13) | run)
        left -= run
    body = struct.pack("!IIHHI", 1, 2, first, count, 1 << 8) + chunks + bytes(count if arrived else 0)
    body += bytes(-len(body) % 4)
    return struct.pack("!BBH", 0x80 | 15, 205, len(body) // 4) + body


async def say(viewer: Peer, packet: bytes) -> None:
    """Send RTCP as it is, sealed as the peer's own."""
    await viewer.pc.getTransceivers()[0].receiver.transport._send_rtp(packet)


async def line_of(server: Server, room: str, **least: int) -> dict[str, Any]:
    """What the API says of the only viewer's transport, once its counters are no less than these."""

    def look() -> dict[str, Any] | None:
        (viewer,) = server.room(room, "/statistics")["viewers"]
        line: dict[str, Any] = viewer["transports"][0][0]
        return line if all(line[name] >= value for name, value in least.items()) else None

    found = await asyncio.to_thread(until, look, f"statistics of at least {least}")
    assert found is not None
    return found


async def test_feedback_about_packets_never_sent_is_counted_for_the_transport_and_for_the_server(
    server: Server,
) -> None:
    publisher = await publish(server, "liar")
    await live(server, "liar")
    viewer = await watch(server, "liar", with_transport_feedback)
    try:
        assert f"a=extmap:{EXTENSION_ID} {TRANSPORT_CC}" in viewer.answer
        assert " transport-cc" in viewer.answer
        await viewer.frames(1)
        before = await line_of(server, "liar")
        assert (before["feedbackReceived"], before["feedbackBogus"]) == (0, 0)
        counted = server.metrics()[METRIC]

        await say(viewer, feedback(FAR, LIES, arrived=True))
        told = await line_of(server, "liar", feedbackReceived=1)
        assert (told["feedbackBogus"], told["feedbackTruncated"]) == (LIES, 0)
        assert server.metrics()[METRIC] == counted + LIES

        # Never sent and said to be lost is as much a lie; of too much to be true only the beginning is read.
        await say(viewer, feedback(FAR, 0xFFFF - FAR, arrived=False))
        told = await line_of(server, "liar", feedbackReceived=2)
        assert told["feedbackTruncated"] == 1
        assert LIES < told["feedbackBogus"] < 0xFFFF - FAR
        assert told["availableOutgoingBitrate"] <= before["availableOutgoingBitrate"], "lies open no line"
        await assert_sees_and_hears(viewer)

        await viewer.request("DELETE")
        assert server.room("liar", "/statistics")["viewers"] == []
        assert server.metrics()[METRIC] == counted + told["feedbackBogus"], "who has left has lied all the same"
    finally:
        await viewer.close()
        await publisher.close()
