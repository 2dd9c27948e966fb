"""A call between phones: a caller, all that ring for it, and the bridge to the one that answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, assert_never

from roomtone.control.calls.bridge import codec_of
from roomtone.control.calls.errors import CallError
from roomtone.control.calls.legs import Leg, LegInput, LegState
from roomtone.control.calls.offering import (
    answer_like,
    read_sdp,
    take_first_offer,
    wanted_by_nobody,
    wanted_like,
    wanted_of,
)
from roomtone.control.calls.reasons import CallEnd, most_telling
from roomtone.control.calls.talking import TalkingCall
from roomtone.control.calls.values import (
    Acknowledged,
    CallState,
    Ended,
    InfoSent,
    LegEvent,
    Offered,
    PickedUp,
    Rang,
    RangTooLong,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.control.calls.call import CallParts
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.values import Invitation, Target
    from roomtone.protocols.sdp.telephony import PhoneDescription

_RINGING = 180


class PhoneCall(TalkingCall):
    """A call from one phone to others."""

    def __init__(self, parts: CallParts, invitation: Invitation, signal: Signal) -> None:
        super().__init__(parts, invitation, signal)
        self._offer: PhoneDescription | None = None
        self._early: Leg | None = None
        self._ring_timer: asyncio.TimerHandle | None = None

    # --- whom it calls ---

    async def _begin(self) -> None:
        invitation, parts = self.invitation, self._parts
        targets = parts.dispatch.targets(invitation.called, invitation.caller)
        offer = None if invitation.sdp is None else read_sdp(invitation.sdp)
        self._offer = offer
        self.router = await parts.engine.open_router()
        inviting = invitation.caller
        caller = self.caller = self._leg(self._signal, inviting.account, inviting.security, offer)
        if offer is not None:
            await take_first_offer(caller.media, offer)
        self.state = CallState.RINGING
        failures = [end for target in targets if (end := await self._ring(target)) is not None]
        if not self.callees:
            raise CallError(most_telling(failures), "no phone could be called")
        loop = asyncio.get_running_loop()
        self._ring_timer = loop.call_later(parts.ring_timeout_s, self.post, None, RangTooLong())

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
        caller = self.caller
        assert caller is not None  # noqa: S101 - `_begin` made it
        try:
            signal = self._parts.signalling.leg_to(target, self)
        except CallError as error:
            return error.end
        leg = self._leg(signal, target.account, target.security, None)
        leg.others = others
        try:
            wanted = wanted_by_nobody() if self._offer is None else wanted_like(caller.media)
            sdp = await leg.media.offer(wanted)
            self.callees.append(leg)
            signal.invite(self.invitation.caller, self.invitation.called, sdp)
        except CallError as error:
            await leg.finish(error.end, tell=True)
            if leg in self.callees:
                self.callees.remove(leg)
            return error.end
        return None

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
            case InfoSent():
                self._on_info(leg, event)
            case _:
                assert_never(event)

    async def _on_rang(self, leg: Leg, event: Rang) -> None:
        caller = self.caller
        if caller is None or leg is caller or not leg.step(LegInput.RANG):
            return
        # Early media of one phone only: of several that ring, the caller could hear but one, and be told of one answer.
        sdp = None
        if event.sdp is not None and self._offer is not None and len(self.callees) == 1:
            sdp = await self._take_answer(leg, event.sdp, self._offer)
        caller.signal.ring(event.status if sdp is not None else _RINGING, sdp)

    async def _on_picked_up(self, leg: Leg, event: PickedUp) -> None:
        caller = self.caller
        if caller is None or leg in {caller, self.answered_by}:
            return  # who called or has answered cannot answer
        if self.answered_by is not None or not leg.step(LegInput.ANSWERED):
            leg.signal.end(CallEnd.ANSWERED_ELSEWHERE)
            return
        self.answered_by = leg
        self._stop_ringing()
        for other in self.callees:
            if other is not leg:
                await other.finish(CallEnd.ANSWERED_ELSEWHERE, tell=True)
        if event.sdp is None and not leg.heard:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "answered without a description")
        text = event.sdp or leg.heard
        if self._offer is not None:
            sdp = await self._take_answer(leg, text, self._offer)
        else:
            await leg.media.take_answer(read_sdp(text))
            sdp = await caller.media.offer(wanted_of(leg.media))
            caller.offered = True
        caller.signal.answer(sdp)
        caller.step(LegInput.ANSWERED)
        self.state = CallState.ANSWERED
        self.answered_at = self._parts.clock()
        self.codec = codec_of(caller.media, leg.media)

    async def _take_answer(self, leg: Leg, text: str, offer: PhoneDescription) -> str:
        """Take a callee's answer, join it with the caller, and write the caller's; once for each description."""
        caller = self.caller
        assert caller is not None  # noqa: S101 - who rings was called for one
        if leg.heard == text:
            return caller.heard
        await leg.media.take_answer(read_sdp(text))
        sdp = await answer_like(caller.media, offer, leg.media)
        for kind in caller.media.streams:
            await caller.media.connect(kind)
        await self._join(caller, leg)
        leg.heard, caller.heard = text, sdp
        return sdp

    async def _on_ended(self, leg: Leg, end: CallEnd) -> None:
        if leg is self.caller:
            await leg.finish(end, tell=False, with_call=True)
            self.end = end if end in {CallEnd.LEG_LOST, CallEnd.UNREACHABLE} else self._usual_end()
        elif leg is self.answered_by:
            await leg.finish(end, tell=False, with_call=True)
            self.end = end if end in {CallEnd.LEG_LOST, CallEnd.UNREACHABLE} else CallEnd.COMPLETED
        else:
            unheard = leg.state is LegState.INVITING and end is CallEnd.UNREACHABLE
            await leg.finish(end, tell=False)
            if self.answered_by is None and unheard and await self._ring_by(leg.others) is None:
                self.callees.remove(leg)
            elif self.answered_by is None and all(one.is_over for one in self.callees):
                self.end = most_telling([one.end for one in self.callees if one.end is not None])

    def _usual_end(self) -> CallEnd:
        return CallEnd.CANCELLED if self.answered_at is None else CallEnd.COMPLETED

    def _stop_ringing(self) -> None:
        if self._ring_timer is not None:
            self._ring_timer.cancel()
            self._ring_timer = None

    async def _finish(self, end: CallEnd) -> None:
        self._stop_ringing()
        await super()._finish(end)
