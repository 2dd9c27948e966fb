"""Commands: each is answered by one `Reply`."""

# ruff: noqa: RUF012 - msgspec gives each value its own copy of an empty default

from __future__ import annotations

from roomtone.media.value_live_commands import (
    AddFeedTrack,
    AddPackagerTrack,
    CloseFeed,
    CloseIngest,
    CloseIngestListener,
    ClosePackager,
    ClosePlayout,
    CloseTrackTranscoder,
    CloseTranscoder,
    GetStreamPressure,
    GetStreamSync,
    OpenFeed,
    OpenIngestInput,
    OpenIngestListener,
    OpenIngestPull,
    OpenPackager,
    OpenTrackTranscoder,
    OpenTranscoder,
    PointIngest,
    RemovePackagerTrack,
    SetIngestCertificate,
    SetStreamEncryption,
    SetStreamSync,
    ShowStreamText,
    SwitchPackagerTrack,
)
from roomtone.media.value_parts import (
    ArrivalModel,
    AudioRedundancy,
    Candidate,
    ChannelId,
    CodecFeedback,
    CodecParameters,
    Command,
    ConsumerId,
    DtlsParameters,
    DtlsRole,
    EncodingParameters,
    Fingerprint,
    HeaderExtension,
    IceMode,
    Latching,
    MediaKind,
    MixerId,
    MixerInputId,
    MixerSource,
    ObserverId,
    ProducerId,
    RouterId,
    SrtpKeys,
    TransportId,
)


class OpenRouter(Command, tag="open_router", frozen=True, kw_only=True):
    """Open a forwarding domain; ``shard`` None lets the engine choose the least loaded."""

    shard: int | None = None


class CloseRouter(Command, tag="close_router", frozen=True, kw_only=True):
    """Close a router and all it holds; ``quietly``: no event follows, of it or of what it held."""

    router: RouterId
    quietly: bool = False


class OpenWebRtcTransport(Command, tag="open_webrtc_transport", frozen=True, kw_only=True):
    """Open a transport for one WebRTC peer.

    With ``mixed_extensions`` the peer takes one- and two-byte header extensions in one stream (RFC 8285 section 6);
    an extension that needs the longer form is left out otherwise. ``answer_timeout_ms`` is how long the peer may take
    to be named; None: as long as to connect. ``arrival_model`` is how congestion on the line to the peer is seen, where
    it sends transport-wide feedback; None: as `BandwidthConfig` says.
    """

    router: RouterId
    ice_mode: IceMode = IceMode.LITE
    sctp: bool = False
    max_message_size: int = 262_144
    cname: str = ""
    mixed_extensions: bool = False
    answer_timeout_ms: int | None = None
    arrival_model: ArrivalModel | None = None


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
    """Trickled candidates of the peer.

    With ``complete`` no more will come (RFC 8838 section 14): a transport in the full role ends once all pairs have
    failed, where it otherwise waits for another candidate until its time is over.
    """

    transport: TransportId
    candidates: list[Candidate]
    complete: bool = False


class RestartIce(Command, tag="restart_ice", frozen=True, kw_only=True):
    """New local ICE credentials (RFC 8445 section 9); with the peer's new ones when it started the restart."""

    transport: TransportId
    ice_ufrag: str | None = None
    ice_pwd: str | None = None


class OpenPlainTransport(Command, tag="open_plain_transport", frozen=True, kw_only=True):
    """Open RTP/RTCP on ports of its own.

    ``rebind_silence_ms`` (100 to 60000) is how long the old address must have been silent where a rebinding is
    followed. With ``secure`` nothing passes before both sides' SRTP keys are known, with ``dtls`` before DTLS has made
    them (RFC 5764). ``dscp`` (0 to 63) is what sent packets are marked with (RFC 2474); None leaves it to the system.
    With ``extended_reports`` RTCP XR (RFC 3611) is sent, VoIP metrics among it, and the peer's is answered.
    """

    router: RouterId
    listen_ip: str = "127.0.0.1"
    rtcp_mux: bool = True
    latching: Latching = Latching.FIXED
    rebind_silence_ms: int = 1000
    srtp: SrtpKeys | None = None
    secure: bool = False
    dtls: bool = False
    dscp: int | None = None
    extended_reports: bool = False
    cname: str = ""


