"""What a room holds: participants with publications and subscriptions, viewers, and their connections.

Nothing here knows how a peer came (WHIP, LiveKit, a phone): a `Connection` is a transport of the engine with an
owner, and owners are `Participant` or `Viewer`. All changes go through `roomtone.control.rooms.Rooms`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Unpack

from roomtone.control.rooms.events import EventStream
from roomtone.control.rooms.options import RoomOptions
from roomtone.control.rooms.permissions import SubscriptionRules
from roomtone.control.rooms.routers import NoRouter
from roomtone.control.rooms.values import ParticipantState, TrackId
from roomtone.control.rooms.values import Protocol as Came

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from roomtone.control.rooms.data import DataSink
    from roomtone.control.rooms.events import RoomEvent, RoomEventDetails, RoomEventKind
    from roomtone.control.rooms.knocks import Knock, KnockId
    from roomtone.control.rooms.mirrors import Forwarding
    from roomtone.control.rooms.reasons import CloseReason
    from roomtone.control.rooms.requests import JoinRequest
    from roomtone.control.rooms.speakers import Speaker
    from roomtone.control.rooms.tracks import Publication, Subscription
    from roomtone.control.rooms.values import Ended, ParticipantId, RoomId, SubscriptionId, ViewerId
    from roomtone.media import AudioLevelObserver, DataChannel, Feed, PlainTransport, Router, WebRtcTransport
    from roomtone.media.values import ChannelId, MediaKind, QualityChanged, QualityLevel, RouterId, TransportId

MAX_ENDED = 200
"""Ends that a room remembers."""


class ChannelListener(Protocol):
    """Who hears of the data channels of a connection, in order; called in the loop, so it must not block."""

    def channel_opened(self, connection: Connection, channel: DataChannel) -> None:
        """Take a channel, opened by the peer or by us."""

    def channel_message(self, channel: ChannelId, data: bytes, *, text: bool) -> None:
        """Take a message of the peer; ``text`` says that it is UTF-8."""

    def channel_closed(self, channel: ChannelId) -> None:
        """Do without a channel."""


class Mover(Protocol):
    """The server that holds a participant's peer, where the peer can go on in another room on what it has."""

    @property
    def ready(self) -> bool:
        """Whether the peer can be told now."""

    def moving(self) -> AbstractAsyncContextManager[None]:
        """Hold back the peer's requests while it is moved."""

    def moved(self, successor: Participant) -> None:
        """Tell the peer who it is now; called before the other room hears of it. Must not block."""


class Connection:
    """A WebRTC transport, the router it is on, and whose it is."""

    __slots__ = (
        "channels",
        "connected",
        "ends_owner",
        "listener",
        "on_closed",
        "on_connected",
        "owner",
        "quality",
        "router",
        "transport",
    )

    def __init__(
        self, transport: WebRtcTransport, router: Router, owner: Member, listener: ChannelListener | None = None
    ) -> None:
        self.transport = transport
        self.router = router
        self.owner = owner
        self.connected = False
        self.listener = listener
        self.ends_owner = True
        """Whether its member ends with it: not where a member has several paths and comes and goes by signalling."""
        self.on_connected: Callable[[], None] | None = None
        """Called once, when it has come up."""
        self.on_closed: Callable[[CloseReason], None] | None = None
        """Called once, when the engine or the peer has ended it and its member goes on."""
        self.channels: set[ChannelId] = set()
        """Data channels that are open."""
        self.quality: QualityChanged | None = None
        """What the engine said last of how good it is."""


class PlainConnection:
    """A plain RTP transport, the router it is on, and whose it is."""

    __slots__ = ("connected", "owner", "quality", "router", "transport")

    def __init__(self, transport: PlainTransport, router: Router, owner: Member) -> None:
        self.transport = transport
        self.router = router
        self.owner = owner
        self.connected = False
        self.quality: QualityChanged | None = None


class FeedConnection:
    """A feed: the tracks of an encoder on a router, and whose they are. It is connected from the beginning."""

    __slots__ = ("connected", "owner", "quality", "router", "transport")

    def __init__(self, transport: Feed, router: Router, owner: Member) -> None:
        self.transport = transport
        self.router = router
        self.owner = owner
        self.connected = True
        self.quality: QualityChanged | None = None


AnyConnection = Connection | PlainConnection | FeedConnection
"""How a member's media come or go."""


