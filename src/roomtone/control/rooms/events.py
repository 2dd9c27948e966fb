"""The one ordered, numbered stream of events of a room, read through bounded mailboxes."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self, TypedDict, Unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from roomtone.control.rooms.chat import ChatMessage
    from roomtone.control.rooms.knocks import KnockDecision
    from roomtone.control.rooms.reasons import CloseReason
    from roomtone.control.rooms.speakers import Speaker
    from roomtone.media.values import CongestionState, DegradationReason, LineDirection, QualityLevel

_log = logging.getLogger(__name__)
MAILBOX_LIMIT = 1024
MAX_MAILBOXES = 16_384


class RoomEventKind(StrEnum):
    """What happened."""

    ROOM_OPENED = "room_opened"
    ROOM_UPDATED = "room_updated"
    ROOM_CLOSED = "room_closed"
    PARTICIPANT_JOINED = "participant_joined"
    PARTICIPANT_CONNECTED = "participant_connected"
    PARTICIPANT_UPDATED = "participant_updated"
    PARTICIPANT_HIDDEN = "participant_hidden"
    """It is there still, and for the others it has gone."""
    PARTICIPANT_SHOWN = "participant_shown"
    """It was hidden, and for the others it has come, with the tracks it has."""
    PARTICIPANT_MOVED = "participant_moved"
    """It is to go on in ``to_room``; that it left follows."""
    PARTICIPANT_LEFT = "participant_left"
    TRACK_PUBLISHED = "track_published"
    TRACK_UNPUBLISHED = "track_unpublished"
    TRACK_UPDATED = "track_updated"
    """What is said of it has changed: its layers, or on which side it is muted."""
    TRACK_ACTIVE = "track_active"
    TRACK_SILENT = "track_silent"
    TRACK_MUTED = "track_muted"
    TRACK_UNMUTED = "track_unmuted"
    SUBSCRIPTION_ENDED = "subscription_ended"
    """A participant no longer gets a track; the reason says why."""
    SUBSCRIPTION_STARVED = "subscription_starved"
    """A participant's line does not carry even the cheapest layer of a track."""
    SUBSCRIPTION_FED = "subscription_fed"
    SUBSCRIPTION_RULES_CHANGED = "subscription_rules_changed"
    """Who may subscribe to a participant's tracks is another matter now."""
    SPEAKERS_CHANGED = "speakers_changed"
    """Its participant is who speaks most, if anybody."""
    LOBBY_KNOCK = "lobby_knock"
    LOBBY_DECIDED = "lobby_decided"
    CHAT_MESSAGE = "chat_message"
    CHAT_EDITED = "chat_edited"
    CHAT_DELETED = "chat_deleted"
    VIEWER_JOINED = "viewer_joined"
    VIEWER_CONNECTED = "viewer_connected"
    VIEWER_LEFT = "viewer_left"
    SOURCE_SWITCHED = "source_switched"
    LAYERS_CHANGED = "layers_changed"
    LAYERS_TARGETED = "layers_targeted"
    VIEWER_STARVED = "viewer_starved"
    """The viewer's line does not carry even the cheapest layer of its video."""
    VIEWER_FED = "viewer_fed"
    ENCODINGS_WANTED = "encodings_wanted"
    QUALITY_CHANGED = "quality_changed"
    CONGESTION_CHANGED = "congestion_changed"


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """One event; ``seq`` counts all events of the room from one, ``at`` is seconds since the epoch."""

    seq: int
    at: float
    kind: RoomEventKind
    room: str
    participant: str | None = None
    track: str | None = None
    viewer: str | None = None
    reason: CloseReason | None = None
    encoding: int | None = None
    """An encoding of a track; of a viewer's layers the encoding or spatial layer."""
    temporal: int | None = None
    wanted: tuple[int | None, ...] | None = None
    """Of each encoding the highest temporal layer anybody wants."""
    quality: QualityLevel | None = None
    score: float | None = None
    """From 0 to 1."""
    degradation: DegradationReason | None = None
    direction: LineDirection | None = None
    congestion: CongestionState | None = None
    hidden: bool = False
    """It is of a hidden participant: for nobody but itself and operators."""
    subscription: str | None = None
    to_room: str | None = None
    speakers: tuple[Speaker, ...] | None = None
    """Those who speak, loudest first, and then those who stopped."""
    knock: str | None = None
    decision: KnockDecision | None = None
    message: ChatMessage | None = None


