"""Phones that ring for a call: each is called by the first way there that can be gone, and all for a time only."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING

from roomtone.control.calls.call import Call
from roomtone.control.calls.errors import CallError
from roomtone.control.calls.legs import LegState
from roomtone.control.calls.reasons import CallEnd, most_telling
from roomtone.control.calls.values import CallState, RangTooLong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.control.calls.legs import Leg
    from roomtone.control.calls.streams import Wanted
    from roomtone.control.calls.values import Target


class RingingCall(Call):
    """A call for which phones ring. Whoever answers first is to have it."""

    _ring_timer: asyncio.TimerHandle | None = None

    @abstractmethod
    def _wanted(self) -> list[Wanted]:
        """Give what each of them is offered."""

    async def _ring_all(self, targets: Sequence[Target], timeout_s: float) -> None:
        """Call all of them; raise `CallError` where none could be."""
        self.state = CallState.RINGING
        failures = [end for target in targets if (end := await self._ring(target)) is not None]
        if not self.callees:
            raise CallError(most_telling(failures), "no phone could be called")
        loop = asyncio.get_running_loop()
        self._ring_timer = loop.call_later(timeout_s, self.post, None, RangTooLong())

    async def _ring(self, target: Target) -> CallEnd | None:
        """Call one phone; why that cannot be."""
        try:
            return await self._ring_by(await self._parts.signalling.ways_to(target))
        except CallError as error:
            return error.end

    async def _ring_by(self, ways: Sequence[Target]) -> CallEnd | None:
        """Call by the first way that can be gone, and keep the others for when nobody answers there."""
        end: CallEnd | None = CallEnd.UNREACHABLE
        for number, way in enumerate(ways, 1):
            end = await self._invite(way, tuple(ways[number:]))
            if end is None:
                break
        return end

    async def _invite(self, target: Target, others: tuple[Target, ...]) -> CallEnd | None:
        try:
            signal = self._parts.signalling.leg_to(target, self)
        except CallError as error:
            return error.end
        leg = self._leg(signal, target.account, target.security, None)
        leg.others = others
        try:
            sdp = await leg.media.offer(self._wanted())
            self.callees.append(leg)
            signal.invite(self.invitation.caller, self.invitation.called, sdp)
        except CallError as error:
            await leg.finish(error.end, tell=True)
            if leg in self.callees:
                self.callees.remove(leg)
            return error.end
        return None

    async def _take(self, leg: Leg) -> None:
        """Give the call to who has answered: nobody else rings any more."""
        self.answered_by = leg
        self._stop_ringing()
        for other in self.callees:
            if other is not leg:
                await other.finish(CallEnd.ANSWERED_ELSEWHERE, tell=True)

    async def _on_callee_ended(self, leg: Leg, end: CallEnd) -> None:
        """Go on without a phone that rang, by another way to it, or not at all."""
        unheard = leg.state is LegState.INVITING and end is CallEnd.UNREACHABLE
        await leg.finish(end, tell=False)
        if self.answered_by is None and unheard and await self._ring_by(leg.others) is None:
            self.callees.remove(leg)
        elif self.answered_by is None and all(one.is_over for one in self.callees):
            self.end = most_telling([one.end for one in self.callees if one.end is not None])

    def _stop_ringing(self) -> None:
        if self._ring_timer is not None:
            self._ring_timer.cancel()
            self._ring_timer = None

    async def _finish(self, end: CallEnd) -> None:
        self._stop_ringing()
        await super()._finish(end)
