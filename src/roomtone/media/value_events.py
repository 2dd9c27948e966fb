"""Events: what the engine tells by itself."""

from __future__ import annotations

from enum import StrEnum

from roomtone.media.value_parts import (
    ChannelId,
    CongestionState,
    ConsumerId,
    DegradationReason,
    DtlsState,
    EngineCloseReason,
    FeedbackKind,
    FeedbackPriority,
    IceState,
    IngestId,
    IngestListenerId,
    IngestProtocol,
    IngestTrackId,
    LineDirection,
    MediaKind,
    MixerId,
    MixerInputId,
    ObserverId,
    PackagerId,
    PackagerTrackId,
    PlayoutId,
    ProducerId,
    QualityLevel,
    QualitySubject,
    QualityTrend,
    RouterId,
    TransportId,
    Value,
)


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


class RouterClosed(Event, tag="router_closed", frozen=True, kw_only=True):
    """A router is gone; the events of all it held came before."""

    router: RouterId
    reason: EngineCloseReason


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


class ConsumerLayersTargeted(Event, tag="consumer_layers_targeted", frozen=True, kw_only=True):
    """The layers a consumer is to be given as soon as the picture allows; None: whatever is preferred, all."""

    consumer: ConsumerId
    spatial: int | None
    temporal: int | None


class ConsumerStarved(Event, tag="consumer_starved", frozen=True, kw_only=True):
    """The line does not carry even the cheapest layer of a consumer: it is paused."""

    consumer: ConsumerId


class ConsumerFed(Event, tag="consumer_fed", frozen=True, kw_only=True):
    """The line carries a consumer again that it did not."""

    consumer: ConsumerId


class EncodingsWanted(Event, tag="encodings_wanted", frozen=True, kw_only=True):
    """Which encodings of a producer anyone wants: the highest temporal layer of each (7: all), None if nobody does."""

    producer: ProducerId
    wanted: list[int | None]


class EstimateChanged(Event, tag="estimate_changed", frozen=True, kw_only=True):
    """What the line to a peer carries, when that has changed."""

    transport: TransportId
    bps: int


class QualityChanged(Event, tag="quality_changed", frozen=True, kw_only=True):
    """How good something is has clearly changed, or is known for the first time.

    ``score`` is from 0 to 1, ``mos`` the mean opinion score from 1 to 4.5 (audio only), ``reason`` what is wrong most.
    """

    subject: QualitySubject
    id: int
    score: float
    level: QualityLevel
    mos: float | None
    trend: QualityTrend
    reason: DegradationReason | None


class CongestionChanged(Event, tag="congestion_changed", frozen=True, kw_only=True):
    """The state of a peer's line changed."""

    transport: TransportId
    direction: LineDirection
    state: CongestionState


class FeedbackActed(Event, tag="feedback_acted", frozen=True, kw_only=True):
    """A publisher was told something because of what arrives from it; ``encoding`` None: about its whole line."""

    producer: ProducerId
    encoding: int | None
    action: FeedbackKind
    bps: int | None
    confidence: float | None
    reason: DegradationReason
    priority: FeedbackPriority


class AudioForwarded(Event, tag="audio_forwarded", frozen=True, kw_only=True):
    """Other audio producers are forwarded, where only so many are; who carries no levels always is, unnamed."""

    router: RouterId
    producers: list[ProducerId]


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


class DtmfReceived(Event, tag="dtmf_received", frozen=True, kw_only=True):
    """A key was pressed at the far end of an input: one of 0-9, *, #, A-D.

    ``inband`` says that it was found in what sounds, rather than told by an event (RFC 4733).
    """

    mixer: MixerId
    input: MixerInputId
    digit: str
    duration_ms: int
    inband: bool


class MixerSourceEnded(Event, tag="mixer_source_ended", frozen=True, kw_only=True):
    """A source has played to its end."""

    mixer: MixerId
    input: MixerInputId


class MixerEffortChanged(Event, tag="mixer_effort_changed", frozen=True, kw_only=True):
    """A mixer encodes with less effort for want of time, or with more again; ``complexity`` is 0 to 10."""

    mixer: MixerId
    complexity: int


class MixerClosed(Event, tag="mixer_closed", frozen=True, kw_only=True):
    """A mixer is gone, with all its inputs and outputs."""

    mixer: MixerId
    reason: EngineCloseReason


class PackagerTrack(Value, frozen=True, kw_only=True):
    """One track of a packager that has begun.

    ``name`` is its folder below the packager's name, ``codec`` stands in ``CODECS`` (RFC 6381). ``width`` and
    ``height`` are pixels, of video only, ``channels`` are of sound only.
    """

    track: PackagerTrackId
    name: str
    codec: str
    width: int | None = None
    height: int | None = None
    channels: int | None = None


