"""The lobby: who must ask before it may enter a room, and who answers.

Limits: ``lobby_size`` of a room, beyond which `Refusal.LOBBY_FULL`; ``lobby_timeout_s``, after which nobody answered.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.knocks import Knock, KnockDecision, KnockId
from roomtone.control.rooms.reasons import CloseReason, Refusal, RoomError
from roomtone.control.rooms.watching import RoomViewers

if TYPE_CHECKING:
    from collections import Counter

    from roomtone.control.rooms.model import Room
    from roomtone.control.rooms.permissions import Permissions
    from roomtone.control.rooms.requests import JoinRequest


class RoomLobbies(RoomViewers):
    """Rooms that are asked for entry; ``knocks_decided`` counts what became of those who asked."""

    knocks_decided: Counter[KnockDecision]

    def must_ask(self, room: Room, identity: str, permissions: Permissions) -> bool:
        """Whether `join` would be refused for the lobby, so that `knock` must come first."""
        if not room.options.lobby or permissions.moderator or permissions.is_service:
            return False
        return not self.is_known(room, identity)

    async def knock(self, name: str, request: JoinRequest) -> Knock:
        """Ask to enter; answered at once where nobody must ask. An older question of the identity is withdrawn."""
        room = await self._enter(name)
        try:
            self._check_request(request)
            if room.options.locked:
                self.check_entry(room, request.identity, request.permissions)
        except RoomError:
            self._settle(room)
            raise
        knock = Knock(KnockId(self._new_id("KN")), room, request, self._clock())
        if not self.must_ask(room, request.identity, request.permissions):
            knock.settle(KnockDecision.ADMITTED)
            self.knocks_decided[KnockDecision.ADMITTED] += 1
            return knock
        older = next((other for other in room.lobby.values() if other.request.identity == request.identity), None)
        if older is not None:
            self._decide(older, KnockDecision.WITHDRAWN)
        if len(room.lobby) >= self.limits.lobby_size:
            raise self.refuse(Refusal.LOBBY_FULL, f"{len(room.lobby)} wait in the lobby already")
        room.lobby[knock.id] = knock
        loop = asyncio.get_running_loop()
        knock.timer = loop.call_later(self.limits.lobby_timeout_s, self._decide, knock, KnockDecision.TIMED_OUT)
        room.events.emit(RoomEventKind.LOBBY_KNOCK, participant=request.identity, knock=knock.id)
        return knock

    def find_knock(self, room: Room, id_: str) -> Knock:
        """Give somebody who waits; raise `RoomError`."""
        knock = room.lobby.get(KnockId(id_))
        if knock is None:
            raise self.refuse(Refusal.NO_SUCH_KNOCK, "nobody waits under this id")
        return knock

    def admit(self, room: Room, knock_id: str) -> Knock:
        """Let somebody in who waits."""
        knock = self.find_knock(room, knock_id)
        self._decide(knock, KnockDecision.ADMITTED)
        return knock

    def deny(self, room: Room, knock_id: str) -> Knock:
        """Keep somebody out who waits."""
        knock = self.find_knock(room, knock_id)
        self._decide(knock, KnockDecision.DENIED)
        return knock

    def withdraw(self, knock: Knock) -> None:
        """Ask no longer; nothing when it has been answered."""
        self._decide(knock, KnockDecision.WITHDRAWN)

    def _decide(self, knock: Knock, decision: KnockDecision) -> None:
        if not knock.settle(decision):
            return
        room = knock.room
        room.lobby.pop(knock.id, None)
        self.knocks_decided[decision] += 1
        if decision is KnockDecision.ADMITTED:
            self.invite(room, knock.request.identity)
        room.events.emit(
            RoomEventKind.LOBBY_DECIDED, participant=knock.request.identity, knock=knock.id, decision=decision
        )

    async def close_room(self, room: Room, reason: CloseReason = CloseReason.ROOM_CLOSED) -> None:
        """Send everybody out, also of the lobby, and close the room."""
        self._answer_all(room, KnockDecision.ROOM_CLOSED)
        await super().close_room(room, reason)

    def _answer_all(self, room: Room, decision: KnockDecision) -> None:
        for knock in tuple(room.lobby.values()):
            self._decide(knock, decision)
