"""Every value that crosses between Python and the engine, as MessagePack maps.

Commands go in (each answered by one `Reply`), events and questions come out. All are frozen values of
numbers, strings, bytes and ids, so the same values can travel through a socket to another process.
The Rust side mirrors this file in ``crates/engine/src/values``; a test round-trips every type through both.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

import msgspec

RouterId = NewType("RouterId", int)
TransportId = NewType("TransportId", int)
ProducerId = NewType("ProducerId", int)
ConsumerId = NewType("ConsumerId", int)
ObserverId = NewType("ObserverId", int)
ChannelId = NewType("ChannelId", int)


class MediaKind(StrEnum):
    """Kind of media of a stream."""

    AUDIO = "audio"
    VIDEO = "video"


class IceMode(StrEnum):
    """Which ICE agent answers (RFC 8445): a lite responder or the full role."""

    LITE = "lite"
    FULL = "full"


class DtlsRole(StrEnum):
    """Our own DTLS role: `active` sends the first ClientHello, `passive` waits for it."""

    ACTIVE = "active"
    PASSIVE = "passive"


class IceState(StrEnum):
    """RTCIceTransportState, as in W3C WebRTC."""

    NEW = "new"
    CHECKING = "checking"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    FAILED = "failed"
    CLOSED = "closed"


class DtlsState(StrEnum):
    """RTCDtlsTransportState, as in W3C WebRTC."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"
    FAILED = "failed"


class EngineCloseReason(StrEnum):
    """Why the engine ended an object by itself, or that it did so when told to."""

    REQUESTED = "requested"
    ICE_TIMEOUT = "ice_timeout"
    CONSENT_EXPIRED = "consent_expired"
    DTLS_FAILED = "dtls_failed"
    DTLS_CLOSED = "dtls_closed"
    DTLS_RSA_UNSUPPORTED = "dtls_rsa_unsupported"
    FINGERPRINT_MISMATCH = "fingerprint_mismatch"
    PEER_PANICKED = "peer_panicked"
    PARENT_CLOSED = "parent_closed"
    ENGINE_CLOSED = "engine_closed"


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Base of all boundary values."""


# --- configuration ---------------------------------------------------------------------------


class EngineConfig(Value, frozen=True, kw_only=True):
    """How the engine is laid out; given once.

    ``shards`` threads each own one UDP and one TCP port out of ``webrtc_ports`` (inclusive) on each of
    ``listen_ips``; ``announced_ips`` replaces or adds to the addresses told to peers (``listen:announced`` pairs).
    """

    shards: int = 1
    listen_ips: list[str] = []
    announced_ips: list[tuple[str, str]] = []
    webrtc_ports: tuple[int, int] = (40000, 40099)
    plain_ports: tuple[int, int] = (40100, 49999)
    tcp: bool = True
    udp: bool = True
    burst_delay_us: int = 3000
    event_queue: int = 8192
    command_queue: int = 4096
    max_transports: int = 10_000
    max_producers_per_transport: int = 64
    max_consumers_per_transport: int = 512
    history_packets: int = 1024
    ice_timeout_ms: int = 30_000
    seed: int | None = None


# --- parts of commands and replies ------------------------------------------------------------


class Candidate(Value, frozen=True, kw_only=True):
    """An ICE candidate (RFC 8839): ``protocol`` is "udp" or "tcp", ``kind`` "host", "srflx", "prflx" or "relay"."""

    foundation: str
    component: int
    protocol: str
    priority: int
    ip: str
    port: int
    kind: str
    tcp_type: str | None = None


class Fingerprint(Value, frozen=True, kw_only=True):
    """A certificate fingerprint (RFC 8122): ``algorithm`` such as "sha-256", ``value`` in upper-case hex pairs."""

    algorithm: str
    value: str


class SrtpKeys(Value, frozen=True, kw_only=True):
    """SRTP keys given by hand (SDES): ``suite`` by its SDES name, ``key`` is master key followed by master salt."""

    suite: str
    key: bytes


class CodecFeedback(Value, frozen=True, kw_only=True):
    """RTCP feedback agreed for a codec (RFC 4585, 5104)."""

    nack: bool = False
    pli: bool = False
    fir: bool = False
    transport_cc: bool = False
    remb: bool = False


class CodecParameters(Value, frozen=True, kw_only=True):
    """One payload type a producer may send; ``name`` is the upper-case encoding name, e.g. "OPUS", "VP8"."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    rtx_payload_type: int | None = None
    feedback: CodecFeedback = CodecFeedback()


