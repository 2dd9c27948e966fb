"""An engine in memory with the real one's interface: same ids, states, limits and errors, no sockets, no media.

Tests drive control and servers with it and play the network's part through `FakeLink.emit`,
`FakeLink.connect_peer`, `FakeLink.lose_peer` and `FakeLink.pose`.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from functools import singledispatchmethod
from typing import TypeVar

from roomtone.media.errors import QueueFull
from roomtone.media.fake_objects import (
    FakeChannel,
    FakeConsumer,
    FakeObject,
    FakeObserver,
    FakeProducer,
    FakeRouter,
    FakeTransport,
)
from roomtone.media.link import decode_answer, decode_request, encode
from roomtone.media.values import (
    AddRemoteCandidates,
    Answer,
    AnyCommand,
    AnyEvent,
    AnyOutbound,
    AnyResult,
    Candidate,
    ChannelClosed,
    ChannelId,
    ChannelOpened,
    ChannelOpening,
    CloseChannel,
    CloseConsumer,
    CloseObserver,
    CloseProducer,
    CloseRouter,
    CloseTransport,
    ConnectPlainTransport,
    ConnectWebRtcTransport,
    Consume,
    Consumed,
    ConsumerClosed,
    ConsumerId,
    Done,
    DtlsState,
    DtlsStateChanged,
    Dump,
    Dumped,
    EngineCloseReason,
    EngineConfig,
    ErrorCode,
    EventOut,
    Failed,
    Fingerprint,
    GetEngineStats,
    GetStats,
    IceRestarted,
    IceState,
    IceStateChanged,
    MediaKind,
    ObserveAudioLevels,
    ObserverId,
    ObserverOpened,
    OpenChannel,
    OpenPlainTransport,
    OpenRouter,
    OpenWebRtcTransport,
    PauseConsumer,
    PauseProducer,
    PipeProducer,
    PlainTransportOpened,
    Produce,
    Produced,
    ProducerClosed,
    ProducerId,
    Question,
    Reply,
    RequestKeyframe,
    RestartIce,
    ResumeConsumer,
    ResumeProducer,
    RouterId,
    RouterOpened,
    SendMessage,
    SetPreferredLayers,
    Stats,
    SwitchSource,
    TransportClosed,
    TransportId,
    WebRtcTransportOpened,
)

_FIRST_SSRC = 0x1000_0000


class _Refusal(Exception):  # noqa: N818 - not an error of the program
    """A command that has no effect."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


T = TypeVar("T", FakeRouter, FakeTransport, FakeProducer, FakeConsumer, FakeObserver, FakeChannel)

_STATS_TYPE: dict[type[FakeObject], str] = {
    FakeRouter: "router",
    FakeTransport: "transport",
    FakeProducer: "inbound-rtp",
    FakeConsumer: "outbound-rtp",
    FakeObserver: "observer",
    FakeChannel: "data-channel",
}


