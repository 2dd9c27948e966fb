"""Every command, as the fake engine does it."""

from __future__ import annotations

import json
from functools import singledispatchmethod
from typing import Any

from roomtone.media import fake_feeds, fake_ingests, fake_mixers, fake_packagers, fake_transcoders
from roomtone.media.event_kinds import subjects
from roomtone.media.fake_objects import (
    FakeChannel,
    FakeConsumer,
    FakeObserver,
    FakePipe,
    FakeProducer,
    FakeRouter,
    FakeTransport,
)
from roomtone.media.fake_plain import check_plain, connect_plain, note_plain
from roomtone.media.fake_reports import dump_of, reports_of
from roomtone.media.fake_state import FakeState, Refused
from roomtone.media.fake_together import MAX_TOGETHER, id_in, put_in
from roomtone.media.values import (
    AddFeedTrack,
    AddMixerInput,
    AddMixerOutput,
    AddMixerSource,
    AddPackagerTrack,
    AddRemoteCandidates,
    AnyCommand,
    AnyEvent,
    AnyResult,
    ChannelClosed,
    ChannelId,
    ChannelOpened,
    ChannelOpening,
    CloseChannel,
    CloseConsumer,
    CloseFeed,
    CloseIngest,
    CloseIngestListener,
    CloseMixer,
    CloseObserver,
    ClosePackager,
    ClosePlayout,
    CloseProducer,
    CloseRouter,
    CloseTrackTranscoder,
    CloseTranscoder,
    CloseTransport,
    ConnectPlainTransport,
    ConnectWebRtcTransport,
    Consume,
    Consumed,
    ConsumerId,
    Done,
    DoneTogether,
    DoTogether,
    Dump,
    Dumped,
    EngineCloseReason,
    ErrorCode,
    Failed,
    Fingerprint,
    GetEngineStats,
    GetStats,
    GetStreamPressure,
    GetStreamSync,
    ObserveAudioLevels,
    ObserverId,
    ObserverOpened,
    OpenChannel,
    OpenFeed,
    OpenIngestInput,
    OpenIngestListener,
    OpenIngestPull,
    OpenMixer,
    OpenPackager,
    OpenPlainTransport,
    OpenRouter,
    OpenTrackTranscoder,
    OpenTranscoder,
    OpenWebRtcTransport,
    PauseConsumer,
    PauseProducer,
    PipeProducer,
    PlainTransportOpened,
    PointIngest,
    Produce,
    Produced,
    ProducerClosed,
    ProducerId,
    ProducerPiped,
    RemoveMixerInput,
    RemovePackagerTrack,
    RequestKeyframe,
    RestartIce,
    ResumeConsumer,
    ResumeProducer,
    RouterId,
    RouterOpened,
    SendMessage,
    SendMixerDtmf,
    SetAudioPinned,
    SetAudioTopN,
    SetConsumerLimits,
    SetConsumerPriority,
    SetIngestCertificate,
    SetPreferredLayers,
    SetStreamEncryption,
    SetStreamSync,
    ShowStreamText,
    Stats,
    SwitchPackagerTrack,
    SwitchSource,
    TransportId,
    WebRtcTransportOpened,
)

FAKE_FINGERPRINT = Fingerprint(algorithm="sha-256", value=":".join(["AB"] * 32))