class EncodingParameters(Value, frozen=True, kw_only=True):
    """One RTP stream of a producer, named by SSRC or by RID."""

    ssrc: int | None = None
    rid: str | None = None
    rtx_ssrc: int | None = None


class HeaderExtension(Value, frozen=True, kw_only=True):
    """A negotiated RTP header extension: id on the wire and URI."""

    id: int
    uri: str


# --- commands ---------------------------------------------------------------------------------


class Command(Value, tag_field="op", frozen=True, kw_only=True):
    """Base of all commands."""


class OpenRouter(Command, tag="open_router", frozen=True, kw_only=True):
    """Open a forwarding domain; ``shard`` None lets the engine choose the least loaded."""

    shard: int | None = None


class CloseRouter(Command, tag="close_router", frozen=True, kw_only=True):
    """Close a router and all it holds."""

    router: RouterId


class OpenWebRtcTransport(Command, tag="open_webrtc_transport", frozen=True, kw_only=True):
    """Open a transport for one WebRTC peer."""

    router: RouterId
    ice_mode: IceMode = IceMode.LITE
    sctp: bool = False
    max_message_size: int = 262_144
    cname: str = ""


class ConnectWebRtcTransport(Command, tag="connect_webrtc_transport", frozen=True, kw_only=True):
    """Tell the transport its peer. ``dtls_role`` is ours."""

    transport: TransportId
    dtls_role: DtlsRole
    fingerprints: list[Fingerprint]
    ice_ufrag: str | None = None
    ice_pwd: str | None = None
    ice_lite: bool = False
    candidates: list[Candidate] = []


class AddRemoteCandidates(Command, tag="add_remote_candidates", frozen=True, kw_only=True):
    """Trickled candidates of the peer."""

    transport: TransportId
    candidates: list[Candidate]


class RestartIce(Command, tag="restart_ice", frozen=True, kw_only=True):
    """New local ICE credentials (RFC 8445 section 9); with the peer's new ones when it started the restart."""

    transport: TransportId
    ice_ufrag: str | None = None
    ice_pwd: str | None = None


class OpenPlainTransport(Command, tag="open_plain_transport", frozen=True, kw_only=True):
    """Open RTP/RTCP on ports of its own; ``learn_remote`` takes the address from the first valid packet."""

    router: RouterId
    listen_ip: str = "127.0.0.1"
    rtcp_mux: bool = True
    learn_remote: bool = False
    srtp: SrtpKeys | None = None
    cname: str = ""


class ConnectPlainTransport(Command, tag="connect_plain_transport", frozen=True, kw_only=True):
    """Where to send, and the peer's SRTP keys. ``port`` 0 with ``learn_remote`` sets only keys."""

    transport: TransportId
    ip: str
    port: int
    rtcp_port: int | None = None
    srtp: SrtpKeys | None = None


class CloseTransport(Command, tag="close_transport", frozen=True, kw_only=True):
    """Close a transport with its producers and consumers; a WebRTC peer gets a DTLS close_notify."""

    transport: TransportId


class Produce(Command, tag="produce", frozen=True, kw_only=True):
    """Take media in on a transport."""

    transport: TransportId
    kind: MediaKind
    codecs: list[CodecParameters]
    encodings: list[EncodingParameters] = []
    mid: str | None = None
    header_extensions: list[HeaderExtension] = []
    paused: bool = False


class CloseProducer(Command, tag="close_producer", frozen=True, kw_only=True):
    """Stop taking this media; its consumers keep waiting for another source."""

    producer: ProducerId


class PauseProducer(Command, tag="pause_producer", frozen=True, kw_only=True):
    """Forward nothing of this producer until resumed."""

    producer: ProducerId


class ResumeProducer(Command, tag="resume_producer", frozen=True, kw_only=True):
    """Forward again; video starts at a keyframe."""

    producer: ProducerId


