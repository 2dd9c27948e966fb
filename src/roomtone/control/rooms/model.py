"""What a room holds: participants with publications and subscriptions, viewers, and their connections.

Nothing here knows how a peer came (WHIP, LiveKit, a phone): a `Connection` is a transport of the engine with an
owner, and owners are `Participant` or `Viewer`. All changes go through `roomtone.control.rooms.Rooms`.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

from roomtone.control.rooms.events import EventStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.control.rooms.reasons import CloseReason
    from roomtone.media import Consumer, PlainTransport, Producer, Router, WebRtcTransport
    from roomtone.media.values import (
        EncodingParameters,
        HeaderExtension,
        MediaKind,
        QualityLevel,
        RouterId,
        SrtpKeys,
        TransportId,
    )
    from roomtone.protocols.sdp import Codec

RoomId = NewType("RoomId", str)
ParticipantId = NewType("ParticipantId", str)
TrackId = NewType("TrackId", str)
SubscriptionId = NewType("SubscriptionId", str)
ViewerId = NewType("ViewerId", str)

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
MAX_IDENTITY_LENGTH = 256
MAX_METADATA_LENGTH = 65_536


def is_room_name(text: str) -> bool:
    """Whether a text can name a room: it appears in URLs."""
    return bool(_NAME.match(text))


class ParticipantKind(StrEnum):
    """How much of a participant somebody is."""

    STANDARD = "standard"
    INGEST = "ingest"


class TrackSource(StrEnum):
    """What a track shows."""

    UNKNOWN = "unknown"
    CAMERA = "camera"
    MICROPHONE = "microphone"
    SCREEN_SHARE = "screen_share"
    SCREEN_SHARE_AUDIO = "screen_share_audio"


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """Who wants to be in a room."""

    identity: str
    name: str = ""
    metadata: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    kind: ParticipantKind = ParticipantKind.STANDARD


@dataclass(frozen=True, slots=True)
class TrackOffer:
    """A track somebody is about to publish, as negotiated."""

    kind: MediaKind
    codecs: tuple[Codec, ...]
    mid: str | None = None
    encodings: tuple[EncodingParameters, ...] = ()
    extensions: tuple[HeaderExtension, ...] = ()
    source: TrackSource = TrackSource.UNKNOWN
    name: str = ""
    muted: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionOffer:
    """How somebody can receive one track, as negotiated."""

    kind: MediaKind
    codecs: tuple[Codec, ...]
    mid: str | None = None
    extensions: tuple[HeaderExtension, ...] = ()


@dataclass(frozen=True, slots=True)
class PlainAddress:
    """Where a plain RTP peer is; ``ip`` None takes the address of the first valid packet."""

    ip: str | None = None
    port: int = 0
    rtcp_port: int | None = None
    rtcp_mux: bool = True
    srtp: SrtpKeys | None = None
    """The peer's keys, with which what it sends is opened."""
    local_srtp: SrtpKeys | None = None
    """Our keys, with which what we send is sealed."""


class Connection:
    """A WebRTC transport, the router it is on, and whose it is."""

    __slots__ = ("connected", "owner", "router", "transport")

    def __init__(self, transport: WebRtcTransport, router: Router, owner: Member) -> None:
        self.transport = transport
        self.router = router
        self.owner = owner
        self.connected = False


class PlainConnection:
    """A plain RTP transport, the router it is on, and whose it is."""

    __slots__ = ("connected", "owner", "router", "transport")

    def __init__(self, transport: PlainTransport, router: Router, owner: Member) -> None:
        self.transport = transport
        self.router = router
        self.owner = owner
        self.connected = False


class Member:
    """What participants and viewers have in common: a room, connections, subscriptions, an end."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.connections: dict[TransportId, Connection | PlainConnection] = {}
        self.subscriptions: dict[SubscriptionId, Subscription] = {}
        self.closed: CloseReason | None = None
        self.quality: QualityLevel | None = None
        """How good its connection is, once that is known."""
        self._on_close: list[Callable[[CloseReason], None]] = []

    def when_closed(self, callback: Callable[[CloseReason], None]) -> None:
        """Have a function called once when this member has ended; at once when it has."""
        if self.closed is not None:
            callback(self.closed)
        else:
            self._on_close.append(callback)

    def mark_closed(self, reason: CloseReason) -> bool:
        """Note the end; False when it had ended already. `tell_closed` follows."""
        if self.closed is not None:
            return False
        self.closed = reason
        return True

    def tell_closed(self, reason: CloseReason) -> None:
        """Call who waits for the end, after the room's events about it."""
        callbacks, self._on_close = self._on_close, []
        for callback in callbacks:
            callback(reason)

    @property
    def connected(self) -> bool:
        """Whether any of its connections has come up."""
        return any(connection.connected for connection in self.connections.values())


class Participant(Member):
    """An identity in a room, whatever it came by."""

    def __init__(self, room: Room, id_: ParticipantId, request: JoinRequest, joined_at: float) -> None:
        super().__init__(room)
        self.id = id_
        self.identity = request.identity
        self.name = request.name
        self.metadata = request.metadata
        self.attributes = dict(request.attributes)
        self.kind = request.kind
        self.joined_at = joined_at
        self.publications: dict[TrackId, Publication] = {}
        self.published_since = 0
        """Count of the room's first publications when this one's began; orders publishers by age."""

    def publication_of(self, kind: MediaKind) -> Publication | None:
        """Its newest publication of a kind."""
        return next((p for p in reversed(self.publications.values()) if p.offer.kind is kind), None)


