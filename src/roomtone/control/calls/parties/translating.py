"""Keys between two legs that tell them in different ways: events, INFO, or as they sound. Each press arrives once.

Where both take events, or neither does and keys sound, they pass by themselves, and INFO is handed on as INFO.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import PhoneError, PhoneRefusal
from roomtone.control.calls.media.ears import takes_keys
from roomtone.control.calls.parties.changing import ChangingCall
from roomtone.control.calls.parties.commands import settle
from roomtone.control.calls.parties.keypad import KeyFilter, KeyKind, read_info
from roomtone.control.calls.parties.unwanted import NO_CALL
from roomtone.control.calls.values import KeyPressed
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.parties.parts import CallParts
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.reasons import CallEnd
    from roomtone.control.calls.values import CallEvent, InfoSent, Invitation

MAX_WAITING_KEYS = 32
_OK, _NOT_TAKEN = 200, 480
_log = get_logger(__name__)


class TranslatingCall(ChangingCall):
    """A call whose parties may press keys, however they tell them.

    Limit: `MAX_WAITING_KEYS` keys on their way; a further one is lost, which its INFO is told, and the log.
    """

    def __init__(self, parts: CallParts, invitation: Invitation, signal: Signal) -> None:
        super().__init__(parts, invitation, signal)
        self._filters: dict[str, KeyFilter] = {}
        """Of those who tell keys in more than one way, by leg."""
        self._waiting: deque[tuple[Leg, str, asyncio.Future[None]]] = deque()

    async def _on_event(self, event: CallEvent) -> None:
        if isinstance(event, KeyPressed) and event.heard is not None:
            leg = self.floor.leg_of(event.heard, self.parties)
            if leg is not None:
                await self._on_key(leg, event, None)

    async def _on_info(self, leg: Leg, event: InfoSent) -> None:
        far, read = self._far(leg), read_info(event.content_type, event.body)
        if far is None:
            event.reply(NO_CALL)
        elif read is None or (takes_keys(leg) and takes_keys(far)):
            far.signal.send_info(event.content_type, event.body, event.reply)
        else:
            await self._on_key(leg, KeyPressed(read[0], KeyKind.INFO, None, read[1]), event.reply)

    async def _on_key(self, leg: Leg, event: KeyPressed, reply: Callable[[int], None] | None) -> None:
        """Have a key that was told in whichever way pressed on the other side, in the way it is taken there."""
        far = self._far(leg)
        now = asyncio.get_running_loop().time()
        known = self._filters.setdefault(leg.id, KeyFilter())
        if far is None or not known.accept(event.key, event.kind, now):
            if reply is not None:
                reply(NO_CALL if far is None else _OK)
            return
        if self.floor.converts_keys_for(far) and event.kind is not KeyKind.INFO:
            await self.floor.press(far, event)
            return
        pressed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pressed.add_done_callback(lambda done: _tell(done, event.key, reply))
        await self._queue(far, event.key, pressed)

    async def _queue(self, leg: Leg, key: str, pressed: asyncio.Future[None]) -> None:
        if len(self._waiting) >= MAX_WAITING_KEYS:
            settle(pressed, PhoneError(PhoneRefusal.WRONG_STATE, "too many keys are on their way"))
            return
        self._waiting.append((leg, key, pressed))
        await self._next_key()

    async def _next_key(self) -> None:
        while self._pressing is None and self._waiting:
            leg, key, pressed = self._waiting.popleft()
            if leg not in self.parties:
                settle(pressed, PhoneError(PhoneRefusal.NO_SUCH_LEG, "the leg has left"))
                continue
            try:
                await self._press(leg, key, pressed)
            except PhoneError as error:
                settle(pressed, error)

    async def _on_call(self, signal: Signal | None, event: CallEvent) -> None:
        await super()._on_call(signal, event)
        await self._next_key()

    async def _leave(self, leg: Leg) -> None:
        self._filters.pop(leg.id, None)
        await super()._leave(leg)

    async def _finish(self, end: CallEnd) -> None:
        while self._waiting:
            settle(self._waiting.popleft()[2], PhoneError(PhoneRefusal.NO_SUCH_CALL, "the call has ended"))
        await super()._finish(end)


def _tell(pressed: asyncio.Future[None], key: str, reply: Callable[[int], None] | None) -> None:
    """Tell who pressed a key whether it has arrived, where that can be told."""
    error = None if pressed.cancelled() else pressed.exception()
    if error is not None:
        _log.info("a key was not taken by the other side", key=key, reason=str(error))
    if reply is not None:
        reply(_OK if error is None else _NOT_TAKEN)