class PackagerWarning(StrEnum):
    """What can be wrong with what a packager is given."""

    GOP_TOO_LONG = "gop_too_long"
    """Keyframes are further apart than segments are to be long."""
    NO_KEYFRAME = "no_keyframe"
    """Packets come, but no keyframe."""
    NO_MEDIA = "no_media"
    """Nothing comes."""
    UNITS_LATE = "units_late"
    """What came too late to have a place was dropped."""
    TRACK_LEFT_OUT = "track_left_out"
    """The track said nothing that could be read before the others began."""
    NOT_LISTED = "not_listed"
    """Playlists cannot have the track as it is coded, and nobody codes it anew."""
    UNPACKABLE = "unpackable"
    """What came cannot be packaged at all: the packager ends."""
    TRANSCODER_SLOW = "transcoder_slow"
    """Who codes a track anew does not keep up: pictures up to a keyframe, or sound, were left out."""
    TRANSCODER_LOST = "transcoder_lost"
    """Who codes a track anew is gone; another may come."""
    TRANSCODER_MALFORMED = "transcoder_malformed"
    """Who codes a track anew said what cannot be read, and was sent away."""
    MEMORY_FULL = "memory_full"
    """The memory for live streams is used up: the oldest segments were dropped before their time."""
    DISK_FULL = "disk_full"
    """The disk for live streams is used up: the oldest segments were dropped before their time."""
    DISK_FAILED = "disk_failed"
    """The disk for live streams cannot be written to: segments stay in memory."""


class PackagerStarted(Event, tag="packager_started", frozen=True, kw_only=True):
    """The first playlist of a packager can be read; what it carries does not change any more."""

    packager: PackagerId
    tracks: list[PackagerTrack]


class PackagerWarned(Event, tag="packager_warned", frozen=True, kw_only=True):
    """Something is wrong with what a packager is given; told again every half minute while it is.

    ``track`` is the name of the track; None: the packager as a whole.
    """

    packager: PackagerId
    track: str | None
    warning: PackagerWarning


class PressureLevel(StrEnum):
    """How full queues of a stream are; a level ends a tenth under where it begins."""

    NORMAL = "normal"
    """Under half."""
    ELEVATED = "elevated"
    """Half and more."""
    HIGH = "high"
    """Three quarters and more."""
    CRITICAL = "critical"
    """Nine tenths and more: groups of pictures are about to be lost."""


class PackagerPressed(Event, tag="packager_pressed", frozen=True, kw_only=True):
    """The fullest queue of a packager is on another level than before.

    ``queue`` is its name; where the level is normal again that which was the fullest before.
    """

    packager: PackagerId
    level: PressureLevel
    queue: str


class IngestPace(StrEnum):
    """Whether an encoder is slowed down."""

    FREE = "free"
    """It sends as it likes."""
    SLOWED = "slowed"
    """Less is taken of it than it sends."""
    GIVEN_UP = "given_up"
    """It was slowed for as long as that may be and all is as full as before: groups of pictures are lost instead."""


class IngestPaced(Event, tag="ingest_paced", frozen=True, kw_only=True):
    """An encoder is slowed down, or no more, since queues of its stream are full."""

    ingest: IngestId
    listener: IngestListenerId
    packager: PackagerId
    pace: IngestPace


class IngestEnd(StrEnum):
    """Why an encoder publishes no more."""

    PEER = "peer"
    """It said so, or its connection ended."""
    SILENT = "silent"
    """Nothing came of it any more."""
    PROTOCOL = "protocol"
    """What it sent cannot be read."""
    REPLACED = "replaced"
    """Another took its place."""
    REQUESTED = "requested"
    """A command said so."""
    FAILED = "failed"
    """Its media could not be packaged."""
    ENGINE_CLOSED = "engine_closed"
    """The engine stops."""


class IngestStarted(Event, tag="ingest_started", frozen=True, kw_only=True):
    """An encoder publishes; ``packager`` is that of its stream, and goes on where it was there before.

    ``remote`` is where it comes from, ``encoder`` what it calls itself; that may be empty.
    """

    ingest: IngestId
    listener: IngestListenerId
    packager: PackagerId
    name: str
    protocol: IngestProtocol
    remote: str
    encoder: str


class IngestWarned(Event, tag="ingest_warned", frozen=True, kw_only=True):
    """Something of what an encoder sends is not carried; ``detail`` says what, in words."""

    ingest: IngestId
    listener: IngestListenerId
    packager: PackagerId
    detail: str


