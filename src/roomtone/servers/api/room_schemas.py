"""Bodies about rooms: options, events, statistics, who speaks, asks and left, chat."""

# ruff: noqa: TC001 - pydantic reads the annotations

from __future__ import annotations

from pydantic import Field

from roomtone.control.rooms import CloseReason, EndedKind, KnockDecision, RoomEventKind
from roomtone.media.values import CongestionState, DegradationReason, LineDirection, QualityLevel
from roomtone.servers.api.schemas import Body

MAX_TIMEOUT_S = 31_536_000
Report = dict[str, int | float | str | bool | None]


class RoomOptionsBody(Body):
    """Options of a room."""

    metadata: str = Field(default="", max_length=65_536)
    empty_timeout_s: float | None = Field(
        default=None, ge=0, le=MAX_TIMEOUT_S, description="How long it lives while nobody ever came; null: the setting"
    )
    departure_timeout_s: float | None = Field(
        default=None, ge=0, le=MAX_TIMEOUT_S, description="How long it lives after the last has left; null: the setting"
    )
    max_participants: int = Field(default=0, ge=0, description="0: the server's limit")
    max_publications: int = Field(default=0, ge=0, description="Of all participants together; 0: the server's limit")
    codecs: list[str] = Field(default_factory=list, examples=[["VP8", "OPUS"]], description="Empty: all")
    locked: bool = Field(default=False, description="Nobody further gets in but moderators")
    lobby: bool = Field(default=False, description="Who is no moderator must ask to enter")
    e2ee: bool = Field(default=False, description="Encrypted end to end; fixed for the room's life")


class RoomCreateBody(RoomOptionsBody):
    """A room to make."""

    name: str = Field(examples=["demo"])


class RoomUpdateBody(Body):
    """Options to change; absent or null leaves one. Limits and codecs hold for what comes."""

    metadata: str | None = Field(default=None, max_length=65_536)
    empty_timeout_s: float | None = Field(default=None, ge=0, le=MAX_TIMEOUT_S)
    departure_timeout_s: float | None = Field(default=None, ge=0, le=MAX_TIMEOUT_S)
    max_participants: int | None = Field(default=None, ge=0)
    max_publications: int | None = Field(default=None, ge=0)
    codecs: list[str] | None = None
    locked: bool | None = None
    lobby: bool | None = None


class RoomBody(Body):
    """A room in short."""

    id: str
    name: str
    created_at: float
    participants: int
    publishers: int
    viewers: int
    tracks: int
    waiting: int = Field(description="Who asks to enter")
    on_air: bool = Field(description="A live stream shows it")
    options: RoomOptionsBody


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


class SpeakerBody(Body):
    """Somebody who speaks, or has just stopped."""

    identity: str
    level: float = Field(ge=0, le=1, description="1 is full scale")
    active: bool


class EndedBody(Body):
    """Somebody who was in the room and is no longer."""

    participant: str | None
    viewer: str | None
    reason: CloseReason
    joined_at: float
    at: float


class EndedEntryBody(Body):
    """A participant, a viewer or a room that ended."""

    number: int = Field(description="Counts all ends of this server since it started")
    kind: EndedKind
    room: str
    room_id: str
    participant: str | None = Field(description="Identity; null: it was none")
    name: str
    viewer: str | None
    reason: CloseReason
    began_at: float
    at: float


class KnockBody(Body):
    """Somebody who asks to enter."""

    id: str
    identity: str
    name: str
    metadata: str
    asked_at: float


class ChatMessageBody(Body):
    """A chat message; a deleted one has lost its text."""

    id: str
    sender: str
    sender_name: str
    text: str
    at: float
    edited_at: float | None
    deleted_at: float | None
    deleted_by: str | None
    reply_to: str | None


class ChatTextBody(Body):
    """What a message shall say."""

    text: str


class ChatPostBody(ChatTextBody):
    """A message to say."""

    reply_to: str | None = Field(default=None, description="Id of a message")


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
    hidden: bool = Field(default=False, description="It is of a participant that others are not told of")
    subscription: str | None = None
    to_room: str | None = None
    speakers: list[SpeakerBody] | None = Field(default=None, description="Who speaks, then who has stopped")
    knock: str | None = None
    decision: KnockDecision | None = None
    message: ChatMessageBody | None = None
