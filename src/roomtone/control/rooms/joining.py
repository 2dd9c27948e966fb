"""Identities that join, and who makes way for them."""

from __future__ import annotations

from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.model import Connection, Participant, PlainConnection
from roomtone.control.rooms.reasons import CloseReason, Refusal, RoomError
from roomtone.control.rooms.tracking import RoomTracks
from roomtone.control.rooms.values import (
    MAX_ATTRIBUTES,
    MAX_ATTRIBUTES_LENGTH,
    MAX_IDENTITY_LENGTH,
    MAX_METADATA_LENGTH,
    MAX_NAME_LENGTH,
    ParticipantId,
    ParticipantState,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from roomtone.control.rooms.model import AnyConnection, Room
    from roomtone.control.rooms.permissions import Permissions
    from roomtone.control.rooms.requests import JoinRequest
    from roomtone.control.rooms.values import PlainAddress, TrackOffer
    from roomtone.protocols.sdp import RemotePeer


MAX_INVITED = 10_000
"""Identities a room remembers to have let in; when full, the oldest must ask again."""


class RoomJoins(RoomTracks):
    """Rooms with participants."""

    async def join(self, name: str, request: JoinRequest, *, media_optional: bool = False) -> Participant:
        """Let an identity in, without tracks; one already there under that identity goes.

        With ``media_optional`` also into a room that has no media, since the engine has no place: see `Room.has_media`.
        """
        room = await self._enter(name, media_optional=media_optional)
        with self._participant_place(room, request):
            participant = self._new_participant(room, request)
            replaced = self._admit(participant)
        await self._close_all(replaced)
        return participant

    def check_join(self, name: str, request: JoinRequest) -> None:
        """Refuse what `join` would refuse now, but for what the engine has no place for; let nobody in."""
        self._check_request(request)
        if not self.limits.create_on_join:
            self.find(name)
        self._check_room(name)
        room = self.by_name.get(name)
        if room is not None:
            self.check_entry(room, request.identity, request.permissions)
            self._check_place(room, request)

    async def join_with_tracks(
        self, name: str, request: JoinRequest, peer: RemotePeer, tracks: Sequence[TrackOffer]
    ) -> tuple[Participant, Connection]:
        """Let an identity in with a connection and tracks; nobody is replaced unless all of it works."""
        room = await self._enter(name)
        async with AsyncExitStack() as undo:
            with self._participant_place(room, request):
                participant = self._new_participant(room, request)
                undo.push_async_callback(self._abandon, participant)
                connection = await self.open_connection(participant, peer)
                for track in tracks:
                    await self._produce(participant, connection, track)
                await self.connect(connection, peer)
                self._check_open(participant)
                replaced = self._admit(participant)
            undo.pop_all()
        await self._close_all(replaced)
        self.switching.refresh(room)
        return participant, connection

    def find_participant(self, room: Room, identity: str) -> Participant:
        """Give a participant by its identity; raise `RoomError`."""
        participant = room.participants.get(identity)
        if participant is None:
            raise self.refuse(Refusal.NO_SUCH_PARTICIPANT, "the room has no such participant")
        return participant

    async def publish_plain(
        self, name: str, request: JoinRequest, sources: Sequence[tuple[TrackOffer, PlainAddress]]
    ) -> tuple[Participant, list[PlainConnection]]:
        """Let an identity in whose tracks come as plain RTP, each to ports of its own.

        An operator's doing: lock and lobby let it pass.
        """
        room = await self._enter(name)
        self.invite(room, request.identity)
        opened: list[PlainConnection] = []
        async with AsyncExitStack() as undo:
            with self._participant_place(room, request):
                participant = self._new_participant(room, request)
                undo.push_async_callback(self._abandon, participant)
                for track, address in sources:
                    opened.append(await self.open_plain_connection(participant, address))
                    await self._produce(participant, opened[-1], track)
                self._check_open(participant)
                replaced = self._admit(participant)
            undo.pop_all()
        await self._close_all(replaced)
        self.switching.refresh(room)
        return participant, opened

    @contextmanager
    def _participant_place(self, room: Room, request: JoinRequest) -> Iterator[None]:
        """Hold a place for a participant on its way in; one that will be replaced makes way."""
        try:
            self._check_request(request)
            self.check_entry(room, request.identity, request.permissions)
        except RoomError:
            self._settle(room)
            raise
        with self._hold_place(room, request):
            yield

    @contextmanager
    def _hold_place(self, room: Room, request: JoinRequest) -> Iterator[None]:
        """Hold a place for a participant whom neither lock nor lobby keeps out."""
        try:
            self._check_place(room, request)
        except RoomError:
            self._settle(room)
            raise
        room.reserved.participants += 1
        try:
            yield
        finally:
            room.reserved.participants -= 1
            self._settle(room)

    def _check_request(self, request: JoinRequest) -> None:
        if not 0 < len(request.identity) <= MAX_IDENTITY_LENGTH:
            raise self.refuse(Refusal.BAD_IDENTITY, f"an identity is 1 to {MAX_IDENTITY_LENGTH} characters")
        self._check_description(request.name, request.metadata, dict(request.attributes))

    def _check_description(self, name: str, metadata: str, attributes: Mapping[str, str]) -> None:
        """Refuse what a participant says of itself when it is too much."""
        if len(name) > MAX_NAME_LENGTH:
            raise self.refuse(Refusal.TOO_LARGE, f"a name is at most {MAX_NAME_LENGTH} characters")
        if len(metadata) > MAX_METADATA_LENGTH:
            raise self.refuse(Refusal.TOO_LARGE, f"metadata is at most {MAX_METADATA_LENGTH} characters")
        if len(attributes) > MAX_ATTRIBUTES:
            raise self.refuse(Refusal.TOO_LARGE, f"there are at most {MAX_ATTRIBUTES} attributes")
        if sum(len(key) + len(value) for key, value in attributes.items()) > MAX_ATTRIBUTES_LENGTH:
            raise self.refuse(Refusal.TOO_LARGE, f"attributes are at most {MAX_ATTRIBUTES_LENGTH} characters together")

    def invite(self, room: Room, identity: str) -> None:
        """Let an identity pass lock and lobby, until it is removed or the room is locked anew."""
        room.invited.pop(identity, None)
        room.invited[identity] = None
        while len(room.invited) > MAX_INVITED:
            del room.invited[next(iter(room.invited))]

    def is_known(self, room: Room, identity: str) -> bool:
        """Whether lock and lobby let an identity pass: it is in the room itself, not forwarded, or invited."""
        here = room.participants.get(identity)
        return identity in room.invited or (here is not None and here.origin is None)

    def check_entry(self, room: Room, identity: str, permissions: Permissions) -> None:
        """Refuse who a lock or the lobby keeps out; who is in the room already may come again."""
        if permissions.moderator or self.is_known(room, identity):
            return
        if room.options.locked:
            raise self.refuse(Refusal.ROOM_LOCKED, "the room is locked")
        if room.options.lobby and not permissions.is_service:
            raise self.refuse(Refusal.MUST_ASK, "the room has a lobby: somebody in it must let you in")

    def _check_place(self, room: Room, request: JoinRequest) -> None:
        taken = len(room.participants) + room.reserved.participants - (request.identity in room.participants)
        if taken >= self.limits.max_participants:
            raise self.refuse(Refusal.TOO_MANY_PARTICIPANTS, f"the room has {taken} participants already")
        limit = room.options.max_participants
        if not limit or request.permissions.is_service:
            return
        people = [other for other in room.participants.values() if not other.permissions.is_service]
        taken = sum(other.identity != request.identity for other in people) + room.reserved.participants
        if taken >= limit:
            raise self.refuse(Refusal.TOO_MANY_PARTICIPANTS, f"the room takes {limit} participants")

    def _new_participant(self, room: Room, request: JoinRequest) -> Participant:
        return Participant(room, ParticipantId(self._new_id("PA")), request, self._clock())

    def _admit(self, participant: Participant) -> list[AnyConnection]:
        """Put a participant into its room, in one step; gives what is left to close of the one it replaces."""
        self._check_open(participant)
        room = participant.room
        self.check_entry(room, participant.identity, participant.permissions)  # it may have been locked meanwhile
        older = room.participants.get(participant.identity)
        replaced = [] if older is None else self._detach(older, CloseReason.DUPLICATE_IDENTITY)
        self._let_in(participant)
        return replaced

    def _let_in(self, participant: Participant) -> None:
        """Put a participant into its room, where nobody has its identity, and tell of it and its tracks."""
        room = participant.room
        room.was_used = True
        room.participants[participant.identity] = participant
        participant.state = ParticipantState.ACTIVE if participant.connected else ParticipantState.JOINED
        participant.emit(RoomEventKind.PARTICIPANT_JOINED)
        for publication in participant.publications.values():
            self._announce(publication)
