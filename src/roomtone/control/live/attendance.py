"""Encoders in rooms: what publishes a live stream is a participant of the room of its name, and only publishes.

What feeds an ingress is who the ingress says, in the room that it names.

It comes and goes with the encoder; the one for which the stream waits then comes as another participant. Its tracks are
those that WebRTC carries, and what is made of the others; of those of which nothing is made it says why not. Who is
removed from the room, or whose room is closed, is sent away as an encoder too. ``counts`` says what became of encoders
and tracks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from roomtone.control.live.coded import offer_of, why_barred
from roomtone.control.live.making import MadeTrack, made_offer
from roomtone.control.live.transcoding import WorkerStartError
from roomtone.control.rooms import CloseReason, JoinRequest, ParticipantKind, Protocol, RoomError
from roomtone.media import MediaError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from roomtone.control.live.ingress import Ingress
    from roomtone.control.live.making import Makings
    from roomtone.control.rooms import FeedConnection, Participant, Publication, Rooms
    from roomtone.media.values import IngestId, IngestTrack, IngestTrackId, MediaKind

IDENTITY = "encoder"
"""Of who publishes a live stream, in its room."""
MAX_REPAIRS = 8
"""Times that an encoder joins its room anew after the engine has lost its media there."""
_SENT_AWAY = frozenset({CloseReason.REMOVED, CloseReason.ROOM_CLOSED, CloseReason.NOT_PERMITTED})
_log = logging.getLogger(__name__)


class AttendanceCount(StrEnum):
    """What became of encoders in rooms, and of their tracks."""

    JOINED = "joined"
    REFUSED = "refused"
    """It is in no room: its room is locked, full or encrypted, say."""
    REPAIRED = "repaired"
    SENT_AWAY = "sent_away"
    TRACK_PUBLISHED = "track_published"
    TRACK_BARRED = "track_barred"
    TRACK_FAILED = "track_failed"
    TRACK_MADE = "track_made"
    """It is offered as what is made of it."""
    TRACK_NOT_MADE = "track_not_made"
    """It was to be, and cannot."""


@dataclass(eq=False, slots=True)
class Attendance:
    """One encoder, and what of it is in its room."""

    name: str
    ingest: IngestId
    tracks: dict[IngestTrackId, IngestTrack] = field(default_factory=dict)
    """As they were told last."""
    participant: Participant | None = None
    connection: FeedConnection | None = None
    published: dict[IngestTrackId, tuple[str, Publication]] = field(default_factory=dict)
    """With the codec of each."""
    made: dict[IngestTrackId, MadeTrack] = field(default_factory=dict)
    """Tracks that are made anew, by those that they are made of."""
    failed: dict[IngestTrackId, tuple[str, str]] = field(default_factory=dict)
    """Tracks that the room refused, or that cannot be made anew: their codecs, and why."""
    ingress: Ingress | None = None
    """Which says who it is, where it feeds one."""
    repairs: int = 0
    outside: bool = False
    """It is to be in no room any more, or was refused."""
    why_outside: str = ""
    why_over: str = ""
    """Where what it sent could not be read."""
    over: bool = False
    under_way: bool = False
    again: bool = False

    def unavailable(self) -> dict[MediaKind, str]:
        """Say which of its tracks nobody in the room can be given, and why."""
        barred = {
            told.kind: why
            for told in self.tracks.values()
            if told.track not in self.made and (why := why_barred(told)) is not None
        }
        failed = {self.tracks[id_].kind: why for id_, (_, why) in self.failed.items() if id_ in self.tracks}
        return {kind: f"{why}; {failed[kind]}" if kind in failed else why for kind, why in (failed | barred).items()}


class Attendances:
    """All encoders that are in rooms. ``send_away`` ends what one publishes, ``warn`` tells of it; both by its name."""

    def __init__(
        self,
        rooms: Rooms,
        send_away: Callable[[str], Coroutine[None, None, None]],
        warn: Callable[[str, str], None],
        makings: Makings | None = None,
    ) -> None:
        self.by_ingest: dict[IngestId, Attendance] = {}
        self.counts: Counter[AttendanceCount] = Counter()
        self.ingress_of: Callable[[str], Ingress | None] = lambda _name: None
        """Gives the ingress that a stream of a name feeds."""
        self.when_changed: Callable[[Attendance], None] = lambda _attendance: None
        """Called when one is in its room otherwise than before, or no longer."""
        self._rooms = rooms
        self._send_away = send_away
        self._warn = warn
        self._makings = makings
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, name: str, ingest: IngestId) -> None:
        """Have an encoder join the room of its stream's name."""
        if ingest not in self.by_ingest:
            attendance = self.by_ingest[ingest] = Attendance(name, ingest, ingress=self.ingress_of(name))
            self._refresh(attendance)

    def tell_track(self, track: IngestTrack) -> None:
        """Note how a track is coded, and whether it can be in a room."""
        attendance = self.by_ingest.get(track.ingest)
        if attendance is not None:
            attendance.tracks[track.track] = track
            if track.bar is not None:
                self.counts[AttendanceCount.TRACK_BARRED] += 1
            self._refresh(attendance)

    def end_track(self, ingest: IngestId, track: IngestTrackId) -> None:
        """Note that an encoder sends a track no more."""
        attendance = self.by_ingest.get(ingest)
        if attendance is not None and attendance.tracks.pop(track, None) is not None:
            self._refresh(attendance)

    def of(self, name: str) -> Attendance | None:
        """Give that of the encoder that publishes under a name now."""
        return next((one for one in self.by_ingest.values() if one.name == name), None)

    def end(self, ingest: IngestId, why: str = "") -> None:
        """Have an encoder leave; ``why`` is said where what it sent cannot be read."""
        attendance = self.by_ingest.pop(ingest, None)
        if attendance is not None:
            attendance.over, attendance.why_over = True, why
            self._refresh(attendance)

    async def close(self) -> None:
        """Have all leave."""
        for ingest in tuple(self.by_ingest):
            self.end(ingest)
        while self._tasks:
            await asyncio.wait(self._tasks)

    # --- bringing rooms in step ---

    def _refresh(self, attendance: Attendance) -> None:
        attendance.again = True
        if not attendance.under_way:
            attendance.under_way = True
            self._spawn(self._follow(attendance))

    async def _follow(self, attendance: Attendance) -> None:
        try:
            while attendance.again:
                attendance.again = False
                try:
                    await self._bring_in_step(attendance)
                except RoomError as error:
                    self._refused(attendance, error)
        finally:
            attendance.under_way = False
            self.when_changed(attendance)

    async def _bring_in_step(self, attendance: Attendance) -> None:
        if attendance.over:
            attendance.outside = True
            await self._stop_making(attendance, tuple(attendance.made))
            if attendance.participant is not None:
                await self._rooms.end(attendance.participant)
            return
        if attendance.outside:
            await self._stop_making(attendance, tuple(attendance.made))
            return
        if attendance.participant is None:
            await self._stop_making(attendance, tuple(attendance.made))
            await self._join(attendance)
        participant, connection = attendance.participant, attendance.connection
        if participant is None or connection is None:
            return
        for id_, (codec, publication) in tuple(attendance.published.items()):
            told = attendance.tracks.get(id_)
            if told is None or told.codec != codec or told.bar is not None:
                del attendance.published[id_]
                await self._rooms.unpublish(publication)
        await self._drop_made(attendance)
        for id_, told in tuple(attendance.tracks.items()):
            there = id_ in attendance.published or id_ in attendance.made
            if not there and attendance.failed.get(id_, ("", ""))[0] != told.codec:
                await self._publish(attendance, participant, connection, told)
        await self._rooms.note_unavailable(participant, attendance.unavailable())

    async def _join(self, attendance: Attendance) -> None:
        request = JoinRequest(
            identity=IDENTITY, name=attendance.name, kind=ParticipantKind.INGEST, protocol=Protocol.ENCODER
        )
        ingress = attendance.ingress
        if ingress is not None:
            request = ingress.join_request(Protocol.ENCODER)
        participant = await self._rooms.join(attendance.name if ingress is None else ingress.room, request)
        try:
            attendance.connection = await self._rooms.open_feed_connection(participant)
        except BaseException:
            await self._rooms.end(participant)
            raise
        attendance.participant = participant
        self.counts[AttendanceCount.JOINED] += 1
        participant.when_closed(partial(self._on_closed, attendance, participant))

    async def _publish(
        self, attendance: Attendance, participant: Participant, connection: FeedConnection, told: IngestTrack
    ) -> None:
        offer = offer_of(told)
        if offer is None:
            await self._make(attendance, participant, connection, told)
            return
        if attendance.ingress is not None:
            offer = attendance.ingress.offer(offer)
        try:
            publication = await self._rooms.publish(participant, connection, offer)
        except RoomError as error:
            if attendance.tracks.get(told.track) is not told or participant.closed is not None:
                return  # it has changed meanwhile, and so will this
            self.counts[AttendanceCount.TRACK_FAILED] += 1
            attendance.failed[told.track] = told.codec, error.message
            self._warn(attendance.name, f"{told.kind.value} is not in the room: {error.message}")
            return
        self.counts[AttendanceCount.TRACK_PUBLISHED] += 1
        attendance.published[told.track] = told.codec, publication

    async def _make(
        self, attendance: Attendance, participant: Participant, connection: FeedConnection, told: IngestTrack
    ) -> None:
        """Offer what is made of a track that the room cannot have."""
        if self._makings is None or not self._makings.ready:
            return
        try:
            making = await self._makings.prepare(attendance.name, told)
        except (MediaError, WorkerStartError) as error:
            self._not_made(attendance, told, str(error))
            return
        try:
            offer = made_offer(making)
            if attendance.ingress is not None:
                offer = attendance.ingress.offer(offer)
            publication = await self._rooms.publish(participant, connection, offer)
        except RoomError as error:
            await self._makings.abandon(making)
            if attendance.tracks.get(told.track) is told and participant.closed is None:
                self._not_made(attendance, told, error.message)
            return
        made = attendance.made[told.track] = MadeTrack(making, publication)
        making.when_given_up = partial(self._given_up, attendance, made)
        self.counts[AttendanceCount.TRACK_MADE] += 1
        self._makings.follow(made)

    def _not_made(self, attendance: Attendance, told: IngestTrack, why: str) -> None:
        self.counts[AttendanceCount.TRACK_NOT_MADE] += 1
        attendance.failed[told.track] = told.codec, f"it cannot be made anew: {why}"
        self._warn(attendance.name, f"{told.kind.value} is not made anew for the room: {why}")

    def _given_up(self, attendance: Attendance, made: MadeTrack, why: str) -> None:
        made.ended = why
        self._refresh(attendance)

    async def _drop_made(self, attendance: Attendance) -> None:
        """Take away what is made of tracks that are gone, that can be had as they are, or that cannot be made."""
        for id_, made in tuple(attendance.made.items()):
            told = attendance.tracks.get(id_)
            if made.ended is not None and told is not None:
                self._not_made(attendance, told, made.ended)
            if made.ended is not None or told is None or why_barred(told) is None:
                publication = made.publication
                await self._stop_making(attendance, (id_,))
                await self._rooms.unpublish(publication)

    async def _stop_making(self, attendance: Attendance, tracks: tuple[IngestTrackId, ...]) -> None:
        for id_ in tracks:
            made = attendance.made.pop(id_, None)
            if made is not None and self._makings is not None:
                await self._makings.stop(made)

    def _refused(self, attendance: Attendance, error: RoomError) -> None:
        if attendance.over or attendance.participant is not None:
            return  # what ended it meanwhile has its own way
        attendance.outside, attendance.why_outside = True, error.message
        self.counts[AttendanceCount.REFUSED] += 1
        _log.warning("the encoder of %s is not in the room: %s", attendance.name, error.message)
        self._warn(attendance.name, f"it is not in the room: {error.message}")

    def _on_closed(self, attendance: Attendance, participant: Participant, reason: CloseReason) -> None:
        """Its participant has ended, by whoever's doing."""
        if attendance.participant is not participant:
            return
        attendance.participant = attendance.connection = None
        attendance.published.clear()
        if attendance.over:
            return
        if reason is CloseReason.MEDIA_FAILED and attendance.repairs < MAX_REPAIRS:
            attendance.repairs += 1
            self.counts[AttendanceCount.REPAIRED] += 1
            self._refresh(attendance)
            return
        attendance.outside, attendance.why_outside = True, f"it is in the room no more: {reason.value}"
        self.when_changed(attendance)
        self._refresh(attendance)
        if reason in _SENT_AWAY:
            self.counts[AttendanceCount.SENT_AWAY] += 1
            self._spawn(self._send_away(attendance.name))
        else:
            self._warn(attendance.name, attendance.why_outside)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
