"""Participants that go on in another room, with the connections they have where their server can see to that.

Who is taken along keeps its transports, on the routers they were made on: those become guests of the other room, to
which its tracks are piped, and from where the other room's come. A guest ends with the last room that needs it. What
the participant publishes keeps its track ids; all subscriptions, its own and those to it, end and are made anew.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.model import Participant
from roomtone.control.rooms.pipes import end_pipe, made
from roomtone.control.rooms.reasons import CloseReason, Refusal, RoomError
from roomtone.control.rooms.tables import quietly
from roomtone.control.rooms.tracks import Publication
from roomtone.control.rooms.updating import RoomUpdates
from roomtone.control.rooms.values import ParticipantId, ParticipantState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from roomtone.control.rooms.model import Room

_log = logging.getLogger(__name__)


class UnawareMover:
    """Moves somebody whose peer only sends, and need not know into which room."""

    ready = True

    @asynccontextmanager
    async def moving(self) -> AsyncIterator[None]:
        """Hold nothing back: what the peer asks is about its connection, which stays."""
        yield

    def moved(self, successor: Participant) -> None:
        """Let it be moved on from there too."""
        successor.mover = self


class RoomMoves(RoomUpdates):
    """Rooms whose participants can be sent to others."""

    async def move(self, participant: Participant, to_room: str) -> Room:
        """Send a participant to another room, made if it is not there, where it passes lock and lobby.

        It ends here with `CloseReason.MOVED`. Where its server takes it along (`Participant.mover`), it is in the other
        room when this returns; otherwise its server tells the peer to join there.
        """
        self._check_movable(participant, to_room)
        # A new room is like the one it comes from, so that what it publishes can be read there.
        other = await self.open(to_room, replace(self.limits.defaults(), e2ee=participant.room.options.e2ee))
        self._check_place(other, participant.request)
        self._check_movable(participant, to_room)
        mover = participant.mover
        if mover is not None and participant.room.options.e2ee == other.options.e2ee:
            async with mover.moving():
                if mover.ready:  # asked in its turn: the peer may have gone while others were served
                    self.invite(other, participant.identity)
                    await self._take_along(participant, other)
                    return other
        self._check_open(participant)
        if not participant.movable:
            text = "only one of the two rooms is encrypted end to end: its tracks would not be understood in the other"
            raise self.refuse(Refusal.ROOM_IS_ENCRYPTED, text)
        self.invite(other, participant.identity)
        participant.moved_to = other.name
        participant.emit(RoomEventKind.PARTICIPANT_MOVED, to_room=other.name, reason=CloseReason.MOVED)
        await self.end(participant, CloseReason.MOVED)
        return other

    # --- steps ---

    def _check_movable(self, participant: Participant, to_room: str) -> None:
        self._check_open(participant)
        if not participant.movable and participant.mover is None:
            raise self.refuse(Refusal.NOT_MOVABLE, "what it came by has no way to send it to another room")
        if to_room == participant.room.name:
            raise self.refuse(Refusal.SAME_ROOM, "it is in that room")

    async def _take_along(self, before: Participant, other: Room) -> None:
        """Put a participant, its connections and its tracks into another room, in one step."""
        await self._need_media(other)
        with self._hold_place(other, before.request):
            self._check_open(before)
            moved = self._successor(before, other)
            self._check_open(moved)
            older = other.participants.get(moved.identity)
            replaced = [] if older is None else self._detach(older, CloseReason.DUPLICATE_IDENTITY)
            tracks = tuple(before.publications.values())
            consumers = [subscription.consumer for subscription in before.subscriptions.values()]
            pipes = [piped for track in tracks for piped in made(track.pipes.values())]
            self._part(before, moved)
            refused = self._bring_tracks(moved, tracks)
            self._tell_mover(before, moved)
            self._let_in(moved)
        self.switching.refresh(other)
        await asyncio.gather(
            *(quietly(consumer.close) for consumer in consumers),
            *(quietly(track.producer.close) for track in refused),
            *(end_pipe(piped) for piped in pipes),
            self._close_all(replaced),
        )

    def _successor(self, before: Participant, other: Room) -> Participant:
        """Make the participant that goes on in the other room, as it is here now."""
        request = replace(
            before.request,
            name=before.name,
            metadata=before.metadata,
            attributes=tuple(before.attributes.items()),
            permissions=before.permissions,
        )
        moved = Participant(other, ParticipantId(self._new_id("PA")), request, self._clock())
        moved.subscription_rules = before.subscription_rules
        moved.quality = before.quality
        return moved

    def _part(self, before: Participant, moved: Participant) -> None:
        """End a participant where it was; its connections are its successor's."""
        moved.connections, before.connections = before.connections, {}
        before.successor, before.moved_to = moved, moved.room.name
        before.emit(RoomEventKind.PARTICIPANT_MOVED, to_room=moved.room.name, reason=CloseReason.MOVED)
        for connection in moved.connections.values():
            # Taken there before it is given back here: a router that no room holds is closed.
            self.routers.adopt(moved.room, connection.router)
            if self.routers.release(before.room, connection.router):
                self.spawn(quietly(connection.router.close))
            connection.owner = moved
        self._detach(before, CloseReason.MOVED)
        moved.state = ParticipantState.ACTIVE if moved.connected else ParticipantState.JOINED

    def _tell_mover(self, before: Participant, moved: Participant) -> None:
        """Tell who holds the peer; where that fails, the participant ends in the other room."""
        try:
            if before.mover is not None:
                before.mover.moved(moved)
        except Exception:  # noqa: BLE001 - half moved it must not stay
            _log.exception("telling a participant that it is in room %s failed", moved.room.name)
            self.spawn(self.end(moved, CloseReason.MEDIA_FAILED))

    def _bring_tracks(self, moved: Participant, tracks: Sequence[Publication]) -> list[Publication]:
        """Publish tracks in the other room; gives those that may not be there."""
        refused = []
        for track in tracks:
            publication = Publication(track.id, moved, track.offer, track.producer, track.router)
            publication.publisher_muted, publication.server_muted = track.publisher_muted, track.server_muted
            publication.layers, publication.wanted, publication.quality = track.layers, track.wanted, track.quality
            publication.started_encodings = set(track.started_encodings)
            try:
                self._check_may_publish(moved, track.offer)
            except RoomError:
                refused.append(track)
                continue
            self._enter_track(publication)
            self._hear(publication)
        return refused
