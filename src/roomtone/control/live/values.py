"""What is said of live streams: states, tracks, events, why they end and why they are refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomtone.media.values import MediaKind


class LiveState(StrEnum):
    """Where a live stream is in its life."""

    STARTING = "starting"
    """It waits for the first group of pictures: its playlist cannot be read yet."""
    LIVE = "live"
    PAUSED = "paused"
    """What feeds it was taken off until it is resumed."""
    WAITING = "waiting"
    """Nobody feeds it: its publisher has gone and may come back within the grace time."""
    ENDED = "ended"


class LiveEnd(StrEnum):
    """Why a live stream ended."""

    STOPPED = "stopped"
    PUBLISHER_GONE = "publisher_gone"
    """Nobody came back within the grace time."""
    ROOM_CLOSED = "room_closed"
    MEDIA_FAILED = "media_failed"
    SERVER_SHUTDOWN = "server_shutdown"


class LiveRefusal(StrEnum):
    """Why a room does not go live; nothing of the attempt remains."""

    SWITCHED_OFF = "live_switched_off"
    NOBODY_LISTENS = "speakers_switched_off"
    """It is to show who speaks, and nobody looks who does."""
    NO_SUCH_STREAM = "no_such_stream"
    ALREADY_LIVE = "already_live"
    NOTHING_PUBLISHED = "nothing_published"
    """There is neither video nor sound in the room."""
    NEEDS_TRANSCODING = "needs_transcoding"
    """What is published cannot be carried as it is."""
    TOO_MANY_STREAMS = "too_many_streams"
    NO_KEYFRAME = "no_keyframe_yet"
    PREVIEW_FAILED = "preview_failed"
    NO_SUCH_VIEWER = "no_such_viewer"
    TOO_MANY_READERS = "too_many_readers"
    NO_SUCH_KEY = "no_such_stream_key"
    TOO_MANY_KEYS = "too_many_stream_keys"
    TOO_MANY_KICKED = "too_many_kicked"
    TOO_MANY_NAMES = "too_many_names"
    """Of which something is said."""
    ENCRYPTED_BY_INPUT = "encrypted_by_input"
    """It is said elsewhere how the stream is encrypted."""
    CANNOT_ENCRYPT = "cannot_encrypt"
    """What is live cannot be encrypted so."""
    LINE_REFUSED = "line_refused"
    """Nobody would see that line of text."""
    NOT_BEGUN = "not_begun"
    """Nothing is listed yet."""


_RETRYABLE = frozenset(
    {LiveRefusal.NOTHING_PUBLISHED, LiveRefusal.TOO_MANY_STREAMS, LiveRefusal.TOO_MANY_KICKED, LiveRefusal.NOT_BEGUN}
)


class LiveError(Exception):
    """A request about live streams was refused; it had no effect."""

    def __init__(self, refusal: LiveRefusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message

    @property
    def retryable(self) -> bool:
        """The same request may succeed later."""
        return self.refusal in _RETRYABLE


class LivePicture(StrEnum):
    """Whom a live stream of a room shows where nobody is pinned."""

    FIRST = "first"
    """Who began to publish first."""
    SPEAKER = "speaker"
    """Who speaks, of those who have a picture."""
    PROGRAM = "program"
    """The same as one program of one size and pace, made anew, with a slate where nobody sends."""

    @property
    def follows(self) -> bool:
        """Whether it shows who speaks."""
        return self is not LivePicture.FIRST


class LiveSound(StrEnum):
    """What is heard of a room that is live."""

    ONE = "one"
    """The sound of who is shown, or of the first; as it was published, so it must be Opus."""
    MIX = "mix"
    """Everybody, mixed; phones and other codecs too."""


class LiveEventKind(StrEnum):
    """What happened to a live stream."""

    CREATED = "created"
    STARTED = "started"
    """Its playlist can be read."""
    TRACK_FED = "track_fed"
    TRACK_VACANT = "track_vacant"
    TRACK_LEFT_OUT = "track_left_out"
    """A track came that the stream cannot carry any more, or at all."""
    POINTED = "pointed"
    """Somebody said who is to be shown; the detail names them."""
    SWITCHED = "switched"
    """Another participant is shown than before."""
    PAUSED = "paused"
    RESUMED = "resumed"
    WARNED = "warned"
    PRESSED = "pressed"
    """Its fullest queue is on another level; the detail has both."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event; ``seq`` counts those of the stream from one, ``at`` is seconds since the epoch."""

    seq: int
    at: float
    kind: LiveEventKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LiveTrack:
    """A track as it is packaged; the codec is that of `CODECS` (RFC 6381)."""

    name: str
    kind: MediaKind
    codec: str
    width: int | None = None
    height: int | None = None
    channels: int | None = None


class StreamEncryption(StrEnum):
    """How the media of a live stream is encrypted; its keys are given to whoever may watch."""

    NONE = "none"
    AES_128 = "aes-128"
    """Whole segments and parts; read by all players."""
    SAMPLE_AES = "sample-aes"
    """Samples, by `cbcs`; not AV1."""


@dataclass(frozen=True, slots=True)
class LiveTerms:
    """How a stream is given to its audience; ``public`` takes no token; a key is for so many segments, 0 for all."""

    public: bool = False
    encryption: StreamEncryption = StreamEncryption.NONE
    segments_per_key: int = 0


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """What the settings say; see `roomtone.config.LiveSettings`."""

    enabled: bool = True
    auto: bool = False
    grace_s: float = 10.0
    max_streams: int = 100
