"""Legs whose place others take: INVITE with Replaces (RFC 3891)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.offering import answer_like, read_sdp, take_first_offer
from roomtone.control.calls.parties.legs import LegInput
from roomtone.control.calls.parties.sharing import SharingCall
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import TakenOver
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.values import CallEvent, Invitation
    from roomtone.protocols.sdp.telephony import PhoneDescription

_log = get_logger(__name__)


class TakenOverCall(SharingCall):
    """A call whose legs others may take the place of."""

    async def _on_call(self, signal: Signal | None, event: CallEvent) -> None:
        if isinstance(event, TakenOver) and signal is not None:
            await self._on_taken_over(signal, event)
        else:
            await super()._on_call(signal, event)

    async def _on_taken_over(self, signal: Signal, event: TakenOver) -> None:
        replaced = self._leg_of(event.replaced)
        who = event.invitation.caller
        if replaced is None or replaced.is_over:
            signal.end(CallEnd.LEG_LOST)
            return
        try:
            offer = _offer_of(event.invitation, replaced)
        except CallError as error:
            signal.end(error.end)
            return
        leg = self._leg(signal, who.account, who.security, offer, who)
        leg.trunk = who.trunk
        try:
            if self.answered_at is None:
                await self._pick_up_for(leg, offer)
            else:
                await self._take_over(leg, replaced, offer)
        except CallError as error:
            _log.info("a leg was not taken over", call=self.id, reason=error.end.value, detail=error.message)
            await leg.finish(error.end, tell=True)

    async def _pick_up_for(self, leg: Leg, offer: PhoneDescription) -> None:
        """Have a leg that calls take the place of one that rings; raise `CallError`."""
        del leg, offer
        raise CallError(CallEnd.UNSUPPORTED, "nobody rings here")

    async def _take_over(self, leg: Leg, replaced: Leg, offer: PhoneDescription) -> None:
        far = self._far(replaced)
        if far is None or self._is_moving:
            raise CallError(CallEnd.UNSUPPORTED, "its call is no call of two, or is being transferred")
        await take_first_offer(leg.media, offer)
        sdp = await answer_like(leg.media, offer, far.media)
        for kind in leg.media.streams:
            await leg.media.connect(kind)
        leg.signal.answer(sdp)
        leg.step(LegInput.ANSWERED)
        await self._leave(replaced)
        self.parties = [far, leg]
        await self._arrange()
        await replaced.finish(CallEnd.TRANSFERRED, tell=True)


def _offer_of(invitation: Invitation, replaced: Leg) -> PhoneDescription:
    """Give the offer of who takes over; raise `CallError` for one that may not."""
    if invitation.caller.trunk and invitation.caller.trunk != replaced.trunk:
        raise CallError(CallEnd.FORBIDDEN, "a trunk takes the place of nobody but its own")
    if invitation.sdp is None:
        raise CallError(CallEnd.UNSUPPORTED, "who takes over makes the offer")
    return read_sdp(invitation.sdp)
