"""Peers of the mediasoup interface: participants of a room, and the ids their clients know things by."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from roomtone.servers.socketio.problems import no_such

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.rooms import Connection, Participant, Publication, Subscription
    from roomtone.media import DataChannel
    from roomtone.media.values import ChannelId
    from roomtone.protocols.mediasoup import Direction, SentMedia, StreamParameters
    from roomtone.servers.socketio.callers import Caller

MAX_TRANSPORTS = 16
"""Transports of one peer."""
MAX_HELD = 32
MAX_HELD_BYTES = 65_536
"""Messages of a data producer that wait until a client consumes, and their bytes or characters."""


def new_id(prefix: str) -> str:
    """Make an id that nobody else has."""
    return f"{prefix}_{secrets.token_hex(8)}"


@dataclass(eq=False, slots=True)
class SfuTransport:
    """A transport of a peer; a client's consumers on it are told apart by MIDs that are never used twice."""

    id: str
    direction: Direction
    connection: Connection
    named: bool = False
    """The client has said who it is."""
    next_mid: int = 0
    streams: set[int] = field(default_factory=set)
    """Data channels in use."""

    def take_mid(self) -> str:
        """Give the next MID."""
        self.next_mid += 1
        return str(self.next_mid - 1)


@dataclass(eq=False, slots=True)
class SfuConsumer:
    """A subscription of a peer, and over which transport it goes."""

    id: str
    producer: str
    transport: SfuTransport
    subscription: Subscription


@dataclass(eq=False, slots=True)
class DataSource(ABC):
    """What messages come from, whatever its sender came by."""

    id: str
    stream: StreamParameters
    label: str
    protocol: str
    app_data: dict[str, Any]
    consumers: dict[str, DataConsumer] = field(default_factory=dict, kw_only=True)

    @property
    @abstractmethod
    def owner(self) -> str | None:
        """Id of the peer that sends."""


@dataclass(eq=False, slots=True)
class DataProducer(DataSource):
    """A data channel that a peer sends on."""

    peer: SfuPeer
    transport: SfuTransport
    channel: DataChannel
    destinations: tuple[str, ...] = ()
    """Peers it is for; empty: all."""

    @property
    def owner(self) -> str | None:
        """Id of the peer that sends."""
        return self.peer.id

    def is_for(self, peer: SfuPeer) -> bool:
        """Whether a peer may have it."""
        return not self.destinations or peer.id in self.destinations


class Backlog:
    """Messages that wait for a client. Limits: see above; the oldest goes first."""

    def __init__(self) -> None:
        self._messages: deque[bytes | str] = deque()

    def add(self, message: bytes | str) -> int:
        """Keep a message; gives how many made way."""
        self._messages.append(message)
        lost = 0
        while len(self._messages) > MAX_HELD or sum(map(len, self._messages)) > MAX_HELD_BYTES:
            self._messages.popleft()
            lost += 1
        return lost

    def take(self) -> list[bytes | str]:
        """Give all and keep none."""
        messages = list(self._messages)
        self._messages.clear()
        return messages


@dataclass(eq=False, slots=True)
class DataConsumer:
    """A data channel that a peer receives on."""

    id: str
    peer: SfuPeer
    producer: DataSource
    transport: SfuTransport
    stream: StreamParameters
    channel: DataChannel
    paused: bool = False
    backlog: Backlog | None = None
    """What waits for the first resumption of one that began paused."""


@dataclass(eq=False, slots=True)
class SfuPeer:
    """One peer in one room."""

    participant: Participant
    caller: Caller
    tell: Callable[[str, dict[str, Any]], None] | None = None
    """Sends an event to its client; None: it came by HTTP and is told nothing."""
    transports: dict[str, SfuTransport] = field(default_factory=dict)
    consumers: dict[str, SfuConsumer] = field(default_factory=dict)
    sent: dict[str, SentMedia] = field(default_factory=dict)
    """What its producers send, by producer."""
    app_data: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What its application says of its producers, by producer."""
    data_producers: dict[str, DataProducer] = field(default_factory=dict)
    data_consumers: dict[str, DataConsumer] = field(default_factory=dict)
    receiving: dict[ChannelId, DataProducer] = field(default_factory=dict)
    """Data producers by their channel in the engine."""

    @property
    def id(self) -> str:
        """Its id in the room."""
        return self.participant.identity

    def transport(self, id_: str) -> SfuTransport:
        """Give one of its transports; raise `SfuError`."""
        found = self.transports.get(id_)
        if found is None:
            raise no_such("transport", id_)
        return found

    def consumer(self, id_: str) -> SfuConsumer:
        """Give one of its consumers; raise `SfuError`."""
        found = self.consumers.get(id_)
        if found is None:
            raise no_such("consumer", id_)
        return found

    def producer(self, id_: str) -> Publication:
        """Give one of its producers; raise `SfuError`."""
        found = next((p for p in self.participant.publications.values() if p.id == id_), None)
        if found is None:
            raise no_such("producer", id_)
        return found

    def send(self, event: str, content: dict[str, Any]) -> None:
        """Tell its client something."""
        if self.tell is not None:
            self.tell(event, content)
