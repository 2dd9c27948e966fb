"""Results: what a `Reply` holds."""

from __future__ import annotations

from enum import StrEnum

from roomtone.media.value_parts import (
    Candidate,
    ChannelId,
    ConsumerId,
    Fingerprint,
    IngestListenerId,
    IngestTrackId,
    MixerId,
    MixerInputId,
    ObserverId,
    PackagerId,
    PackagerTrackId,
    ProducerId,
    RouterId,
    TranscoderId,
    TransportId,
    Value,
)


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
    """Where we listen; ``rtcp_port`` equals ``port`` with rtcp-mux. ``fingerprints``: of our certificate, with DTLS."""

    transport: TransportId
    ip: str
    port: int
    rtcp_port: int
    fingerprints: list[Fingerprint]


class Produced(Result, tag="produced", frozen=True, kw_only=True):
    """The new producer."""

    producer: ProducerId


class ProducerPiped(Result, tag="producer_piped", frozen=True, kw_only=True):
    """The new producer in another router, and the ends of the pipe that brings it.

    ``near`` is the transport in the router it comes from, ``far`` that in the router it is in.
    """

    producer: ProducerId
    near: TransportId
    far: TransportId


class Consumed(Result, tag="consumed", frozen=True, kw_only=True):
    """The new consumer and the SSRCs it sends with."""

    consumer: ConsumerId
    ssrc: int
    rtx_ssrc: int | None
    cname: str


class ObserverOpened(Result, tag="observer_opened", frozen=True, kw_only=True):
    """The new observer."""

    observer: ObserverId


class MixerOpened(Result, tag="mixer_opened", frozen=True, kw_only=True):
    """The new mixer."""

    mixer: MixerId


class MixerInputAdded(Result, tag="mixer_input_added", frozen=True, kw_only=True):
    """The new input or source of a mixer."""

    input: MixerInputId


class PackagerOpened(Result, tag="packager_opened", frozen=True, kw_only=True):
    """The new packager."""

    packager: PackagerId


class TranscoderOpened(Result, tag="transcoder_opened", frozen=True, kw_only=True):
    """The new transcoder."""

    transcoder: TranscoderId


class TrackTranscoderOpened(Result, tag="track_transcoder_opened", frozen=True, kw_only=True):
    """The new transcoder of a track, and the track that it makes."""

    transcoder: TranscoderId
    track: IngestTrackId


class IngestListenerOpened(Result, tag="ingest_listener_opened", frozen=True, kw_only=True):
    """The new listener of encoders, and the port it has."""

    listener: IngestListenerId
    port: int


class IngestPullOpened(Result, tag="ingest_pull_opened", frozen=True, kw_only=True):
    """The new pull; its id is that of a listener, and events tell what comes of it."""

    listener: IngestListenerId


class PackagerTrackAdded(Result, tag="packager_track_added", frozen=True, kw_only=True):
    """The new track of a packager, or the one without a source that goes on."""

    track: PackagerTrackId


class FeedOpened(Result, tag="feed_opened", frozen=True, kw_only=True):
    """The new feed."""

    feed: TransportId


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


class DoneTogether(Result, tag="done_together", frozen=True, kw_only=True):
    """What became of each of several commands, in their order; none follows one that failed."""

    results: list[RouterOpened | PlainTransportOpened | Produced | Consumed | Done | Failed]


AnyResult = (
    Done
    | RouterOpened
    | WebRtcTransportOpened
    | IceRestarted
    | PlainTransportOpened
    | Produced
    | ProducerPiped
    | Consumed
    | ObserverOpened
    | MixerOpened
    | MixerInputAdded
    | PackagerOpened
    | PackagerTrackAdded
    | TranscoderOpened
    | TrackTranscoderOpened
    | IngestListenerOpened
    | IngestPullOpened
    | FeedOpened
    | ChannelOpening
    | Stats
    | Dumped
    | Failed
    | DoneTogether
)