class TrackBar(StrEnum):
    """Why routers cannot be fed a track of an encoder."""

    CODEC = "codec"
    """WebRTC does not carry its codec."""
    REORDERED = "reordered"
    """Its pictures are not sent in the order in which they are shown (B-frames), which WebRTC cannot say."""


class IngestTrack(Event, tag="ingest_track", frozen=True, kw_only=True):
    """How a track of an encoder is coded; told again when that changes, or when it turns out that ``bar`` bars it.

    ``codec`` is as in `CODECS` (RFC 6381), width and height in pixels are of video, channels of sound. Without a
    ``bar`` a router can be fed it (`Feed.add_track`).
    """

    ingest: IngestId
    listener: IngestListenerId
    packager: PackagerId
    track: IngestTrackId
    kind: MediaKind
    codec: str
    width: int | None = None
    height: int | None = None
    channels: int | None = None
    bar: TrackBar | None = None


class IngestTrackEnded(Event, tag="ingest_track_ended", frozen=True, kw_only=True):
    """An encoder sends a track no more, and goes on without."""

    ingest: IngestId
    listener: IngestListenerId
    packager: PackagerId
    track: IngestTrackId


class IngestEnded(Event, tag="ingest_ended", frozen=True, kw_only=True):
    """An encoder publishes no more; its stream waits ten seconds for another unless that was wanted."""

    ingest: IngestId
    listener: IngestListenerId
    packager: PackagerId
    reason: IngestEnd
    detail: str


class PlayoutEnd(StrEnum):
    """Why a stream is played out to somebody no more."""

    PEER = "peer"
    """It said so, or its connection ended."""
    SILENT = "silent"
    """Nothing came of it any more."""
    STREAM_ENDED = "stream_ended"
    MEDIA = "media"
    """Nothing of the stream can be carried."""
    REQUESTED = "requested"
    """A command said so."""
    ENGINE_CLOSED = "engine_closed"
    """The engine stops."""


class PlayoutStarted(Event, tag="playout_started", frozen=True, kw_only=True):
    """A stream is played out to somebody who may read it, at ``remote``; ``packager`` is that of the stream."""

    playout: PlayoutId
    listener: IngestListenerId
    packager: PackagerId
    name: str
    protocol: IngestProtocol
    remote: str


class PlayoutEnded(Event, tag="playout_ended", frozen=True, kw_only=True):
    """A stream is played out to somebody no more.

    ``detail`` says more of why, in words; ``bytes`` is what it was given, ``units_dropped`` how many units it was not,
    since it did not keep up.
    """

    playout: PlayoutId
    listener: IngestListenerId
    packager: PackagerId
    reason: PlayoutEnd
    detail: str
    bytes: int
    units_dropped: int


class IngestPullEnded(Event, tag="ingest_pull_ended", frozen=True, kw_only=True):
    """A pull is over, and is no more; ``detail`` says more of why, in words.

    ``redirect`` is the URL that its server sends to, which nobody has judged yet; it may have a login.
    """

    listener: IngestListenerId
    reason: IngestEnd
    detail: str
    redirect: str | None = None


class IngestStranger(Event, tag="ingest_stranger", frozen=True, kw_only=True):
    """What came at a listener or input is not taken: it belongs to none, or may not begin; told once a source.

    ``detail`` says what it is and why, in words.
    """

    listener: IngestListenerId
    remote: str
    detail: str


class PackagerEnded(Event, tag="packager_ended", frozen=True, kw_only=True):
    """A packager is gone; its lists say that they have ended, and can be read for a minute yet."""

    packager: PackagerId
    reason: EngineCloseReason


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


AnyEvent = (
    IceStateChanged
    | DtlsStateChanged
    | TransportClosed
    | RouterClosed
    | RemoteLearnt
    | ProducerStarted
    | ProducerSilent
    | ProducerScore
    | ProducerClosed
    | ConsumerClosed
    | ConsumerLayersChanged
    | ConsumerLayersTargeted
    | ConsumerStarved
    | ConsumerFed
    | EncodingsWanted
    | EstimateChanged
    | QualityChanged
    | CongestionChanged
    | FeedbackActed
    | ActiveSpeakers
    | AudioForwarded
    | DtmfReceived
    | MixerSourceEnded
    | MixerEffortChanged
    | MixerClosed
    | PackagerStarted
    | PackagerWarned
    | PackagerPressed
    | IngestPaced
    | PackagerEnded
    | IngestStarted
    | IngestWarned
    | IngestStranger
    | IngestPullEnded
    | PlayoutStarted
    | PlayoutEnded
    | IngestTrack
    | IngestTrackEnded
    | IngestEnded
    | ChannelOpened
    | ChannelMessage
    | ChannelClosed
    | EventsDropped
)
