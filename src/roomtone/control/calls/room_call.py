"""A call that leads to a room.

The leg's ports are on the room's home router, so its sound crosses to the mixer and the others by no further hop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from roomtone.control.calls.legs import LegInput
from roomtone.control.calls.offering import read_sdp, take_first_offer, wanted_by_nobody
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.room_party import KIND, PROTOCOL, RoomParty
from roomtone.control.calls.values import Acknowledged, CallState, Ended, InfoSent, Offered, PickedUp, Rang
from roomtone.control.rooms import JoinRequest

if TYPE_CHECKING:
    from roomtone.control.calls.legs import Leg
    from roomtone.control.calls.values import LegEvent

_NOT_ACCEPTABLE = 488


class RoomCall(RoomParty):
    """A call with one leg, whose other side is a room."""

    async def _begin(self) -> None:
        invitation = self.invitation
        offer = None if invitation.sdp is None else read_sdp(invitation.sdp)
        participant = await self._join()
        self.router, self._shares_router = participant.room.router, True
        caller = invitation.caller
        leg = self.caller = self._leg(self._signal, caller.account, caller.security, offer)
        if offer is None:
            sdp = await leg.media.offer(wanted_by_nobody())
            leg.offered = True
        else:
            await take_first_offer(leg.media, offer)
            sdp = self._answer(leg, offer)
            await self._sit_down(leg)
        leg.signal.answer(sdp)
        leg.step(LegInput.ANSWERED)
        self.state = CallState.ANSWERED
        self.answered_at = self._parts.clock()

    def _request(self, status: str) -> JoinRequest:
        caller = self.invitation.caller
        return JoinRequest(
            f"sip_{caller.account}",
            name=caller.name or caller.account,
            kind=KIND,
            protocol=PROTOCOL,
            attributes=(
                ("sip.callID", self.id),
                ("sip.callStatus", status),
                ("sip.phoneNumber", caller.account),
                ("sip.trunkPhoneNumber", self.invitation.called),
            ),
        )

    async def _on_leg(self, leg: Leg, event: LegEvent) -> None:
        match event:
            case Ended():
                await leg.finish(event.end, tell=False)
                lost = event.end in {CallEnd.LEG_LOST, CallEnd.UNREACHABLE}
                self.end = event.end if lost else CallEnd.COMPLETED
            case Offered():
                await self._on_offered(leg, event)
            case Acknowledged():
                await self._on_acknowledged(leg, event)
            case InfoSent():
                event.reply(_NOT_ACCEPTABLE)  # a room has no use for keys, and must not say that it had
            case Rang() | PickedUp():
                pass  # nobody was called
            case _:
                assert_never(event)
