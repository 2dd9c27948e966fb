"""One suite for every engine behind the façade: in memory, through a socket pair, and the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from media_links import CONFIG, H264, LINKS, OPUS, PCMU, VP8

from roomtone.media import (
    Engine,
    EngineCommandError,
    IngestListener,
    Link,
    Mixer,
    Packager,
    Router,
    WebRtcTransport,
    show_text,
)
from roomtone.media.values import (
    AnyEvent,
    ChannelId,
    CodecParameters,
    ConsumerClosed,
    DtlsParameters,
    DtlsRole,
    EncodingParameters,
    EngineCloseReason,
    EngineConfig,
    ErrorCode,
    Fingerprint,
    IngestProtocol,
    Latching,
    MediaKind,
    MixerClip,
    MixerClosed,
    MixerTone,
    MixerWav,
    PackagerEnded,
    PackagerId,
    ProducerClosed,
    RouterClosed,
    ShowStreamText,
    SrtpKeys,
    ToneKind,
    TransportClosed,
)

FINGERPRINT = Fingerprint(algorithm="sha-256", value=":".join(["0A"] * 32))


@pytest.fixture(params=LINKS)
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    open_link: Callable[[EngineConfig], Link] = request.param
    engine = Engine(open_link(CONFIG))
    await engine.start()
    yield engine
    await engine.close()


@asynccontextmanager
async def refused(code: ErrorCode) -> AsyncIterator[None]:
    with pytest.raises(EngineCommandError) as caught:
        yield
    assert caught.value.code is code, caught.value


async def connect(transport: WebRtcTransport) -> None:
    await transport.connect(dtls_role=DtlsRole.PASSIVE, fingerprints=[FINGERPRINT], ice_ufrag="peer", ice_pwd="p" * 24)


async def events_until(take: Callable[[], Awaitable[AnyEvent]], last: type[AnyEvent]) -> list[AnyEvent]:
    events = [await take()]
    while not isinstance(events[-1], last):
        events.append(await take())
    return events


async def test_a_router_opens_on_the_shard_asked_for(engine: Engine) -> None:
    router = await engine.open_router(shard=1)
    assert router.shard == 1


async def test_routers_spread_over_the_shards(engine: Engine) -> None:
    routers = [await engine.open_router() for _ in range(2)]
    assert {router.shard for router in routers} == {0, 1}


async def test_a_shard_that_does_not_exist_is_refused(engine: Engine) -> None:
    async with refused(ErrorCode.INVALID):
        await engine.open_router(shard=9)


async def test_ids_are_unique_over_all_kinds(engine: Engine) -> None:
    router = await engine.open_router()
    transport = await router.open_webrtc_transport()
    producer = await transport.produce(MediaKind.AUDIO, [OPUS])
    consumer = await transport.consume(MediaKind.AUDIO, payload_types=[(111, 111)])
    assert len({router.id, transport.id, producer.id, consumer.id}) == 4


async def test_a_webrtc_transport_tells_what_the_peer_must_know(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    assert len(transport.ice_ufrag) >= 4
    assert len(transport.ice_pwd) >= 22
    assert transport.candidates
    assert {candidate.ip for candidate in transport.candidates} == {"127.0.0.1"}
    assert all(candidate.port for candidate in transport.candidates)
    assert transport.fingerprints[0].algorithm == "sha-256"
    assert len(transport.fingerprints[0].value.split(":")) == 32


async def test_a_transport_is_connected_once(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    await connect(transport)
    async with refused(ErrorCode.WRONG_STATE):
        await connect(transport)


async def test_an_ice_restart_changes_the_credentials(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    await connect(transport)
    before = (transport.ice_ufrag, transport.ice_pwd)
    restarted = await transport.restart_ice("newu", "n" * 24)
    assert (restarted.ice_ufrag, restarted.ice_pwd) != before
    assert (transport.ice_ufrag, transport.ice_pwd) == (restarted.ice_ufrag, restarted.ice_pwd)
    assert restarted.candidates


async def test_a_plain_transport_has_a_port_pair_without_rtcp_mux(engine: Engine) -> None:
    router = await engine.open_router()
    muxed = await router.open_plain_transport()
    paired = await router.open_plain_transport(rtcp_mux=False)
    assert muxed.ip == paired.ip == "127.0.0.1"
    assert muxed.rtcp_port == muxed.port
    assert len({muxed.port, paired.port, paired.rtcp_port}) == 3


async def test_a_plain_transport_is_opened_only_with_what_it_can_do(engine: Engine) -> None:
    router = await engine.open_router()
    async with refused(ErrorCode.INVALID):
        await router.open_plain_transport(dscp=64)
    async with refused(ErrorCode.INVALID):
        await router.open_plain_transport(latching=Latching.REBIND, rebind_silence_ms=99)
    marked = await router.open_plain_transport(dscp=46, latching=Latching.REBIND, rebind_silence_ms=500)
    await marked.connect("127.0.0.1", 0)


async def test_only_a_transport_that_learns_is_connected_without_an_address(engine: Engine) -> None:
    router = await engine.open_router()
    fixed = await router.open_plain_transport()
    async with refused(ErrorCode.INVALID):
        await fixed.connect("127.0.0.1", 0)
    for latching in (Latching.ONCE, Latching.REBIND):
        learning = await router.open_plain_transport(latching=latching)
        await learning.connect("127.0.0.1", 0)


async def test_srtp_keys_of_both_sides_may_come_when_the_transport_is_connected(engine: Engine) -> None:
    router = await engine.open_router()
    ours, theirs = (SrtpKeys(suite="AES_256_CM_HMAC_SHA1_80", key=bytes([fill]) * 46) for fill in (1, 2))
    plain = await router.open_plain_transport()
    async with refused(ErrorCode.INVALID):
        await plain.connect("127.0.0.1", 5004, local_srtp=ours, srtp=theirs)
    secure = await router.open_plain_transport(secure=True)
    for missing in ({}, {"srtp": theirs}, {"local_srtp": ours}):
        async with refused(ErrorCode.INVALID):
            await secure.connect("127.0.0.1", 5004, **missing)
    await secure.connect("127.0.0.1", 5004, local_srtp=ours, srtp=theirs)
    await secure.connect("127.0.0.1", 5006)
    other = SrtpKeys(suite="AEAD_AES_128_GCM", key=bytes(28))
    await secure.connect("127.0.0.1", 5006, local_srtp=other, srtp=other)


async def test_dtls_without_ice_tells_our_fingerprint_and_wants_the_peers(engine: Engine) -> None:
    router = await engine.open_router()
    plain = await router.open_plain_transport()
    assert plain.fingerprints == ()
    named = DtlsParameters(role=DtlsRole.PASSIVE, fingerprints=[FINGERPRINT])
    async with refused(ErrorCode.INVALID):
        await plain.connect("127.0.0.1", 5004, dtls=named)
    keys = SrtpKeys(suite="AEAD_AES_128_GCM", key=bytes(28))
    async with refused(ErrorCode.INVALID):
        await router.open_plain_transport(dtls=True, srtp=keys)
    transport = await router.open_plain_transport(dtls=True, latching=Latching.ONCE)
    assert [one.algorithm for one in transport.fingerprints] == ["sha-256"]
    async with refused(ErrorCode.INVALID):
        await transport.connect("127.0.0.1", 5004)
    async with refused(ErrorCode.INVALID):
        await transport.connect("127.0.0.1", 5004, dtls=named, srtp=keys)
    async with refused(ErrorCode.INVALID):
        await transport.connect("127.0.0.1", 0, dtls=DtlsParameters(role=DtlsRole.ACTIVE, fingerprints=[FINGERPRINT]))
    await transport.connect("127.0.0.1", 0, dtls=named)
    await transport.connect("127.0.0.1", 5004)


async def test_a_consumer_of_a_producer_gets_its_own_ssrcs(engine: Engine) -> None:
    router = await engine.open_router()
    sender = await router.open_webrtc_transport()
    receiver = await router.open_webrtc_transport(cname="the-cname")
    producer = await sender.produce(MediaKind.VIDEO, [VP8], encodings=[EncodingParameters(ssrc=1111, rtx_ssrc=2222)])
    consumer = await receiver.consume(
        MediaKind.VIDEO, producer, payload_types=[(96, 100)], rtx_payload_types=[(100, 101)]
    )
    assert consumer.cname == "the-cname"
    assert consumer.rtx_ssrc is not None
    assert consumer.ssrc != consumer.rtx_ssrc


async def test_a_consumer_without_retransmission_has_no_rtx_ssrc(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    consumer = await transport.consume(MediaKind.AUDIO, payload_types=[(111, 111)])
    assert consumer.rtx_ssrc is None


async def test_a_consumer_keeps_the_ssrc_asked_for_and_no_other_may_have_it(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    consumer = await transport.consume(MediaKind.AUDIO, ssrc=0xCAFE, payload_types=[(111, 111)])
    assert consumer.ssrc == 0xCAFE
    async with refused(ErrorCode.INVALID):
        await transport.consume(MediaKind.AUDIO, ssrc=0xCAFE, payload_types=[(111, 111)])


async def test_a_consumer_of_the_wrong_kind_is_refused(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    producer = await transport.produce(MediaKind.AUDIO, [OPUS])
    async with refused(ErrorCode.INVALID):
        await transport.consume(MediaKind.VIDEO, producer)


@pytest.mark.parametrize(
    ("codecs", "encodings"),
    [
        pytest.param([], [], id="no codec"),
        pytest.param([VP8, VP8], [], id="a payload type twice"),
        pytest.param([VP8], [EncodingParameters(ssrc=5), EncodingParameters(ssrc=5)], id="an SSRC twice"),
    ],
)
async def test_a_producer_that_makes_no_sense_is_refused(
    engine: Engine, codecs: list[CodecParameters], encodings: list[EncodingParameters]
) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    async with refused(ErrorCode.INVALID):
        await transport.produce(MediaKind.VIDEO, codecs, encodings=encodings)


async def test_media_of_another_router_must_be_piped_first(engine: Engine) -> None:
    here, there = await engine.open_router(shard=0), await engine.open_router(shard=1)
    producer = await (await here.open_webrtc_transport()).produce(MediaKind.VIDEO, [VP8])
    receiver = await there.open_webrtc_transport()
    async with refused(ErrorCode.INVALID):
        await receiver.consume(MediaKind.VIDEO, producer, payload_types=[(96, 96)])
    piped = await here.pipe_to(producer, there)
    assert piped.kind is MediaKind.VIDEO
    await receiver.consume(MediaKind.VIDEO, piped, payload_types=[(96, 96)])
    async with refused(ErrorCode.INVALID):
        await here.pipe_to(producer, here)


async def test_a_consumer_outlives_its_source_and_takes_another(engine: Engine) -> None:
    router = await engine.open_router()
    transport = await router.open_webrtc_transport()
    first = await transport.produce(MediaKind.VIDEO, [VP8], encodings=[EncodingParameters(ssrc=1)])
    second = await transport.produce(MediaKind.VIDEO, [VP8], encodings=[EncodingParameters(ssrc=2)])
    consumer = await transport.consume(MediaKind.VIDEO, first, payload_types=[(96, 96)])
    await first.close()
    await consumer.switch_source(second, [(96, 96)])
    await consumer.switch_source(None)


async def test_pausing_layers_and_keyframes_are_accepted(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    producer = await transport.produce(MediaKind.VIDEO, [VP8], paused=True)
    consumer = await transport.consume(MediaKind.VIDEO, producer, payload_types=[(96, 96)], paused=True)
    await producer.resume()
    await consumer.resume()
    await consumer.set_preferred_layers(0, 1)
    await consumer.set_preferred_layers()
    await producer.request_keyframe()
    await consumer.pause()
    await producer.pause()


async def test_what_is_closed_is_not_found_and_closing_twice_is_no_error(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    producer = await transport.produce(MediaKind.AUDIO, [OPUS])
    await producer.close()
    async with refused(ErrorCode.NOT_FOUND):
        await producer.pause()
    await producer.close()
    assert producer.closed


async def test_closing_a_transport_closes_what_it_holds_and_says_so(engine: Engine) -> None:
    router = await engine.open_router()
    transport = await router.open_webrtc_transport()
    producer = await transport.produce(MediaKind.AUDIO, [OPUS])
    consumer = await transport.consume(MediaKind.AUDIO, payload_types=[(111, 111)])
    with engine.subscribe(transport.id, producer.id, consumer.id) as mailbox:
        await transport.close()
        events = await events_until(mailbox.get, TransportClosed)
    assert ProducerClosed(producer=producer.id, reason=EngineCloseReason.PARENT_CLOSED) in events
    assert ConsumerClosed(consumer=consumer.id, reason=EngineCloseReason.PARENT_CLOSED) in events
    assert events[-1] == TransportClosed(transport=transport.id, reason=EngineCloseReason.REQUESTED)
    async with refused(ErrorCode.NOT_FOUND):
        await consumer.pause()


async def test_closing_a_router_closes_its_transports(engine: Engine) -> None:
    router = await engine.open_router()
    transport = await router.open_webrtc_transport()
    with engine.subscribe(transport.id, router.id) as mailbox:
        await router.close()
        events = await events_until(mailbox.get, RouterClosed)
    assert events[-2:] == [
        TransportClosed(transport=transport.id, reason=EngineCloseReason.PARENT_CLOSED),
        RouterClosed(router=router.id, reason=EngineCloseReason.REQUESTED),
    ]
    async with refused(ErrorCode.NOT_FOUND):
        await transport.produce(MediaKind.AUDIO, [OPUS])
    async with refused(ErrorCode.NOT_FOUND):
        await router.open_webrtc_transport()


async def test_limits_of_transports_producers_and_consumers_hold(engine: Engine) -> None:
    router = await engine.open_router()
    transports = [await router.open_webrtc_transport() for _ in range(4)]
    async with refused(ErrorCode.LIMIT):
        await router.open_webrtc_transport()
    for ssrc in range(3):
        await transports[0].produce(MediaKind.AUDIO, [OPUS], encodings=[EncodingParameters(ssrc=ssrc + 1)])
        await transports[0].consume(MediaKind.AUDIO, payload_types=[(111, 111)])
    async with refused(ErrorCode.LIMIT):
        await transports[0].produce(MediaKind.AUDIO, [OPUS], encodings=[EncodingParameters(ssrc=9)])
    async with refused(ErrorCode.LIMIT):
        await transports[0].consume(MediaKind.AUDIO, payload_types=[(111, 111)])
    await transports[1].close()
    await router.open_webrtc_transport()


async def test_data_channels_need_a_transport_that_was_opened_for_them(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    async with refused(ErrorCode.WRONG_STATE):
        await transport.open_channel("chat")


async def test_a_channel_cannot_be_opened_before_the_peer_is_there(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport(sctp=True)
    await connect(transport)
    async with refused(ErrorCode.WRONG_STATE):
        await transport.open_channel("chat")


async def test_a_message_on_a_channel_that_is_not_there_is_refused(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport(sctp=True)
    async with refused(ErrorCode.NOT_FOUND):
        await transport.channel(ChannelId(999_999), "none").send("hello")


@pytest.mark.parametrize("engine", LINKS[2:], indirect=True)
async def test_what_is_thought_of_lines_and_streams_is_in_their_statistics(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    producer = await transport.produce(MediaKind.AUDIO, [OPUS])
    consumer = await transport.consume(MediaKind.AUDIO, producer, payload_types=[(111, 111)])
    line, leaving = [(await thing.stats())[0] for thing in (transport, consumer)]
    producing, arriving = await producer.stats()
    quality = {"quality", "qualityLevel", "qualityTrend", "degradation", "mos"}
    for report in (line, producing, arriving, leaving):
        assert {key: report[key] for key in quality} == dict.fromkeys(quality), "known by name before there is a value"
    assert (line["congestionUp"], line["congestionDown"]) == ("none", "none")
    assert (line["toldBitrate"], line["toldConfidence"]) == (None, 0)
    assert {"queueDelayUp", "availableOutgoingBitrate", "allocatedBitrate", "wantedBitrate"} <= line.keys()
    assert arriving["fractionMissing"] == leaving["fractionMissing"] == 0
    assert {"framesReceived", "framesPerSecond", "freezeCount", "feedbackSuppressed", "score"} <= arriving.keys()


async def test_the_engine_has_statistics_of_each_shard(engine: Engine) -> None:
    assert len(await engine.stats()) >= 2


async def test_an_audio_level_observer_opens_and_closes(engine: Engine) -> None:
    router: Router = await engine.open_router()
    observer = await router.observe_audio_levels(interval_ms=200)
    await (await router.observe_audio_levels(interval_ms=200, max_entries=1)).close()
    async with refused(ErrorCode.INVALID):
        await router.observe_audio_levels(interval_ms=300)
    await observer.close()
    await (await router.observe_audio_levels(interval_ms=300)).close()
    async with refused(ErrorCode.NOT_FOUND):
        await observer.stats()


async def test_many_commands_at_once_are_answered_each(engine: Engine) -> None:
    routers = await asyncio.gather(*(engine.open_router() for _ in range(200)))
    assert len({router.id for router in routers}) == 200
    assert engine.pending_commands == 0


async def test_commands_after_the_end_say_that_the_engine_is_closed(engine: Engine) -> None:
    await engine.close()
    async with refused(ErrorCode.ENGINE_CLOSED):
        await engine.open_router()
    await engine.close()


async def test_a_consumer_is_limited_by_what_its_viewer_can_show(engine: Engine) -> None:
    transport = await (await engine.open_router()).open_webrtc_transport()
    producer = await transport.produce(MediaKind.VIDEO, [VP8], encodings=[EncodingParameters(rid="q")])
    consumer = await transport.consume(MediaKind.VIDEO, producer, payload_types=[(96, 96)])
    await consumer.set_limits(max_width=640, max_height=360, max_fps=15, max_bitrate=500_000)
    await consumer.set_limits()
    await consumer.set_priority(255)
    await consumer.set_preferred_layers(spatial=1, temporal=0)
    await consumer.close()
    for refused_now in (consumer.set_limits(max_width=1), consumer.set_priority(1)):
        async with refused(ErrorCode.NOT_FOUND):
            await refused_now


async def test_a_packager_takes_what_hls_carries_and_says_what_it_does_not(engine: Engine) -> None:
    router = await engine.open_router()
    transport = await router.open_plain_transport()
    camera = await transport.produce(MediaKind.VIDEO, [VP8, H264], encodings=[EncodingParameters(ssrc=5)])
    voice = await transport.produce(MediaKind.AUDIO, [OPUS], encodings=[EncodingParameters(ssrc=6)])
    phone = await transport.produce(MediaKind.AUDIO, [PCMU], encodings=[EncodingParameters(ssrc=7)])
    packager = await Packager.open(router, "studio", window_ms=30_000, part_ms=500)
    tracks = {await packager.add_track(producer) for producer in (camera, voice)}
    assert len(tracks | {packager.id, camera.id, voice.id}) == 5
    with pytest.raises(EngineCommandError, match=r"PCMU.*transcoded to opus") as caught:
        await packager.add_track(phone)
    assert caught.value.code is ErrorCode.UNSUPPORTED
    for track in tracks:
        await packager.remove_track(track)
        async with refused(ErrorCode.NOT_FOUND):
            await packager.remove_track(track)
    assert (await packager.stats())[0]["id"] == str(packager.id)


async def test_a_packager_has_its_name_alone_until_it_ends(engine: Engine) -> None:
    router = await engine.open_router()
    packager = await Packager.open(router, "studio")
    for name in ("", "a/b", "..", "x" * 257, "a\nb"):
        async with refused(ErrorCode.INVALID):
            await Packager.open(router, name)
    for part_ms in (99, 2_001):
        async with refused(ErrorCode.INVALID):
            await Packager.open(router, "other", part_ms=part_ms)
    async with refused(ErrorCode.WRONG_STATE):
        await Packager.open(router, "studio")
    with engine.subscribe(packager.id) as events:
        await packager.close()
        assert await events.get() == PackagerEnded(packager=packager.id, reason=EngineCloseReason.REQUESTED)
    again = await Packager.open(router, "studio")
    with engine.subscribe(again.id) as events:
        await router.close()
        assert await events.get() == PackagerEnded(packager=again.id, reason=EngineCloseReason.PARENT_CLOSED)


async def test_text_that_nobody_would_see_is_refused(engine: Engine) -> None:
    packager = await Packager.open(await engine.open_router(), "studio")
    line = ShowStreamText(packager=packager.id, text="hello")
    for wrong in ({"delay_ms": 30_001}, {"duration_ms": 99}, {"language": "no tag"}):
        async with refused(ErrorCode.INVALID):
            await show_text(engine, msgspec.structs.replace(line, **wrong))
    async with refused(ErrorCode.WRONG_STATE):
        await show_text(engine, line)
    await packager.close()
    async with refused(ErrorCode.NOT_FOUND):
        await show_text(engine, line)


async def test_a_track_whose_producer_is_gone_goes_on_with_another(engine: Engine) -> None:
    router = await engine.open_router()
    transport = await router.open_plain_transport()
    voice = await transport.produce(MediaKind.AUDIO, [OPUS], encodings=[EncodingParameters(ssrc=6)])
    packager = await Packager.open(router, "studio")
    track = await packager.add_track(voice)
    await voice.close()
    other = await transport.produce(MediaKind.AUDIO, [OPUS], encodings=[EncodingParameters(ssrc=8)])
    assert await packager.add_track(other) == track
    third = await transport.produce(MediaKind.AUDIO, [OPUS], encodings=[EncodingParameters(ssrc=9)])
    assert await packager.add_track(third) != track


async def test_a_mixer_hears_producers_and_its_mixes_are_producers(engine: Engine) -> None:
    router = await engine.open_router()
    transport = await router.open_plain_transport()
    spoken = await transport.produce(MediaKind.AUDIO, [OPUS], encodings=[EncodingParameters(ssrc=5)])
    mixer = await Mixer.open(router)
    heard = await mixer.add_input(spoken)
    tone = await mixer.add_source(MixerTone(country="DE", tone=ToneKind.RINGBACK))
    await mixer.add_source(MixerClip(rate_hz=8_000, samples=bytes(320), repeat=True))
    mixed = await mixer.add_output(PCMU, without=heard)
    await transport.consume(MediaKind.AUDIO, mixed, payload_types=[(0, 0)])
    assert len({heard, tone, mixed.id, mixer.id, spoken.id}) == 5
    await mixer.remove_input(heard)
    async with refused(ErrorCode.NOT_FOUND):
        await mixer.remove_input(heard)
    await mixer.add_output(PCMU, events_payload_type=101, noise_payload_type=13)
    with_keys = await mixer.add_output(PCMU, events_payload_type=101)
    await mixer.send_dtmf(with_keys.id, "5")
    async with refused(ErrorCode.INVALID):
        await mixer.send_dtmf(with_keys.id, "five")
    async with refused(ErrorCode.WRONG_STATE):
        await mixer.send_dtmf(mixed.id, "5")
    async with refused(ErrorCode.NOT_FOUND):
        await mixer.send_dtmf(spoken.id, "5")
    assert (await mixer.stats())[0]["id"] == str(mixer.id)


async def test_a_mixer_refuses_what_it_cannot_do(engine: Engine) -> None:
    router = await engine.open_router()
    transport = await router.open_plain_transport()
    picture = await transport.produce(MediaKind.VIDEO, [VP8], encodings=[EncodingParameters(ssrc=5)])
    g729 = CodecParameters(payload_type=18, name="G729", clock_rate=8_000)
    strange = await transport.produce(MediaKind.AUDIO, [g729], encodings=[EncodingParameters(ssrc=6)])
    mixer = await Mixer.open(router)
    async with refused(ErrorCode.INVALID):
        await mixer.add_input(picture)
    async with refused(ErrorCode.UNSUPPORTED):
        await mixer.add_input(strange)
    async with refused(ErrorCode.UNSUPPORTED):
        await mixer.add_output(g729)
    async with refused(ErrorCode.INVALID):
        await mixer.add_output(PCMU, ptime_ms=25)
    async with refused(ErrorCode.INVALID):
        await mixer.add_output(OPUS, noise_payload_type=13)
    async with refused(ErrorCode.INVALID):
        await mixer.add_output(PCMU, events_payload_type=13, noise_payload_type=13)
    async with refused(ErrorCode.INVALID):
        await mixer.add_output(PCMU, ptime_ms=10)
    async with refused(ErrorCode.INVALID):
        await Mixer.open(router, tick_ms=15)
    await (await Mixer.open(router, tick_ms=10)).add_output(PCMU, ptime_ms=10)
    async with refused(ErrorCode.INVALID):
        await mixer.add_source(MixerTone(country="XX", tone=ToneKind.BUSY))
    async with refused(ErrorCode.INVALID):
        await mixer.add_source(MixerClip(rate_hz=8_000, samples=b"odd"))
    async with refused(ErrorCode.INVALID):
        await mixer.add_source(MixerWav(file=b"not one"))


async def test_a_mixer_ends_with_its_mixes_and_with_its_router(engine: Engine) -> None:
    router = await engine.open_router()
    mixer = await Mixer.open(router)
    mixed = await mixer.add_output(PCMU)
    events = engine.subscribe(mixer.id, mixed.id)
    await mixer.close()
    told = await events_until(events.get, MixerClosed)
    assert told == [
        ProducerClosed(producer=mixed.id, reason=EngineCloseReason.PARENT_CLOSED),
        MixerClosed(mixer=mixer.id, reason=EngineCloseReason.REQUESTED),
    ]
    other = await Mixer.open(router)
    events = engine.subscribe(other.id)
    await router.close()
    assert await events.get() == MixerClosed(mixer=other.id, reason=EngineCloseReason.PARENT_CLOSED)


async def test_encoders_are_listened_for_where_that_can_be(engine: Engine) -> None:
    listener = await IngestListener.open(engine, IngestProtocol.SRT, "127.0.0.1:0", passphrase="ten letters")
    assert listener.port > 0
    for protocol, address, more in (
        (IngestProtocol.SRT, "nowhere", {}),
        (IngestProtocol.SRT, "127.0.0.1:0", {"passphrase": "short"}),
        (IngestProtocol.RTMP, "127.0.0.1:0", {"passphrase": "ten letters"}),
        (IngestProtocol.RTMP, "127.0.0.1:0", {"latency_ms": 1}),
    ):
        async with refused(ErrorCode.INVALID):
            await IngestListener.open(engine, protocol, address, **more)  # type: ignore[arg-type]
    other = await IngestListener.open(engine, IngestProtocol.RTMP, "127.0.0.1:0")
    async with refused(ErrorCode.NO_PORT):
        await IngestListener.open(engine, IngestProtocol.RTMP, f"127.0.0.1:{other.port}")
    async with refused(ErrorCode.NOT_FOUND):
        await other.end_stream(PackagerId(77))
    await other.close()
    await other.close()