class FakeLink:
    """A `Link` to an engine that exists only in memory; safe to use from two threads."""

    def __init__(self, config: EngineConfig | None = None) -> None:
        self.config = config or EngineConfig()
        self.commands: list[AnyCommand] = []
        self.answers: dict[int, Answer] = {}
        self.objects: dict[int, FakeObject] = {}
        self.closed = False
        self.stalled = False
        """While set, commands pile up unanswered, as in an engine whose shard is busy."""
        self._lock = threading.RLock()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._outbound: deque[AnyOutbound] = deque()
        self._held: deque[bytes] = deque()
        self._next_id = 1
        self._next_seq = 1
        self._next_ssrc = _FIRST_SSRC
        self._taken_ports: set[int] = set()

    # --- Link ---

    def submit(self, command: bytes) -> None:
        """Take a command; its reply is there at once unless the fake is stalled."""
        with self._lock:
            if self.closed:
                raise QueueFull("the engine is closed")
            if len(self._held) >= self.config.command_queue:
                raise QueueFull(f"{self.config.command_queue} commands wait")
            self._held.append(command)
            if not self.stalled:
                self._work()

    def event_fd(self) -> int:
        """Give the descriptor that is readable while values wait."""
        return self._fd

    def drain(self, limit: int) -> list[bytes]:
        """Take at most ``limit`` outbound values."""
        with self._lock:
            if self.closed:
                return []
            taken = [encode(self._outbound.popleft()) for _ in range(min(limit, len(self._outbound)))]
            if not self._outbound:
                self._clear_fd()
            return taken

    def answer(self, answer: bytes) -> None:
        """Note the answer to a question."""
        decoded = decode_answer(answer)
        with self._lock:
            self.answers.setdefault(decoded.id, decoded)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            if not self.closed:
                self.closed = True
                self.objects.clear()
                os.close(self._fd)

    # --- the network's part, played by a test ---

    def emit(self, event: AnyEvent) -> None:
        """Send an event out."""
        with self._lock:
            self._send(EventOut(seq=self._next_seq, event=event))
            self._next_seq += 1

    def connect_peer(self, transport: int) -> None:
        """Let the peer of a transport arrive: ICE, then DTLS connects."""
        with self._lock:
            held = self._get(FakeTransport, transport)
            held.connected = held.writable = True
            id_ = TransportId(transport)
            self.emit(
                IceStateChanged(
                    transport=id_,
                    state=IceState.CONNECTED,
                    protocol="udp",
                    local="127.0.0.1:40000",
                    remote="127.0.0.1:50000",
                )
            )
            self.emit(DtlsStateChanged(transport=id_, state=DtlsState.CONNECTED, srtp_profile="SRTP_AEAD_AES_128_GCM"))

    def lose_peer(self, transport: int, reason: EngineCloseReason, detail: str = "") -> None:
        """Let the engine give up a transport by itself."""
        with self._lock:
            self._drop_transport(self._get(FakeTransport, transport), reason, detail)

    def pose(self, topic: str, subject: str, *, credential: str | None = None, deadline_ms: int = 1000) -> int:
        """Ask a question; the answer shows up in ``answers`` by the id given back."""
        with self._lock:
            question = Question(
                id=self._new_id(), deadline_ms=deadline_ms, topic=topic, subject=subject, credential=credential
            )
            self._send(question)
            return question.id

    def resume(self) -> None:
        """End a stall: do what has piled up."""
        with self._lock:
            self.stalled = False
            self._work()

    def find(self, kind: type[T]) -> list[T]:
        """All living objects of a kind, oldest first."""
        with self._lock:
            return [held for held in self.objects.values() if isinstance(held, kind)]

    # --- commands ---

    def _work(self) -> None:
        while self._held:
            request = decode_request(self._held.popleft())
            self.commands.append(request.command)
            events, result = self._run(request.command)
            self._send(Reply(id=request.id, result=result))
            for event in events:
                self.emit(event)

    def _run(self, command: AnyCommand) -> tuple[list[AnyEvent], AnyResult]:
        """Execute; events the command causes come after its reply."""
        self._caused: list[AnyEvent] = []
        try:
            result = self._execute(command)
        except _Refusal as refusal:
            return [], Failed(code=refusal.code, message=str(refusal))
        return self._caused, result

    @singledispatchmethod
    def _execute(self, command: AnyCommand) -> AnyResult:
        raise _Refusal(ErrorCode.UNSUPPORTED, f"the fake does not know {type(command).__name__}")

    @_execute.register
    def _open_router(self, command: OpenRouter) -> AnyResult:
        shard = command.shard
        if shard is None:
            loads = [sum(router.shard == number for router in self.find(FakeRouter)) for number in self._shards()]
            shard = loads.index(min(loads))
        if shard not in self._shards():
            raise _Refusal(ErrorCode.INVALID, f"there is no shard {shard}")
        router = FakeRouter(self._new_id(), shard)
        self.objects[router.id] = router
        return RouterOpened(router=RouterId(router.id), shard=shard)

    @_execute.register
    def _close_router(self, command: CloseRouter) -> AnyResult:
        router = self._get(FakeRouter, command.router)
        for transport in [held for held in self.find(FakeTransport) if held.router == router.id]:
            self._drop_transport(transport, EngineCloseReason.PARENT_CLOSED)
        for held in [held for held in self.objects.values() if getattr(held, "router", None) == router.id]:
            del self.objects[held.id]
        del self.objects[router.id]
        return Done()

    @_execute.register
    def _open_webrtc(self, command: OpenWebRtcTransport) -> AnyResult:
        transport = self._add_transport(command.router, "webrtc", command.cname)
        transport.sctp = command.sctp
        restarted = self._credentials(transport)
        return WebRtcTransportOpened(
            transport=TransportId(transport.id),
            ice_ufrag=restarted.ice_ufrag,
            ice_pwd=restarted.ice_pwd,
            candidates=restarted.candidates,
            fingerprints=[Fingerprint(algorithm="sha-256", value=":".join(["AB"] * 32))],
        )

    @_execute.register
    def _connect_webrtc(self, command: ConnectWebRtcTransport) -> AnyResult:
        transport = self._webrtc(command.transport)
        if transport.connected:
            raise _Refusal(ErrorCode.WRONG_STATE, "the transport is connected already")
        if not command.fingerprints:
            raise _Refusal(ErrorCode.INVALID, "no fingerprint")
        transport.connected = True
        transport.remote_candidates.extend(command.candidates)
        return Done()

    @_execute.register
    def _add_candidates(self, command: AddRemoteCandidates) -> AnyResult:
        self._webrtc(command.transport).remote_candidates.extend(command.candidates)
        return Done()

    @_execute.register
    def _restart_ice(self, command: RestartIce) -> AnyResult:
        transport = self._webrtc(command.transport)
        transport.ice_generation += 1
        return self._credentials(transport)

    @_execute.register
    def _open_plain(self, command: OpenPlainTransport) -> AnyResult:
        transport = self._add_transport(command.router, "plain", command.cname)
        ports = [self._take_port(transport)]
        if not command.rtcp_mux:
            ports.append(self._take_port(transport))
        return PlainTransportOpened(
            transport=TransportId(transport.id), ip=command.listen_ip, port=ports[0], rtcp_port=ports[-1]
        )

    @_execute.register
    def _connect_plain(self, command: ConnectPlainTransport) -> AnyResult:
        transport = self._get(FakeTransport, command.transport)
        if transport.kind != "plain":
            raise _Refusal(ErrorCode.INVALID, "not a plain transport")
        transport.connected = transport.writable = True
        return Done()

    @_execute.register
    def _close_transport(self, command: CloseTransport) -> AnyResult:
        self._drop_transport(self._get(FakeTransport, command.transport), EngineCloseReason.REQUESTED)
        return Done()

    @_execute.register
    def _produce(self, command: Produce) -> AnyResult:
        transport = self._get(FakeTransport, command.transport)
        self._check_limit(FakeProducer, transport, self.config.max_producers_per_transport)
        _check_producer(command)
        producer = FakeProducer(
            self._new_id(),
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
        self._drop_producer(self._get(FakeProducer, command.producer))
        return Done()

    @_execute.register
    def _pause_producer(self, command: PauseProducer) -> AnyResult:
        self._get(FakeProducer, command.producer).paused = True
        return Done()

    @_execute.register
    def _resume_producer(self, command: ResumeProducer) -> AnyResult:
        self._get(FakeProducer, command.producer).paused = False
        return Done()

    @_execute.register
    def _request_keyframe(self, command: RequestKeyframe) -> AnyResult:
        self._get(FakeProducer, command.producer).keyframe_requests += 1
        return Done()

    @_execute.register
    def _consume(self, command: Consume) -> AnyResult:
        transport = self._get(FakeTransport, command.transport)
        self._check_limit(FakeConsumer, transport, self.config.max_consumers_per_transport)
        self._check_source(command.producer, transport.router, command.kind)
        used = {held.ssrc for held in self.find(FakeConsumer) if held.transport == transport.id}
        if command.ssrc is not None and command.ssrc in used:
            raise _Refusal(ErrorCode.INVALID, f"SSRC {command.ssrc} is in use on this transport")
        rtx = self._new_ssrc(command.rtx_ssrc) if command.rtx_payload_types else None
        consumer = FakeConsumer(
            self._new_id(),
            transport.router,
            transport.id,
            command.kind,
            command.producer,
            self._new_ssrc(command.ssrc),
            rtx,
            command.paused,
            command.payload_types,
        )
        self.objects[consumer.id] = consumer
        return Consumed(
            consumer=ConsumerId(consumer.id), ssrc=consumer.ssrc, rtx_ssrc=consumer.rtx_ssrc, cname=transport.cname
        )

    @_execute.register
    def _switch_source(self, command: SwitchSource) -> AnyResult:
        consumer = self._get(FakeConsumer, command.consumer)
        self._check_source(command.producer, consumer.router, consumer.kind)
        consumer.producer = command.producer
        consumer.payload_types = command.payload_types
        return Done()

    @_execute.register
    def _close_consumer(self, command: CloseConsumer) -> AnyResult:
        del self.objects[self._get(FakeConsumer, command.consumer).id]
        return Done()

    @_execute.register
    def _pause_consumer(self, command: PauseConsumer) -> AnyResult:
        self._get(FakeConsumer, command.consumer).paused = True
        return Done()

    @_execute.register
    def _resume_consumer(self, command: ResumeConsumer) -> AnyResult:
        self._get(FakeConsumer, command.consumer).paused = False
        return Done()

    @_execute.register
    def _set_layers(self, command: SetPreferredLayers) -> AnyResult:
        consumer = self._get(FakeConsumer, command.consumer)
        consumer.spatial, consumer.temporal = command.spatial, command.temporal
        return Done()

    @_execute.register
    def _pipe(self, command: PipeProducer) -> AnyResult:
        source = self._get(FakeProducer, command.producer)
        router = self._get(FakeRouter, command.router)
        if source.router == router.id:
            raise _Refusal(ErrorCode.INVALID, "the producer lives on this router already")
        piped = FakeProducer(
            self._new_id(), router.id, None, source.kind, source.paused, source.codecs, source.encodings
        )
        self.objects[piped.id] = piped
        return Produced(producer=ProducerId(piped.id))

    @_execute.register
    def _observe(self, command: ObserveAudioLevels) -> AnyResult:
        router = self._get(FakeRouter, command.router)
        observer = FakeObserver(self._new_id(), router.id)
        self.objects[observer.id] = observer
        return ObserverOpened(observer=ObserverId(observer.id))

    @_execute.register
    def _close_observer(self, command: CloseObserver) -> AnyResult:
        del self.objects[self._get(FakeObserver, command.observer).id]
        return Done()

    @_execute.register
    def _open_channel(self, command: OpenChannel) -> AnyResult:
        transport = self._webrtc(command.transport)
        if not transport.sctp:
            raise _Refusal(ErrorCode.WRONG_STATE, "the transport was opened without data channels")
        if not transport.writable:
            raise _Refusal(ErrorCode.WRONG_STATE, "DTLS is not connected yet")
        channel = FakeChannel(self._new_id(), transport.id, command.label, command.protocol, transport.writable)
        self.objects[channel.id] = channel
        if channel.open:
            self._caused.append(
                ChannelOpened(
                    transport=TransportId(transport.id),
                    channel=ChannelId(channel.id),
                    label=channel.label,
                    protocol=channel.protocol,
                )
            )
        return ChannelOpening(channel=ChannelId(channel.id))

    @_execute.register
    def _send_message(self, command: SendMessage) -> AnyResult:
        channel = self._get(FakeChannel, command.channel)
        if not channel.open:
            raise _Refusal(ErrorCode.WRONG_STATE, "the channel is not open")
        channel.sent.append(command.data)
        return Done()

    @_execute.register
    def _close_channel(self, command: CloseChannel) -> AnyResult:
        channel = self._get(FakeChannel, command.channel)
        del self.objects[channel.id]
        self._caused.append(ChannelClosed(channel=ChannelId(channel.id)))
        return Done()

    @_execute.register
    def _stats(self, command: GetStats) -> AnyResult:
        held = self.objects.get(command.id)
        if held is None:
            raise _Refusal(ErrorCode.NOT_FOUND, f"no object {command.id}")
        report: dict[str, int | float | str | bool | None] = {"id": str(held.id), "type": _STATS_TYPE[type(held)]}
        match held:
            case FakeProducer():
                report |= {"kind": held.kind.value, "packetsReceived": 0, "bytesReceived": 0, "packetsLost": 0}
            case FakeConsumer():
                report |= {"kind": held.kind.value, "packetsSent": 0, "bytesSent": 0, "ssrc": held.ssrc}
            case _:
                pass
        return Stats(reports=[report])

    @_execute.register
    def _dump(self, command: Dump) -> AnyResult:
        held = self.objects.get(command.id)
        if held is None:
            raise _Refusal(ErrorCode.NOT_FOUND, f"no object {command.id}")
        return Dumped(json=json.dumps({"id": held.id, "type": _STATS_TYPE[type(held)], "state": repr(held)}))

    @_execute.register
    def _engine_stats(self, _command: GetEngineStats) -> AnyResult:
        return Stats(
            reports=[
                {
                    "id": f"shard-{shard}",
                    "type": "shard",
                    "routers": sum(router.shard == shard for router in self.find(FakeRouter)),
                }
                for shard in self._shards()
            ]
        )

    # --- parts ---

    def _shards(self) -> range:
        return range(max(1, self.config.shards))

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _new_ssrc(self, wanted: int | None) -> int:
        if wanted is not None:
            return wanted
        self._next_ssrc += 1
        return self._next_ssrc

    def _get(self, kind: type[T], id_: int) -> T:
        held = self.objects.get(id_)
        if not isinstance(held, kind):
            raise _Refusal(ErrorCode.NOT_FOUND, f"no {_STATS_TYPE[kind]} {id_}")
        return held

    def _webrtc(self, id_: int) -> FakeTransport:
        transport = self._get(FakeTransport, id_)
        if transport.kind != "webrtc":
            raise _Refusal(ErrorCode.INVALID, "not a WebRTC transport")
        return transport

    def _add_transport(self, router: int, kind: str, cname: str) -> FakeTransport:
        self._get(FakeRouter, router)
        if len(self.find(FakeTransport)) >= self.config.max_transports:
            raise _Refusal(ErrorCode.LIMIT, f"{self.config.max_transports} transports are open")
        id_ = self._new_id()
        transport = FakeTransport(id_, router, kind, cname or f"cname-{id_}")
        self.objects[transport.id] = transport
        return transport

    def _take_port(self, transport: FakeTransport) -> int:
        low, high = self.config.plain_ports
        port = next((port for port in range(low, high + 1) if port not in self._taken_ports), None)
        if port is None:
            del self.objects[transport.id]
            self._taken_ports.difference_update(transport.ports)
            raise _Refusal(ErrorCode.NO_PORT, f"no free port from {low} to {high}")
        self._taken_ports.add(port)
        transport.ports.append(port)
        return port

    def _credentials(self, transport: FakeTransport) -> IceRestarted:
        port = self.config.webrtc_ports[0] or 40_000
        candidate = Candidate(
            foundation="1", component=1, protocol="udp", priority=2130706431, ip="127.0.0.1", port=port, kind="host"
        )
        return IceRestarted(
            ice_ufrag=f"u{transport.id:03}g{transport.ice_generation}",
            ice_pwd=f"fakepassword{transport.id:06}{transport.ice_generation:06}",
            candidates=[candidate],
        )

    def _check_limit(self, kind: type[FakeProducer | FakeConsumer], transport: FakeTransport, limit: int) -> None:
        held = sum(isinstance(it, kind) and it.transport == transport.id for it in self.objects.values())
        if held >= limit:
            raise _Refusal(ErrorCode.LIMIT, f"{limit} on this transport")

    def _check_source(self, producer: int | None, router: int, kind: MediaKind) -> None:
        if producer is None:
            return
        source = self._get(FakeProducer, producer)
        if source.router != router:
            raise _Refusal(ErrorCode.INVALID, "the producer lives on another router: pipe it first")
        if source.kind != kind:
            raise _Refusal(ErrorCode.INVALID, f"the producer is {source.kind.value}, the consumer {kind.value}")

    def _drop_producer(self, producer: FakeProducer) -> None:
        del self.objects[producer.id]
        for consumer in self.find(FakeConsumer):
            if consumer.producer == producer.id:
                consumer.producer = None

    def _drop_transport(self, transport: FakeTransport, reason: EngineCloseReason, detail: str = "") -> None:
        caused: list[AnyEvent] = []
        for held in [held for held in self.objects.values() if getattr(held, "transport", None) == transport.id]:
            match held:
                case FakeProducer():
                    self._drop_producer(held)
                    closed = ProducerClosed(producer=ProducerId(held.id), reason=EngineCloseReason.PARENT_CLOSED)
                    caused.append(closed)
                case FakeConsumer():
                    del self.objects[held.id]
                    caused.append(ConsumerClosed(consumer=ConsumerId(held.id), reason=EngineCloseReason.PARENT_CLOSED))
                case _:
                    del self.objects[held.id]
        del self.objects[transport.id]
        self._taken_ports.difference_update(transport.ports)
        caused.append(TransportClosed(transport=TransportId(transport.id), reason=reason, detail=detail))
        if reason in {EngineCloseReason.REQUESTED, EngineCloseReason.PARENT_CLOSED}:
            self._caused.extend(caused)
        else:
            for event in caused:
                self.emit(event)

    def _send(self, outbound: AnyOutbound) -> None:
        if self.closed:
            return
        self._outbound.append(outbound)
        os.eventfd_write(self._fd, 1)

    def _clear_fd(self) -> None:
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return


def _check_producer(command: Produce) -> None:
    if not command.codecs:
        raise _Refusal(ErrorCode.INVALID, "a producer needs at least one codec")
    types = [codec.payload_type for codec in command.codecs]
    if len(set(types)) != len(types):
        raise _Refusal(ErrorCode.INVALID, "a payload type is listed twice")
    ssrcs = [encoding.ssrc for encoding in command.encodings if encoding.ssrc is not None]
    if len(set(ssrcs)) != len(ssrcs):
        raise _Refusal(ErrorCode.INVALID, "an SSRC is listed twice")
