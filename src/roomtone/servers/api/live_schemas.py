"""Bodies about live streams."""

# ruff: noqa: TC001 - pydantic reads the annotations

from __future__ import annotations

from typing import Any, Self

from pydantic import ConfigDict, Field, model_validator

from roomtone.control.live import (
    LiveEventKind,
    LivePicture,
    LiveSound,
    LiveState,
    StreamEncryption,
    TermsWish,
    TrackMaking,
    TranscodeEventKind,
    Transcoding,
)
from roomtone.media.values import IngestProtocol, MediaKind
from roomtone.servers.api.schemas import Body

MAX_SOURCES = 16
"""Who may be shown by a stream, at most."""


class _Live(Body):
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class TermsBody(_Live):
    """How a stream is given to its audience; the rest is as `live.streams` says of its name, or `live` of all."""

    public: bool | None = None
    """It takes no token to watch it, whatever `live.public` says."""
    encryption: StreamEncryption | None = None
    """How its media is encrypted; otherwise as `live.encryption` says."""
    segments_per_key: int | None = Field(default=None, ge=0)
    """Otherwise as `live.segments_per_key` says."""

    def wish(self) -> TermsWish:
        """Give what is said."""
        return TermsWish(public=self.public, encryption=self.encryption, segments_per_key=self.segments_per_key)


class StreamCreateBody(TermsBody):
    """A room that is to go live."""

    room: str = Field(max_length=64)
    """Its name, which the stream has too: `/live/NAME/index.m3u8`."""
    participant: str | None = Field(default=None, max_length=256)
    """Whose tracks are shown; otherwise as `picture` says."""
    backups: list[str] = Field(default_factory=list, max_length=MAX_SOURCES - 1)
    """Who is shown instead, in this order, where `participant` is not there or nothing comes of it."""
    picture: LivePicture = LivePicture.FIRST
    """Who is shown where no `participant` is: first, who began to publish first; speaker, who speaks, of those who have
    a picture, for three seconds at least; program, the same as one picture of `live.program_size`, made anew, with a
    slate where nobody sends."""
    sound: LiveSound | None = None
    """one: the sound of who is shown, as it was published; mix: everybody's, phones' too, decoded and mixed. By default
    mix of a program, which takes no other, else one."""

    @property
    def heard(self) -> LiveSound:
        """What is heard of the room."""
        usual = LiveSound.MIX if self.picture is LivePicture.PROGRAM else LiveSound.ONE
        return self.sound or usual

    @model_validator(mode="after")
    def _programs_are_mixed(self) -> Self:
        if self.picture is LivePicture.PROGRAM and self.heard is not LiveSound.MIX:
            message = "the sound of a program is the mix of all"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _backups_are_of_somebody(self) -> Self:
        if self.backups and self.participant is None:
            message = "backups are of a participant: say which"
            raise ValueError(message)
        return self


