"""A call that a room makes: phones ring, and who answers is a participant.

By wish the participant is there from the beginning, and says by an attribute that it is being dialled.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.offering import read_sdp
from roomtone.control.calls.parties.asking_in import AskingParty
from roomtone.control.calls.parties.commands import Redirect, settle
from roomtone.control.calls.parties.dialing import caller_of, checked, number_of, uri_target
from roomtone.control.calls.parties.hunting import Hunt, HuntingCall
from roomtone.control.calls.parties.keypad import press_all
from roomtone.control.calls.parties.legs import LegInput
from roomtone.control.calls.parties.nobody import Nobody
from roomtone.control.calls.parties.room_ends import call_refusal
from roomtone.control.calls.parties.room_party import KIND, PROTOCOL
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import (
    Acknowledged,
    CallState,
    Ended,
    InfoSent,
    Invitation,
    Offered,
    PickedUp,
    Rang,
    Reanswered,
    Redirected,
    Referred,
)
from roomtone.control.rooms import JoinRequest, RoomError

if TYPE_CHECKING:
    from roomtone.control.calls.parties.commands import Command
    from roomtone.control.calls.parties.dialing import DialRequest
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.parties.parts import CallParts
    from roomtone.control.calls.values import Caller, LegEvent, Target
    from roomtone.control.rooms import Participant, Rooms
    from roomtone.store import CallRecord

_NOT_ACCEPTABLE = 488


class DialedCall(HuntingCall, AskingParty):
    """A call from a room to whoever answers of those that ring."""

    def __init__(self, parts: CallParts, rooms: Rooms, request: DialRequest) -> None:
        number = number_of(checked(request).to)
        super().__init__(parts, rooms, request.room, Invitation(caller_of(request), number, None), Nobody())
        self.request = request
        self.identity = request.identity or f"sip_{number}"
        self.detail = ""
        """What is to be said of its end beside the reason."""
        self._has_begun = asyncio.Event()
        self._has_joined = asyncio.Event()
        self._is_settled = asyncio.Event()
        self._has_rung = False
        self._keys: asyncio.Task[None] | None = None

    # --- who waits for it ---

    async def joined(self) -> Participant:
        """Wait for its participant; raise `CallError` where it ended without one."""
        await self._has_joined.wait()
        if self.participant is None:
            raise CallError(self.end or CallEnd.FAILED, self.detail)
        return self.participant

    async def answered(self) -> None:
        """Wait until somebody has answered and is in the room; raise `CallError` where nobody does."""
        await self._is_settled.wait()
        if self.answered_at is None:
            raise CallError(self.end or CallEnd.FAILED, self.detail)

    async def rings(self) -> None:
        """Wait until somebody is being called; raise `CallError` where nobody could be."""
        await self._has_begun.wait()
        if not self._has_rung:
            raise CallError(self.end or CallEnd.FAILED, self.detail)

    # --- its steps ---

    async def run(self) -> None:
        """See `Call.run`."""
        try:
            await super().run()
        finally:
            for event in (self._has_joined, self._has_begun, self._is_settled):
                event.set()

    async def _begin(self) -> None:
        try:
            await self._dial()
        except CallError as error:
            self.detail = error.message
            raise

    async def _dial(self) -> None:
        targets = self._targets()
        try:
            room = await self._rooms.create(self.room)
            self._rooms.require_clear(room, "a phone")
            self._rooms.invite(room, self.identity)
        except RoomError as error:
            raise call_refusal(error) from error
        if self.request.joins_early:
            await self._join("dialing")
            self._has_joined.set()
        self.router = await self._parts.engine.open_router()
        if self.request.rings_in and self.participant is not None:
            await self._ring_in_room(self.request.rings_in)
        self.state = CallState.RINGING
        called, request = self.invitation.called, self.request
        timeout_s, referred_by = request.ringing_timeout_s, request.referred_by
        hunt = Hunt(None, self.invitation.caller, called, referred_by=referred_by, timeout_s=timeout_s)
        await self._begin_hunt(hunt, targets)
        self._has_rung = True
        self._has_begun.set()

    def _targets(self) -> list[Target]:
        dispatch, request, number = self._parts.dispatch, self.request, self.invitation.called
        if request.trunk:
            found = [dispatch.by_trunk(number, request.trunk)]
        else:
            target = uri_target(request.to)
            found = [target] if target is not None else dispatch.targets(number)
        return self._secured(found)

    def _secured(self, targets: list[Target]) -> list[Target]:
        security = self.request.security
        return targets if security is None else [replace(target, security=security) for target in targets]

    def _targets_instead(self, number: str, who: Caller) -> list[Target]:
        return self._secured(super()._targets_instead(number, who))

    async def _do(self, command: Command, reply: asyncio.Future[None]) -> None:
        if isinstance(command, Redirect):
            await self._ring_instead(command.to)
            settle(reply)
        else:
            await super()._do(command, reply)

    async def _hunt_failed(self, hunt: Hunt, end: CallEnd) -> None:
        del hunt
        self.end = end

    def _request(self, status: str) -> JoinRequest:
        request, number = self.request, self.invitation.called
        told = {
            "sip.callID": self.id,
            "sip.callStatus": status,
            "sip.trunkID": request.trunk,
            "sip.trunkPhoneNumber": request.shown_number,
        }
        if not request.hides_number:
            told["sip.phoneNumber"] = number
        attributes = {name: value for name, value in told.items() if value} | dict(request.attributes)
        return JoinRequest(
            self.identity,
            name=request.name or ("" if request.hides_number else number),
            metadata=request.metadata,
            attributes=tuple(attributes.items()),
            kind=KIND,
            protocol=PROTOCOL,
        )

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
                event.reply(_NOT_ACCEPTABLE)  # a room has no use for keys, and must not say that it had
            case Referred():
                await self._on_referred(leg, event)
            case Redirected():
                await self._on_redirected(leg, event)
            case _:
                assert_never(event)

    async def _on_rang(self, leg: Leg, event: Rang) -> None:
        hunt = self._hunt
        if not leg.step(LegInput.RANG) or event.sdp is None or hunt is None or len(hunt.legs) > 1:
            return
        if self.participant is not None:
            await self._hear(leg, event.sdp)  # early media: those in the room hear how it rings
        else:
            leg.heard = event.sdp

    async def _on_picked_up(self, leg: Leg, event: PickedUp) -> None:
        if leg is self.answered_by or self._picks_up(leg) is None:
            return
        self.answered_by = leg
        await self._end_hunt(CallEnd.ANSWERED_ELSEWHERE, but=leg)
        if event.sdp is None and not leg.heard:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "answered without a description")
        if self.participant is None:
            await self._join("active")
            self._has_joined.set()
        await self._hear(leg, event.sdp or leg.heard)
        self.parties = [leg]
        self.state = CallState.ANSWERED
        self.answered_at = self._parts.clock()
        if self.request.keys:
            self._keys = asyncio.create_task(self._press_on_the_way_in(leg), name="call-keys")
        elif self.request.joins_early:
            await self._tell_status("active")
        if self.request.most_s is not None:
            self.end_by(asyncio.get_running_loop().time() + self.request.most_s)
        self._is_settled.set()

    async def _hear(self, leg: Leg, text: str) -> None:
        """Take the answer of a phone and seat it; once for each description."""
        if self._mix is not None and leg.heard == text:
            return
        await leg.media.take_answer(read_sdp(text))
        leg.heard = text
        if self._mix is None:
            await self._sit_down(leg)
        else:
            await self.floor.tell(leg, *self._mix)

    async def _press_on_the_way_in(self, leg: Leg) -> None:
        """Press what is to be pressed on the way in, such as a PIN of the far side."""
        await self._tell_status("automation")
        await press_all(self.request.keys, leg, self.seat)
        await self._tell_status("active")

    async def _on_ended(self, leg: Leg, end: CallEnd) -> None:
        if leg is self.answered_by:
            await leg.finish(end, tell=False)
            self.end = end if end in {CallEnd.LEG_LOST, CallEnd.UNREACHABLE} else CallEnd.COMPLETED
        elif self._hunt is not None and leg in self._hunt.legs:
            await self._on_hunted_ended(self._hunt, leg, end)
        else:
            await leg.finish(end, tell=False)

    async def _finish(self, end: CallEnd) -> None:
        if self._keys is not None:
            self._keys.cancel()
        await super()._finish(end)

    def record(self) -> CallRecord:
        """Describe the call once it has ended; who called is no account."""
        return replace(super().record(), caller_account="")