class ConnectPlainTransport(Command, tag="connect_plain_transport", frozen=True, kw_only=True):
    """Where to send, and SRTP keys: ``srtp`` the peer's, ``local_srtp`` ours in place of those we had.

    ``port`` 0 sets only keys, where the address is learnt. ``dtls`` names the peer of the handshake, where the
    transport was opened for one; None: as was said before.
    """

    transport: TransportId
    ip: str
    port: int
    rtcp_port: int | None = None
    srtp: SrtpKeys | None = None
    local_srtp: SrtpKeys | None = None
    dtls: DtlsParameters | None = None


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
    redundancy: AudioRedundancy | None = None
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
    """Choose the highest layers wanted: simulcast encoding or spatial layer (0 lowest), temporal layer.

    None leaves it to the engine, which chooses the best that the line carries.
    """

    consumer: ConsumerId
    spatial: int | None = None
    temporal: int | None = None


class SetConsumerLimits(Command, tag="set_consumer_limits", frozen=True, kw_only=True):
    """Fix the most a consumer is to be given, by what its viewer can show; None is no limit.

    The smallest layer that fills the width or the height is the highest sent. The cheapest layer is sent whatever
    ``max_fps`` and ``max_bitrate`` say.
    """

    consumer: ConsumerId
    max_width: int | None = None
    max_height: int | None = None
    max_fps: int | None = None
    max_bitrate: int | None = None


class SetConsumerPriority(Command, tag="set_consumer_priority", frozen=True, kw_only=True):
    """Fix who comes first where a line does not carry everything: the higher one, 0 to 255."""

    consumer: ConsumerId
    priority: int


class SetAudioTopN(Command, tag="set_audio_top_n", frozen=True, kw_only=True):
    """Forward only the audio of so many producers, those who speak; None forwards all."""

    router: RouterId
    places: int | None = None


class SetAudioPinned(Command, tag="set_audio_pinned", frozen=True, kw_only=True):
    """Give a consumer its producer's audio also while that is withheld from others."""

    consumer: ConsumerId
    pinned: bool


class RequestKeyframe(Command, tag="request_keyframe", frozen=True, kw_only=True):
    """Ask a producer's sender for a keyframe (merged and rate-limited)."""

    producer: ProducerId


class PipeProducer(Command, tag="pipe_producer", frozen=True, kw_only=True):
    """Carry a producer to a router on another shard; the reply names the piped producer there."""

    producer: ProducerId
    router: RouterId


class ObserveAudioLevels(Command, tag="observe_audio_levels", frozen=True, kw_only=True):
    """Report active speakers of a router: levels in dBov (RFC 6464, 0 loudest), over a window of ``interval_ms``.

    A router looks at its audio in one way at a time: a further observer with other settings than those open is
    ``invalid``; only ``max_entries`` may differ.
    """

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
    """Open a data channel (RFC 8831). Unordered and partial reliability by ``ordered`` and the two after it.

    ``stream`` is one agreed on elsewhere: the peer is not told of the opening, and it may come before the handshake.
    """

    transport: TransportId
    label: str
    protocol: str = ""
    ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime_ms: int | None = None
    stream: int | None = None


class SendMessage(Command, tag="send_message", frozen=True, kw_only=True):
    """Send one message on a data channel; fails with `queue_full` when the channel's buffer is."""

    channel: ChannelId
    data: bytes
    text: bool = False


class CloseChannel(Command, tag="close_channel", frozen=True, kw_only=True):
    """Close a data channel."""

    channel: ChannelId


class OpenMixer(Command, tag="open_mixer", frozen=True, kw_only=True):
    """Open a mixer: what it is given to hear it gives out again, decoded, mixed and encoded.

    ``tick_ms`` is the time between two mixes, 10 or 20; no output has shorter packets.
    """

    router: RouterId
    tick_ms: int = 20


