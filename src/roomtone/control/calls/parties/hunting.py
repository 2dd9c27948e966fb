"""Looking for somebody who answers: all phones of a target ring at once, the first that answers has the call.

A call hunts for its callee first, and later for whoever a party is transferred to; one hunt at a time.
Rooms that call phones hunt for them in the same way.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.media.offering import wanted_by_nobody, wanted_like
from roomtone.control.calls.parties.call import Call
from roomtone.control.calls.parties.commands import settle
from roomtone.control.calls.parties.legs import Leg, LegInput, LegState
from roomtone.control.calls.reasons import CallEnd, most_telling
from roomtone.control.calls.values import Caller, RangTooLong
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.control.calls.media.streams import Wanted
    from roomtone.control.calls.ports import OutboundSignal, Signal
    from roomtone.control.calls.values import CallEvent, Redirected, Target
    from roomtone.media import Together

MAX_REDIRECTS = 5
"""How often one hunt follows a phone that says where else to call."""
_log = get_logger(__name__)


@dataclass(eq=False, slots=True)
class Hunt:
    """One search for an answer."""

    near: Leg | None
    """Who waits for it; None: a room."""
    caller: Caller
    """As whom it calls."""
    called: str
    has_offer: bool = True
    """Whether the description of ``near`` is there to be offered."""
    referred_by: str = ""
    timeout_s: float | None = None
    """How long it may ring; None: as long as any call."""
    legs: list[Leg] = field(default_factory=list)
    """That ring; those that are over stay for their reasons."""
    ends: list[CallEnd] = field(default_factory=list)
    numbers: set[str] = field(default_factory=set)
    """Called so far: a redirection to one of them is a circle."""
    redirects: int = 0
    room: Call | None = None
    """The call that is about to take who waits into a room, instead of those that ring."""
    reply: asyncio.Future[None] | None = None
    """Of a command that wants that room."""
    timer: asyncio.TimerHandle | None = None

    def wanted(self) -> list[Wanted]:
        """Give what those who are called are offered."""
        return wanted_like(self.near.media) if self.near is not None and self.has_offer else wanted_by_nobody()

    def is_ringing(self) -> bool:
        """Whether anybody may still answer, or a room."""
        return self.room is not None or any(not leg.is_over for leg in self.legs)

    def why(self) -> CallEnd:
        """Tell why nobody answered."""
        return most_telling([*(leg.end for leg in self.legs if leg.end is not None), *self.ends])


class _Callee(NamedTuple):
    """Somebody who is about to be called."""

    leg: Leg
    signal: OutboundSignal


class HuntingCall(Call):
    """A call that looks for somebody who answers."""

    _hunt: Hunt | None = None

    @abstractmethod
    async def _hunt_failed(self, hunt: Hunt, end: CallEnd) -> None:
        """Take that nobody answers; the hunt is over."""

    async def _begin_hunt(self, hunt: Hunt, targets: Sequence[Target], together: Together | None = None) -> None:
        """Ring at all targets; raise `CallError` where that can be done at none.

        What was gathered in ``together`` is done with what is opened for them.
        """
        hunt.numbers.add(hunt.called)
        self._hunt = hunt
        await self._ring(hunt, targets, self._parts.engine.together() if together is None else together)
        if not hunt.is_ringing():
            self._hunt = None
            raise CallError(hunt.why(), "no phone could be called")
        loop = asyncio.get_running_loop()
        timeout_s = hunt.timeout_s or self._parts.ring_timeout_s
        hunt.timer = loop.call_later(timeout_s, self.post, None, RangTooLong(hunt))

    async def _end_hunt(self, end: CallEnd, *, but: Leg | None = None) -> None:
        """Stop to ring, but at the one that has answered."""
        hunt, self._hunt = self._hunt, None
        if hunt is None:
            return
        _stop_timer(hunt)
        _tell(hunt, PhoneError(PhoneRefusal.WRONG_STATE, "the call does not ring any more"))
        for leg in hunt.legs:
            if leg is not but:
                await leg.finish(end, tell=True)

    async def _ring(self, hunt: Hunt, targets: Sequence[Target], together: Together) -> None:
        """Call phones, whose media is opened together; why one cannot be called is kept."""
        prepared = []
        for target in targets:
            try:
                ways = await self._parts.signalling.ways_to(target)
            except CallError as error:
                hunt.ends.append(error.end)
                continue
            prepared.append(await self._prepare(hunt, ways, together))
            if together.is_full:
                await together.do()
        if any(isinstance(one, _Callee) for one in prepared):
            await together.do()
        for one in prepared:
            end = await self._ring_by(hunt, one)
            if end is not None:
                hunt.ends.append(end)

    async def _ring_by(self, hunt: Hunt, callee: _Callee | CallEnd) -> CallEnd | None:
        """Call by the way that was prepared, or by the next that can be gone; give why that is none."""
        while isinstance(callee, _Callee):
            end = await self._invite(hunt, callee)
            if end is None or not callee.leg.others:
                return end
            together = self._parts.engine.together()
            callee = await self._prepare(hunt, callee.leg.others, together)
            await together.do()
        return callee

    async def _prepare(self, hunt: Hunt, ways: Sequence[Target], together: Together) -> _Callee | CallEnd:
        """Make a leg by the first way there is, and keep the others for when nobody answers there."""
        end = CallEnd.UNREACHABLE
        for number, target in enumerate(ways, 1):
            try:
                signal = self._parts.signalling.leg_to(target, self)
            except CallError as error:
                end = error.end
                continue
            leg = self._leg(signal, target.account, target.security, None, party_of(target, hunt.called))
            leg.others = tuple(ways[number:])
            leg.trunk = "" if target.trunk is None else target.trunk.name
            await leg.media.open(hunt.wanted(), together)
            return _Callee(leg, signal)
        return end

    async def _invite(self, hunt: Hunt, callee: _Callee) -> CallEnd | None:
        """Call a phone; give why that cannot be."""
        leg = callee.leg
        hunt.legs.append(leg)
        self.callees = [*(one for one in self.callees if not one.is_over), leg]
        try:
            callee.signal.invite(hunt.caller, hunt.called, leg.media.describe(), hunt.referred_by)
        except CallError as error:
            hunt.legs.remove(leg)
            await leg.finish(error.end, tell=True)
            return error.end
        return None

    def _picks_up(self, leg: Leg) -> Hunt | None:
        """Take an answer; None where it counts for nothing: that leg is told, unless it talks already."""
        hunt = self._hunt
        if leg is self.caller or leg in self.parties:
            return None
        if hunt is None or leg not in hunt.legs or not leg.step(LegInput.ANSWERED):
            leg.signal.end(CallEnd.ANSWERED_ELSEWHERE)
            return None
        return hunt

    async def _on_hunted_ended(self, hunt: Hunt, leg: Leg, end: CallEnd) -> None:
        """Go on by the other ways to somebody who was not reached; end the hunt when nobody is left."""
        unheard = leg.state is LegState.INVITING and end is CallEnd.UNREACHABLE
        await leg.finish(end, tell=False)
        if unheard and leg.others:
            together = self._parts.engine.together()
            callee = await self._prepare(hunt, leg.others, together)
            await together.do()
            if await self._ring_by(hunt, callee) is None:
                hunt.legs.remove(leg)
        await self._end_if_nobody_rings(hunt)

    async def _on_redirected(self, leg: Leg, event: Redirected) -> None:
        """Call where a phone says, as far as rules let who calls call there; never the same number twice."""
        hunt = self._hunt
        if hunt is None or leg not in hunt.legs:
            return
        who = leg.party if leg.trunk and leg.party is not None else hunt.caller
        await leg.finish(CallEnd.REFUSED, tell=False)
        for number in event.to:
            if number in hunt.numbers:
                continue
            if hunt.redirects >= MAX_REDIRECTS:
                _log.info("a redirection is not followed any more", call=self.id, redirects=hunt.redirects)
                break
            hunt.redirects += 1
            hunt.numbers.add(number)
            if self._goes_into_room(hunt, number, who):
                continue
            try:
                targets = self._targets_instead(number, who)
            except CallError as error:
                hunt.ends.append(error.end)
                continue
            await self._ring(hunt, targets, self._parts.engine.together())
        await self._end_if_nobody_rings(hunt)

    def _goes_into_room(self, hunt: Hunt, number: str, who: Caller) -> bool:
        """Whether a number is a room's that takes who waits, or has been tried."""
        del hunt, number, who
        return False

    async def _ring_instead(self, to: str) -> None:
        """Ring at another number, as an operator wants; raise `PhoneError`, and then nothing has changed."""
        hunt = self._hunt
        if hunt is None or self.answered_at is not None:
            raise PhoneError(PhoneRefusal.WRONG_STATE, "the call does not ring")
        if hunt.room is not None:
            raise PhoneError(PhoneRefusal.WRONG_STATE, "the call is on its way to a room")
        fresh = Hunt(hunt.near, hunt.caller, to, hunt.has_offer, timeout_s=hunt.timeout_s)
        try:
            await self._begin_hunt(fresh, self._targets_instead(to, hunt.caller))
        except CallError as error:
            self._hunt = hunt
            raise PhoneError(PhoneRefusal.NOT_POSSIBLE, error.message or error.end.value) from error
        self._hunt = hunt
        await self._end_hunt(CallEnd.CANCELLED)
        self._hunt = fresh

    def _targets_instead(self, number: str, who: Caller) -> list[Target]:
        """Give the ways to where a phone says to call instead of it; raise `CallError`."""
        return self._parts.dispatch.targets(number, who)

    async def _end_if_nobody_rings(self, hunt: Hunt) -> None:
        if self._hunt is hunt and not hunt.is_ringing():
            await self._end_hunt(CallEnd.CANCELLED)
            await self._hunt_failed(hunt, hunt.why())

    async def _on_call(self, signal: Signal | None, event: CallEvent) -> None:
        if isinstance(event, RangTooLong):
            hunt = self._hunt
            if hunt is not None and event.hunt is hunt:
                await self._end_hunt(CallEnd.CANCELLED)
                await self._hunt_failed(hunt, CallEnd.NO_ANSWER)
        else:
            await super()._on_call(signal, event)

    async def _finish(self, end: CallEnd) -> None:
        if self._hunt is not None:
            _stop_timer(self._hunt)
            _tell(self._hunt, PhoneError(PhoneRefusal.NO_SUCH_CALL, "the call has ended"))
        await super()._finish(end)


def party_of(target: Target, called: str) -> Caller:
    """Give as whom somebody who was called calls others."""
    trunk = "" if target.trunk is None else target.trunk.name
    return Caller(target.account or called, "", target.security, trunk)


def _tell(hunt: Hunt, error: PhoneError | None) -> None:
    """Answer who wanted a room, if anybody did."""
    reply, hunt.reply = hunt.reply, None
    if reply is not None:
        settle(reply, error)


def _stop_timer(hunt: Hunt) -> None:
    if hunt.timer is not None:
        hunt.timer.cancel()
        hunt.timer = None
