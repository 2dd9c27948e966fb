"""A call to which a phone comes from a room, once somebody has answered it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.media.offering import check_talk, read_answer
from roomtone.control.calls.parties.commands import settle
from roomtone.control.calls.parties.hunting import Hunt
from roomtone.control.calls.parties.legs import LegInput
from roomtone.control.calls.parties.nobody import Nobody
from roomtone.control.calls.parties.phone_call import PhoneCall
from roomtone.control.calls.parties.talking import receives
from roomtone.control.calls.parties.unwanted import end_given
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import CallState, GiveUp, Invitation, NotGiven

if TYPE_CHECKING:
    from roomtone.control.calls.parties.leaving import Departure
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.parties.parts import CallParts
    from roomtone.control.calls.values import Given, PickedUp, Rang


class TakingCall(PhoneCall):
    """A call for a phone in a room; from its answer on a call like any other."""

    def __init__(self, parts: CallParts, departure: Departure) -> None:
        super().__init__(parts, Invitation(departure.caller, departure.to, None), Nobody())
        self._departure: Departure | None = departure
        """Whom it is for; None: it has come, or will not."""

    async def _begin(self) -> None:
        departure = self._departure
        assert departure is not None  # noqa: S101 - it has just been made for one
        try:
            targets = self._parts.dispatch.targets(departure.to, departure.caller)
            self.router = await self._parts.engine.open_router()
            self.state = CallState.RINGING
            await self._begin_hunt(Hunt(departure.leg, departure.caller, departure.to), targets)
        except CallError as error:
            why = error.message or error.end.value
            settle(departure.reply, PhoneError(PhoneRefusal.NOT_POSSIBLE, why))
            raise
        settle(departure.reply)

    async def _on_rang(self, leg: Leg, event: Rang) -> None:
        if self.caller is None:
            leg.step(LegInput.RANG)  # nobody hears it ring: the phone is in its room still
        else:
            await super()._on_rang(leg, event)

    async def _on_picked_up(self, leg: Leg, event: PickedUp) -> None:
        departure = self._departure
        if self.caller is not None or departure is None:
            await super()._on_picked_up(leg, event)
            return
        if leg is self.answered_by or self._picks_up(leg) is None:
            return
        self.answered_by = leg
        await self._end_hunt(CallEnd.ANSWERED_ELSEWHERE, but=leg)
        await leg.media.take_answer(read_answer(event.sdp or leg.heard))
        check_talk(departure.leg.media, leg.media)
        departure.comes_from.post(None, GiveUp(self, None))

    async def _on_ended(self, leg: Leg, end: CallEnd) -> None:
        await super()._on_ended(leg, end)
        if self.caller is None and leg is self.answered_by:
            self.end = CallEnd.COMPLETED

    async def _on_given(self, event: Given) -> None:
        departure, answered_by = self._departure, self.answered_by
        if departure is None or answered_by is None:
            await super()._on_given(event)
            return
        self._departure = None
        (leg,) = event.legs
        if answered_by.is_over:
            await end_given(event)
            self.end = CallEnd.COMPLETED
            return
        self._take_in(event)
        leg.held = leg.muted = False
        leg.holds = not receives(leg)
        leg.measured = self.measured
        self.caller, self.parties = leg, [leg, answered_by]
        self.state = CallState.ANSWERED
        self.answered_at = self._parts.clock()
        await self._arrange()

    async def _on_not_given(self, event: NotGiven) -> None:
        if self._departure is None:
            await super()._on_not_given(event)
            return
        self._departure = None  # the phone has left its room by itself
        self.end = event.end

    async def _finish(self, end: CallEnd) -> None:
        departure, self._departure = self._departure, None
        if departure is not None:
            departure.comes_from.post(None, NotGiven(end))
        await super()._finish(end)
