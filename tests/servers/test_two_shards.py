"""Media from one shard to another through a pipe: what went in comes out, packet by packet."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket
import struct
from collections.abc import AsyncIterator, Iterator

import pytest
from plain_rtp import SSRC, Packet, Sink, frames

from roomtone.control.rooms import JoinRequest, PlainAddress, RoomLimits, Rooms, SubscriptionOffer, TrackOffer
from roomtone.media import CoreLink, Engine, Router
from roomtone.media.values import CodecFeedback, CodecParameters, EncodingParameters, EngineConfig, Latching, MediaKind
from roomtone.protocols.sdp import Codec

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)
VP8 = CodecParameters(
    payload_type=96, name="VP8", clock_rate=90_000, feedback=CodecFeedback(nack=True, pli=True, fir=True)
)
PICTURE_LOSS = 206, 1
"""RTCP payload type and format of a PLI (RFC 4585 section 6.3.1)."""


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    config = EngineConfig(shards=2, listen_ips=["127.0.0.1"], webrtc_ports=(0, 0), plain_ports=(0, 0))
    engine = Engine(CoreLink(config))
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture
def sinks() -> Iterator[list[Sink]]:
    opened = [Sink(), Sink()]
    yield opened
    for sink in opened:
        sink.socket.close()


async def routers(engine: Engine) -> tuple[Router, Router]:
    return await engine.open_router(shard=0), await engine.open_router(shard=1)


async def test_plain_rtp_into_one_shard_comes_out_of_another_as_it_was(engine: Engine, sinks: list[Sink]) -> None:
    here, there = await routers(engine)
    assert (here.shard, there.shard) == (0, 1)
    source, sink = sinks
    entry = await here.open_plain_transport(latching=Latching.ONCE)
    producer = await entry.produce(MediaKind.VIDEO, [VP8], encodings=[EncodingParameters(ssrc=SSRC)])
    piped = await here.pipe_to(producer, there)
    way_out = await there.open_plain_transport()
    await way_out.connect("127.0.0.1", sink.port)
    consumer = await way_out.consume(MediaKind.VIDEO, piped, payload_types=[(96, 100)])

    sent: list[Packet] = []
    got: list[Packet] = []
    for frame in frames(40):
        for packet in frame:
            source.socket.sendto(packet.encode(), ("127.0.0.1", entry.port))
        sent += frame
        while len(got) < len(sent):
            data = await sink.next()
            assert struct.unpack("!I", data[8:12])[0] == consumer.ssrc
            got.append(Packet.decode(data))

    assert [(p.marker, p.payload) for p in got] == [(p.marker, p.payload) for p in sent]
    assert {p.payload_type for p in got} == {100}
    first = got[0].sequence, got[0].timestamp
    assert [(p.sequence - first[0]) % 2**16 for p in got] == list(range(len(sent)))
    assert [(p.timestamp - first[1]) % 2**32 for p in got] == [(p.timestamp - sent[0].timestamp) % 2**32 for p in sent]
    shards = {report["id"]: report for report in await engine.stats()}
    assert shards["shard-0"]["pipe_packets"] > 0
    assert shards["shard-0"]["pipe_dropped_full"] == 0


async def test_a_later_viewer_on_another_shard_asks_the_publisher_for_a_keyframe(
    engine: Engine, sinks: list[Sink]
) -> None:
    here, there = await routers(engine)
    source, sink = sinks
    entry = await here.open_plain_transport(latching=Latching.ONCE)
    producer = await entry.produce(MediaKind.VIDEO, [VP8], encodings=[EncodingParameters(ssrc=SSRC)])
    piped = await here.pipe_to(producer, there)
    feedback = CodecFeedback(nack=True, pli=True)

    async def watch() -> None:
        way_out = await there.open_plain_transport()
        await way_out.connect("127.0.0.1", sink.port)
        await way_out.consume(MediaKind.VIDEO, piped, payload_types=[(96, 96)], feedback=feedback)

    await watch()
    for packet in next(frames(1)):
        source.socket.sendto(packet.encode(), ("127.0.0.1", entry.port))
        await sink.next()
    # The first viewer has its keyframe, and nobody wants another.
    with contextlib.suppress(BlockingIOError):
        while True:
            source.socket.recv(2048)
    await watch()
    async with asyncio.timeout(20):
        while not any(kind == PICTURE_LOSS for kind in rtcp_kinds(await source.next(rtcp=True))):
            pass


async def test_viewers_of_a_room_on_two_shards_all_get_what_its_publisher_sends(
    engine: Engine, sinks: list[Sink]
) -> None:
    rooms = Rooms(engine, RoomLimits(routers_per_room=2))
    rooms.start()
    camera = Codec(MediaKind.VIDEO, 96, "VP8", 90_000)
    offer = TrackOffer(MediaKind.VIDEO, (camera,), encodings=(EncodingParameters(ssrc=SSRC),))
    _, (entry,) = await rooms.publish_plain("wide", JoinRequest("camera"), [(offer, PlainAddress())])
    shards = set()
    for sink in sinks:
        wish = SubscriptionOffer(MediaKind.VIDEO, (camera,))
        _, (way_out,) = await rooms.watch_plain("wide", [(wish, PlainAddress("127.0.0.1", sink.port))])
        shards.add(way_out.router.shard)
    assert shards == {0, 1}
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        for frame in frames(10):
            for packet in frame:
                sender.sendto(packet.encode(), ("127.0.0.1", entry.transport.port))
            for sink in sinks:
                got = [Packet.decode(await sink.next()) for _ in frame]
                assert [(p.marker, p.payload) for p in got] == [(p.marker, p.payload) for p in frame]
    await rooms.close()
    for report in await engine.stats():
        if report["type"] == "shard":
            assert (report["routers"], report["transports"]) == (0, 0)


async def test_viewers_on_two_shards_of_another_room_get_who_is_forwarded_there_and_ask_for_keyframes(
    engine: Engine, sinks: list[Sink]
) -> None:
    rooms = Rooms(engine, RoomLimits(routers_per_room=2))
    rooms.start()
    camera = Codec(MediaKind.VIDEO, 96, "VP8", 90_000, feedback=CodecFeedback(nack=True, pli=True))
    offer = TrackOffer(MediaKind.VIDEO, (camera,), encodings=(EncodingParameters(ssrc=SSRC),))
    source = Sink()
    where = PlainAddress("127.0.0.1", source.port)
    participant, (entry,) = await rooms.publish_plain("here", JoinRequest("camera"), [(offer, where)])
    await rooms.forward(participant, "there")
    shards = set()
    for sink in sinks:
        wish = SubscriptionOffer(MediaKind.VIDEO, (camera,))
        _, (way_out,) = await rooms.watch_plain("there", [(wish, PlainAddress("127.0.0.1", sink.port))])
        shards.add(way_out.router.shard)
    assert shards == {0, 1}
    with source.socket:
        for frame in frames(10):
            for packet in frame:
                source.socket.sendto(packet.encode(), ("127.0.0.1", entry.transport.port))
            for sink in sinks:
                got = [Packet.decode(await sink.next()) for _ in frame]
                assert [(p.marker, p.payload) for p in got] == [(p.marker, p.payload) for p in frame]
        with contextlib.suppress(BlockingIOError):
            while True:
                source.socket.recv(2048)
        late = Sink()
        with late.socket:
            await rooms.watch_plain("there", [(wish, PlainAddress("127.0.0.1", late.port))])
            async with asyncio.timeout(20):
                while not any(kind == PICTURE_LOSS for kind in rtcp_kinds(await source.next(rtcp=True))):
                    pass
    await rooms.close()
    for report in await engine.stats():
        if report["type"] == "shard":
            assert (report["routers"], report["transports"]) == (0, 0)


def rtcp_kinds(compound: bytes) -> Iterator[tuple[int, int]]:
    while compound:
        first, kind, words = struct.unpack("!BBH", compound[:4])
        yield kind, first & 0x1F
        compound = compound[(words + 1) * 4 :]
