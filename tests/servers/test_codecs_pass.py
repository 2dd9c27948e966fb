"""Codecs that no browser in the tests sends cross the engine packet by packet, as they were."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator

import pytest
from plain_rtp import SSRC, Packet, Sink

from roomtone.media import CoreLink, Engine
from roomtone.media.values import CodecParameters, EncodingParameters, EngineConfig, Latching, MediaKind

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)
PICTURE = bytes([0x26, 0x01, 0x80]) + bytes(range(200))
"""A whole H.265 NAL unit of type IDR_W_RADL, its slice the first of the picture (RFC 7798 section 1.1.4)."""
SOUND = bytes(range(160))


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine(CoreLink(EngineConfig(shards=1, listen_ips=["127.0.0.1"], webrtc_ports=(0, 0), plain_ports=(0, 0))))
    await engine.start()
    yield engine
    await engine.close()


@pytest.mark.parametrize(
    ("kind", "codec", "step", "payload"),
    [
        (MediaKind.AUDIO, CodecParameters(payload_type=0, name="PCMU", clock_rate=8000), 160, SOUND),
        (MediaKind.AUDIO, CodecParameters(payload_type=8, name="PCMA", clock_rate=8000), 160, SOUND),
        (MediaKind.AUDIO, CodecParameters(payload_type=9, name="G722", clock_rate=8000), 160, SOUND),
        (MediaKind.VIDEO, CodecParameters(payload_type=98, name="H265", clock_rate=90_000), 3000, PICTURE),
    ],
    ids=["PCMU", "PCMA", "G722", "H265"],
)
async def test_what_went_in_comes_out(
    engine: Engine, kind: MediaKind, codec: CodecParameters, step: int, payload: bytes
) -> None:
    router = await engine.open_router()
    entry = await router.open_plain_transport(latching=Latching.ONCE)
    source = await entry.produce(kind, [codec], encodings=[EncodingParameters(ssrc=SSRC)])
    way_out = await router.open_plain_transport()
    sink, sender = Sink(), Sink()
    try:
        await way_out.connect("127.0.0.1", sink.port)
        await way_out.consume(kind, source, payload_types=[(codec.payload_type, codec.payload_type)])
        sent = [Packet(True, codec.payload_type, n, n * step, payload + bytes([n])) for n in range(5)]
        for packet in sent:
            sender.socket.sendto(packet.encode(), ("127.0.0.1", entry.port))
        got = [Packet.decode(await sink.next()) for _ in sent]
    finally:
        sink.socket.close()
        sender.socket.close()
    assert [(p.payload_type, p.payload) for p in got] == [(p.payload_type, p.payload) for p in sent]
    assert [p.timestamp - got[0].timestamp for p in got] == [n * step for n in range(5)]
