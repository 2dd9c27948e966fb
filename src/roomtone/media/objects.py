"""What lives in the engine: routers, transports, producers, consumers, observers, data channels.

Each object is an id and the commands it takes. Closing an object closes what it holds; events about an
object come through `Engine.subscribe` with its id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.media.engine_object import EngineObject
from roomtone.media.shared_port import with_shared_ports
from roomtone.media.values import (
    AddRemoteCandidates,
    AnyCommand,
    ArrivalModel,
    AudioRedundancy,
    Candidate,
    ChannelId,
    ChannelOpening,
    CloseChannel,
    CloseConsumer,
    CloseObserver,
    CloseProducer,
    CloseRouter,
    CloseTransport,
    CodecFeedback,
    CodecParameters,
    ConnectPlainTransport,
    ConnectWebRtcTransport,
    Consume,
    Consumed,
    ConsumerId,
    DtlsParameters,
    DtlsRole,
    EncodingParameters,
    Fingerprint,
    HeaderExtension,
    IceMode,
    IceRestarted,
    Latching,
    MediaKind,
    ObserveAudioLevels,
    ObserverId,
    ObserverOpened,
    OpenChannel,
    OpenPlainTransport,
    OpenWebRtcTransport,
    PauseConsumer,
    PauseProducer,
    PipeProducer,
    PlainTransportOpened,
    Produce,
    Produced,
    ProducerId,
    ProducerPiped,
    RequestKeyframe,
    RestartIce,
    ResumeConsumer,
    ResumeProducer,
    RouterId,
    RouterOpened,
    SendMessage,
    SetAudioPinned,
    SetAudioTopN,
    SetConsumerLimits,
    SetConsumerPriority,
    SetPreferredLayers,
    SrtpKeys,
    SwitchSource,
    TransportId,
    WebRtcTransportOpened,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from roomtone.media.engine import Engine

DEFAULT_MAX_MESSAGE_SIZE = 262_144


class Router(EngineObject):
    """A forwarding domain on one shard."""

    __slots__ = ("shard",)

    def __init__(self, engine: Engine, id_: RouterId, shard: int) -> None:
        super().__init__(engine, id_)
        self.shard = shard

    @property
    def id(self) -> RouterId:
        """The router's id."""
        return RouterId(self._id)

    def _close_command(self) -> AnyCommand:
        return CloseRouter(router=self.id)

    async def close_quietly(self) -> None:
        """Close it as `close` does, and have no event tell of it or of what it held."""
        await self._close(CloseRouter(router=self.id, quietly=True))

    def take(self, opened: RouterOpened) -> None:
        """Take what it is called, now that it is open."""
        self._id, self.shard = opened.router, opened.shard

    async def open_webrtc_transport(
        self,
        *,
        ice_mode: IceMode = IceMode.LITE,
        sctp: bool = False,
        cname: str = "",
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        mixed_extensions: bool = False,
        answer_timeout_ms: int | None = None,
        arrival_model: ArrivalModel | None = None,
    ) -> WebRtcTransport:
        """Open a transport for one WebRTC peer; `WebRtcTransport.connect` follows.

        ``arrival_model`` is how congestion on the line to the peer is seen; None: as the engine's configuration says.
        Which estimator works is "estimator" in the transport's `stats`.
        """
        command = OpenWebRtcTransport(
            router=self.id,
            ice_mode=ice_mode,
            sctp=sctp,
            cname=cname,
            max_message_size=max_message_size,
            mixed_extensions=mixed_extensions,
            answer_timeout_ms=answer_timeout_ms,
            arrival_model=arrival_model,
        )
        return WebRtcTransport(self._engine, await self._engine.ask(command, WebRtcTransportOpened))

    async def open_plain_transport(
        self,
        *,
        listen_ip: str = "127.0.0.1",
        rtcp_mux: bool = True,
        latching: Latching = Latching.FIXED,
        rebind_silence_ms: int = 1000,
        srtp: SrtpKeys | None = None,
        secure: bool = False,
        dtls: bool = False,
        dscp: int | None = None,
        extended_reports: bool = False,
        cname: str = "",
    ) -> PlainTransport:
        """Open RTP and RTCP on ports of their own, without ICE; `PlainTransport.connect` follows.

        With ``secure`` the SRTP keys of both sides may come then; until they have nothing passes. With ``dtls`` they
        come of a handshake (RFC 5764): `PlainTransport.fingerprints` are ours.
        """
        command = OpenPlainTransport(
            router=self.id,
            listen_ip=listen_ip,
            rtcp_mux=rtcp_mux,
            latching=latching,
            rebind_silence_ms=rebind_silence_ms,
            srtp=srtp,
            secure=secure,
            dtls=dtls,
            dscp=dscp,
            extended_reports=extended_reports,
            cname=cname,
        )
        return PlainTransport(self._engine, await self._engine.ask(command, PlainTransportOpened))

    async def pipe_to(self, producer: Producer, other: Router) -> PipedProducer:
        """Carry a producer of this router to another one, on any shard; gives the piped producer there."""
        command = PipeProducer(producer=producer.id, router=other.id)
        return PipedProducer(self._engine, await self._engine.ask(command, ProducerPiped), producer.kind)

    async def set_audio_top_n(self, places: int | None) -> None:
        """Forward only the audio of so many producers, those who speak; None forwards all."""
        await self._do(SetAudioTopN(router=self.id, places=places))

    async def observe_audio_levels(
        self,
        *,
        interval_ms: int = 400,
        threshold_dbov: int = -50,
        percentile: int = 40,
        smoothing: float = 0.3,
        hold_ms: int = 1000,
        max_entries: int = 3,
    ) -> AudioLevelObserver:
        """Report who speaks by `ActiveSpeakers` events."""
        command = ObserveAudioLevels(
            router=self.id,
            interval_ms=interval_ms,
            threshold_dbov=threshold_dbov,
            percentile=percentile,
            smoothing=smoothing,
            hold_ms=hold_ms,
            max_entries=max_entries,
        )
        return AudioLevelObserver(self._engine, (await self._engine.ask(command, ObserverOpened)).observer)


