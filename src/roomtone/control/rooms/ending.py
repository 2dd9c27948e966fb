"""How members, tracks and subscriptions end: out of all tables in one step, then closed in the engine."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING

from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.model import Connection, Participant, Viewer
from roomtone.control.rooms.reasons import CloseReason
from roomtone.control.rooms.speakers import silence
from roomtone.control.rooms.tables import RoomTables, quietly
from roomtone.control.rooms.values import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from roomtone.control.rooms.model import AnyConnection, Member, Room
    from roomtone.control.rooms.tracks import Publication, Subscription


class RoomEnds(RoomTables):
    """Rooms whose members end."""

    @abstractmethod
    def _settle(self, room: Room) -> None:
        """Arm or stop the timer of a room that may be empty now."""

    async def end(self, member: Member, reason: CloseReason = CloseReason.LEFT) -> None:
        """End a participant or viewer and all it has; nothing when it has ended already."""
        await self._close_all(self._detach(member, reason))

    def _detach(self, member: Member, reason: CloseReason) -> list[AnyConnection]:
        """Take a member out of its room and of all tables, in one step; gives what is left to close."""
        if not member.mark_closed(reason):
            return []
        room = member.room
        admitted = self._remove(member, reason)
        for subscription in tuple(member.subscriptions.values()):
            self._forget_subscription(subscription, reason)
        connections, member.connections = list(member.connections.values()), {}
        for connection in connections:
            self.connections.pop(connection.transport.id, None)
            if isinstance(connection, Connection):
                for channel in connection.channels:
                    self.channels.pop(channel, None)
            if self.routers.release(room, connection.router):
                self.spawn(quietly(connection.router.close))
        if admitted and isinstance(member, Participant | Viewer):
            self.ended[reason] += 1
            room.ended.append(self._ended(member, reason))
            self.ended_log.add_member(member, reason)
            self._settle(room)
            self.switching.refresh(room)
        member.tell_closed(reason)
        return connections

    def _ended(self, member: Participant | Viewer, reason: CloseReason) -> Ended:
        identity, viewer = (member.identity, None) if isinstance(member, Participant) else (None, member.id)
        return Ended(identity, viewer, reason, member.joined_at, self._clock())

    def _remove(self, member: Member, reason: CloseReason) -> bool:
        """Take a member out of its room; False when it was not in yet."""
        room = member.room
        if isinstance(member, Viewer):
            if room.viewers.pop(member.id, None) is None:
                return False
            member.emit(RoomEventKind.VIEWER_LEFT, reason=reason)
            return True
        if not isinstance(member, Participant):
            return False
        admitted = room.participants.get(member.identity) is member
        publications, member.publications = tuple(member.publications.values()), {}
        for publication in publications:
            self.publications.pop(publication.producer.id, None)
            if admitted:
                self._withdraw(publication, reason)
        if admitted:
            del room.participants[member.identity]
            silence(room, member.identity)
            member.emit(RoomEventKind.PARTICIPANT_LEFT, reason=reason)
        return admitted

    async def _abandon(self, member: Member) -> None:
        """Undo a member that did not get in."""
        await self._close_all(self._detach(member, CloseReason.LEFT))

    async def _close_all(self, connections: Sequence[AnyConnection]) -> None:
        """Close transports, also when the caller is cancelled meanwhile."""
        if connections:
            closing = asyncio.gather(*(quietly(connection.transport.close) for connection in connections))
            self._closings.add(closing)
            closing.add_done_callback(self._closings.discard)
            await asyncio.shield(closing)

    def _withdraw(self, publication: Publication, reason: CloseReason) -> None:
        """Take a track out of all tables and tell of it; its subscriptions end with it."""
        self.publications.pop(publication.producer.id, None)
        for pipe in tuple(publication.pipes.values()):
            if pipe.done() and not pipe.cancelled() and pipe.exception() is None:
                self.routers.unpipe(pipe.result().id)
        participant = publication.participant
        participant.version += 1
        participant.emit(RoomEventKind.TRACK_UNPUBLISHED, track=publication.id, reason=reason)
        if participant.room.closed is not None:
            return  # subscriptions end with their members, all at once
        for subscription in tuple(publication.subscriptions.values()):
            self.spawn(quietly(self._end_subscription(subscription, CloseReason.UNPUBLISHED)))

    def _end_subscription(
        self, subscription: Subscription, reason: CloseReason
    ) -> Callable[[], Coroutine[None, None, None]]:
        """End a participant's subscription without having been asked by it; gives what is left to do."""
        source = subscription.source
        if self._forget_subscription(subscription, reason):
            subscription.member.emit(
                RoomEventKind.SUBSCRIPTION_ENDED,
                track=None if source is None else source.id,
                subscription=subscription.id,
                reason=reason,
            )
            if subscription.on_close is not None:
                subscription.on_close(reason)
        return subscription.consumer.close

    def end_subscription(self, subscription: Subscription, reason: CloseReason) -> None:
        """End a participant's subscription, soon, without having been asked by it."""
        self.spawn(quietly(self._end_subscription(subscription, reason)))

    def _forget_subscription(self, subscription: Subscription, reason: CloseReason) -> bool:
        """Take a subscription out of all tables; False when it had ended."""
        if subscription.member.subscriptions.pop(subscription.id, None) is None:
            return False
        subscription.closed = reason
        self.subscriptions.pop(subscription.consumer.id, None)
        if subscription.source is not None:
            subscription.source.subscriptions.pop(subscription.id, None)
        return True
