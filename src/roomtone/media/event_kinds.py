"""Which objects an event is about, and what may happen to it when a mailbox is full."""

from __future__ import annotations

from roomtone.media.values import (
    ActiveSpeakers,
    AnyEvent,
    AudioForwarded,
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
    DtmfReceived,
    EncodingsWanted,
    EstimateChanged,
    Event,
    EventsDropped,
    FeedbackActed,
    IceStateChanged,
    IngestEnded,
    IngestPaced,
    IngestPullEnded,
    IngestStarted,
    IngestStranger,
    IngestTrack,
    IngestTrackEnded,
    IngestWarned,
    MixerClosed,
    MixerEffortChanged,
    MixerSourceEnded,
    PackagerEnded,
    PackagerPointed,
    PackagerPressed,
    PackagerStarted,
    PackagerWarned,
    PlayoutEnded,
    PlayoutStarted,
    ProducerClosed,
    ProducerScore,
    ProducerSilent,
    ProducerStarted,
    QualityChanged,
    RemoteLearnt,
    RouterClosed,
    TransportClosed,
)

SUBJECTS: dict[type[Event], tuple[str, ...]] = {
    IceStateChanged: ("transport",),
    DtlsStateChanged: ("transport",),
    TransportClosed: ("transport",),
    RouterClosed: ("router",),
    RemoteLearnt: ("transport",),
    ProducerStarted: ("producer",),
    ProducerSilent: ("producer",),
    ProducerScore: ("producer",),
    ProducerClosed: ("producer",),
    ConsumerClosed: ("consumer",),
    ConsumerLayersChanged: ("consumer",),
    ConsumerLayersTargeted: ("consumer",),
    ConsumerStarved: ("consumer",),
    ConsumerFed: ("consumer",),
    EncodingsWanted: ("producer",),
    EstimateChanged: ("transport",),
    QualityChanged: ("id",),
    CongestionChanged: ("transport",),
    FeedbackActed: ("producer",),
    ActiveSpeakers: ("router", "observer"),
    AudioForwarded: ("router",),
    DtmfReceived: ("mixer", "input"),
    MixerSourceEnded: ("mixer", "input"),
    MixerEffortChanged: ("mixer",),
    MixerClosed: ("mixer",),
    PackagerStarted: ("packager",),
    PackagerWarned: ("packager",),
    PackagerPointed: ("packager",),
    PackagerPressed: ("packager",),
    IngestPaced: ("listener", "ingest", "packager"),
    PackagerEnded: ("packager",),
    IngestStarted: ("listener", "ingest", "packager"),
    IngestWarned: ("listener", "ingest", "packager"),
    IngestStranger: ("listener",),
    IngestPullEnded: ("listener",),
    PlayoutStarted: ("listener", "playout"),
    PlayoutEnded: ("listener", "playout"),
    IngestTrack: ("listener", "ingest"),
    IngestTrackEnded: ("listener", "ingest"),
    IngestEnded: ("listener", "ingest", "packager"),
    ChannelOpened: ("transport", "channel"),
    ChannelMessage: ("channel",),
    ChannelClosed: ("channel",),
    EventsDropped: (),
}
"""Names of the fields that hold ids of objects an event is about."""

MERGED: dict[type[Event], tuple[type[Event], tuple[str, ...]]] = {
    IceStateChanged: (IceStateChanged, ("transport",)),
    DtlsStateChanged: (DtlsStateChanged, ("transport",)),
    RemoteLearnt: (RemoteLearnt, ("transport",)),
    ProducerStarted: (ProducerStarted, ("producer", "encoding")),
    ProducerSilent: (ProducerStarted, ("producer", "encoding")),
    ProducerScore: (ProducerScore, ("producer", "encoding")),
    ConsumerLayersChanged: (ConsumerLayersChanged, ("consumer",)),
    ConsumerLayersTargeted: (ConsumerLayersTargeted, ("consumer",)),
    ConsumerStarved: (ConsumerStarved, ("consumer",)),
    ConsumerFed: (ConsumerStarved, ("consumer",)),
    EncodingsWanted: (EncodingsWanted, ("producer",)),
    EstimateChanged: (EstimateChanged, ("transport",)),
    QualityChanged: (QualityChanged, ("id",)),
    CongestionChanged: (CongestionChanged, ("transport", "direction")),
    ActiveSpeakers: (ActiveSpeakers, ("router", "observer")),
    AudioForwarded: (AudioForwarded, ("router",)),
    MixerEffortChanged: (MixerEffortChanged, ("mixer",)),
    PackagerPointed: (PackagerPointed, ("packager",)),
    PackagerPressed: (PackagerPressed, ("packager",)),
    IngestPaced: (IngestPaced, ("ingest",)),
}
"""States: what they are a value of, and of what; a newer one takes the place of an older one of the same."""

STATISTICS = (
    ActiveSpeakers,
    ProducerScore,
    EstimateChanged,
    FeedbackActed,
    PackagerWarned,
    IngestWarned,
    IngestStranger,
)
"""What goes first when there is no place."""


def subjects(event: AnyEvent) -> tuple[int, ...]:
    """Ids of the objects an event is about."""
    return tuple(getattr(event, name) for name in SUBJECTS[type(event)])


def is_statistic(event: AnyEvent) -> bool:
    """Whether nothing but a figure is lost with it."""
    return isinstance(event, STATISTICS)


def merge_key(event: AnyEvent) -> tuple[object, ...] | None:
    """Events of equal key replace each other: only the newest state counts. None: never merged."""
    merged = MERGED.get(type(event))
    return None if merged is None else (merged[0], *(getattr(event, name) for name in merged[1]))