class Transport(EngineObject):
    """A path to one peer."""

    __slots__ = ()

    @property
    def id(self) -> TransportId:
        """The transport's id."""
        return TransportId(self._id)

    def _close_command(self) -> AnyCommand:
        return CloseTransport(transport=self.id)

    def produce(
        self,
        kind: MediaKind,
        codecs: Sequence[CodecParameters],
        *,
        encodings: Sequence[EncodingParameters] = (),
        mid: str | None = None,
        header_extensions: Sequence[HeaderExtension] = (),
        paused: bool = False,
    ) -> Awaitable[Producer]:
        """Take media in; several encodings are one simulcast source. The command is given at once."""
        command = Produce(
            transport=self.id,
            kind=kind,
            codecs=list(codecs),
            encodings=list(encodings),
            mid=mid,
            header_extensions=list(header_extensions),
            paused=paused,
        )
        return self._engine.ask_for(command, Produced, lambda made: Producer(self._engine, made.producer, kind))

    def consume(
        self,
        kind: MediaKind,
        producer: Producer | None = None,
        *,
        mid: str | None = None,
        payload_types: Sequence[tuple[int, int]] = (),
        rtx_payload_types: Sequence[tuple[int, int]] = (),
        header_extensions: Sequence[HeaderExtension] = (),
        feedback: CodecFeedback | None = None,
        redundancy: AudioRedundancy | None = None,
        ssrc: int | None = None,
        rtx_ssrc: int | None = None,
        paused: bool = False,
    ) -> Awaitable[Consumer]:
        """Send media out; without a producer it waits for `Consumer.switch_source`. The command is given at once."""
        command = Consume(
            transport=self.id,
            kind=kind,
            producer=None if producer is None else producer.id,
            mid=mid,
            payload_types=list(payload_types),
            rtx_payload_types=list(rtx_payload_types),
            header_extensions=list(header_extensions),
            feedback=feedback or CodecFeedback(),
            redundancy=redundancy,
            ssrc=ssrc,
            rtx_ssrc=rtx_ssrc,
            paused=paused,
        )
        return self._engine.ask_for(command, Consumed, lambda made: Consumer(self._engine, kind, made))


