"""What lives in the fake engine; tests read these to see what control asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.media.values import Latching

if TYPE_CHECKING:
    from roomtone.media.values import (
        AddMixerOutput,
        ArrivalModel,
        AudioRedundancy,
        Candidate,
        CodecParameters,
        DtlsParameters,
        EncodingParameters,
        IngestProtocol,
        IngestTrack,
        LiveEncryption,
        MediaKind,
        MixerSource,
        SetConsumerLimits,
        ShowStreamText,
        SrtpKeys,
    )


@dataclass(slots=True)
class FakeRouter:
    """A router of the fake."""

    id: int
    shard: int
    audio_top_n: int | None = None


@dataclass(slots=True)
class FakeTransport:
    """A transport of the fake."""

    id: int
    router: int
    kind: str
    cname: str
    sctp: bool = False
    answer_timeout_ms: int | None = None
    arrival_model: ArrivalModel | None = None
    connected: bool = False
    ice_generation: int = 0
    ports: list[int] = field(default_factory=list)
    remote_candidates: list[Candidate] = field(default_factory=list)
    remote_complete: bool = False
    writable: bool = False
    listen_ip: str = "127.0.0.1"
    latching: Latching = Latching.FIXED
    secure: bool = False
    dtls: bool = False
    dtls_parameters: DtlsParameters | None = None
    dscp: int | None = None
    extended_reports: bool = False
    local_srtp: SrtpKeys | None = None
    remote_srtp: SrtpKeys | None = None
    remote: tuple[str, int] | None = None
    """Where it sends; None until it is told or learnt."""


@dataclass(slots=True)
class FakePipe:
    """One end of a pipe of the fake."""

    id: int
    router: int
    far: int
    """The other end."""
    producer: int
    """The piped producer, which is at the far end of the two."""
    source: int | None
    """The producer that is carried, at the end it is carried from."""


@dataclass(slots=True)
class FakeProducer:
    """A producer of the fake."""

    id: int
    router: int
    transport: int | None
    kind: MediaKind
    paused: bool
    codecs: list[CodecParameters]
    encodings: list[EncodingParameters]
    keyframe_requests: int = 0
    piped_from: int | None = None


@dataclass(slots=True)
class FakeConsumer:
    """A consumer of the fake."""

    id: int
    router: int
    transport: int
    kind: MediaKind
    producer: int | None
    ssrc: int
    rtx_ssrc: int | None
    paused: bool
    payload_types: list[tuple[int, int]]
    spatial: int | None = None
    temporal: int | None = None
    limits: SetConsumerLimits | None = None
    priority: int | None = None
    redundancy: AudioRedundancy | None = None
    pinned: bool = False
    reports_all: bool = False
    """Whether its peer gives transport-wide feedback of it."""


@dataclass(slots=True)
class FakeObserver:
    """An audio level observer of the fake."""

    id: int
    router: int
    way: tuple[float, ...]
    """How it looks at the audio: all observers of a router look in one way."""
    max_entries: int = 3
    reports: int = 0
    speakers: int = 0
    dominant: int | None = None


@dataclass(slots=True)
class FakeMixer:
    """A mixer of the fake: what it hears and plays by input, and the mixes it gives out by producer."""

    id: int
    router: int
    tick_ms: int = 20
    inputs: dict[int, int] = field(default_factory=dict)
    """Producer by input."""
    sources: dict[int, MixerSource] = field(default_factory=dict)
    outputs: dict[int, AddMixerOutput] = field(default_factory=dict)
    pressed: list[tuple[int, str]] = field(default_factory=list)
    """Keys sent, by output."""


@dataclass(slots=True)
class FakePackagerTrack:
    """A track of a packager of the fake; without a producer, or with one that is gone, it is free."""

    name: str
    kind: MediaKind
    producer: int | None


@dataclass(slots=True)
class FakePackager:
    """A packager of the fake; it begins when a test says so (`FakeLink.begin_packager`)."""

    id: int
    router: int
    name: str
    window_ms: int
    part_ms: int | None
    tracks: dict[int, FakePackagerTrack] = field(default_factory=dict)
    begun: bool = False
    audio_offset_ms: int = 0
    encryption: LiveEncryption | None = None
    said: list[ShowStreamText] = field(default_factory=list)


@dataclass(slots=True)
class FakeChannel:
    """A data channel of the fake."""

    id: int
    transport: int
    label: str
    protocol: str
    open: bool = False
    stream: int | None = None
    ordered: bool = True
    max_retransmits: int | None = None
    max_lifetime_ms: int | None = None
    sent: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class FakeTranscoder:
    """A transcoder of the fake."""

    id: int
    packager: int
    kind: MediaKind
    path: str
    keep: bool
    paces: bool = False


@dataclass(slots=True)
class FakeTrackTranscoder:
    """A transcoder of an encoder's track, of the fake; what it makes is the track ``made`` of the same stream."""

    id: int
    packager: int
    track: int
    made: int
    path: str


@dataclass(slots=True)
class FakeIngestListener:
    """A listener of encoders of the fake."""

    id: int
    protocol: IngestProtocol
    address: str
    name: str = ""
    """Of an input or pull: what its stream is called."""
    fetches: bool = False


@dataclass(slots=True)
class FakeIngest:
    """A stream of encoders of the fake (`FakeLink.begin_ingest`); it waits for one where ``publisher`` is None."""

    id: int
    """Of its packager."""
    listener: int
    name: str
    publisher: int | None
    tracks: dict[int, IngestTrack] = field(default_factory=dict)
    """What its publisher sends (`FakeLink.tell_track`)."""
    audio_offset_ms: int = 0
    said: list[ShowStreamText] = field(default_factory=list)
    encryption: LiveEncryption | None = None
    """As it was set last (`SetStreamEncryption`)."""
    shows: int | None = None
    """The packager whose encoder it shows instead of its own (`PointIngest`)."""
    shifted: list[int] = field(default_factory=list)
    """Tracks whose feeds were told of the offset last."""


@dataclass(slots=True)
class FakePlayout:
    """A stream of the fake that is played out (`FakeLink.begin_playout`)."""

    id: int
    listener: int
    packager: int


@dataclass(slots=True)
class FakeFeed:
    """A feed of the fake; its producers have its id as their transport."""

    id: int
    router: int


FakeObject = (
    FakeRouter
    | FakeTransport
    | FakePipe
    | FakeProducer
    | FakeConsumer
    | FakeObserver
    | FakeChannel
    | FakeMixer
    | FakePackager
    | FakeTranscoder
    | FakeTrackTranscoder
    | FakeIngestListener
    | FakeIngest
    | FakePlayout
    | FakeFeed
)
