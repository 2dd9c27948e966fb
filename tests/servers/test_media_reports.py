"""Statistics and dumps of every object, of every engine behind the façade: what they are called is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from media_links import CONFIG, LINKS, OPUS

from roomtone.media import Engine, Feed, Link, Mixer, Packager, Transport
from roomtone.media.objects import EngineObject
from roomtone.media.values import MediaKind

IDENTITY = {"id", "type"}
OF_A_LINE = IDENTITY | {
    *("carrier", "writable", "packetsReceived", "packetsSent", "rtpPacketsReceived", "rtpPacketsSent"),
    *("rtpBytesReceived", "rtpBytesSent", "availableOutgoingBitrate", "currentRoundTripTime"),
}
OF_A_PEER = OF_A_LINE | {"selectedLocal", "selectedRemote", "srtpCipher", "dtlsState"}
OF_WEBRTC = OF_A_PEER | {
    *("iceState", "iceReport", "selectedProtocol", "selectedCandidatePairChanges"),
    *("dataChannels", "messagesReceived", "messagesSent"),
}
OF_A_ROUTER = IDENTITY | {"shard", "transports", "producers", "consumers", "packetsReceived", "packetsSent"}
OF_A_STREAM = IDENTITY | {"kind", "transportId", "nackCount", "pliCount", "firCount"}
OF_A_PRODUCER = OF_A_STREAM | {"packetsReceived", "bytesReceived", "packetsLost", "wantedBy", "droppedPaused"}
OF_A_CONSUMER = OF_A_STREAM | {"packetsSent", "bytesSent", "ssrc", "rtxSsrc", "score"}
OF_AN_OBSERVER = IDENTITY | {
    *("router", "intervalMs", "thresholdDbov", "percentile", "smoothing", "holdMs", "maxEntries"),
}
OF_A_CHANNEL = IDENTITY | {"dataChannelIdentifier", "state", "bufferedAmount"}


@pytest.fixture(params=LINKS)
def open_link(request: pytest.FixtureRequest) -> Callable[..., Link]:
    opener: Callable[..., Link] = request.param
    return opener


@pytest.fixture
async def engine(open_link: Callable[..., Link]) -> AsyncIterator[Engine]:
    engine = Engine(open_link(CONFIG))
    await engine.start()
    yield engine
    await engine.close()


async def report_of(thing: EngineObject, id_: int, type_: str, names: set[str]) -> dict[str, Any]:
    """Its own report, which has at least these names."""
    report = (await thing.stats())[0]
    assert (report["id"], report["type"]) == (str(id_), type_)
    assert names <= report.keys(), names - report.keys()
    return dict(report)


async def dump_of(thing: EngineObject, id_: int, type_: str) -> dict[str, Any]:
    dump = await thing.dump()
    assert (dump["id"], dump["type"]) == (id_, type_)
    return dump


async def test_routers_and_streams_tell_of_themselves(engine: Engine) -> None:
    router = await engine.open_router(shard=1)
    transport = await router.open_webrtc_transport()
    producer = await transport.produce(MediaKind.AUDIO, [OPUS])
    consumer = await transport.consume(MediaKind.AUDIO, producer, payload_types=[(111, 111)])

    report = await report_of(router, router.id, "router", OF_A_ROUTER)
    assert [report[name] for name in ("shard", "transports", "producers", "consumers")] == [1, 1, 1, 1]
    dump = await dump_of(router, router.id, "router")
    assert (dump["transports"], dump["producers"], dump["consumers"]) == ([transport.id], [producer.id], [consumer.id])

    report = await report_of(producer, producer.id, "inbound-rtp", OF_A_PRODUCER)
    assert (report["kind"], report["transportId"], report["wantedBy"]) == ("audio", str(transport.id), 1)
    dump = await dump_of(producer, producer.id, "producer")
    assert (dump["transport"], dump["consumers"], dump["paused"]) == (transport.id, [consumer.id], False)

    report = await report_of(consumer, consumer.id, "outbound-rtp", OF_A_CONSUMER)
    assert (report["kind"], report["transportId"], report["ssrc"]) == ("audio", str(transport.id), consumer.ssrc)
    remote = (await consumer.stats())[1]
    assert (remote["type"], remote["localId"], remote["packetsLost"]) == ("remote-inbound-rtp", str(consumer.id), 0)
    dump = await dump_of(consumer, consumer.id, "consumer")
    assert (dump["transport"], dump["producer"], dump["ssrc"]) == (transport.id, producer.id, consumer.ssrc)


async def test_transports_to_peers_tell_of_themselves(engine: Engine) -> None:
    router = await engine.open_router()
    webrtc = await router.open_webrtc_transport(sctp=True)
    plain = await router.open_plain_transport()
    report = await report_of(webrtc, webrtc.id, "transport", OF_WEBRTC)
    states = [report[name] for name in ("carrier", "writable", "iceState", "dtlsState", "dataChannels")]
    assert states == ["webrtc", False, "new", "new", 0]
    report = await report_of(plain, plain.id, "transport", OF_A_PEER | {"secure"})
    assert (report["carrier"], report["writable"], report["secure"]) == ("plain", False, False)
    assert (report["selectedLocal"], report["selectedRemote"]) == (f"127.0.0.1:{plain.port}", None)
    await plain.connect("127.0.0.1", 9)
    report = await report_of(plain, plain.id, "transport", OF_A_PEER)
    assert (report["writable"], report["selectedRemote"]) == (True, "127.0.0.1:9")
    for transport, kind in ((webrtc, "webrtc"), (plain, "plain")):
        assert isinstance(transport, Transport)
        dump = await dump_of(transport, transport.id, "transport")
        assert (dump["router"], dump["carrier"]["kind"]) == (router.id, kind)


async def test_what_runs_on_threads_of_its_own_tells_of_itself_as_a_transport(engine: Engine) -> None:
    router = await engine.open_router()
    for thing, carrier in (
        (await Mixer.open(router), "mixer"),
        (await Packager.open(router, "told"), "packager"),
        (await Feed.open(router), "feed"),
    ):
        report = await report_of(thing, thing.id, "transport", OF_A_LINE)
        assert report["carrier"] == carrier
        dump = await dump_of(thing, thing.id, "transport")
        assert (dump["router"], dump["carrier"]["kind"]) == (router.id, carrier)


async def test_an_audio_level_observer_tells_of_itself(engine: Engine) -> None:
    router = await engine.open_router()
    observer = await router.observe_audio_levels(interval_ms=200, threshold_dbov=-45, smoothing=0.5, max_entries=2)
    report = await report_of(observer, observer.id, "observer", OF_AN_OBSERVER)
    settings = [report[name] for name in ("router", "intervalMs", "thresholdDbov", "percentile", "smoothing", "holdMs")]
    assert settings == [router.id, 200, -45, 40, 0.5, 1000]
    assert report["maxEntries"] == 2
    dump = await dump_of(observer, observer.id, "observer")
    assert (dump["router"], dump["max_entries"]) == (router.id, 2)
    assert (await router.dump())["observers"] == [observer.id]


async def test_a_data_channel_tells_of_itself(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport(sctp=True)
    channel = await transport.open_channel("chat", stream=7)
    report = await report_of(channel, channel.id, "data-channel", OF_A_CHANNEL)
    assert [report[name] for name in ("dataChannelIdentifier", "state", "bufferedAmount")] == [7, "connecting", 0]
    dump = await dump_of(channel, channel.id, "data-channel")
    assert (dump["transport"], dump["stream"], dump["open"]) == (transport.id, 7, False)