class WebRtcTransport(Transport):
    """ICE, DTLS, SRTP and data channels to one peer."""

    __slots__ = ("candidates", "fingerprints", "ice_pwd", "ice_ufrag")

    def __init__(self, engine: Engine, opened: WebRtcTransportOpened) -> None:
        super().__init__(engine, opened.transport)
        self.ice_ufrag = opened.ice_ufrag
        self.ice_pwd = opened.ice_pwd
        self.candidates: tuple[Candidate, ...] = with_shared_ports(opened.candidates, engine.shared_tcp_ports)
        self.fingerprints: tuple[Fingerprint, ...] = tuple(opened.fingerprints)

    async def connect(
        self,
        *,
        dtls_role: DtlsRole,
        fingerprints: Sequence[Fingerprint],
        ice_ufrag: str | None = None,
        ice_pwd: str | None = None,
        candidates: Sequence[Candidate] = (),
        ice_lite: bool = False,
    ) -> None:
        """Name the peer, once; ``dtls_role`` is ours."""
        await self._do(
            ConnectWebRtcTransport(
                transport=self.id,
                dtls_role=dtls_role,
                fingerprints=list(fingerprints),
                ice_ufrag=ice_ufrag,
                ice_pwd=ice_pwd,
                ice_lite=ice_lite,
                candidates=list(candidates),
            )
        )

    async def add_remote_candidates(self, candidates: Sequence[Candidate], *, complete: bool = False) -> None:
        """Hand in trickled candidates of the peer; ``complete``: no more will come."""
        await self._do(AddRemoteCandidates(transport=self.id, candidates=list(candidates), complete=complete))

    async def restart_ice(self, ice_ufrag: str | None = None, ice_pwd: str | None = None) -> IceRestarted:
        """Take new local credentials (RFC 8445 section 9), and the peer's new ones when it began."""
        restarted = await self._engine.ask(
            RestartIce(transport=self.id, ice_ufrag=ice_ufrag, ice_pwd=ice_pwd), IceRestarted
        )
        self.ice_ufrag, self.ice_pwd = restarted.ice_ufrag, restarted.ice_pwd
        self.candidates = with_shared_ports(restarted.candidates, self._engine.shared_tcp_ports)
        return restarted

    async def open_channel(
        self,
        label: str,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_lifetime_ms: int | None = None,
        stream: int | None = None,
    ) -> DataChannel:
        """Open a data channel, once DTLS is connected; a `ChannelOpened` event says when the peer has it.

        With ``stream``, agreed on elsewhere, the peer is not told, and DTLS need not be connected yet.
        """
        command = OpenChannel(
            transport=self.id,
            label=label,
            protocol=protocol,
            ordered=ordered,
            max_retransmits=max_retransmits,
            max_lifetime_ms=max_lifetime_ms,
            stream=stream,
        )
        opening = await self._engine.ask(command, ChannelOpening)
        return DataChannel(self._engine, opening.channel, label, protocol)

    def channel(self, id_: ChannelId, label: str, protocol: str = "") -> DataChannel:
        """Name a channel the peer opened, from its `ChannelOpened` event."""
        return DataChannel(self._engine, id_, label, protocol)


class PlainTransport(Transport):
    """RTP and RTCP on ports of their own."""

    __slots__ = ("fingerprints", "ip", "port", "rtcp_port")

    def __init__(self, engine: Engine, opened: PlainTransportOpened) -> None:
        super().__init__(engine, opened.transport)
        self.take(opened)

    def take(self, opened: PlainTransportOpened) -> None:
        """Take what it is called and where it listens, now that it is open."""
        self._id = opened.transport
        self.ip = opened.ip
        self.port = opened.port
        self.rtcp_port = opened.rtcp_port
        self.fingerprints: tuple[Fingerprint, ...] = tuple(opened.fingerprints)

    async def connect(
        self,
        ip: str,
        port: int,
        *,
        rtcp_port: int | None = None,
        srtp: SrtpKeys | None = None,
        local_srtp: SrtpKeys | None = None,
        dtls: DtlsParameters | None = None,
    ) -> None:
        """Say where to send, and SRTP keys: ``srtp`` the peer's, ``local_srtp`` ours in place of those we had.

        May be called again. The same keys again change nothing; with ``port`` 0 the address is learnt. ``dtls``, of a
        transport opened with it, starts the handshake: as the client towards the address, which must be known then;
        as the server with that address, or with whoever has the certificate where it is learnt.
        """
        command = ConnectPlainTransport(
            transport=self.id, ip=ip, port=port, rtcp_port=rtcp_port, srtp=srtp, local_srtp=local_srtp, dtls=dtls
        )
        await self._do(command)


class PipeTransport(Transport):
    """One end of a pipe that carries a producer from one router to another.

    A pipe is made by `Router.pipe_to`, and takes no producers and consumers by command. Closing an end closes the other
    one, and the piped producer.
    """

    __slots__ = ()


class Producer(EngineObject):
    """Media coming in."""

    __slots__ = ("kind",)

    def __init__(self, engine: Engine, id_: ProducerId, kind: MediaKind) -> None:
        super().__init__(engine, id_)
        self.kind = kind

    @property
    def id(self) -> ProducerId:
        """The producer's id."""
        return ProducerId(self._id)

    def take(self, produced: Produced) -> None:
        """Take what it is called, now that it is there."""
        self._id = produced.producer

    def _close_command(self) -> AnyCommand:
        return CloseProducer(producer=self.id)

    async def pause(self) -> None:
        """Forward nothing until resumed."""
        await self._do(PauseProducer(producer=self.id))

    async def resume(self) -> None:
        """Forward again; video starts at a keyframe."""
        await self._do(ResumeProducer(producer=self.id))

    async def request_keyframe(self) -> None:
        """Ask the sender for a keyframe; merged with other requests and rate-limited."""
        await self._do(RequestKeyframe(producer=self.id))


