"""One call: a caller, all the phones that ring for it, and the bridge to the one that answers.

A call is one task with one inbox, so that its steps never cross. Whatever fails, every leg is told and the router is
closed, and with it every port.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from roomtone.control.calls.bridge import codec_of, join
from roomtone.control.calls.errors import CallError
from roomtone.control.calls.legs import Leg, LegInput, LegState
from roomtone.control.calls.offering import (
    answer_again,
    answer_like,
    read_sdp,
    take_first_offer,
    wanted_by_nobody,
    wanted_like,
    wanted_of,
)
from roomtone.control.calls.reasons import CallEnd, most_telling, sip_status
from roomtone.control.calls.streams import LegMedia
from roomtone.control.calls.values import (
    Acknowledged,
    CallEvent,
    CallId,
    CallState,
    Ended,
    InfoSent,
    Invitation,
    LegEvent,
    MediaLost,
    Offered,
    PickedUp,
    Rang,
    RangTooLong,
)
from roomtone.media import EngineCommandError
from roomtone.media.values import ErrorCode
from roomtone.observe import get_logger
from roomtone.store import CallRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.control.calls.conversion import Conversion
    from roomtone.control.calls.dispatch import Dispatch
    from roomtone.control.calls.ports import Signal, Signalling
    from roomtone.control.calls.values import Target
    from roomtone.control.rooms import Rooms
    from roomtone.media import Engine, Router
    from roomtone.protocols.sdp.telephony import MediaSecurity, PhoneDescription

MAX_WAITING = 64
"""Events of one call that may wait; more end it as overloaded."""
_RINGING, _NO_CALL = 180, 481
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CallParts:
    """What all calls share."""

    engine: Engine
    dispatch: Dispatch
    signalling: Signalling
    clock: Callable[[], float]
    ring_timeout_s: float = 60.0
    rooms: Rooms | None = None
    """Where calls to rooms lead; None: there are none."""


class Call:
    """One call. `run` is its life; what happens comes in by `post`."""

    def __init__(self, parts: CallParts, invitation: Invitation, signal: Signal) -> None:
        self.id = CallId(secrets.token_hex(16))
        self.invitation = invitation
        self.state = CallState.ROUTING
        self.begun_at = parts.clock()
        self.answered_at: float | None = None
        self.end: CallEnd | None = None
        self.codec = ""
        self.router: Router | None = None
        self.conversion: Conversion | None = None
        self.caller: Leg | None = None
        self.callees: list[Leg] = []
        self.answered_by: Leg | None = None
        self._parts = parts
        self._signal = signal
        self._offer: PhoneDescription | None = None
        self._early: Leg | None = None
        self._wish: CallEnd | None = None
        self._inbox: asyncio.Queue[tuple[Signal | None, CallEvent]] = asyncio.Queue(MAX_WAITING)
        self._ring_timer: asyncio.TimerHandle | None = None

    # --- the way in ---

    def post(self, signal: Signal | None, event: CallEvent) -> None:
        """Hand in what happened on a leg, or to the whole call; never waits."""
        try:
            self._inbox.put_nowait((signal, event))
        except asyncio.QueueFull:
            self._wish = self._wish or CallEnd.OVERLOADED

    def ask_to_end(self, end: CallEnd) -> None:
        """End it as soon as the step it is at is done."""
        self._wish = self._wish or end
        with contextlib.suppress(asyncio.QueueFull):
            self._inbox.put_nowait((None, MediaLost()))  # only to wake it: the wish comes first

    @property
    def legs(self) -> list[Leg]:
        """All legs that are not over."""
        every = [*([self.caller] if self.caller is not None else []), *self.callees]
        return [leg for leg in every if not leg.is_over]

    def record(self) -> CallRecord:
        """Describe the call once it has ended."""
        end = self.end or CallEnd.FAILED
        caller = self.invitation.caller
        return CallRecord(
            id=self.id,
            caller=(f'"{caller.name}" {caller.account}' if caller.name else caller.account)[:256],
            called=self.invitation.called[:256],
            caller_account="" if caller.trunk else caller.account,
            callee_account="" if self.answered_by is None else self.answered_by.account,
            begun_at=self.begun_at,
            answered_at=self.answered_at,
            ended_at=self._parts.clock(),
            reason=end.value,
            status=200 if self.answered_at is not None else sip_status(end)[0],
            codec=self.codec,
        )

    # --- its life ---

    async def run(self) -> None:
        """Live: route, ring, bridge, until somebody ends it. Nothing is left of it afterwards."""
        try:
            await self._begin()
            while self.end is None:
                signal, event = await self._inbox.get()
                if self._wish is not None:
                    self.end = self._wish
                else:
                    await self._handle(self._leg_of(signal), event)
        except CallError as error:
            _log.info("a call came to nothing", call=self.id, reason=error.end.value, detail=error.message)
            self.end = error.end
        except EngineCommandError as error:
            _log.warning("a call failed in the engine", call=self.id, code=error.code.value, detail=str(error))
            refused = error.code in {ErrorCode.INVALID, ErrorCode.UNSUPPORTED}
            self.end = CallEnd.MEDIA_INCOMPATIBLE if refused else CallEnd.ENGINE_FAILED
        except asyncio.CancelledError:
            self.end = self.end or CallEnd.SERVER_SHUTDOWN
            raise
        except Exception:  # noqa: BLE001 - one call ends, and not the server
            _log.exception("a call failed", call=self.id)
            self.end = CallEnd.FAILED
        finally:
            await self._finish(self.end or CallEnd.FAILED)

    async def _begin(self) -> None:
        invitation, parts = self.invitation, self._parts
        targets = parts.dispatch.targets(invitation.called, by_trunk=bool(invitation.caller.trunk))
        offer = None if invitation.sdp is None else read_sdp(invitation.sdp)
        self._offer = offer
        self.router = await parts.engine.open_router()
        caller = self.caller = self._leg(self._signal, invitation.caller.account, invitation.caller.security)
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
        leg = self._leg(signal, target.account, target.security)
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

    def _leg(self, signal: Signal, account: str, security: MediaSecurity) -> Leg:
        assert self.router is not None  # noqa: S101 - `_begin` opened it
        media = LegMedia(
            self.router,
            ip=signal.media_ip,
            told_ip=signal.told_ip,
            source_ip=signal.source_ip,
            security=security,
        )
        return Leg(signal, account, media, security)

    def _leg_of(self, signal: Signal | None) -> Leg | None:
        every = [*([self.caller] if self.caller is not None else []), *self.callees]
        return next((leg for leg in every if leg.signal is signal), None)

    # --- what happens ---

    async def _handle(self, leg: Leg | None, event: CallEvent) -> None:
        if isinstance(event, RangTooLong):
            if self.answered_by is None:
                self.end = CallEnd.NO_ANSWER
        elif isinstance(event, MediaLost):
            self.end = CallEnd.MEDIA_LOST
        elif leg is None or leg.is_over:
            _turn_away(event)
        else:
            await self._on_leg(leg, event)

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

    def _on_info(self, leg: Leg, event: InfoSent) -> None:
        far = self._far(leg)
        if far is None:
            event.reply(_NO_CALL)
        else:
            far.signal.send_info(event.content_type, event.body, event.reply)

    async def _on_rang(self, leg: Leg, event: Rang) -> None:
        caller = self.caller
        if caller is None or leg is caller or not leg.step(LegInput.RANG):
            return
        # Early media of one phone only: of several that ring, the caller could hear but one, and be told of one answer.
        sdp = None
        if event.sdp is not None and self._offer is not None and len(self.callees) == 1:
            sdp = await self._take_answer(leg, event.sdp, self._offer)
            self._early = leg
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
        for stream in caller.media.streams.values():
            await caller.media.connect(stream)
        await self._join(caller, leg)
        leg.heard, caller.heard = text, sdp
        return sdp

    async def _on_ended(self, leg: Leg, end: CallEnd) -> None:
        if leg is self.caller:
            await leg.finish(end, tell=False)
            self.end = end if end in {CallEnd.LEG_LOST, CallEnd.UNREACHABLE} else self._usual_end()
        elif leg is self.answered_by:
            await leg.finish(end, tell=False)
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

    async def _on_offered(self, leg: Leg, event: Offered) -> None:
        far = self._far(leg)
        if far is None:
            leg.signal.refuse_offer(event.offer, CallEnd.MEDIA_INCOMPATIBLE)
            return
        if event.sdp is None:
            leg.offered = True
            leg.signal.answer_offer(event.offer, leg.media.describe())
            return
        try:
            sdp = await answer_again(leg.media, event.sdp, far.media)
        except CallError as error:
            _log.info("an offer was refused", call=self.id, reason=error.end.value, detail=error.message)
            leg.signal.refuse_offer(event.offer, error.end)
            return
        await self._join(leg, far)
        leg.signal.answer_offer(event.offer, sdp)

    async def _on_acknowledged(self, leg: Leg, event: Acknowledged) -> None:
        far = self._far(leg)
        if not leg.offered or far is None:
            return
        leg.offered = False
        if event.sdp is None:
            raise CallError(CallEnd.MEDIA_INCOMPATIBLE, "our offer was acknowledged without an answer")
        await leg.media.take_answer(read_sdp(event.sdp))
        await self._join(leg, far)
        self.codec = codec_of(leg.media, far.media)

    async def _join(self, one: Leg, other: Leg) -> None:
        assert self.router is not None  # noqa: S101 - `_begin` opened it
        first, second = (one, other) if one is self.caller else (other, one)
        self.conversion = await join(self.router, first.media, second.media, self.conversion)

    def _far(self, leg: Leg) -> Leg | None:
        """Give the other end of an answered call."""
        if self.answered_by is None or self.answered_at is None:
            return None
        return self.answered_by if leg is self.caller else self.caller if leg is self.answered_by else None

    # --- its end ---

    def _stop_ringing(self) -> None:
        if self._ring_timer is not None:
            self._ring_timer.cancel()
            self._ring_timer = None

    async def _finish(self, end: CallEnd) -> None:
        """Tell everybody that is left, and give back every port. May not fail half way."""
        self.end, self.state = end, CallState.ENDED
        self._stop_ringing()
        while not self._inbox.empty():
            _turn_away(self._inbox.get_nowait()[1])
        if self.caller is None:
            self._signal.end(end)
        before = self.answered_at is None
        for leg in self.legs:
            with contextlib.suppress(EngineCommandError):
                # Who still rings is cancelled, whatever else happened.
                rings = before and leg is not self.caller and leg.state is not LegState.UP
                await leg.finish(CallEnd.CANCELLED if rings else end, tell=True)
        if self.router is not None:
            with contextlib.suppress(EngineCommandError):
                await self.router.close()


def _turn_away(event: CallEvent) -> None:
    """Answer what comes for a leg that is over and waits for an answer."""
    if isinstance(event, InfoSent):
        event.reply(_NO_CALL)
