"""Events of live streams: packagers, ingests, playouts."""

from __future__ import annotations

from enum import StrEnum

from roomtone.media.value_parts import (
    EngineCloseReason,
    Event,
    IngestId,
    IngestListenerId,
    IngestProtocol,
    IngestTrackId,
    MediaKind,
    PackagerId,
    PackagerTrackId,
    PlayoutId,
    Value,
)


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
    SOURCE_AWAITED = "source_awaited"
    """What it was pointed at has shown no keyframe for ten seconds: what was shown before goes on."""
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


class PackagerPointed(Event, tag="packager_pointed", frozen=True, kw_only=True):
    """A packager of an encoder lists what it was pointed at (`PointIngest`) from now on.

    ``source`` is the packager whose encoder that is; None: its own.
    """

    packager: PackagerId
    source: PackagerId | None


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