class RoomEventDetails(TypedDict, total=False):
    """What an event may say beside whom it is about; see `RoomEvent`."""

    track: str | None
    reason: CloseReason | None
    encoding: int | None
    temporal: int | None
    wanted: tuple[int | None, ...] | None
    quality: QualityLevel | None
    score: float | None
    degradation: DegradationReason | None
    direction: LineDirection | None
    congestion: CongestionState | None
    subscription: str | None
    to_room: str | None
    speakers: tuple[Speaker, ...] | None
    knock: str | None
    decision: KnockDecision | None
    message: ChatMessage | None


class EventsLostError(Exception):
    """The mailbox was not read fast enough and is closed; ``after`` is the last event that was put in."""

    def __init__(self, after: int) -> None:
        super().__init__(f"events after {after} were lost")
        self.after = after


class EventMailbox:
    """Events of a room for one reader. Limit: ``limit`` events; when full it closes, and the reader is told."""

    def __init__(self, limit: int, on_close: Callable[[EventMailbox], None]) -> None:
        self.limit = limit
        self.lost_after: int | None = None
        self._events: deque[RoomEvent] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._on_close = on_close

    def put(self, event: RoomEvent) -> bool:
        """Add an event; False when it did not fit and the mailbox is now closed."""
        if self._closed:
            return True
        if len(self._events) >= self.limit:
            self.lost_after = self._events[-1].seq
            self.close()
            return False
        self._events.append(event)
        self._wake.set()
        return True

    async def get(self) -> RoomEvent | None:
        """Wait for the next event; None at the end, `EventsLostError` when it overflowed."""
        while not self._events:
            if self.lost_after is not None:
                raise EventsLostError(self.lost_after)
            if self._closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()

    def close(self) -> None:
        """Take no more events. May be called twice."""
        if not self._closed:
            self._closed = True
            self._wake.set()
            self._on_close(self)

    async def __aiter__(self) -> AsyncIterator[RoomEvent]:
        """Iterate until the end."""
        while (event := await self.get()) is not None:
            yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EventStream:
    """Numbers events and hands them to all mailboxes. Limit: ``MAX_MAILBOXES``; ``overflows`` counts closed ones."""

    def __init__(self, room: str, clock: Callable[[], float]) -> None:
        self.last_seq = 0
        self.overflows = 0
        self._room = room
        self._clock = clock
        self._mailboxes: list[EventMailbox] = []
        self._listeners: list[Callable[[RoomEvent], None]] = []

    def listen(self, listener: Callable[[RoomEvent], None]) -> None:
        """Have a function called at each event, while the room is as the event says; it must not block.

        For who must miss none: those who can fall behind open a mailbox.
        """
        self._listeners.append(listener)

    def open(self, limit: int = MAILBOX_LIMIT) -> EventMailbox:
        """Open a mailbox for events from now on; close it when done."""
        if len(self._mailboxes) >= MAX_MAILBOXES:
            raise OverflowError(f"the room has {MAX_MAILBOXES} event mailboxes")
        mailbox = EventMailbox(limit, self._mailboxes.remove)
        self._mailboxes.append(mailbox)
        return mailbox

    def emit(
        self,
        kind: RoomEventKind,
        *,
        participant: str | None = None,
        viewer: str | None = None,
        hidden: bool = False,
        **details: Unpack[RoomEventDetails],
    ) -> RoomEvent:
        """Give an event its number and put it into all mailboxes."""
        self.last_seq += 1
        at = self._clock()
        event = RoomEvent(self.last_seq, at, kind, self._room, participant, viewer=viewer, hidden=hidden, **details)
        for mailbox in tuple(self._mailboxes):
            self.overflows += not mailbox.put(event)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - one that listens must not keep others from what happens
                _log.exception("a listener of room %s failed at %s", self._room, kind.value)
        return event

    def close(self) -> None:
        """Close all mailboxes; what is in them can still be read."""
        for mailbox in tuple(self._mailboxes):
            mailbox.close()
