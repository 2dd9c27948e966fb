"""Two of our own transports with the full and the lite ICE role: media crosses whoever checks whom."""

from __future__ import annotations

import asyncio
import importlib.util
import struct
from collections.abc import AsyncIterator

import pytest
from plain_rtp import SSRC, Packet, Sink, frames

from roomtone.media import CoreLink, Engine, Mailbox, WebRtcTransport
from roomtone.media.values import (
    CodecParameters,
    DtlsRole,
    DtlsState,
    DtlsStateChanged,
    EncodingParameters,
    EngineConfig,
    IceMode,
    IceStateChanged,
    Latching,
    MediaKind,
    TransportId,
)

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)
VP8 = CodecParameters(payload_type=96, name="VP8", clock_rate=90_000)


@pytest.fixture(params=["udp", "tcp"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """An engine that listens on one of the two alone: what is left has to connect by it."""
    config = EngineConfig(
        shards=2,
        listen_ips=["127.0.0.1"],
        webrtc_ports=(0, 0),
        plain_ports=(0, 0),
        udp=request.param == "udp",
        tcp=request.param == "tcp",
    )
    engine = Engine(CoreLink(config))
    await engine.start()
    yield engine
    await engine.close()


async def join(one: WebRtcTransport, other: WebRtcTransport, *, other_is_lite: bool, role: DtlsRole) -> None:
    await one.connect(
        dtls_role=role,
        fingerprints=other.fingerprints,
        ice_ufrag=other.ice_ufrag,
        ice_pwd=other.ice_pwd,
        candidates=other.candidates,
        ice_lite=other_is_lite,
    )


async def connected(states: Mailbox, transports: set[TransportId]) -> None:
    """Wait until each has its keys and its pair: DTLS may be done before a pair is nominated."""
    missing = {(transport, what) for transport in transports for what in ("keys", "pair")}
    async with asyncio.timeout(20):
        async for event in states:
            if isinstance(event, DtlsStateChanged) and event.state is DtlsState.CONNECTED:
                missing.discard((event.transport, "keys"))
            if isinstance(event, IceStateChanged) and event.remote is not None:
                missing.discard((event.transport, "pair"))
            if not missing:
                break
    states.close()


@pytest.mark.parametrize("far", [IceMode.LITE, IceMode.FULL])
@pytest.mark.parametrize("role", list(DtlsRole))
async def test_media_crosses_from_a_full_agent_to_either_role(engine: Engine, far: IceMode, role: DtlsRole) -> None:
    here, there = await engine.open_router(shard=0), await engine.open_router(shard=1)
    near_peer = await here.open_webrtc_transport(ice_mode=IceMode.FULL)
    far_peer = await there.open_webrtc_transport(ice_mode=far)
    states = engine.subscribe(near_peer.id, far_peer.id)
    await join(near_peer, far_peer, other_is_lite=far is IceMode.LITE, role=role)
    opposite = DtlsRole.PASSIVE if role is DtlsRole.ACTIVE else DtlsRole.ACTIVE
    await join(far_peer, near_peer, other_is_lite=False, role=opposite)

    entry = await here.open_plain_transport(latching=Latching.ONCE)
    source = await entry.produce(MediaKind.VIDEO, [VP8], encodings=[EncodingParameters(ssrc=SSRC)])
    sending = await near_peer.consume(MediaKind.VIDEO, source, payload_types=[(96, 96)])
    arriving = await far_peer.produce(MediaKind.VIDEO, [VP8], encodings=[EncodingParameters(ssrc=sending.ssrc)])
    way_out = await there.open_plain_transport()
    sink, sender = Sink(), Sink()
    try:
        await way_out.connect("127.0.0.1", sink.port)
        consumer = await way_out.consume(MediaKind.VIDEO, arriving, payload_types=[(96, 96)])
        await connected(states, {near_peer.id, far_peer.id})
        keyframe = next(frames(1))
        for packet in keyframe:
            sender.socket.sendto(packet.encode(), ("127.0.0.1", entry.port))
        got = [await sink.next() for _ in keyframe]
        assert {struct.unpack("!I", data[8:12])[0] for data in got} == {consumer.ssrc}
        assert [Packet.decode(data).payload for data in got] == [packet.payload for packet in keyframe]
    finally:
        sink.socket.close()
        sender.socket.close()
