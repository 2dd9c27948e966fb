"""Every value that crosses between Python and the engine, as MessagePack maps.

Commands (`value_commands`) go in, each answered by one `Reply` with a result (`value_results`); events
(`value_events`) and questions come out. All are frozen values of numbers, strings, bytes and ids
(`value_parts`), so the same values can travel through a socket to another process. The Rust side mirrors these
files in ``crates/engine/src/values``.
"""

from __future__ import annotations

from roomtone.media.value_commands import (
    AddRemoteCandidates,
    AnyCommand,
    CloseChannel,
    CloseConsumer,
    CloseObserver,
    CloseProducer,
    CloseRouter,
    CloseTransport,
    Command,
    ConnectPlainTransport,
    ConnectWebRtcTransport,
    Consume,
    Dump,
    GetEngineStats,
    GetStats,
    ObserveAudioLevels,
    OpenChannel,
    OpenPlainTransport,
    OpenRouter,
    OpenWebRtcTransport,
    PauseConsumer,
    PauseProducer,
    PipeProducer,
    Produce,
    RequestKeyframe,
    RestartIce,
    ResumeConsumer,
    ResumeProducer,
    SendMessage,
    SetAudioPinned,
    SetAudioTopN,
    SetConsumerLimits,
    SetConsumerPriority,
    SetPreferredLayers,
    SwitchSource,
)
from roomtone.media.value_events import (
    ActiveSpeakers,
    AnyEvent,
    AudioForwarded,
    AudioLevel,
    ChannelClosed,
    ChannelMessage,
    ChannelOpened,
    CongestionChanged,
    ConsumerClosed,
    ConsumerFed,
    ConsumerLayersChanged,
    ConsumerLayersTargeted,
    ConsumerStarved,
    DtlsStateChanged,
    EncodingsWanted,
    EstimateChanged,
    Event,
    EventsDropped,
    FeedbackActed,
    IceStateChanged,
    ProducerClosed,
    ProducerScore,
    ProducerSilent,
    ProducerStarted,
    QualityChanged,
    RemoteLearnt,
    RouterClosed,
    TransportClosed,
)
from roomtone.media.value_parts import (
    ArrivalModel,
    AudioRedundancy,
    BandwidthConfig,
    Candidate,
    ChannelId,
    CodecFeedback,
    CodecParameters,
    CongestionState,
    ConsumerId,
    DegradationReason,
    DtlsRole,
    DtlsState,
    EncodingParameters,
    EngineCloseReason,
    EngineConfig,
    FeedbackKind,
    FeedbackPriority,
    Fingerprint,
    HeaderExtension,
    IceMode,
    IceState,
    LineDirection,
    MediaKind,
    ObserverId,
    ProducerId,
    QualityLevel,
    QualitySubject,
    QualityTrend,
    RouterId,
    SrtpKeys,
    TransportId,
    Value,
)
from roomtone.media.value_results import (
    AnyResult,
    ChannelOpening,
    Consumed,
    Done,
    Dumped,
    ErrorCode,
    Failed,
    IceRestarted,
    ObserverOpened,
    PlainTransportOpened,
    Produced,
    Result,
    RouterOpened,
    Stats,
    WebRtcTransportOpened,
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

__all__ = [
    "ActiveSpeakers",
    "AddRemoteCandidates",
    "Answer",
    "AnyCommand",
    "AnyEvent",
    "AnyOutbound",
    "AnyResult",
    "ArrivalModel",
    "AudioForwarded",
    "AudioLevel",
    "AudioRedundancy",
    "BandwidthConfig",
    "Candidate",
    "ChannelClosed",
    "ChannelId",
    "ChannelMessage",
    "ChannelOpened",
    "ChannelOpening",
    "CloseChannel",
    "CloseConsumer",
    "CloseObserver",
    "CloseProducer",
    "CloseRouter",
    "CloseTransport",
    "CodecFeedback",
    "CodecParameters",
    "Command",
    "CongestionChanged",
    "CongestionState",
    "ConnectPlainTransport",
    "ConnectWebRtcTransport",
    "Consume",
    "Consumed",
    "ConsumerClosed",
    "ConsumerFed",
    "ConsumerId",
    "ConsumerLayersChanged",
    "ConsumerLayersTargeted",
    "ConsumerStarved",
    "DegradationReason",
    "Done",
    "DtlsRole",
    "DtlsState",
    "DtlsStateChanged",
    "Dump",
    "Dumped",
    "EncodingParameters",
    "EncodingsWanted",
    "EngineCloseReason",
    "EngineConfig",
    "ErrorCode",
    "EstimateChanged",
    "Event",
    "EventOut",
    "EventsDropped",
    "Failed",
    "FeedbackActed",
    "FeedbackKind",
    "FeedbackPriority",
    "Fingerprint",
    "GetEngineStats",
    "GetStats",
    "HeaderExtension",
    "IceMode",
    "IceRestarted",
    "IceState",
    "IceStateChanged",
    "LineDirection",
    "MediaKind",
    "ObserveAudioLevels",
    "ObserverId",
    "ObserverOpened",
    "OpenChannel",
    "OpenPlainTransport",
    "OpenRouter",
    "OpenWebRtcTransport",
    "PauseConsumer",
    "PauseProducer",
    "PipeProducer",
    "PlainTransportOpened",
    "Produce",
    "Produced",
    "ProducerClosed",
    "ProducerId",
    "ProducerScore",
    "ProducerSilent",
    "ProducerStarted",
    "QualityChanged",
    "QualityLevel",
    "QualitySubject",
    "QualityTrend",
    "Question",
    "RemoteLearnt",
    "Reply",
    "Request",
    "RequestKeyframe",
    "RestartIce",
    "Result",
    "ResumeConsumer",
    "ResumeProducer",
    "RouterClosed",
    "RouterId",
    "RouterOpened",
    "SendMessage",
    "SetAudioPinned",
    "SetAudioTopN",
    "SetConsumerLimits",
    "SetConsumerPriority",
    "SetPreferredLayers",
    "SrtpKeys",
    "Stats",
    "SwitchSource",
    "TransportClosed",
    "TransportId",
    "Value",
    "WebRtcTransportOpened",
]
