"""What has ended on this node, room by room and member by member: for operators who ask afterwards."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from roomtone.control.rooms.model import Participant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from roomtone.control.rooms.model import Room, Viewer
    from roomtone.control.rooms.reasons import CloseReason


class EndedKind(StrEnum):
    """What it was that ended."""

    PARTICIPANT = "participant"
    VIEWER = "viewer"
    ROOM = "room"


@dataclass(frozen=True, slots=True)
class EndedEntry:
    """One end; times are seconds since the epoch."""

    number: int
    """Counts all ends of this node from one; those that were forgotten too."""
    kind: EndedKind
    room: str
    room_id: str
    reason: CloseReason
    began_at: float
    """When the room was opened, or its member had joined."""
    at: float
    identity: str | None = None
    name: str = ""
    viewer: str | None = None


class EndedLog:
    """The last ends, of rooms that are there no longer too.

    Limit: ``limit`` entries; the oldest go, and ``forgotten`` counts them.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.recorded = 0
        self._clock = clock
        self._entries: deque[EndedEntry] = deque(maxlen=limit)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def forgotten(self) -> int:
        """Entries that made way for newer ones."""
        return self.recorded - len(self._entries)

    def add_member(self, member: Participant | Viewer, reason: CloseReason) -> None:
        """Note that somebody who was in a room is no longer."""
        room = member.room
        if isinstance(member, Participant):
            kind, identity, name, viewer = EndedKind.PARTICIPANT, member.identity, member.name, None
        else:
            kind, identity, name, viewer = EndedKind.VIEWER, None, "", member.id
        self._entries.append(
            EndedEntry(
                number=self._next(),
                kind=kind,
                room=room.name,
                room_id=room.id,
                reason=reason,
                began_at=member.joined_at,
                at=self._clock(),
                identity=identity,
                name=name,
                viewer=viewer,
            )
        )

    def add_room(self, room: Room, reason: CloseReason) -> None:
        """Note that a room was closed."""
        number, now = self._next(), self._clock()
        self._entries.append(
            EndedEntry(number, EndedKind.ROOM, room.name, room.id, reason, began_at=room.created_at, at=now)
        )

    def newest(self, limit: int, *, before: int | None = None, room: str | None = None) -> list[EndedEntry]:
        """Give ends, the newest first: those with a number below ``before``, those of rooms of one name."""
        return list(islice(self._matching(before, room), limit))

    def _matching(self, before: int | None, room: str | None) -> Iterator[EndedEntry]:
        for entry in reversed(self._entries):
            if (before is None or entry.number < before) and (room is None or entry.room == room):
                yield entry

    def _next(self) -> int:
        self.recorded += 1
        return self.recorded
