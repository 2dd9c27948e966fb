"""A phone in a room has the room call somebody: a REFER to a conference (RFC 4579 section 5.6). The phone stays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.parties.dialing import DialRequest, number_of
from roomtone.control.calls.parties.leaving import LeavingParty
from roomtone.control.calls.reasons import CallEnd, sip_status
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.values import Referred

_OK, _RINGING, _FORBIDDEN, _PENDING, _UNSUPPORTED = 200, 180, 403, 491, 501
_log = get_logger(__name__)


class AskingParty(LeavingParty):
    """A call whose other side is a room, and whose phone may ask others in; one at a time."""

    _asking: asyncio.Task[None] | None = None

    async def _on_referred(self, leg: Leg, event: Referred) -> None:
        status = 0
        if event.replaces is not None or self.participant is None or leg is not self._phone:
            status = _UNSUPPORTED  # nobody takes the place of a room
        elif event.to is None:
            status = _FORBIDDEN
        elif self._asking is not None and not self._asking.done():
            status = _PENDING
        if status or event.to is None:
            leg.signal.refuse_referral(event.referral, status)
        elif leg.signal.accept_referral(event.referral):
            # It outlives this call: who asks somebody in may hang up before that one answers.
            self._asking = asyncio.create_task(self._ask_in(leg, event, event.to), name="call-asking")

    async def _ask_in(self, leg: Leg, event: Referred, to: str) -> None:
        """Call somebody for the room, and tell who asked how that goes."""
        try:
            call = self._parts.dial(self._checked(leg, to, event.referred_by))
            await call.rings()
            leg.signal.tell_referral(event.referral, _RINGING)
            await call.answered()
            status = _OK
        except CallError as error:
            _log.info("nobody was asked in", call=self.id, reason=error.end.value, detail=error.message)
            status = sip_status(error.end)[0]
        leg.signal.tell_referral(event.referral, status)

    def _checked(self, leg: Leg, to: str, referred_by: str) -> DialRequest:
        """Give what is to be dialled, if who asks may call there; raise `CallError`."""
        self._parts.dispatch.targets(to, leg.party or self.invitation.caller)
        if self.participant is None or self.participant.closed is not None:
            raise CallError(CallEnd.LEG_LOST, "who asks is in the room no more")
        if f"sip_{number_of(to)}" in self.participant.room.participants:
            raise CallError(CallEnd.BUSY, f"{to} is in the room")
        return DialRequest(self.room, to, referred_by=referred_by)
