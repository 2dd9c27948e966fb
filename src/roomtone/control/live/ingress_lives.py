"""How ingresses are: who feeds each, what of that is in its room, and what is done about it.

A source that is pushed is known by the name of its stream, which is the ingress's id; one that is fetched is a pull of
that name; one that comes by WHIP is told of by who took it in.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from roomtone.control.live.ingress import IngressError, IngressInput, IngressRefusal, IngressStatus
from roomtone.control.live.pull_urls import PullRefusedError
from roomtone.control.live.pulls import PullState
from roomtone.control.rooms import RoomEventKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.live.attendance import Attendance
    from roomtone.control.live.ingests import Ingests
    from roomtone.control.live.ingress import Ingress
    from roomtone.control.live.ingress_book import IngressBook
    from roomtone.control.live.pulls import Pull, Pulls
    from roomtone.control.rooms import CloseReason, Participant, Room, RoomEvent, Rooms
    from roomtone.media.values import IngestProtocol, IngestTrack

_log = logging.getLogger(__name__)
_ACTIVE = frozenset({IngressStatus.BUFFERING, IngressStatus.PUBLISHING})
_TELLING = frozenset({RoomEventKind.PARTICIPANT_CONNECTED, RoomEventKind.TRACK_PUBLISHED})


@dataclass(slots=True)
class IngressLife:
    """How an ingress is; times are seconds since the epoch, zero: never.

    ``error`` says what is wrong, of one that publishes too: a track that nobody in the room can be given.
    """

    status: IngressStatus = IngressStatus.INACTIVE
    error: str = ""
    started_at: float = 0.0
    """When its source came last."""
    ended_at: float = 0.0
    updated_at: float = 0.0
    participant: Participant | None = None
    """Its source in the room."""
    tracks: tuple[IngestTrack, ...] = ()
    """What an encoder sends."""
    has_published: bool = False
    """Since its source has come."""


@dataclass(frozen=True, slots=True)
class IngressChange:
    """An ingress, as it is now and as it was a moment ago."""

    ingress: Ingress
    before: IngressLife
    now: IngressLife

    @property
    def started(self) -> bool:
        """Whether it began to publish."""
        return self.now.has_published and not self.before.has_published

    @property
    def ended(self) -> bool:
        """Whether it has published and does no more."""
        return self.before.has_published and not self.now.has_published


class Ingresses:
    """All ingresses at work; ``when_changed`` are told of each change, and must not block."""

    def __init__(self, book: IngressBook, ingests: Ingests, rooms: Rooms, *, clock: Callable[[], float]) -> None:
        self.book = book
        self.when_changed: list[Callable[[IngressChange], None]] = []
        self._ingests = ingests
        self._rooms = rooms
        self._clock = clock
        self._pulls: Pulls | None = None
        self._lives: dict[str, IngressLife] = {}
        self._whip: dict[str, Participant] = {}
        if ingests.attendances is not None:
            ingests.attendances.ingress_of = book.find
            ingests.attendances.when_changed = self._on_attendance
        rooms.when_opened.append(self._follow)

    async def start(self, pulls: Pulls) -> None:
        """Fetch what is to be fetched; what cannot be says so in its state."""
        self._pulls = pulls
        pulls.when_changed = self._on_pull
        for ingress in self.book.list():
            if ingress.input is IngressInput.URL:
                try:
                    await pulls.open(ingress.id, ingress.url)
                except PullRefusedError as error:
                    _log.warning("ingress %s is not fetched: %s", ingress.id, error)
                    self._turn(ingress, IngressLife(IngressStatus.ERROR, str(error)))

    def life(self, id_: str) -> IngressLife:
        """Give how an ingress is."""
        return self._lives.get(id_) or IngressLife()

    def count(self) -> dict[str, int]:
        """Count ingresses by what their sources do."""
        found = [self.life(ingress.id).status for ingress in self.book.list()]
        return {status.value: found.count(status) for status in IngressStatus}

    def port_of(self, protocol: IngestProtocol) -> int | None:
        """Give where encoders are listened for; None where they are not."""
        return next((one.port for one in self._ingests.listeners if one.shared and one.protocol is protocol), None)

    async def create(self, ingress: Ingress) -> Ingress:
        """Make an ingress, and begin to fetch it; raise `IngressError` or `PullRefusedError`."""
        made = replace(ingress, created_at=self._clock())
        fetched = made.input is IngressInput.URL
        if fetched and self._pulls is None:
            raise IngressError(IngressRefusal.INVALID, "nothing is fetched yet: the server is starting")
        await self.book.add(made)
        if fetched and self._pulls is not None:
            try:
                await self._pulls.open(made.id, made.url)
            except BaseException:
                await self.book.delete(made.id)
                raise
        return made

    async def change(self, ingress: Ingress) -> Ingress:
        """Change an ingress whose source is not there, or disable one; raise `IngressError`."""
        old = self.book.get(ingress.id)
        if not old.reusable:
            message = "an ingress that is fetched is not changed: delete it and make another"
            raise IngressError(IngressRefusal.NOT_REUSABLE, message)
        active = self.life(old.id).status in _ACTIVE
        if active and ingress != replace(old, enabled=ingress.enabled):
            message = "its source is there: it can be disabled, and nothing else be changed"
            raise IngressError(IngressRefusal.ACTIVE, message)
        await self.book.change(ingress)
        if not ingress.enabled:
            await self._stop(ingress)
        return ingress

    async def delete(self, id_: str) -> Ingress:
        """Delete an ingress and end what feeds it; raise `IngressError`."""
        ingress = self.book.get(id_)
        await self.book.delete(id_)
        await self._stop(ingress)
        self._turn(ingress, IngressLife())
        del self._lives[id_]
        return ingress

    def take_in(self, ingress: Ingress, participant: Participant) -> None:
        """Follow who feeds an ingress by WHIP."""
        self._whip[ingress.id] = participant
        participant.when_closed(partial(self._on_whip_closed, ingress, participant))
        self._look(ingress)

    async def _stop(self, ingress: Ingress) -> None:
        """End what feeds an ingress."""
        if self._pulls is not None:
            with suppress(KeyError):
                await self._pulls.close(ingress.id)
        stream = self._ingests.by_name.get(ingress.id)
        if stream is not None:
            await self._ingests.end(stream)
        participant = self._whip.get(ingress.id)
        if participant is not None:
            await self._rooms.remove(participant)

    # --- what happens ---

    def _on_attendance(self, attendance: Attendance) -> None:
        ingress = self.book.find(attendance.name)
        if ingress is not None:
            self._look(ingress, attendance.why_over)

    def _on_pull(self, pull: Pull) -> None:
        ingress = self.book.find(pull.name)
        if ingress is not None:
            self._look(ingress)

    def _on_whip_closed(self, ingress: Ingress, participant: Participant, _reason: CloseReason) -> None:
        if self._whip.get(ingress.id) is not participant:
            return
        del self._whip[ingress.id]
        if participant.successor is not None:
            self.take_in(ingress, participant.successor)
        elif self.book.find(ingress.id) is not None:
            self._look(ingress)

    def _follow(self, room: Room) -> None:
        room.events.listen(partial(self._on_room_event, room))

    def _on_room_event(self, room: Room, event: RoomEvent) -> None:
        if event.kind not in _TELLING or not self._whip or event.participant is None:
            return
        for id_, participant in tuple(self._whip.items()):
            ingress = self.book.find(id_)
            if participant.room is room and participant.identity == event.participant and ingress is not None:
                self._look(ingress)

    def _look(self, ingress: Ingress, why_over: str = "") -> None:
        """See how an ingress is now."""
        match ingress.input:
            case IngressInput.WHIP:
                seen = self._by_whip(ingress)
            case IngressInput.RTMP | IngressInput.URL:
                seen = self._by_encoder(ingress)
        if seen.status is IngressStatus.INACTIVE and why_over:
            seen = IngressLife(IngressStatus.ERROR, why_over)
        self._turn(ingress, seen)

    def _by_whip(self, ingress: Ingress) -> IngressLife:
        participant = self._whip.get(ingress.id)
        if participant is None:
            return IngressLife()
        there = participant.connected and bool(participant.publications)
        return IngressLife(IngressStatus.PUBLISHING if there else IngressStatus.BUFFERING, participant=participant)

    def _by_encoder(self, ingress: Ingress) -> IngressLife:
        attendances = self._ingests.attendances
        attendance = None if attendances is None else attendances.of(ingress.id)
        if attendance is not None:
            return _attending(attendance)
        pull = None if self._pulls is None else self._pulls.by_name.get(ingress.id)
        if pull is None:
            return IngressLife()
        if pull.state is PullState.WAITING:
            return IngressLife(IngressStatus.ERROR, pull.last_error)
        return IngressLife(IngressStatus.BUFFERING)

    def _turn(self, ingress: Ingress, now: IngressLife) -> None:
        """Note how an ingress is, with the times, and tell of it."""
        before = self.life(ingress.id)
        now.updated_at = self._clock()
        now.started_at, now.ended_at = before.started_at, before.ended_at
        now.has_published = now.status is IngressStatus.PUBLISHING
        if now.status in _ACTIVE:
            if before.status not in _ACTIVE:
                now.started_at, now.ended_at = now.updated_at, 0.0
            now.has_published |= before.has_published
        elif before.status in _ACTIVE:
            now.ended_at = now.updated_at
        self._lives[ingress.id] = now
        change = IngressChange(ingress, before, now)
        for told in self.when_changed:
            told(change)


def _attending(attendance: Attendance) -> IngressLife:
    """Say how an encoder is in its room."""
    tracks = tuple(attendance.tracks.values())
    if attendance.outside:
        return IngressLife(IngressStatus.ERROR, attendance.why_outside, tracks=tracks)
    unavailable = "; ".join(f"{kind.value}: {why}" for kind, why in attendance.unavailable().items())
    there = attendance.participant is not None and bool(attendance.published or attendance.made)
    status = IngressStatus.PUBLISHING if there else IngressStatus.BUFFERING
    return IngressLife(status, unavailable, participant=attendance.participant, tracks=tracks)
