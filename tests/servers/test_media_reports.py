"""Statistics and dumps of every object, of every engine behind the façade: what they are called is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from media_links import CONFIG, LINKS, OPUS

from roomtone.media import Engine, Feed, Link, Mixer, Packager, Router, Transport
from roomtone.media.engine_object import EngineObject
from roomtone.media.values import (
    ArrivalModel,
    BandwidthConfig,
    CodecFeedback,
    HeaderExtension,
    MediaKind,
)

TRANSPORT_SEQUENCE = HeaderExtension(
    id=3, uri="http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)
IDENTITY = {"id", "type"}
OF_A_LINE = IDENTITY | {
    *("carrier", "writable", "packetsReceived", "packetsSent", "rtpPacketsReceived", "rtpPacketsSent"),
    *("rtpBytesReceived", "rtpBytesSent", "availableOutgoingBitrate", "currentRoundTripTime", "estimator"),
}
OF_A_PEER = OF_A_LINE | {"selectedLocal", "selectedRemote", "srtpCipher", "dtlsState"}
OF_WEBRTC = OF_A_PEER | {
    *("iceState", "iceReport", "selectedProtocol", "selectedCandidatePairChanges"),
    *("dataChannels", "messagesReceived", "messagesSent"),
}
OF_A_PIPE = OF_A_LINE | {"farShard", "farTransportId", "sourceId", "pipePacketsSent", "pipePacketsDropped"}
OF_A_ROUTER = IDENTITY | {"shard", "transports", "producers", "consumers", "packetsReceived", "packetsSent"}
OF_A_STREAM = IDENTITY | {"kind", "transportId", "nackCount", "pliCount", "firCount"}
OF_A_PRODUCER = OF_A_STREAM | {"packetsReceived", "bytesReceived", "packetsLost", "wantedBy", "droppedPaused"}
OF_A_CONSUMER = OF_A_STREAM | {"packetsSent", "bytesSent", "ssrc", "rtxSsrc", "score"}
OF_AN_OBSERVER = IDENTITY | {
    *("router", "intervalMs", "thresholdDbov", "percentile", "smoothing", "holdMs", "maxEntries"),
    *("reports", "speakers", "dominant"),
}
OF_A_CHANNEL = IDENTITY | {
    *("transportId", "label", "protocol", "dataChannelIdentifier", "state", "bufferedAmount"),
    *("ordered", "maxRetransmits", "maxPacketLifeTime"),
    *("messagesSent", "bytesSent", "messagesReceived", "bytesReceived", "messagesRefused", "messagesExpired"),
}


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


async def test_both_ends_of_a_pipe_tell_of_themselves(engine: Engine) -> None:
    here, there = await engine.open_router(shard=0), await engine.open_router(shard=1)
    source = await here.open_plain_transport()
    producer = await source.produce(MediaKind.AUDIO, [OPUS])
    piped = await here.pipe_to(producer, there)
    near = await report_of(piped.near, piped.near.id, "transport", OF_A_PIPE)
    far = await report_of(piped.far, piped.far.id, "transport", OF_A_PIPE)
    assert (near["carrier"], near["farShard"], near["farTransportId"]) == ("pipe", 1, str(piped.far.id))
    assert (far["carrier"], far["farShard"], far["farTransportId"]) == ("pipe", 0, str(piped.near.id))
    assert (near["sourceId"], far["sourceId"]) == (str(producer.id), None)
    for end, router in ((piped.near, here), (piped.far, there)):
        dump = await dump_of(end, end.id, "transport")
        assert (dump["router"], dump["carrier"]["kind"]) == (router.id, "pipe")
    assert (await piped.far.dump())["producers"] == [piped.id]
    assert (await piped.dump())["transport"] == piped.far.id
    # Closing one end closes the other, and what came through.
    with engine.subscribe(piped.id) as mailbox:
        await piped.near.close()
        await mailbox.get()
    assert piped.id not in (await there.dump())["producers"]
    assert (await there.dump())["transports"] == []
    assert (await here.dump())["transports"] == [source.id]


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
    assert [report[name] for name in ("maxEntries", "speakers", "dominant")] == [2, 0, None]
    dump = await dump_of(observer, observer.id, "observer")
    assert (dump["router"], dump["max_entries"], dump["dominant"]) == (router.id, 2, None)
    assert (await router.dump())["observers"] == [observer.id]


@pytest.mark.parametrize(("most", "longest_ms"), [(None, None), (3, None), (None, 150)])
async def test_a_data_channel_tells_of_itself(engine: Engine, most: int | None, longest_ms: int | None) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport(sctp=True)
    channel = await transport.open_channel(
        "chat", protocol="p", ordered=False, max_retransmits=most, max_lifetime_ms=longest_ms, stream=7
    )
    report = await report_of(channel, channel.id, "data-channel", OF_A_CHANNEL)
    named = [report[name] for name in ("transportId", "label", "protocol", "dataChannelIdentifier", "state", "ordered")]
    assert named == [str(transport.id), "chat", "p", 7, "connecting", False]
    assert (report["maxRetransmits"], report["maxPacketLifeTime"]) == (most, longest_ms)
    counted = OF_A_CHANNEL & {name for name in report if name.startswith(("messages", "bytes", "buffered"))}
    assert {report[name] for name in counted} == {0}
    dump = await dump_of(channel, channel.id, "data-channel")
    assert (dump["transport"], dump["label"], dump["protocol"], dump["open"]) == (transport.id, "chat", "p", False)


async def watched(router: Router, model: ArrivalModel | None, *, reported: bool = True) -> Transport:
    """A transport whose peer is sent a picture, and gives transport-wide feedback of it."""
    transport = await router.open_webrtc_transport(arrival_model=model)
    assert (await transport.stats())[0]["estimator"] == "receiver-reports", "until it is known what the peer reports"
    await transport.consume(
        MediaKind.VIDEO,
        payload_types=[(96, 96)],
        header_extensions=[TRANSPORT_SEQUENCE] if reported else [],
        feedback=CodecFeedback(transport_cc=reported),
    )
    return transport


@pytest.mark.parametrize("of_all", ArrivalModel)
async def test_transports_of_one_engine_run_different_estimators(
    open_link: Callable[..., Link], of_all: ArrivalModel
) -> None:
    engine = Engine(open_link(msgspec.structs.replace(CONFIG, bandwidth=BandwidthConfig(arrival_model=of_all))))
    await engine.start()
    router = await engine.open_router()
    transports = [await watched(router, model) for model in (None, ArrivalModel.TRENDLINE, ArrivalModel.KALMAN)]
    transports.append(await watched(router, ArrivalModel.KALMAN, reported=False))
    named = [(await transport.stats())[0]["estimator"] for transport in transports]
    assert named == [f"gcc-{of_all.value}", "gcc-trendline", "gcc-kalman", "receiver-reports"]
    await engine.close()
