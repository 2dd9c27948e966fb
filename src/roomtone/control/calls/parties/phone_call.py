"""A call between phones: a caller, all that ring for it, and the bridge to the one that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.media.offering import (
    answer_like,
    can_be_answered,
    read_sdp,
    take_first_offer,
    wanted_of,
)
from roomtone.control.calls.parties.commands import Redirect, settle
from roomtone.control.calls.parties.hunting import Hunt
from roomtone.control.calls.parties.legs import Leg, LegInput
from roomtone.control.calls.parties.moving import MovingCall
from roomtone.control.calls.parties.nobody import Nobody
from roomtone.control.calls.parties.room_call import RoomCall
from roomtone.control.calls.parties.sharing import can_be_mixed
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import (
    Acknowledged,
    CallState,
    Ended,
    InfoSent,
    Invitation,
    LegEvent,
    Offered,
    PickedUp,
    Rang,
    Reanswered,
    Redirected,
    Referred,
)

if TYPE_CHECKING:
    import asyncio

    from roomtone.control.calls.parties.commands import Command
    from roomtone.control.calls.parties.parts import CallParts
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.values import Caller, GiveUp, NotGiven
    from roomtone.protocols.sdp.telephony import PhoneDescription

_RINGING = 180


class PhoneCall(MovingCall):
    """A call from one phone to others."""

    def __init__(self, parts: CallParts, invitation: Invitation, signal: Signal) -> None:
        super().__init__(parts, invitation, signal)
        self._offer: PhoneDescription | None = None

    async def _begin(self) -> None:
        invitation, parts = self.invitation, self._parts
        if invitation.instance:
            targets = parts.dispatch.device(invitation.called, invitation.instance)
        else:
            targets = parts.dispatch.targets(invitation.called, invitation.caller)
        offer = None if invitation.sdp is None else read_sdp(invitation.sdp)
        self._offer = offer
        together = parts.engine.together()
        self.router = together.open_router()
        who = invitation.caller
        caller = self.caller = self._leg(self._signal, who.account, who.security, offer, who)
        caller.trunk = who.trunk
        if offer is not None:
            await take_first_offer(caller.media, offer, together)
        self.state = CallState.RINGING
        await self._begin_hunt(Hunt(caller, who, invitation.called, has_offer=offer is not None), targets, together)

    async def _hunt_failed(self, hunt: Hunt, end: CallEnd) -> None:
        if self.answered_at is None:
            self.end = end
        else:
            await super()._hunt_failed(hunt, end)

    # --- what happens ---

    async def _on_leg(self, leg: Leg, event: LegEvent) -> None:
        match event:
            case Rang():
                await self._on_rang(leg, event)
            case PickedUp():
                await self._on_picked_up(leg, event)
            case Ended():
                await self._on_ended(leg, event.end)
            case Offered():
                await self._on_offered(leg, event)
            case Acknowledged():
                await self._on_acknowledged(leg, event)
            case Reanswered():
                await self._on_reanswered(leg, event)
            case InfoSent():
                await self._on_info(leg, event)
            case Referred():
                await self._on_referred(leg, event)
            case Redirected():
                await self._on_redirected(leg, event)
            case _:
                assert_never(event)

    async def _on_rang(self, leg: Leg, event: Rang) -> None:
        caller, hunt = self.caller, self._hunt
        if caller is None or hunt is None or leg not in hunt.legs or not leg.step(LegInput.RANG):
            return
        if self.answered_at is not None:
            self._on_transfer_rang()
            return
        # Early media of one phone only: of several that ring, the caller could hear but one, and be told of one answer.
        sdp = None
        if event.sdp is not None and self._offer is not None and not caller.heard and len(hunt.legs) == 1:
            sdp = await self._take_answer(leg, event.sdp, self._offer)
        elif event.sdp is not None and event.sdp == leg.heard:
            sdp = caller.heard
        caller.signal.ring(event.status if sdp is not None else _RINGING, sdp)

    async def _on_picked_up(self, leg: Leg, event: PickedUp) -> None:
        hunt, caller = self._picks_up(leg), self.caller
        if hunt is None or caller is None:
            return
        if self.answered_at is not None:
            await self._on_transfer_answered(leg, event)
            return
        self.answered_by = leg
        await self._end_hunt(CallEnd.ANSWERED_ELSEWHERE, but=leg)
        text = event.sdp or leg.heard
        if not text:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "answered without a description")
        if self._offer is not None:
            sdp = await self._take_answer(leg, text, self._offer)  # which joins the two
        else:
            await leg.media.take_answer(read_sdp(text))
            sdp = await caller.media.offer(wanted_of(leg.media))
            caller.offered = True
        await self._answer_caller(caller, leg, sdp, is_joined=self._offer is not None)

    async def _answer_caller(self, caller: Leg, leg: Leg, sdp: str, *, is_joined: bool = False) -> None:
        """Join the two, then tell the caller; one that is to answer an offer of ours is joined when it has."""
        self.parties = [caller, leg]
        if is_joined:
            self._note_codec()
        elif not caller.offered:
            await self._arrange()
        caller.signal.answer(sdp)
        caller.step(LegInput.ANSWERED)
        self.state = CallState.ANSWERED
        self.answered_at = self._parts.clock()

    async def _take_answer(self, leg: Leg, text: str, offer: PhoneDescription) -> str:
        """Take a callee's answer, join it with the caller, and write the caller's; once for each description."""
        caller = self.caller
        assert caller is not None  # noqa: S101 - who rings was called for one
        if leg.heard == text:
            return caller.heard
        together = self._parts.engine.together()
        await leg.media.take_answer(read_sdp(text), together)
        # What the caller was told once with early media is its answer, whoever picks up.
        sdp = caller.heard or await answer_like(caller.media, offer, leg.media)
        for kind in caller.media.streams:
            await caller.media.connect(kind, together)
        await self.floor.arrange([caller, leg], together)
        leg.heard, caller.heard = text, sdp
        return sdp

    async def _on_ended(self, leg: Leg, end: CallEnd) -> None:
        hunt = self._hunt
        if leg in self.parties:
            await leg.finish(end, tell=False, with_call=self._ends_with(leg))
            await self._on_party_left(leg, end)
        elif hunt is not None and leg in hunt.legs:
            await self._on_hunted_ended(hunt, leg, end)
        elif leg is self.caller:
            await leg.finish(end, tell=False, with_call=True)
            self.end = end if end in {CallEnd.LEG_LOST, CallEnd.UNREACHABLE} else CallEnd.CANCELLED
        else:
            await leg.finish(end, tell=False)

    # --- who takes a call that rings, and where else it may ring ---

    async def _pick_up_for(self, leg: Leg, offer: PhoneDescription) -> None:
        """Have a leg that calls take the place of one that rings; raise `CallError`."""
        caller = self.caller
        if caller is None or self._offer is None:
            raise CallError(CallEnd.UNSUPPORTED, "the caller waits for an offer")
        await take_first_offer(leg.media, offer)
        own = await answer_like(leg.media, offer, caller.media)
        sdp = caller.heard or await answer_like(caller.media, self._offer, leg.media)
        leg.signal.answer(own)
        leg.step(LegInput.ANSWERED)
        self.answered_by = leg
        await self._end_hunt(CallEnd.ANSWERED_ELSEWHERE)
        for one in (leg, caller):
            for kind in one.media.streams:
                await one.media.connect(kind)
        await self._answer_caller(caller, leg, sdp)

    async def _do(self, command: Command, reply: asyncio.Future[None]) -> None:
        if not isinstance(command, Redirect):
            await super()._do(command, reply)
        elif not self._redirect_into_room(command.to, reply):  # the answer follows with the room's
            await self._ring_instead(command.to)
            settle(reply)

    # --- a room in the place of those who ring ---

    def _redirect_into_room(self, to: str, reply: asyncio.Future[None]) -> bool:
        """Have a room take the caller, where a number is one's; raise `PhoneError`, and then nothing has changed."""
        hunt = self._hunt
        if hunt is None or self.answered_at is not None or hunt.room is not None:
            return False
        try:
            if not self._begin_room(hunt, to, hunt.caller):
                return False
        except CallError as error:
            raise PhoneError(PhoneRefusal.NOT_POSSIBLE, error.message or error.end.value) from error
        hunt.reply = reply
        return True

    def _goes_into_room(self, hunt: Hunt, number: str, who: Caller) -> bool:
        try:
            return self._begin_room(hunt, number, who)
        except CallError as error:
            hunt.ends.append(error.end)
            return True

    def _begin_room(self, hunt: Hunt, number: str, who: Caller) -> bool:
        """Have a room's call ask for who waits; False where a number is no room's. Raise `CallError`."""
        rooms, entries = self._parts.rooms, self._parts.dispatch.entries(who, number)
        if rooms is None or not entries:
            return False
        if hunt.room is not None:
            raise CallError(CallEnd.UNSUPPORTED, "it is on its way to a room already")
        if self._moving is not None:
            hunt.room = self._move_into_room(self._moving, rooms, entries, number)
            return True
        if not self._may_enter():
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "a room needs a codec that can be mixed")
        invitation = Invitation(self.invitation.caller, number, self.invitation.sdp)
        hunt.room = RoomCall(self._parts, rooms, entries, invitation, Nobody(), comes_from=self)
        self._parts.begin(hunt.room)
        return True

    def _may_enter(self) -> bool:
        """Whether a room can have the caller; raise `CallError` where there is none yet."""
        caller = self.caller
        if caller is None:
            raise CallError(CallEnd.UNSUPPORTED, "who waits here is in a room still")
        if self._offer is None:
            return True
        return can_be_mixed(caller) if caller.heard else can_be_answered(caller.media)

    def _givable(self, event: GiveUp) -> tuple[Leg, ...]:
        if not event.into_room or self.answered_at is not None:
            return super()._givable(event)
        hunt, caller = self._hunt, self.caller
        if hunt is None or caller is None or hunt.room is not event.to:
            raise CallError(CallEnd.CANCELLED, "nobody is on the way to this room any more")
        return (caller,)

    async def _on_asked_to_give(self, event: GiveUp) -> None:
        await super()._on_asked_to_give(event)
        hunt = self._hunt
        if self.end is CallEnd.TRANSFERRED and hunt is not None and hunt.reply is not None:
            settle(hunt.reply)  # those who ring are told when this call ends

    async def _on_not_given(self, event: NotGiven) -> None:
        hunt = self._hunt
        if hunt is None or hunt.room is None:
            await super()._on_not_given(event)
            return
        hunt.room = None
        if self._moving is not None:
            self._moving.room = None
        hunt.ends.append(event.end)
        reply, hunt.reply = hunt.reply, None
        if reply is not None:
            settle(reply, PhoneError(PhoneRefusal.NOT_POSSIBLE, f"the room takes nobody in: {event.end}"))
        await self._end_if_nobody_rings(hunt)