class AddMixerInput(Command, tag="add_mixer_input", frozen=True, kw_only=True):
    """Have a mixer hear a producer of its router; with ``inband_dtmf`` keys are found in what sounds, too."""

    mixer: MixerId
    producer: ProducerId
    inband_dtmf: bool = False


class AddMixerSource(Command, tag="add_mixer_source", frozen=True, kw_only=True):
    """Have a mixer play something of its own."""

    mixer: MixerId
    source: MixerSource


class RemoveMixerInput(Command, tag="remove_mixer_input", frozen=True, kw_only=True):
    """Have a mixer hear an input no more, or play a source no more."""

    mixer: MixerId
    input: MixerInputId


class AddMixerOutput(Command, tag="add_mixer_output", frozen=True, kw_only=True):
    """Have a mixer give out a mix, as a producer of its router.

    It has all inputs and sources but ``without``, or ``only`` some. Outputs of one mix, codec and ``ptime_ms``
    (20, 40 or 60) share one encoder. With ``events_payload_type`` keys can be sent by `SendMixerDtmf`. With
    ``noise_payload_type``, beside a codec of 8 kHz, silence is not sent but described (RFC 3389).
    """

    mixer: MixerId
    codec: CodecParameters
    ptime_ms: int = 20
    events_payload_type: int | None = None
    noise_payload_type: int | None = None
    without: MixerInputId | None = None
    only: list[MixerInputId] | None = None


class SendMixerDtmf(Command, tag="send_mixer_dtmf", frozen=True, kw_only=True):
    """Have a mixer's output send a key, as an event (RFC 4733), in place of sound."""

    output: ProducerId
    digit: str
    duration_ms: int = 100


class CloseMixer(Command, tag="close_mixer", frozen=True, kw_only=True):
    """Close a mixer with its inputs and outputs."""

    mixer: MixerId


class GetStats(Command, tag="get_stats", frozen=True, kw_only=True):
    """Statistics of an object, by its id; names of W3C webrtc-stats where they exist."""

    id: int


class Dump(Command, tag="dump", frozen=True, kw_only=True):
    """The whole inner state of an object, by its id, as a JSON-like map."""

    id: int


class GetEngineStats(Command, tag="get_engine_stats", frozen=True, kw_only=True):
    """Counters of all shards (packets, bytes, drops by reason, syscalls, GSO run length, queue depths)."""


OpeningCommand = OpenRouter | OpenPlainTransport | ConnectPlainTransport | Produce | Consume
"""What can be done together with others."""


class DoTogether(Command, tag="do_together", frozen=True, kw_only=True):
    """Do several commands of one shard one after another in one turn, until one fails; what was done stays.

    An id of a later one may stand for what an earlier one opens: `OPENED` and the place of that command. A router can
    only be opened first. At most 64.
    """

    commands: list[OpeningCommand]


OPENED = 1 << 63
"""Set in an id that stands for what another command of the same `DoTogether` opens."""

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
    | SetConsumerLimits
    | SetConsumerPriority
    | SetAudioTopN
    | SetAudioPinned
    | RequestKeyframe
    | PipeProducer
    | ObserveAudioLevels
    | CloseObserver
    | OpenMixer
    | AddMixerInput
    | AddMixerSource
    | RemoveMixerInput
    | AddMixerOutput
    | CloseMixer
    | SendMixerDtmf
    | OpenPackager
    | AddPackagerTrack
    | RemovePackagerTrack
    | ClosePackager
    | OpenTranscoder
    | CloseTranscoder
    | SwitchPackagerTrack
    | SetStreamEncryption
    | SetStreamSync
    | ShowStreamText
    | GetStreamSync
    | GetStreamPressure
    | OpenTrackTranscoder
    | CloseTrackTranscoder
    | OpenIngestListener
    | OpenIngestInput
    | OpenIngestPull
    | CloseIngestListener
    | SetIngestCertificate
    | CloseIngest
    | PointIngest
    | ClosePlayout
    | OpenFeed
    | AddFeedTrack
    | CloseFeed
    | OpenChannel
    | SendMessage
    | CloseChannel
    | GetStats
    | Dump
    | GetEngineStats
    | DoTogether
)