class FakeCommands(FakeState):
    """The fake engine without its link: a command in, a result and the events it causes out."""

    def run(self, command: AnyCommand) -> tuple[AnyResult, list[AnyEvent]]:
        """Execute; a command that is refused has no effect."""
        try:
            result = self._execute(command)
        except Refused as refused:
            return Failed(code=refused.code, message=str(refused)), []
        return result, self.take_caused()

    def take_caused(self) -> list[AnyEvent]:
        """Give the events caused since the last time."""
        caused, self.caused = self.caused, []
        return caused

    @singledispatchmethod
    def _execute(self, command: AnyCommand) -> AnyResult:
        raise Refused(ErrorCode.UNSUPPORTED, f"the fake does not know {type(command).__name__}")

    @_execute.register
    def _open_router(self, command: OpenRouter) -> AnyResult:
        shard = command.shard
        if shard is None:
            loads = [sum(router.shard == number for router in self.find(FakeRouter)) for number in self.shards()]
            shard = loads.index(min(loads))
        if shard not in self.shards():
            raise Refused(ErrorCode.INVALID, f"there is no shard {shard}")
        router = FakeRouter(self.new_id(), shard)
        self.objects[router.id] = router
        return RouterOpened(router=RouterId(router.id), shard=shard)

    @_execute.register
    def _close_router(self, command: CloseRouter) -> AnyResult:
        router = self.get(FakeRouter, command.router)
        held = {id_ for id_, one in self.objects.items() if getattr(one, "router", id_) == router.id}
        self.drop_router(router, EngineCloseReason.REQUESTED)
        if command.quietly:
            self.caused = [event for event in self.caused if not held.intersection(subjects(event))]
        return Done()

    @_execute.register
    def _do_together(self, command: DoTogether) -> AnyResult:
        if not 0 < len(command.commands) <= MAX_TOGETHER:
            code = ErrorCode.LIMIT if command.commands else ErrorCode.INVALID
            raise Refused(code, f"{len(command.commands)} commands at once")
        results: list[Any] = []
        opened: list[int | None] = []
        events: list[AnyEvent] = []
        for one in command.commands:
            try:
                result, caused = self.run(put_in(one, opened))
            except Refused as refused:
                result, caused = Failed(code=refused.code, message=str(refused)), []
            results.append(result)
            events += caused
            if isinstance(result, Failed):
                break
            opened.append(id_in(result))
        self.caused = events
        return DoneTogether(results=results)

    @_execute.register
    def _open_webrtc(self, command: OpenWebRtcTransport) -> AnyResult:
        transport = self.add_transport(command.router, "webrtc", command.cname)
        transport.sctp, transport.answer_timeout_ms = command.sctp, command.answer_timeout_ms
        transport.arrival_model = command.arrival_model
        restarted = self.credentials(transport)
        return WebRtcTransportOpened(
            transport=TransportId(transport.id),
            ice_ufrag=restarted.ice_ufrag,
            ice_pwd=restarted.ice_pwd,
            candidates=restarted.candidates,
            fingerprints=[FAKE_FINGERPRINT],
        )

    @_execute.register
    def _connect_webrtc(self, command: ConnectWebRtcTransport) -> AnyResult:
        transport = self.webrtc(command.transport)
        if transport.connected:
            raise Refused(ErrorCode.WRONG_STATE, "the transport is connected already")
        if not command.fingerprints:
            raise Refused(ErrorCode.INVALID, "no fingerprint")
        transport.connected = True
        transport.remote_candidates.extend(command.candidates)
        return Done()

    @_execute.register
    def _add_candidates(self, command: AddRemoteCandidates) -> AnyResult:
        transport = self.webrtc(command.transport)
        transport.remote_candidates.extend(command.candidates)
        transport.remote_complete |= command.complete
        return Done()

    @_execute.register
    def _restart_ice(self, command: RestartIce) -> AnyResult:
        transport = self.webrtc(command.transport)
        transport.ice_generation += 1
        transport.remote_complete = False
        return self.credentials(transport)

    @_execute.register
    def _open_plain(self, command: OpenPlainTransport) -> AnyResult:
        check_plain(command)
        transport = self.add_transport(command.router, "plain", command.cname)
        note_plain(transport, command)
        ports = [self.take_port(transport)]
        if not command.rtcp_mux:
            ports.append(self.take_port(transport))
        return PlainTransportOpened(
            transport=TransportId(transport.id),
            ip=command.listen_ip,
            port=ports[0],
            rtcp_port=ports[-1],
            fingerprints=[FAKE_FINGERPRINT] * command.dtls,
        )

    @_execute.register
    def _connect_plain(self, command: ConnectPlainTransport) -> AnyResult:
        transport = self.get(FakeTransport, command.transport)
        if transport.kind != "plain":
            raise Refused(ErrorCode.INVALID, "not a plain transport")
        connect_plain(transport, command)
        return Done()

    @_execute.register
    def _close_transport(self, command: CloseTransport) -> AnyResult:
        held = self.objects.get(command.transport)
        if isinstance(held, FakePipe):
            self.drop_producer(self.get(FakeProducer, held.producer))
            closed = ProducerClosed(producer=ProducerId(held.producer), reason=EngineCloseReason.PARENT_CLOSED)
            self.caused.append(closed)
        else:
            self.drop_transport(self.get(FakeTransport, command.transport), EngineCloseReason.REQUESTED)
        return Done()

    @_execute.register
    def _produce(self, command: Produce) -> AnyResult:
        transport = self.get(FakeTransport, command.transport)
        self.check_limit(FakeProducer, transport, self.config.max_producers_per_transport)
        _check_producer(command)
        producer = FakeProducer(
            self.new_id(),
            transport.router,
            transport.id,
            command.kind,
            command.paused,
            command.codecs,
            command.encodings,
        )
        self.objects[producer.id] = producer
        return Produced(producer=ProducerId(producer.id))

    @_execute.register
    def _close_producer(self, command: CloseProducer) -> AnyResult:
        self.drop_producer(self.get(FakeProducer, command.producer))
        return Done()

    @_execute.register
    def _pause_producer(self, command: PauseProducer) -> AnyResult:
        self.get(FakeProducer, command.producer).paused = True
        return Done()

    @_execute.register
    def _resume_producer(self, command: ResumeProducer) -> AnyResult:
        self.get(FakeProducer, command.producer).paused = False
        return Done()

    @_execute.register
    def _request_keyframe(self, command: RequestKeyframe) -> AnyResult:
        self.get(FakeProducer, command.producer).keyframe_requests += 1
        return Done()

    @_execute.register
    def _consume(self, command: Consume) -> AnyResult:
        transport = self.get(FakeTransport, command.transport)
        self.check_limit(FakeConsumer, transport, self.config.max_consumers_per_transport)
        self.check_source(command.producer, transport.router, command.kind)
        used = {held.ssrc for held in self.find(FakeConsumer) if held.transport == transport.id}
        if command.ssrc is not None and command.ssrc in used:
            raise Refused(ErrorCode.INVALID, f"SSRC {command.ssrc} is in use on this transport")
        rtx = self.new_ssrc(command.rtx_ssrc) if command.rtx_payload_types else None
        consumer = FakeConsumer(
            self.new_id(),
            transport.router,
            transport.id,
            command.kind,
            command.producer,
            self.new_ssrc(command.ssrc),
            rtx,
            command.paused,
            command.payload_types,
            redundancy=command.redundancy,
            reports_all=command.feedback.transport_cc
            and any("transport-wide-cc" in extension.uri for extension in command.header_extensions),
        )
        self.objects[consumer.id] = consumer
        return Consumed(
            consumer=ConsumerId(consumer.id), ssrc=consumer.ssrc, rtx_ssrc=consumer.rtx_ssrc, cname=transport.cname
        )

    @_execute.register
    def _switch_source(self, command: SwitchSource) -> AnyResult:
        consumer = self.get(FakeConsumer, command.consumer)
        self.check_source(command.producer, consumer.router, consumer.kind)
        consumer.producer = command.producer
        consumer.payload_types = command.payload_types
        return Done()

    @_execute.register
    def _close_consumer(self, command: CloseConsumer) -> AnyResult:
        del self.objects[self.get(FakeConsumer, command.consumer).id]
        return Done()

    @_execute.register
    def _pause_consumer(self, command: PauseConsumer) -> AnyResult:
        self.get(FakeConsumer, command.consumer).paused = True
        return Done()

    @_execute.register
    def _resume_consumer(self, command: ResumeConsumer) -> AnyResult:
        self.get(FakeConsumer, command.consumer).paused = False
        return Done()

    @_execute.register
    def _set_layers(self, command: SetPreferredLayers) -> AnyResult:
        consumer = self.get(FakeConsumer, command.consumer)
        consumer.spatial, consumer.temporal = command.spatial, command.temporal
        return Done()

    @_execute.register
    def _set_limits(self, command: SetConsumerLimits) -> AnyResult:
        self.get(FakeConsumer, command.consumer).limits = command
        return Done()

    @_execute.register
    def _set_priority(self, command: SetConsumerPriority) -> AnyResult:
        self.get(FakeConsumer, command.consumer).priority = command.priority
        return Done()

    @_execute.register
    def _set_top_n(self, command: SetAudioTopN) -> AnyResult:
        self.get(FakeRouter, command.router).audio_top_n = command.places
        return Done()

    @_execute.register
    def _set_pinned(self, command: SetAudioPinned) -> AnyResult:
        self.get(FakeConsumer, command.consumer).pinned = command.pinned
        return Done()

    @_execute.register
    def _pipe(self, command: PipeProducer) -> AnyResult:
        source = self.get(FakeProducer, command.producer)
        router = self.get(FakeRouter, command.router)
        if source.router == router.id:
            raise Refused(ErrorCode.INVALID, "the producer lives on this router already")
        near, far = self.new_id(), self.new_id()
        piped = FakeProducer(self.new_id(), router.id, far, source.kind, source.paused, source.codecs, source.encodings)
        piped.piped_from = source.id
        self.objects[near] = FakePipe(near, source.router, far, piped.id, source.id)
        self.objects[far] = FakePipe(far, router.id, near, piped.id, None)
        self.objects[piped.id] = piped
        return ProducerPiped(producer=ProducerId(piped.id), near=TransportId(near), far=TransportId(far))

    @_execute.register
    def _mix(
        self,
        command: OpenMixer
        | AddMixerInput
        | AddMixerSource
        | RemoveMixerInput
        | AddMixerOutput
        | SendMixerDtmf
        | CloseMixer,
    ) -> AnyResult:
        return fake_mixers.execute(self, command)

    @_execute.register
    def _ingest(
        self,
        command: OpenIngestListener
        | OpenIngestInput
        | OpenIngestPull
        | SetIngestCertificate
        | CloseIngestListener
        | CloseIngest
        | PointIngest
        | ClosePlayout,
    ) -> AnyResult:
        return fake_ingests.execute(self, command)

    @_execute.register
    def _feed(self, command: OpenFeed | AddFeedTrack | CloseFeed) -> AnyResult:
        return fake_feeds.execute(self, command)

    @_execute.register
    def _transcode(
        self, command: OpenTranscoder | CloseTranscoder | OpenTrackTranscoder | CloseTrackTranscoder
    ) -> AnyResult:
        return fake_transcoders.execute(self, command)

    @_execute.register
    def _package(
        self,
        command: OpenPackager
        | AddPackagerTrack
        | RemovePackagerTrack
        | ClosePackager
        | SwitchPackagerTrack
        | SetStreamEncryption
        | SetStreamSync
        | ShowStreamText
        | GetStreamSync
        | GetStreamPressure,
    ) -> AnyResult:
        return fake_packagers.execute(self, command)

    @_execute.register
    def _observe(self, command: ObserveAudioLevels) -> AnyResult:
        router = self.get(FakeRouter, command.router)
        way = (
            command.interval_ms,
            command.threshold_dbov,
            command.percentile,
            command.smoothing,
            command.hold_ms,
        )
        others = [o for o in self.objects.values() if isinstance(o, FakeObserver) and o.router == router.id]
        if any(other.way != way for other in others):
            raise Refused(ErrorCode.INVALID, "the router is observed with other settings")
        observer = FakeObserver(self.new_id(), router.id, way, command.max_entries)
        self.objects[observer.id] = observer
        return ObserverOpened(observer=ObserverId(observer.id))

    @_execute.register
    def _close_observer(self, command: CloseObserver) -> AnyResult:
        del self.objects[self.get(FakeObserver, command.observer).id]
        return Done()

    @_execute.register
    def _open_channel(self, command: OpenChannel) -> AnyResult:
        transport = self.webrtc(command.transport)
        if not transport.sctp:
            raise Refused(ErrorCode.WRONG_STATE, "the transport was opened without data channels")
        if not transport.writable and command.stream is None:
            raise Refused(ErrorCode.WRONG_STATE, "DTLS is not connected yet")
        channel = FakeChannel(
            self.new_id(),
            transport.id,
            command.label,
            command.protocol,
            transport.writable,
            stream=command.stream,
            ordered=command.ordered,
            max_retransmits=command.max_retransmits,
            max_lifetime_ms=command.max_lifetime_ms,
        )
        self.objects[channel.id] = channel
        if channel.open:
            self.caused.append(_opened(channel))
        return ChannelOpening(channel=ChannelId(channel.id))

    def open_waiting(self, transport: FakeTransport) -> list[AnyEvent]:
        """Open the channels that waited for the handshake."""
        waiting = [held for held in self.find(FakeChannel) if held.transport == transport.id and not held.open]
        for channel in waiting:
            channel.open = True
        return [_opened(channel) for channel in waiting]

    @_execute.register
    def _send_message(self, command: SendMessage) -> AnyResult:
        channel = self.get(FakeChannel, command.channel)
        if not channel.open:
            raise Refused(ErrorCode.WRONG_STATE, "the channel is not open")
        channel.sent.append(command.data)
        return Done()

    @_execute.register
    def _close_channel(self, command: CloseChannel) -> AnyResult:
        channel = self.get(FakeChannel, command.channel)
        del self.objects[channel.id]
        self.caused.append(ChannelClosed(channel=ChannelId(channel.id)))
        return Done()

    @_execute.register
    def _stats(self, command: GetStats) -> AnyResult:
        held = self.objects.get(command.id)
        if held is None:
            raise Refused(ErrorCode.NOT_FOUND, f"no object {command.id}")
        return Stats(reports=reports_of(self, held))

    @_execute.register
    def _dump(self, command: Dump) -> AnyResult:
        held = self.objects.get(command.id)
        if held is None:
            raise Refused(ErrorCode.NOT_FOUND, f"no object {command.id}")
        return Dumped(json=json.dumps(dump_of(self, held)))

    @_execute.register
    def _engine_stats(self, _command: GetEngineStats) -> AnyResult:
        return Stats(
            reports=[
                {
                    "id": f"shard-{shard}",
                    "type": "shard",
                    "routers": sum(router.shard == shard for router in self.find(FakeRouter)),
                }
                for shard in self.shards()
            ]
        )


def _opened(channel: FakeChannel) -> AnyEvent:
    return ChannelOpened(
        transport=TransportId(channel.transport),
        channel=ChannelId(channel.id),
        label=channel.label,
        protocol=channel.protocol,
    )


def _check_producer(command: Produce) -> None:
    if not command.codecs:
        raise Refused(ErrorCode.INVALID, "a producer needs at least one codec")
    types = [codec.payload_type for codec in command.codecs]
    if len(set(types)) != len(types):
        raise Refused(ErrorCode.INVALID, "a payload type is listed twice")
    ssrcs = [encoding.ssrc for encoding in command.encodings if encoding.ssrc is not None]
    if len(set(ssrcs)) != len(ssrcs):
        raise Refused(ErrorCode.INVALID, "an SSRC is listed twice")