class Publication:
    """A track offered to a room."""

    __slots__ = (
        "id",
        "muted",
        "offer",
        "participant",
        "pipes",
        "producer",
        "quality",
        "started_encodings",
        "wanted",
    )

    def __init__(self, id_: TrackId, participant: Participant, offer: TrackOffer, producer: Producer) -> None:
        self.id = id_
        self.participant = participant
        self.offer = offer
        self.producer = producer
        self.pipes: dict[RouterId, asyncio.Future[Producer]] = {}
        """Itself on branches of the room, or on its way there."""
        self.muted = offer.muted
        self.started_encodings: set[int] = set()
        self.wanted: tuple[int | None, ...] | None = None
        """Of each encoding the highest temporal layer anybody wants, once that is known."""
        self.quality: QualityLevel | None = None
        """How good what arrives is, once that is known."""

    @property
    def rids(self) -> tuple[str, ...]:
        """RIDs of its simulcast encodings, as offered."""
        return tuple(encoding.rid for encoding in self.offer.encodings if encoding.rid is not None)


class Subscription:
    """Somebody's wish for a track; what feeds it may change."""

    __slots__ = (
        "consumer",
        "current",
        "id",
        "layer",
        "member",
        "offer",
        "router",
        "source",
        "starved",
        "target",
        "unservable",
    )

    def __init__(
        self,
        id_: SubscriptionId,
        member: Member,
        offer: SubscriptionOffer,
        consumer: Consumer,
        *,
        router: Router,
        source: Publication | None,
    ) -> None:
        self.id = id_
        self.member = member
        self.offer = offer
        self.consumer = consumer
        self.router = router
        self.source = source
        self.layer: LayerWish = LayerWish()
        self.current: Layers = Layers()
        """What is sent."""
        self.target: Layers = Layers()
        """What the line is believed to carry of it."""
        self.starved = False
        """The line does not carry even the cheapest layer."""
        self.unservable = False


@dataclass(frozen=True, slots=True)
class Layers:
    """An encoding or spatial layer, and the highest temporal layer; None: none, or all."""

    spatial: int | None = None
    temporal: int | None = None


@dataclass(frozen=True, slots=True)
class LayerWish:
    """The most a subscriber wants of a track; None leaves it to the engine, which sends the best that the line carries.

    One configuration for simulcast and SVC: ``spatial`` is the encoding of the one and the spatial layer of the other.
    A RID is looked up anew when the source changes. ``max_width`` and ``max_height`` are what the track is shown with.
    """

    rid: str | None = None
    spatial: int | None = None
    temporal: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    max_fps: int | None = None
    max_bitrate: int | None = None
    paused: bool = False


class Viewer(Member):
    """Somebody who only watches, and is no identity. Follows one participant, or the newest publisher."""

    def __init__(self, room: Room, id_: ViewerId, follows: str | None, joined_at: float) -> None:
        super().__init__(room)
        self.id = id_
        self.follows = follows
        self.joined_at = joined_at

    def source(self) -> Participant | None:
        """Whose tracks it shall get now."""
        if self.follows is not None:
            return self.room.participants.get(self.follows)
        return self.room.newest_publisher()


@dataclass(slots=True)
class Reservations:
    """Places of joins that are under way."""

    participants: int = 0
    viewers: int = 0


@dataclass(eq=False, slots=True)
class Room:
    """Where people meet."""

    id: RoomId
    name: str
    router: Router
    created_at: float
    clock: Callable[[], float]
    participants: dict[str, Participant] = field(default_factory=dict)
    viewers: dict[ViewerId, Viewer] = field(default_factory=dict)
    reserved: Reservations = field(default_factory=Reservations)
    closed: CloseReason | None = None
    events: EventStream = field(init=False)
    empty_timer: asyncio.TimerHandle | None = None
    switching: asyncio.Task[None] | None = None
    switch_again: bool = False
    publishers_seen: int = 0
    was_used: bool = False
    branches: dict[RouterId, Router] = field(default_factory=dict)
    """Routers beside `router`, on other shards, for viewers."""
    load: Counter[RouterId] = field(default_factory=Counter)
    """Connections on each router, those on their way too."""
    placing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Open the event stream."""
        self.events = EventStream(self.name, self.clock)

    @property
    def in_use(self) -> bool:
        """Anybody is in it or on the way in."""
        return bool(self.participants or self.viewers or self.reserved.participants or self.reserved.viewers)

    def newest_publisher(self) -> Participant | None:
        """Find who, of those who publish now, began to publish last."""
        publishing = (p for p in self.participants.values() if p.publications)
        return max(publishing, key=lambda p: p.published_since, default=None)

    def publication(self, id_: str) -> Publication | None:
        """Find a track by its id."""
        tracks = (p.publications.get(TrackId(id_)) for p in self.participants.values())
        return next((track for track in tracks if track is not None), None)

    def members(self) -> Sequence[Member]:
        """Everybody in it."""
        return [*self.participants.values(), *self.viewers.values()]
