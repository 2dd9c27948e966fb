"""Those who asked to enter a room and wait for an answer."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from roomtone.control.rooms.model import Room
    from roomtone.control.rooms.requests import JoinRequest

KnockId = NewType("KnockId", str)


class KnockDecision(StrEnum):
    """What became of somebody who asked to enter."""

    ADMITTED = "admitted"
    DENIED = "denied"
    TIMED_OUT = "timed_out"
    WITHDRAWN = "withdrawn"
    """It gave up, or asked anew."""
    ROOM_CLOSED = "room_closed"


class Knock:
    """Somebody who asks to enter. Ends once, with a `KnockDecision`."""

    def __init__(self, id_: KnockId, room: Room, request: JoinRequest, asked_at: float) -> None:
        self.id = id_
        self.room = room
        self.request = request
        self.asked_at = asked_at
        self.timer: asyncio.TimerHandle | None = None
        self._decision: asyncio.Future[KnockDecision] = asyncio.get_running_loop().create_future()

    @property
    def decision(self) -> KnockDecision | None:
        """What became of it; None while it waits."""
        return self._decision.result() if self._decision.done() else None

    def settle(self, decision: KnockDecision) -> bool:
        """Answer; False when it has been answered."""
        if self._decision.done():
            return False
        self._decision.set_result(decision)
        if self.timer is not None:
            self.timer.cancel()
        return True

    async def decided(self) -> KnockDecision:
        """Wait for the answer; who stops waiting should withdraw. After ``ADMITTED``, join the room."""
        return await asyncio.shield(self._decision)