class Consume(Command, tag="consume", frozen=True, kw_only=True):
    """Send media out on a transport; ``producer`` None makes a consumer that waits for a source.

    ``payload_types`` maps the producer's payload types to the consumer's; ``rtx_payload_types`` maps the
    consumer's media payload types to its RTX ones.
    """

    transport: TransportId
    kind: MediaKind
    producer: ProducerId | None = None
    mid: str | None = None
    payload_types: list[tuple[int, int]] = []
    rtx_payload_types: list[tuple[int, int]] = []
    header_extensions: list[HeaderExtension] = []
    feedback: CodecFeedback = CodecFeedback()
    ssrc: int | None = None
    rtx_ssrc: int | None = None
    paused: bool = False


class SwitchSource(Command, tag="switch_source", frozen=True, kw_only=True):
    """Feed a consumer from another producer (or none), numbering going on without a break."""

    consumer: ConsumerId
    producer: ProducerId | None
    payload_types: list[tuple[int, int]] = []


class CloseConsumer(Command, tag="close_consumer", frozen=True, kw_only=True):
    """Stop sending this media."""

    consumer: ConsumerId


class PauseConsumer(Command, tag="pause_consumer", frozen=True, kw_only=True):
    """Send nothing to this consumer until resumed."""

    consumer: ConsumerId


class ResumeConsumer(Command, tag="resume_consumer", frozen=True, kw_only=True):
    """Send again; video starts at a keyframe, which is requested."""

    consumer: ConsumerId


class SetPreferredLayers(Command, tag="set_preferred_layers", frozen=True, kw_only=True):
    """Choose simulcast encoding (``spatial``, 0 lowest) and temporal layer; None leaves it to the engine."""

    consumer: ConsumerId
    spatial: int | None = None
    temporal: int | None = None


class RequestKeyframe(Command, tag="request_keyframe", frozen=True, kw_only=True):
    """Ask a producer's sender for a keyframe (merged and rate-limited)."""

    producer: ProducerId


class PipeProducer(Command, tag="pipe_producer", frozen=True, kw_only=True):
    """Carry a producer to a router on another shard; the reply names the piped producer there."""

    producer: ProducerId
    router: RouterId


class ObserveAudioLevels(Command, tag="observe_audio_levels", frozen=True, kw_only=True):
    """Report active speakers of a router: levels in dBov (RFC 6464, 0 loudest), over a window of ``interval_ms``."""

    router: RouterId
    interval_ms: int = 400
    threshold_dbov: int = -50
    percentile: int = 40
    smoothing: float = 0.3
    hold_ms: int = 1000
    max_entries: int = 3


class CloseObserver(Command, tag="close_observer", frozen=True, kw_only=True):
    """Stop an observer."""

    observer: ObserverId


class OpenChannel(Command, tag="open_channel", frozen=True, kw_only=True):
    """Open a data channel (RFC 8831). Unordered and partial reliability by the last three."""

    transport: TransportId
    label: str
    protocol: str = ""
    ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime_ms: int | None = None


class SendMessage(Command, tag="send_message", frozen=True, kw_only=True):
    """Send one message on a data channel; fails with `queue_full` when the channel's buffer is."""

    channel: ChannelId
    data: bytes
    text: bool = False


class CloseChannel(Command, tag="close_channel", frozen=True, kw_only=True):
    """Close a data channel."""

    channel: ChannelId


class GetStats(Command, tag="get_stats", frozen=True, kw_only=True):
    """Statistics of an object, by its id; names of W3C webrtc-stats where they exist."""

    id: int


class Dump(Command, tag="dump", frozen=True, kw_only=True):
    """The whole inner state of an object, by its id, as a JSON-like map."""

    id: int


class GetEngineStats(Command, tag="get_engine_stats", frozen=True, kw_only=True):
    """Counters of all shards (packets, bytes, drops by reason, syscalls, GSO run length, queue depths)."""


# --- replies -----------------------------------------------------------------------------------


class Result(Value, tag_field="result", frozen=True, kw_only=True):
    """Base of all results."""


class Done(Result, tag="done", frozen=True, kw_only=True):
    """The command took effect."""


