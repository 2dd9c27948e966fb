"""Keys that a leg is to get: as events where those are agreed on, else by INFO, else as tones."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import PhoneError, PhoneRefusal
from roomtone.control.calls.media.ears import takes_keys
from roomtone.control.calls.media.keys import BETWEEN_KEYS_MS, sound_of
from roomtone.control.calls.parties.commands import settle
from roomtone.control.calls.parties.keypad import KEY_MS, write_info
from roomtone.control.calls.parties.timed import TimedCall
from roomtone.control.calls.values import KeyAnswered, KeysSent

if TYPE_CHECKING:
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.reasons import CallEnd
    from roomtone.control.calls.values import CallEvent

_MARGIN_MS = 120
"""What an event's last packets take, beside the key itself."""
_FINE = range(200, 300)


@dataclass(slots=True)
class _Pressing:
    """Keys on their way to a leg."""

    leg: Leg
    left: str
    """Those that are still to be sent as INFO, the one that waits for its answer first."""
    reply: asyncio.Future[None]


class PressingCall(TimedCall):
    """A call whose legs can be sent keys, one after the other."""

    _pressing: _Pressing | None = None

    @abstractmethod
    async def _arrange(self) -> None:
        """Bring what all hear in step."""

    async def _on_call(self, signal: Signal | None, event: CallEvent) -> None:
        pressing = self._pressing
        match event:
            case KeysSent() if pressing is not None and pressing.leg is event.leg:
                await self._on_keys_sent(pressing)
            case KeyAnswered() if pressing is not None and pressing.leg is event.leg:
                await self._on_key_answered(pressing, event.status)
            case _:
                await super()._on_call(signal, event)

    async def _press(self, leg: Leg, keys: str, reply: asyncio.Future[None]) -> None:
        if self._pressing is not None:
            raise PhoneError(PhoneRefusal.WRONG_STATE, "keys are being sent in this call already")
        if takes_keys(leg):
            await self._press_as_events(leg, keys)
            self._pressing = _Pressing(leg, "", reply)
            self._wait_for(leg, keys)
        else:
            self._pressing = _Pressing(leg, keys, reply)
            self._ask_by_info(self._pressing)

    async def _press_as_events(self, leg: Leg, keys: str) -> None:
        """Put keys on their way in silence, which the leg hears meanwhile; raise `PhoneError`."""
        played = await self.floor.play(leg, None)
        if played is None:
            raise PhoneError(PhoneRefusal.NOT_POSSIBLE, "nothing can be sent to this leg now")
        for key in keys:
            await played.mixer.send_dtmf(played.output.id, key, KEY_MS)

    def _wait_for(self, leg: Leg, keys: str) -> None:
        total_ms = len(keys) * (KEY_MS + BETWEEN_KEYS_MS) + _MARGIN_MS
        asyncio.get_running_loop().call_later(total_ms / 1000, self.post, None, KeysSent(leg))

    def _ask_by_info(self, pressing: _Pressing) -> None:
        leg = pressing.leg

        def on_status(status: int) -> None:
            self.post(None, KeyAnswered(leg, status))

        leg.signal.send_info(*write_info(pressing.left[0]), on_status)

    async def _on_key_answered(self, pressing: _Pressing, status: int) -> None:
        if status in _FINE:
            pressing.left = pressing.left[1:]
            if pressing.left:
                self._ask_by_info(pressing)
            else:
                self._pressed(pressing)
            return
        played = await self.floor.play(pressing.leg, sound_of(pressing.left))
        if played is None:
            self._pressed(pressing, PhoneError(PhoneRefusal.NOT_POSSIBLE, f"the peer answered {status} to a key"))
        else:
            self._wait_for(pressing.leg, pressing.left)

    async def _on_keys_sent(self, pressing: _Pressing) -> None:
        if self.floor.is_playing(pressing.leg):
            await self.floor.end_play(pressing.leg, self._arrange)
        self._pressed(pressing)

    def _pressed(self, pressing: _Pressing, error: PhoneError | None = None) -> None:
        self._pressing = None
        settle(pressing.reply, error)

    async def _finish(self, end: CallEnd) -> None:
        if self._pressing is not None:
            self._pressed(self._pressing, PhoneError(PhoneRefusal.NO_SUCH_CALL, "the call has ended"))
        await super()._finish(end)
