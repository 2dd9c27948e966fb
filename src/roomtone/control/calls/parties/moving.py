"""Parties of a call that change: transferred to somebody else, taken over, merged with another call (RFC 5589).

A party is moved within its call; who comes from another call brings along the router its ports are on. Descriptions
are not negotiated anew: sound that does not pass as it is is converted. Until the new side is there the old one stays,
so that a transfer that fails leaves the parties with each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.media.offering import (
    check_talk,
    read_answer,
)
from roomtone.control.calls.parties.commands import Transfer, settle
from roomtone.control.calls.parties.hunting import Hunt
from roomtone.control.calls.parties.nobody import Nobody
from roomtone.control.calls.parties.room_call import RoomCall
from roomtone.control.calls.parties.sharing import can_be_mixed
from roomtone.control.calls.parties.taking_over import TakenOverCall
from roomtone.control.calls.parties.unwanted import NO_CALL
from roomtone.control.calls.reasons import CallEnd, sip_status
from roomtone.control.calls.values import Caller, GiveUp, Invitation
from roomtone.observe import get_logger

if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from roomtone.control.calls.directory.rules import Entry
    from roomtone.control.calls.parties.commands import Command
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.values import Dialog, Given, NotGiven, PickedUp, Referred
    from roomtone.control.rooms import Rooms

_OK, _RINGING, _PENDING, _FORBIDDEN, _UNSUPPORTED = 200, 180, 491, 403, 501
_LOST = frozenset({CallEnd.LEG_LOST, CallEnd.UNREACHABLE})
_PAIR = 2
_log = get_logger(__name__)


@dataclass(eq=False, slots=True)
class Moving:
    """A transfer under way."""

    stays: Leg
    """Who is to talk to somebody else."""
    referrer: Leg
    """Who leaves once that is done."""
    referral: Any = None
    """The REFER that asked for it; None: a command did."""
    referred_by: str = ""
    room: RoomCall | None = None
    """The call that takes who stays into a room; None: somebody is called, or another call asked."""

    def tell(self, status: int) -> None:
        """Tell the referrer how it goes."""
        if self.referral is not None:
            self.referrer.signal.tell_referral(self.referral, status)


class MovingCall(TakenOverCall):
    """A call whose parties may change."""

    _moving: Moving | None = None

    @property
    def _is_moving(self) -> bool:
        return self._moving is not None

    # --- transfer ---

    async def _on_referred(self, leg: Leg, event: Referred) -> None:
        far = self._far(leg)
        status = 0
        if far is None:
            status = _UNSUPPORTED if leg in self.parties else NO_CALL
        elif self._moving is not None or self._merging is not None:
            status = _PENDING
        elif event.to is None and event.replaces is None:
            status = _FORBIDDEN
        if status or far is None:
            leg.signal.refuse_referral(event.referral, status)
            return
        if not leg.signal.accept_referral(event.referral):
            return
        moving = self._moving = Moving(far, leg, event.referral, event.referred_by)
        try:
            if event.replaces is None:
                await self._hunt_for(moving, event.to or "")
            else:
                self._ask_for(event.replaces, far)
        except CallError as error:
            await self._not_moved(moving, error.end)

    def _ask_for(self, replaces: Dialog, meets: Leg) -> None:
        """Ask another call for the far side of one of its legs; raise `CallError`."""
        if replaces.call is None or replaces.call is self or replaces.signal is None:
            raise CallError(CallEnd.LEG_LOST, "it refers to no other call of ours")
        replaces.call.post(None, GiveUp(self, replaces.signal, meets))

    async def _hunt_for(self, moving: Moving, to: str) -> None:
        """Ring for who is transferred; raise `CallError`."""
        stays = moving.stays
        entries = self._parts.dispatch.entries(moving.referrer.party or Caller(""), to)
        if entries and self._parts.rooms is not None:
            self._move_into_room(moving, self._parts.rooms, entries, to)
            return
        targets = self._parts.dispatch.targets(to, moving.referrer.party)
        party = stays.party or self.invitation.caller
        await self._begin_hunt(Hunt(stays, party, to, referred_by=moving.referred_by), targets)

    def _move_into_room(self, moving: Moving, rooms: Rooms, entries: list[Entry], number: str) -> RoomCall:
        """Have a room's call ask for who is transferred, once it may come in; raise `CallError`."""
        stays = moving.stays
        if stays.offered or not can_be_mixed(stays):
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "a room needs a codec that can be mixed")
        invitation = Invitation(stays.party or self.invitation.caller, number, None)
        moving.room = RoomCall(self._parts, rooms, entries, invitation, Nobody(), comes_from=self)
        self._parts.begin(moving.room)
        return moving.room

    def _givable(self, event: GiveUp) -> tuple[Leg, ...]:
        if not event.into_room:
            return super()._givable(event)
        moving = self._moving
        if moving is None or moving.room is not event.to or moving.stays.offered or self._change is not None:
            raise CallError(CallEnd.CANCELLED, "nobody is on the way to this room any more")
        return (moving.stays,)

    async def _on_asked_to_give(self, event: GiveUp) -> None:
        await super()._on_asked_to_give(event)
        moving = self._moving
        if moving is not None and moving.room is event.to and self.end is CallEnd.TRANSFERRED:
            self._moving = None
            moving.tell(_OK)

    def _on_transfer_rang(self) -> None:
        if self._moving is not None:
            self._moving.tell(_RINGING)

    async def _on_transfer_answered(self, leg: Leg, event: PickedUp) -> None:
        moving = self._moving
        if moving is None:
            await leg.finish(CallEnd.CANCELLED, tell=True)
            return
        await self._end_hunt(CallEnd.ANSWERED_ELSEWHERE, but=leg)
        try:
            await leg.media.take_answer(read_answer(event.sdp or leg.heard))
            check_talk(moving.stays.media, leg.media)
        except CallError as error:
            await leg.finish(error.end, tell=True)
            await self._not_moved(moving, error.end)
            return
        await self._moved(moving, leg)

    async def _moved(self, moving: Moving, leg: Leg) -> None:
        """Let the two talk, and the referrer go."""
        referrer = moving.referrer
        await self._leave(referrer)
        moving.stays.held = False
        self.parties = [moving.stays, leg]
        await self._arrange()
        self._moving = None  # until here a failure, which ends the call, is what the referrer is told
        moving.tell(_OK)
        await referrer.finish(CallEnd.TRANSFERRED, tell=True)

    async def _not_moved(self, moving: Moving, end: CallEnd) -> None:
        """Leave the parties with each other, if both are still there."""
        self._moving = None
        _log.info("a transfer came to nothing", call=self.id, reason=end.value)
        moving.tell(sip_status(end)[0])
        if moving.referrer.is_over:
            self.end = end

    async def _hunt_failed(self, hunt: Hunt, end: CallEnd) -> None:
        del hunt
        if self._moving is not None:
            await self._not_moved(self._moving, end)

    def _ends_with(self, leg: Leg) -> bool:
        """Whether the call ends when a party leaves."""
        return self._moving is None and leg in self.parties and len(self.parties) <= _PAIR

    async def _on_party_left(self, leg: Leg, end: CallEnd) -> None:
        """Go on with those that are left, if they have somebody to talk to, or will have."""
        moving, before = self._moving, len(self.parties)
        await self._leave(leg)
        if moving is not None and leg is moving.referrer:
            await self._arrange()  # the other one waits
            return
        if moving is not None:
            moving.tell(sip_status(CallEnd.CANCELLED)[0])
            self._moving = None
        if before > _PAIR and len(self.parties) >= _PAIR:
            await self._arrange()
        else:
            self.end = end if end in _LOST else CallEnd.COMPLETED

    # --- what happens to the whole call ---

    async def _on_given(self, event: Given) -> None:
        moving = self._moving
        if moving is None or self._merging is not None or len(event.legs) != 1:
            await super()._on_given(event)
            return
        self._take_in(event)
        (leg,) = event.legs
        leg.held = False
        await self._moved(moving, leg)

    async def _on_not_given(self, event: NotGiven) -> None:
        moving = self._moving
        if moving is None:
            await super()._on_not_given(event)
        elif not event.rang_at:
            await self._not_moved(moving, event.end)
        else:
            try:
                await self._hunt_for(moving, event.rang_at)
            except CallError as error:
                await self._not_moved(moving, error.end)

    async def _do(self, command: Command, reply: asyncio.Future[None]) -> None:
        if isinstance(command, Transfer):
            await self._transfer(command)
            settle(reply)
        else:
            await super()._do(command, reply)

    async def _transfer(self, command: Transfer) -> None:
        stays = self._party(command.leg)
        far = self._far(stays)
        if far is None or self._moving is not None or self._merging is not None:
            raise PhoneError(PhoneRefusal.WRONG_STATE, "the call is no call of two, or is being transferred")
        moving = self._moving = Moving(stays, far)
        try:
            await self._hunt_for(moving, command.to)
        except CallError as error:
            self._moving = None
            raise PhoneError(PhoneRefusal.NOT_POSSIBLE, error.message or error.end.value) from error

    async def _finish(self, end: CallEnd) -> None:
        if self._moving is not None:
            moving, self._moving = self._moving, None
            moving.tell(sip_status(end)[0] if sip_status(end)[0] != _OK else sip_status(CallEnd.CANCELLED)[0])
        await super()._finish(end)