class RouterOpened(Result, tag="router_opened", frozen=True, kw_only=True):
    """A router and the shard it lives on."""

    router: RouterId
    shard: int


class WebRtcTransportOpened(Result, tag="webrtc_transport_opened", frozen=True, kw_only=True):
    """What the peer has to know of our transport."""

    transport: TransportId
    ice_ufrag: str
    ice_pwd: str
    candidates: list[Candidate]
    fingerprints: list[Fingerprint]


class IceRestarted(Result, tag="ice_restarted", frozen=True, kw_only=True):
    """Our new credentials and all candidates."""

    ice_ufrag: str
    ice_pwd: str
    candidates: list[Candidate]


class PlainTransportOpened(Result, tag="plain_transport_opened", frozen=True, kw_only=True):
    """Where we listen; ``rtcp_port`` equals ``port`` with rtcp-mux."""

    transport: TransportId
    ip: str
    port: int
    rtcp_port: int


class Produced(Result, tag="produced", frozen=True, kw_only=True):
    """The new producer."""

    producer: ProducerId


class Consumed(Result, tag="consumed", frozen=True, kw_only=True):
    """The new consumer and the SSRCs it sends with."""

    consumer: ConsumerId
    ssrc: int
    rtx_ssrc: int | None
    cname: str


class ObserverOpened(Result, tag="observer_opened", frozen=True, kw_only=True):
    """The new observer."""

    observer: ObserverId


class ChannelOpening(Result, tag="channel_opening", frozen=True, kw_only=True):
    """The new data channel; an event tells when it is open."""

    channel: ChannelId


class Stats(Result, tag="stats", frozen=True, kw_only=True):
    """Reports by kind; each report is a flat map. The first one is the object's own."""

    reports: list[dict[str, int | float | str | bool | None]]


class Dumped(Result, tag="dumped", frozen=True, kw_only=True):
    """Inner state as JSON text."""

    json: str


class ErrorCode(StrEnum):
    """Why a command failed."""

    NOT_FOUND = "not_found"
    WRONG_STATE = "wrong_state"
    INVALID = "invalid"
    LIMIT = "limit"
    QUEUE_FULL = "queue_full"
    NO_PORT = "no_port"
    UNSUPPORTED = "unsupported"
    ENGINE_CLOSED = "engine_closed"
    INTERNAL = "internal"


class Failed(Result, tag="failed", frozen=True, kw_only=True):
    """The command had no effect."""

    code: ErrorCode
    message: str


# --- events ------------------------------------------------------------------------------------


class Event(Value, tag_field="event", frozen=True, kw_only=True):
    """Base of all events."""


class IceStateChanged(Event, tag="ice_state_changed", frozen=True, kw_only=True):
    """ICE state; with the selected pair once there is one ("udp"/"tcp", local, remote as ip:port)."""

    transport: TransportId
    state: IceState
    protocol: str | None = None
    local: str | None = None
    remote: str | None = None


class DtlsStateChanged(Event, tag="dtls_state_changed", frozen=True, kw_only=True):
    """DTLS state; once connected, the SRTP profile in use."""

    transport: TransportId
    state: DtlsState
    srtp_profile: str | None = None


class TransportClosed(Event, tag="transport_closed", frozen=True, kw_only=True):
    """A transport is gone, with all its producers and consumers; ``detail`` says what was tried."""

    transport: TransportId
    reason: EngineCloseReason
    detail: str = ""


class RemoteLearnt(Event, tag="remote_learnt", frozen=True, kw_only=True):
    """A plain transport now knows where its peer is."""

    transport: TransportId
    remote: str


class ProducerStarted(Event, tag="producer_started", frozen=True, kw_only=True):
    """First packet of an encoding arrived (or the first after silence)."""

    producer: ProducerId
    encoding: int
    ssrc: int


class ProducerSilent(Event, tag="producer_silent", frozen=True, kw_only=True):
    """No packet of the encoding for two seconds."""

    producer: ProducerId
    encoding: int


class ProducerScore(Event, tag="producer_score", frozen=True, kw_only=True):
    """Receive quality of an encoding from 0 (worst) to 10, when it changed."""

    producer: ProducerId
    encoding: int
    score: int


