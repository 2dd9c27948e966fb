"""Bodies of `/api/v1`."""

# ruff: noqa: TC001 - pydantic reads the annotations

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from roomtone.control.rooms import CloseReason, ParticipantKind, RoomEventKind, TrackSource
from roomtone.media.values import CongestionState, DegradationReason, LineDirection, MediaKind, QualityLevel

Report = dict[str, int | float | str | bool | None]


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="forbid")


class CodecBody(Body):
    """A codec of a track."""

    name: str = Field(examples=["VP8"])
    payload_type: int = Field(ge=0, le=127)
    clock_rate: int = Field(gt=0)
    channels: int = Field(default=1, ge=1, le=8)
    parameters: dict[str, str] = Field(default_factory=dict, description="Format parameters, as fmtp names them")
    rtx_payload_type: int | None = Field(default=None, ge=0, le=127)


class TrackBody(Body):
    """A published track."""

    id: str
    participant: str
    kind: MediaKind
    source: TrackSource
    name: str
    muted: bool
    codecs: list[CodecBody]
    rids: list[str]
    active_encodings: list[int]
    wanted_encodings: list[int | None] | None = Field(
        description="Of each encoding the highest temporal layer anybody wants, null if nobody does; null until known"
    )
    quality: QualityLevel | None = Field(description="Of what arrives, once known")


class ParticipantBody(Body):
    """A participant."""

    id: str
    identity: str
    name: str
    metadata: str
    attributes: dict[str, str]
    kind: ParticipantKind
    connected: bool
    joined_at: float
    quality: QualityLevel | None = Field(description="Of the connection, once known")
    tracks: list[TrackBody]


class LayersBody(Body):
    """The most a viewer wants of a track; absent or null leaves it to the engine, which sends what the line carries."""

    rid: str | None = Field(default=None, max_length=64, description="A simulcast encoding by its RID")
    spatial: int | None = Field(default=None, ge=0, le=7, description="Simulcast encoding or spatial layer, 0 lowest")
    temporal: int | None = Field(default=None, ge=0, le=7)
    max_width: int | None = Field(default=None, ge=1, le=16_384, description="Pixels that it is shown with")
    max_height: int | None = Field(default=None, ge=1, le=16_384)
    max_fps: int | None = Field(default=None, ge=1, le=240)
    max_bitrate: int | None = Field(default=None, ge=1, le=1_000_000_000, description="Bits per second")
    paused: bool = False


class LayerBody(Body):
    """A spatial layer or simulcast encoding, and the highest temporal layer; null: none, or all."""

    spatial: int | None
    temporal: int | None


class SubscriptionBody(Body):
    """A track that a viewer gets."""

    id: str
    kind: MediaKind
    track: str | None
    wanted: LayersBody
    target: LayerBody = Field(description="What the line is believed to carry")
    current: LayerBody = Field(description="What is sent")
    starved: bool = Field(description="The line does not carry even the cheapest layer")


class ViewerBody(Body):
    """A viewer; viewers are no participants."""

    id: str
    follows: str | None
    source: str | None
    connected: bool
    joined_at: float
    quality: QualityLevel | None = Field(description="Of the connection, once known")
    subscriptions: list[SubscriptionBody]


class RoomBody(Body):
    """A room in short."""

    id: str
    name: str
    created_at: float
    participants: int
    publishers: int
    viewers: int


class MemberStatistics(Body):
    """Reports of one participant's or viewer's transports and streams, with the names of W3C webrtc-stats."""

    id: str
    identity: str | None = None
    transports: list[list[Report]]
    tracks: dict[str, list[Report]]
    subscriptions: dict[str, list[Report]]


class RoomStatistics(Body):
    """Live statistics of a room."""

    participants: list[MemberStatistics]
    viewers: list[MemberStatistics]


class MuteBody(Body):
    """Whether a track is to be muted."""

    muted: bool


class EventBody(Body):
    """An event of a room."""

    seq: int
    at: float
    kind: RoomEventKind
    room: str
    participant: str | None = None
    track: str | None = None
    viewer: str | None = None
    reason: CloseReason | None = None
    encoding: int | None = None
    temporal: int | None = None
    wanted: list[int | None] | None = None
    quality: QualityLevel | None = None
    score: float | None = None
    degradation: DegradationReason | None = None
    direction: LineDirection | None = None
    congestion: CongestionState | None = None