class StreamSourceBody(_Live):
    """Who is to be shown."""

    participants: list[str] = Field(default_factory=list, max_length=MAX_SOURCES)
    """Of a room's stream, identities: the first is shown of whom something comes; none: what is shown stays."""
    stream: str | None = Field(default=None, max_length=64)
    """Of an encoder's stream, the name of another encoder's: what that sends is shown; its own name: its own again."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.stream is None and "participants" not in self.model_fields_set:
            message = "say who is to be shown: participants of a room's stream, or for an encoder's another stream"
            raise ValueError(message)
        if self.participants and self.stream is not None:
            message = "participants are shown by a room's stream, another stream by an encoder's: say one of them"
            raise ValueError(message)
        return self


class PointedBody(_Live):
    """What a stream of an encoder shows."""

    name: str
    shows: str | None
    """The stream whose encoder is to be shown instead of its own."""
    shown: str | None
    """The one whose encoder is shown by now: from its first keyframe on."""


class StreamTrackBody(_Live):
    """A track as it is packaged."""

    name: str
    kind: MediaKind
    codec: str
    """As in `CODECS` (RFC 6381)."""
    width: int | None = None
    height: int | None = None
    channels: int | None = None


class TranscodeEventBody(_Live):
    """What happened to the processes that make a stream anew; the oldest go."""

    kind: TranscodeEventKind
    detail: str


class TranscodingBody(_Live):
    """What is made anew of a stream; ``figures`` is what its processes said last, by kind of media."""

    encoder: str | None
    rungs: list[str]
    restarts: int
    events: list[TranscodeEventBody]
    figures: dict[MediaKind, dict[str, Any]]


def transcoding_body(transcoding: Transcoding | None) -> TranscodingBody | None:
    """Describe what is made anew of a stream."""
    if transcoding is None:
        return None
    return TranscodingBody(
        encoder=transcoding.encoder,
        rungs=list(transcoding.rungs),
        restarts=transcoding.restarts,
        events=[TranscodeEventBody(kind=event.kind, detail=event.detail) for event in transcoding.events],
        figures={kind: dict(figures) for kind, figures in transcoding.figures.items()},
    )


class MadeTrackBody(TranscodingBody):
    """A track of an encoder that is made anew for its room; ``running``: somebody wants it, and a process makes it."""

    source: str
    """Codec of what it is made of, as in `CODECS` (RFC 6381)."""
    running: bool


def made_track_body(making: TrackMaking) -> MadeTrackBody:
    """Describe a track that is made anew."""
    return MadeTrackBody(
        encoder=making.encoder,
        rungs=list(making.rungs),
        restarts=making.restarts,
        events=[TranscodeEventBody(kind=event.kind, detail=event.detail) for event in making.events],
        figures={kind: dict(figures) for kind, figures in making.figures.items()},
        source=making.source.codec,
        running=making.runs,
    )


class StreamBody(_Live):
    """A live stream."""

    name: str
    state: LiveState
    url: str
    """Path of its multivariant playlist."""
    publishers: list[str]
    """Identities of those whose tracks it carries; who is only mixed is not named."""
    sources: list[str]
    """Identities of those who may be shown: the first of whom something comes; none: who began to publish first."""
    picture: LivePicture
    """Who is shown where nobody is pinned: first, speaker or program."""
    sound: LiveSound
    mixed: int
    """Sound tracks in the mix."""
    tracks: list[StreamTrackBody]
    """Known once it has started."""
    created_at: float
    """Seconds since the epoch."""
    started_at: float | None
    """When its playlist could be read first."""
    public: bool
    """Whether it takes no token to watch it; all are where `live.public` is set."""
    encryption: StreamEncryption
    hls_viewers: int
    """Who watches by HLS."""
    webrtc_viewers: int
    """Who watches the room by WHEP."""
    transcoding: TranscodingBody | None = None
    """What is made anew of it."""
    warnings: dict[str, int]
    """What was wrong with what it was given, and how often that was told."""


class ViewerBody(_Live):
    """One who watches a live stream by HLS."""

    id: str
    identity: str | None
    """In the token that it showed, if that names one."""
    granted: bool
    """It watches by a grant; otherwise it is known by address and agent, and may be several."""
    address: str
    agent: str
    since: float
    """Seconds since the epoch."""
    seen: float
    """When it last asked for a playlist."""
    playlists: int
    """How many it asked for."""


class ReaderBody(_Live):
    """One who reads a live stream by SRT."""

    id: str
    protocol: IngestProtocol
    remote: str
    identity: str | None
    """In what it showed, if that names one."""
    since: float
    """Seconds since the epoch."""
    bytes: int
    packets: int
    """Of SRT, each once."""
    packets_repeated: int
    """Of them, those sent again since the reader missed them."""
    packets_dropped: int
    """Of them, those given up since they were too old."""
    units_dropped: int
    """Pictures and frames of sound that it was not given, since it did not keep up."""
    groups_dropped: int
    """Groups of pictures of which something is among these."""
    rtt_ms: float


class BufferedTrackBody(_Live):
    """What of a track can be fetched."""

    name: str
    listed_ms: int
    segments: int
    """Whole segments that are listed."""
    bytes: int
    """Of all that can be fetched, of what is listed no more too."""
    stored: int
    """Of those, on disk."""
    late: int
    """Pictures and frames that came when their place was gone."""
    mean_bps: int


class SyncChangeBody(_Live):
    """How sound is to come."""

    audio_offset_ms: int = Field(ge=-500, le=1_000)
    """By so much later than its source says; below zero earlier."""


class SubtitleBody(_Live):
    """A line of text that is shown with a live stream."""

    text: str = Field(max_length=4_096)
    """What it says, up to 4,096 bytes; nothing: what is shown is taken away."""
    language: str | None = Field(default=None, max_length=35, pattern=r"^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*$")
    """By its tag of BCP 47: `en`, `pt-BR`. Lines of one language are one rendition, of up to eight."""
    delay_ms: int = Field(default=0, ge=-10_000, le=30_000)
    """When, counted from the newest that can be fetched now."""
    duration_ms: int | None = Field(default=None, ge=100, le=60_000)
    """How long; null: until the next line, or as long as it takes to read."""


class BufferBody(_Live):
    """What of a live stream can be fetched."""

    waiting: int
    """Requests that wait for what is to come."""
    tracks: list[BufferedTrackBody]


class VideoBody(_Live):
    """A video track as it is packaged."""

    name: str
    codec: str
    width: int
    height: int
    mean_bps: int
    """Of its whole segments."""
    late: int
    """Pictures that came when their place was gone."""


class ParametersBody(_Live):
    """How a live stream is packaged."""

    window_s: int
    part_ms: int
    encryption: StreamEncryption
    tracks: list[StreamTrackBody]


class EncryptionChangeBody(_Live):
    """How a stream is to be encrypted."""

    encryption: StreamEncryption | None
    """null: as the settings say."""
    segments_per_key: int | None = Field(default=None, ge=0)
    """null: as the settings say; 0: one key for all."""


class EncryptionBody(_Live):
    """How a stream is encrypted."""

    encryption: StreamEncryption
    segments_per_key: int
    """0: one key for all."""
    live: bool
    """It is from its next segment on; otherwise what is said holds for what begins under the name."""


class StreamEventBody(_Live):
    """Something that happened to a live stream."""

    seq: int
    at: float
    kind: LiveEventKind
    detail: str


class StreamStatistics(_Live):
    """Reports of the engine: of the packager, and of each track that feeds it."""

    packager: list[dict[str, int | float | str | bool | None]]
    sources: dict[str, list[dict[str, int | float | str | bool | None]]]
    """By the identity and kind of the track."""
