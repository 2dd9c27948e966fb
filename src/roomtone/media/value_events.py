"""Events: what the engine tells by itself."""

from __future__ import annotations

from roomtone.media.value_live_events import (
    IngestEnded,
    IngestPaced,
    IngestPullEnded,
    IngestStarted,
    IngestStranger,
    IngestTrack,
    IngestTrackEnded,
    IngestWarned,
    PackagerEnded,
    PackagerPointed,
    PackagerPressed,
    PackagerStarted,
    PackagerWarned,
    PlayoutEnded,
    PlayoutStarted,
)
from roomtone.media.value_parts import (
    ChannelId,
    CongestionState,
    ConsumerId,
    DegradationReason,
    DtlsState,
    EngineCloseReason,
    Event,
    FeedbackKind,
    FeedbackPriority,
    IceState,
    LineDirection,
    MixerId,
    MixerInputId,
    ObserverId,
    ProducerId,
    QualityLevel,
    QualitySubject,
    QualityTrend,
    RouterId,
    TransportId,
    Value,
)


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
    | PackagerPointed
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
