"""Clients of Socket.IO that must ask before they enter: they wait, are told the answer, and are in once admitted.

Limits: those of the room's lobby; what a client waits for counts as rooms it is in. Who disconnects asks no longer.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from roomtone.control.rooms import Knock, KnockDecision
from roomtone.servers.socketio.problems import problem_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomtone.protocols.mediasoup.requests import Join
    from roomtone.servers.socketio.callers import Caller
    from roomtone.servers.socketio.sfu import Sfu

    Enter = Callable[[], Awaitable[dict[str, Any]]]
    Tell = Callable[[str, dict[str, Any]], None]

_log = logging.getLogger(__name__)


class Waiting:
    """The rooms that one client waits for."""

    def __init__(self, sfu: Sfu, tell: Tell) -> None:
        self._sfu = sfu
        self._tell = tell
        self._knocks: dict[str, Knock] = {}

    def __len__(self) -> int:
        return len(self._knocks)

    async def ask(self, request: Join, caller: Caller, enter: Enter) -> dict[str, Any]:
        """Ask to enter a room, or say that this is being asked; ``enter`` is called on admission."""
        known = self._knocks.get(request.room)
        if known is not None:
            return _waiting(known)
        knock = await self._sfu.knock(request.room, caller, peer_id=request.peer, name=request.name)
        self._knocks[request.room] = knock
        self._sfu.rooms.spawn(self._wait(knock, enter))
        return _waiting(knock)

    def withdraw(self, room: str) -> bool:
        """Ask no longer to enter a room; false when that was not asked."""
        knock = self._knocks.pop(room, None)
        if knock is None:
            return False
        self._sfu.rooms.withdraw(knock)
        return True

    def withdraw_all(self) -> None:
        """Ask for nothing any longer."""
        for room in tuple(self._knocks):
            self.withdraw(room)

    async def _wait(self, knock: Knock, enter: Enter) -> None:
        decision = await knock.decided()
        room = knock.room.name
        if self._knocks.get(room) is not knock:
            return  # its client has withdrawn it, and knows
        told = {"roomId": room, "knockId": knock.id}
        if decision is not KnockDecision.ADMITTED:
            del self._knocks[room]
            self._tell("knock-refused", told | {"reason": decision.value})
            return
        self._tell("knock-admitted", told)
        try:
            joined = await enter()
        except Exception as error:  # noqa: BLE001 - whatever it is, its client must hear that it is not in
            self._tell("knock-refused", told | self._why(error))
        else:
            self._tell("joined-room", joined)
        finally:
            if self._knocks.get(room) is knock:
                del self._knocks[room]

    def _why(self, error: Exception) -> dict[str, Any]:
        """Say why somebody did not come in though admitted: the room may be full by now, or its token expired."""
        try:
            problem = problem_of(error)
        except Exception:  # noqa: BLE001 - none of ours: the log says which
            _log.exception("an admitted client could not join")
            self._sfu.context.counters.errors["internal"] += 1
            return {"reason": "internal", "message": "the server failed; its log says more"}
        self._sfu.context.counters.errors[problem.code] += 1
        return {"reason": problem.code, "message": problem.message}


def _waiting(knock: Knock) -> dict[str, Any]:
    return {"waiting": True, "roomId": knock.room.name, "knockId": knock.id, "peerId": knock.request.identity}