class Member(ABC):
    """What participants and viewers have in common: a room, connections, subscriptions, an end."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.connections: dict[TransportId, AnyConnection] = {}
        self.subscriptions: dict[SubscriptionId, Subscription] = {}
        self.closed: CloseReason | None = None
        self.quality: QualityLevel | None = None
        """How good the worst of its connections is, once that is known."""
        self._on_close: list[Callable[[CloseReason], None]] = []

    @abstractmethod
    def emit(self, kind: RoomEventKind, **details: Unpack[RoomEventDetails]) -> RoomEvent:
        """Tell the room something about this member."""

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
        self.request = request
        """As it joined; what has changed since is beside it."""
        self.identity = request.identity
        self.name = request.name
        self.metadata = request.metadata
        self.attributes = dict(request.attributes)
        self.kind = request.kind
        self.permissions = request.permissions
        self.protocol = request.protocol
        self.account_id = request.account_id
        self.movable = request.movable
        self.state = ParticipantState.JOINING
        self.version = 0
        """Counts what others can see change of it."""
        self.joined_at = joined_at
        self.origin: Participant | None = None
        """Who it is in its own room, where it is here only as forwarded from there."""
        self.moved_to: str | None = None
        """The room in which it is to go on, when it ends for `CloseReason.MOVED`."""
        self.mover: Mover | None = None
        """Who takes its peer along to another room; None: the peer must join there itself."""
        self.successor: Participant | None = None
        """Who it goes on as in another room, taken along with its connections."""
        self.subscription_rules = SubscriptionRules()
        self.data_sink: DataSink | None = None
        """Where data packets for it go, where what it came by takes any."""
        self.publications: dict[TrackId, Publication] = {}
        self.unavailable: dict[MediaKind, str] = {}
        """What it sends that nobody in a room can be given, and why, in words."""
        self.published_since = 0
        """Count of the room's first publications when this one's began; orders publishers by age."""

    def emit(self, kind: RoomEventKind, **details: Unpack[RoomEventDetails]) -> RoomEvent:
        """Tell the room something about this participant."""
        events, hidden = self.room.events, self.permissions.hidden
        return events.emit(kind, participant=self.identity, hidden=hidden, **details)

    def mark_closed(self, reason: CloseReason) -> bool:
        """Note the end; see `Member.mark_closed`."""
        self.state = ParticipantState.DISCONNECTED
        return super().mark_closed(reason)

    @property
    def connected(self) -> bool:
        """Whether any of its connections has come up; what is forwarded comes from within and needs none."""
        return self.origin is not None or super().connected

    def publication_of(self, kind: MediaKind) -> Publication | None:
        """Its newest publication of a kind."""
        return next((p for p in reversed(self.publications.values()) if p.offer.kind is kind), None)


class Viewer(Member):
    """Somebody who only watches, and is no identity. Follows one participant, or the newest publisher."""

    def __init__(self, room: Room, id_: ViewerId, follows: str | None, joined_at: float) -> None:
        super().__init__(room)
        self.id = id_
        self.follows = follows
        self.joined_at = joined_at

    def emit(self, kind: RoomEventKind, **details: Unpack[RoomEventDetails]) -> RoomEvent:
        """Tell the room something about this viewer."""
        return self.room.events.emit(kind, viewer=self.id, **details)

    def source(self) -> Participant | None:
        """Whose tracks it shall get now."""
        if self.follows is not None:
            followed = self.room.participants.get(self.follows)
            return None if followed is None or followed.permissions.hidden else followed
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
    options: RoomOptions = field(default_factory=RoomOptions)
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
    was_ordered: bool = False
    """Somebody made it for later: it waits its empty time-out though a join has failed."""
    lobby: dict[KnockId, Knock] = field(default_factory=dict)
    """Who waits to be let in."""
    invited: dict[str, None] = field(default_factory=dict)
    """Identities that a lock and the lobby let pass."""
    speakers: tuple[Speaker, ...] = ()
    """Who speaks now, loudest first."""
    dominant: str | None = None
    """Who speaks most; stays through short pauses."""
    ended: deque[Ended] = field(default_factory=lambda: deque(maxlen=MAX_ENDED))
    """Who was in it and is no longer, the last of them; events tell of all."""
    forwards: dict[str, dict[str, Forwarding]] = field(default_factory=dict)
    """By identity, the other rooms in which participants are present too."""
    on_air: bool = False
    """A live stream shows it."""
    observer: AudioLevelObserver | None = None
    branches: dict[RouterId, Router] = field(default_factory=dict)
    """Routers beside `router`, on other shards, for viewers."""
    guests: dict[RouterId, Router] = field(default_factory=dict)
    """Routers of other rooms, on which participants are that were moved here with their connections."""
    load: Counter[RouterId] = field(default_factory=Counter)
    """Connections on each router, those on their way too."""
    placing: asyncio.Lock = field(default_factory=asyncio.Lock)
    chatting: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        """Open the event stream."""
        self.events = EventStream(self.name, self.clock)

    @property
    def has_media(self) -> bool:
        """Whether the engine has a place for it; otherwise it gets one when a connection needs it."""
        return not isinstance(self.router, NoRouter)

    @property
    def in_use(self) -> bool:
        """Anybody is in it or on the way in."""
        return bool(self.participants or self.viewers or self.reserved.participants or self.reserved.viewers)

    @property
    def metadata(self) -> str:
        """What its owner says of it."""
        return self.options.metadata

    @property
    def publication_count(self) -> int:
        """Tracks of all participants together."""
        return sum(len(participant.publications) for participant in self.participants.values())

    def routers(self) -> list[Router]:
        """All its routers, its home last."""
        return [*self.branches.values(), *self.guests.values(), self.router]

    def visible(self) -> list[Participant]:
        """Participants that others are told of."""
        return [participant for participant in self.participants.values() if not participant.permissions.hidden]

    def newest_publisher(self) -> Participant | None:
        """Find who, of those who publish now, began to publish last; an encoder before all others.

        The encoder's is the live stream of the room's name, and a room and its live stream show the same.
        """
        publishing = (p for p in self.visible() if p.publications or p.unavailable)

        def rank(publisher: Participant) -> tuple[bool, bool, int]:
            return bool(publisher.publications), publisher.protocol is Came.ENCODER, publisher.published_since

        return max(publishing, key=rank, default=None)

    def publication(self, id_: str) -> Publication | None:
        """Find a track by its id."""
        tracks = (p.publications.get(TrackId(id_)) for p in self.participants.values())
        return next((track for track in tracks if track is not None), None)

    def members(self) -> Sequence[Member]:
        """Everybody in it."""
        return [*self.participants.values(), *self.viewers.values()]
