"""Commands of live streams: packagers, transcoders, ingests, feeds."""

# ruff: noqa: RUF012 - msgspec gives each value its own copy of an empty default

from __future__ import annotations

from roomtone.media.value_parts import (
    CodecParameters,
    Command,
    IngestCertificate,
    IngestListenerId,
    IngestProtocol,
    IngestPull,
    IngestSource,
    IngestTrackId,
    LiveEncryption,
    MediaKind,
    PackagerId,
    PackagerTrackId,
    PlayoutId,
    ProducerId,
    RouterId,
    TranscoderId,
    TransportId,
)


class OpenPackager(Command, tag="open_packager", frozen=True, kw_only=True):
    """Open a packager: what it is given becomes a live stream that the front door serves at ``/live/NAME/`` (LL-HLS).

    ``name`` is one step of a path, of 1 to 256 bytes. ``window_ms`` is how much is listed, three segments at least, and
    at most 24 hours; ``part_ms`` how long parts are wished to be, 100 to 2000, None for a third of a second.
    AV1 is not encrypted by samples: such a packager ends where it would begin.
    """

    router: RouterId
    name: str
    window_ms: int = 120_000
    part_ms: int | None = None
    encryption: LiveEncryption | None = None


class AddPackagerTrack(Command, tag="add_packager_track", frozen=True, kw_only=True):
    """Have a packager carry a producer of its router, as a new track or on one of its kind that nothing feeds."""

    packager: PackagerId
    producer: ProducerId


class SwitchPackagerTrack(Command, tag="switch_packager_track", frozen=True, kw_only=True):
    """Have a track of a packager that has begun go on with another producer of its kind, once that can be shown.

    Pictures can be from a keyframe on; sound that was switched before them changes with them. Until then what feeds
    the track goes on. Of several wishes about one track the newest counts.
    """

    packager: PackagerId
    track: PackagerTrackId
    producer: ProducerId


class RemovePackagerTrack(Command, tag="remove_packager_track", frozen=True, kw_only=True):
    """Take what feeds a track off it; before the packager has begun the track is gone with that."""

    packager: PackagerId
    track: PackagerTrackId


class ClosePackager(Command, tag="close_packager", frozen=True, kw_only=True):
    """End a packager's lists; they can be read for a minute yet."""

    packager: PackagerId


class OpenTranscoder(Command, tag="open_transcoder", frozen=True, kw_only=True):
    """Have the first track of a kind coded anew by a process, of a packager that has not begun.

    ``path`` is where the engine listens for the process: a Unix socket that is not there yet. With ``keep`` the track
    stays in the lists beside what is made of it. With ``paces``, of pictures that are not kept, the process makes them
    at a pace of its own: the track may come and go, and come first after the packager has begun.
    """

    packager: PackagerId
    kind: MediaKind
    path: str
    keep: bool
    paces: bool = False


class CloseTranscoder(Command, tag="close_transcoder", frozen=True, kw_only=True):
    """Have the track coded anew no more; what was made of it is listed as lost from then on."""

    packager: PackagerId
    transcoder: TranscoderId


class SetStreamSync(Command, tag="set_stream_sync", frozen=True, kw_only=True):
    """Have the sound of a packager, or of an encoder's stream, lie later than its source says, or earlier.

    ``audio_offset_ms`` is -500 to 1000; ``tracks`` are those of the encoder that feeds have, which are heard so too.
    """

    packager: PackagerId
    audio_offset_ms: int
    tracks: list[IngestTrackId] = []


class ShowStreamText(Command, tag="show_stream_text", frozen=True, kw_only=True):
    """Have a line of text shown with a packager's stream, or an encoder's: subtitles of its language.

    ``text`` is up to 4,096 bytes, empty to take away what is shown; ``language`` a tag of BCP 47. It begins
    ``delay_ms`` (-10,000 to 30,000) behind the newest of the lists and lasts ``duration_ms`` (100 to 60,000), None:
    until the next, or as long as it takes to read. Refused as a wrong state before the first list, and by a limit in a
    ninth language.
    """

    packager: PackagerId
    text: str
    language: str | None = None
    delay_ms: int = 0
    duration_ms: int | None = None


class SetStreamEncryption(Command, tag="set_stream_encryption", frozen=True, kw_only=True):
    """Have a packager, or an encoder's stream, encrypt otherwise from its next segment on, or not at all with None.

    Refused as unsupported where one of its tracks cannot be encrypted so: AV1 by samples. One that has not begun does
    so from its first segment.
    """

    packager: PackagerId
    encryption: LiveEncryption | None = None


class GetStreamSync(Command, tag="get_stream_sync", frozen=True, kw_only=True):
    """Ask how sound and pictures of a packager lie against each other; the answer is `Stats` of its timeline."""

    packager: PackagerId