class PipedProducer(Producer):
    """A producer that a pipe brings from another router; ``near`` and ``far`` are the pipe's ends there and here."""

    __slots__ = ("far", "near")

    def __init__(self, engine: Engine, piped: ProducerPiped, kind: MediaKind) -> None:
        super().__init__(engine, piped.producer, kind)
        self.near = PipeTransport(engine, piped.near)
        self.far = PipeTransport(engine, piped.far)


class Consumer(EngineObject):
    """Media going out."""

    __slots__ = ("cname", "kind", "rtx_ssrc", "ssrc")

    def __init__(self, engine: Engine, kind: MediaKind, consumed: Consumed) -> None:
        super().__init__(engine, consumed.consumer)
        self.kind = kind
        self.take(consumed)

    def take(self, consumed: Consumed) -> None:
        """Take what it is called and sends with, now that it is there."""
        self._id = consumed.consumer
        self.ssrc = consumed.ssrc
        self.rtx_ssrc = consumed.rtx_ssrc
        self.cname = consumed.cname

    @property
    def id(self) -> ConsumerId:
        """The consumer's id."""
        return ConsumerId(self._id)

    def _close_command(self) -> AnyCommand:
        return CloseConsumer(consumer=self.id)

    async def switch_source(self, producer: Producer | None, payload_types: Sequence[tuple[int, int]] = ()) -> None:
        """Feed from another producer, or from none; numbering goes on without a break."""
        await self._do(
            SwitchSource(
                consumer=self.id,
                producer=None if producer is None else producer.id,
                payload_types=list(payload_types),
            )
        )

    async def pause(self) -> None:
        """Send nothing until resumed."""
        await self._do(PauseConsumer(consumer=self.id))

    async def resume(self) -> None:
        """Send again; video starts at a keyframe, which is requested."""
        await self._do(ResumeConsumer(consumer=self.id))

    async def set_preferred_layers(self, spatial: int | None = None, temporal: int | None = None) -> None:
        """Choose the highest encoding (or spatial layer) and temporal layer; None leaves the choice to the engine."""
        await self._do(SetPreferredLayers(consumer=self.id, spatial=spatial, temporal=temporal))

    async def set_limits(
        self,
        *,
        max_width: int | None = None,
        max_height: int | None = None,
        max_fps: int | None = None,
        max_bitrate: int | None = None,
    ) -> None:
        """Fix the most it is to be given, by what its viewer can show; None is no limit."""
        await self._do(
            SetConsumerLimits(
                consumer=self.id, max_width=max_width, max_height=max_height, max_fps=max_fps, max_bitrate=max_bitrate
            )
        )

    async def set_priority(self, priority: int) -> None:
        """Fix who comes first where the line does not carry everything: the higher one, 0 to 255."""
        await self._do(SetConsumerPriority(consumer=self.id, priority=priority))

    async def set_audio_pinned(self, *, pinned: bool) -> None:
        """Get the producer's audio also while that is withheld from others (`Router.set_audio_top_n`)."""
        await self._do(SetAudioPinned(consumer=self.id, pinned=pinned))


class AudioLevelObserver(EngineObject):
    """Watches who speaks in a router."""

    __slots__ = ()

    @property
    def id(self) -> ObserverId:
        """The observer's id."""
        return ObserverId(self._id)

    def _close_command(self) -> AnyCommand:
        return CloseObserver(observer=self.id)


class DataChannel(EngineObject):
    """A data channel (RFC 8831)."""

    __slots__ = ("label", "protocol")

    def __init__(self, engine: Engine, id_: ChannelId, label: str, protocol: str) -> None:
        super().__init__(engine, id_)
        self.label = label
        self.protocol = protocol

    @property
    def id(self) -> ChannelId:
        """The channel's id."""
        return ChannelId(self._id)

    def _close_command(self) -> AnyCommand:
        return CloseChannel(channel=self.id)

    async def send(self, data: bytes | str) -> None:
        """Send one message; `ErrorCode.QUEUE_FULL` when the channel's buffer is full."""
        text = isinstance(data, str)
        payload = data.encode() if isinstance(data, str) else data
        await self._do(SendMessage(channel=self.id, data=payload, text=text))