class ProducerClosed(Event, tag="producer_closed", frozen=True, kw_only=True):
    """A producer ended without a command for itself."""

    producer: ProducerId
    reason: EngineCloseReason


class ConsumerClosed(Event, tag="consumer_closed", frozen=True, kw_only=True):
    """A consumer ended without a command for itself."""

    consumer: ConsumerId
    reason: EngineCloseReason


class ConsumerLayersChanged(Event, tag="consumer_layers_changed", frozen=True, kw_only=True):
    """The layer now sent; None when none is."""

    consumer: ConsumerId
    spatial: int | None
    temporal: int | None


class AudioLevel(Value, frozen=True, kw_only=True):
    """Level of a producer over the last window, in dBov."""

    producer: ProducerId
    level_dbov: int


class ActiveSpeakers(Event, tag="active_speakers", frozen=True, kw_only=True):
    """Who speaks, loudest first; ``dominant`` stays through short pauses."""

    router: RouterId
    observer: ObserverId
    speakers: list[AudioLevel]
    dominant: ProducerId | None


class ChannelOpened(Event, tag="channel_opened", frozen=True, kw_only=True):
    """A data channel is open, by us or by the peer."""

    transport: TransportId
    channel: ChannelId
    label: str
    protocol: str


class ChannelMessage(Event, tag="channel_message", frozen=True, kw_only=True):
    """A message came in on a data channel."""

    channel: ChannelId
    data: bytes
    text: bool


class ChannelClosed(Event, tag="channel_closed", frozen=True, kw_only=True):
    """A data channel is closed."""

    channel: ChannelId


class EventsDropped(Event, tag="events_dropped", frozen=True, kw_only=True):
    """The event queue was full: how many of each sort were dropped or merged."""

    statistics: int
    merged: int


AnyCommand = (
    OpenRouter
    | CloseRouter
    | OpenWebRtcTransport
    | ConnectWebRtcTransport
    | AddRemoteCandidates
    | RestartIce
    | OpenPlainTransport
    | ConnectPlainTransport
    | CloseTransport
    | Produce
    | CloseProducer
    | PauseProducer
    | ResumeProducer
    | Consume
    | SwitchSource
    | CloseConsumer
    | PauseConsumer
    | ResumeConsumer
    | SetPreferredLayers
    | RequestKeyframe
    | PipeProducer
    | ObserveAudioLevels
    | CloseObserver
    | OpenChannel
    | SendMessage
    | CloseChannel
    | GetStats
    | Dump
    | GetEngineStats
)

AnyResult = (
    Done
    | RouterOpened
    | WebRtcTransportOpened
    | IceRestarted
    | PlainTransportOpened
    | Produced
    | Consumed
    | ObserverOpened
    | ChannelOpening
    | Stats
    | Dumped
    | Failed
)

AnyEvent = (
    IceStateChanged
    | DtlsStateChanged
    | TransportClosed
    | RemoteLearnt
    | ProducerStarted
    | ProducerSilent
    | ProducerScore
    | ProducerClosed
    | ConsumerClosed
    | ConsumerLayersChanged
    | ActiveSpeakers
    | ChannelOpened
    | ChannelMessage
    | ChannelClosed
    | EventsDropped
)


class Request(Value, frozen=True, kw_only=True):
    """A command on its way in; ``id`` comes back in the reply."""

    id: int
    command: AnyCommand


class Reply(Value, tag_field="kind", tag="reply", frozen=True, kw_only=True):
    """The answer to the request of the same id."""

    id: int
    result: AnyResult


class EventOut(Value, tag_field="kind", tag="event", frozen=True, kw_only=True):
    """An event on its way out; ``seq`` counts all events of the engine."""

    seq: int
    event: AnyEvent


class Question(Value, tag_field="kind", tag="question", frozen=True, kw_only=True):
    """The engine needs a decision by ``deadline_ms`` from now; no answer means refusal."""

    id: int
    deadline_ms: int
    topic: str
    subject: str
    credential: str | None = None


class Answer(Value, frozen=True, kw_only=True):
    """The decision on the question of the same id."""

    id: int
    allowed: bool
    detail: str = ""


AnyOutbound = Reply | EventOut | Question