class GetStreamPressure(Command, tag="get_stream_pressure", frozen=True, kw_only=True):
    """Ask how full the queues of a packager, or of an encoder's stream, are; the answer is `Stats` of each.

    ``tracks`` are those of the encoder that feeds have: what is made of them waits in queues too.
    """

    packager: PackagerId
    tracks: list[IngestTrackId] = []


class OpenTrackTranscoder(Command, tag="open_track_transcoder", frozen=True, kw_only=True):
    """Have a track of an encoder coded anew by a process, so that feeds can have it: pictures as H.264, sound as Opus.

    ``path`` is as in `OpenTranscoder`. Feeds can be given the new track at once; it is silent until a process makes it.
    """

    track: IngestTrackId
    path: str


class CloseTrackTranscoder(Command, tag="close_track_transcoder", frozen=True, kw_only=True):
    """Have the track coded anew no more; what it feeds is silent from then on."""

    transcoder: TranscoderId


class OpenIngestListener(Command, tag="open_ingest_listener", frozen=True, kw_only=True):
    """Listen for encoders; what one publishes, after a question, becomes a live stream at ``/live/NAME/``.

    ``address`` is ``IP:PORT``, port 0 is any. With ``passphrase``, 10 to 80 characters and SRT only, callers without or
    with another are refused, and without it those that have one. ``latency_ms``, 20 to 8,000, is how long SRT waits
    for what is missing. ``certificate`` is what callers are shown, of RTMPS, which has to have one. ``window_ms``,
    ``part_ms`` and ``encryption`` are as in `OpenPackager`.
    """

    protocol: IngestProtocol
    address: str
    passphrase: str | None = None
    latency_ms: int = 120
    certificate: IngestCertificate | None = None
    window_ms: int = 120_000
    part_ms: int | None = None
    encryption: LiveEncryption | None = None


class SetIngestCertificate(Command, tag="set_ingest_certificate", frozen=True, kw_only=True):
    """Show callers of a listener of RTMPS another certificate from now on; one that cannot be used changes nothing."""

    listener: IngestListenerId
    certificate: IngestCertificate


class OpenIngestInput(Command, tag="open_ingest_input", frozen=True, kw_only=True):
    """Take a stream from a source that does not ask: whoever gives the command has decided.

    The stream ``name`` is begun whenever the source sends. ``window_ms``, ``part_ms`` and ``encryption`` are as in
    `OpenPackager`. An input is closed as a listener is.
    """

    name: str
    source: IngestSource
    window_ms: int = 120_000
    part_ms: int | None = None
    encryption: LiveEncryption | None = None


class OpenIngestPull(Command, tag="open_ingest_pull", frozen=True, kw_only=True):
    """Fetch a stream from another server: one attempt, over with `IngestPullEnded`; closed before as a listener is.

    ``window_ms``, ``part_ms`` and ``encryption`` are as in `OpenPackager`.
    """

    name: str
    origin: IngestPull
    window_ms: int = 120_000
    part_ms: int | None = None
    encryption: LiveEncryption | None = None


class CloseIngestListener(Command, tag="close_ingest_listener", frozen=True, kw_only=True):
    """Close a listener, or an input; who publishes through it is sent away."""

    listener: IngestListenerId


class CloseIngest(Command, tag="close_ingest", frozen=True, kw_only=True):
    """End a stream of encoders, by its packager; who publishes it is sent away."""

    packager: PackagerId


class PointIngest(Command, tag="point_ingest", frozen=True, kw_only=True):
    """Have a stream of an encoder list what the encoder of another sends, or with None its own again.

    It does from the next keyframe on, behind a discontinuity; once the other stream has ended it lists its own again,
    or ends where its own encoder is away. Refused as a wrong state where one of them has not begun, the encoder that is
    to be listed is away, the other lists another's itself, or another lists this one's; and as unsupported where the
    other's sends nothing of a kind that is listed.
    """

    packager: PackagerId
    source: PackagerId | None = None


class ClosePlayout(Command, tag="close_playout", frozen=True, kw_only=True):
    """Send away who reads a stream that is played out."""

    playout: PlayoutId


class OpenFeed(Command, tag="open_feed", frozen=True, kw_only=True):
    """Open a feed: a transport whose producers are tracks of encoders."""

    router: RouterId


class AddFeedTrack(Command, tag="add_feed_track", frozen=True, kw_only=True):
    """Have a feed produce a track of an encoder; the pictures since its last keyframe come first."""

    feed: TransportId
    track: IngestTrackId
    codec: CodecParameters


class CloseFeed(Command, tag="close_feed", frozen=True, kw_only=True):
    """Close a feed with its producers."""

    feed: TransportId
