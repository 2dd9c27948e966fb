"""Changes that one side of a call asks for and the other has to have a part in: passed on as an offer of ours.

What can be answered here is: addresses, keys, hold, numbers, and codecs that can be converted. Pictures that are added,
and a codec that nobody can convert, are offered to the other side first; it answers, and then who asked is answered,
out of what there is now. The end of pictures, and a codec that would pass as it is, are offered afterwards. Where the
other side refuses, or takes too long, all stays as it was.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.changing import asked_first, told_afterwards
from roomtone.control.calls.media.offering import read_sdp
from roomtone.control.calls.parties.talking import TalkingCall, receives
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import CallState, ChangeTookLong
from roomtone.media import EngineCommandError
from roomtone.media.values import MediaKind
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from roomtone.control.calls.media.streams import Proposal
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.values import Acknowledged, CallEvent, Offered, Reanswered
    from roomtone.protocols.sdp import Codec

CHANGE_TIMEOUT_S = 10.0
"""How long who asks for a change waits for the other side; an UPDATE is given up after 32 s (RFC 3261, 17.1.2)."""
_log = get_logger(__name__)


@dataclass(eq=False, slots=True)
class Change:
    """An offer that waits for what the other side says."""

    near: Leg
    asked: Offered
    far: Leg
    timer: asyncio.TimerHandle


class ChangingCall(TalkingCall):
    """A call whose sides may change their media, together where they share it.

    Limit: one change waits at a time; another is answered with what there is, or is to be asked for again (491).
    """

    _change: Change | None = None

    async def _on_offered(self, leg: Leg, event: Offered) -> None:
        far = self._far(leg)
        if event.sdp is None or far is None or self.state is not CallState.ANSWERED:
            await super()._on_offered(leg, event)
            return
        try:
            wanted = asked_first(leg.media, read_sdp(event.sdp), far.media)
        except CallError:
            wanted = None  # it is refused below
        if wanted is not None and await self._ask(far, wanted):
            timer = asyncio.get_running_loop().call_later(CHANGE_TIMEOUT_S, self._has_taken_long)
            self._change = Change(leg, event, far, timer)
        elif wanted is not None and wanted.sound:
            leg.signal.postpone_offer(event.offer)  # nothing could be said between the two now
        else:
            await self._answer(leg, event)

    async def _answer(self, leg: Leg, event: Offered) -> None:
        """Answer an offer out of what there is, and bring the other side in step where it has to be."""
        before = leg.media.streams[MediaKind.AUDIO].takes
        await super()._on_offered(leg, event)
        await self._follow(leg, before)

    async def _on_acknowledged(self, leg: Leg, event: Acknowledged) -> None:
        if not leg.offered or self._far(leg) is None:
            await super()._on_acknowledged(leg, event)
            return
        before = leg.media.streams[MediaKind.AUDIO].takes
        await super()._on_acknowledged(leg, event)
        await self._follow(leg, before)

    async def _follow(self, leg: Leg, before: tuple[Codec, ...]) -> None:
        """Offer the other side what a change means for it; it may refuse that."""
        far = self._far(leg)
        wanted = None if far is None else told_afterwards(before, leg.media, far.media)
        if far is not None and wanted is not None:
            await self._ask(far, wanted)

    async def _ask(self, leg: Leg, wanted: Proposal) -> bool:
        """Offer a leg something else; False where that cannot be now."""
        if self._change is not None or leg.offered or leg.media.is_proposing:
            return False
        try:
            sdp = await leg.media.propose(wanted)
        except EngineCommandError as error:
            _log.info("nothing could be opened for a change", call=self.id, code=error.code.value)
            return False
        if leg.signal.reoffer(sdp):
            return True
        await leg.media.withdraw()
        return False

    # --- what comes of it ---

    async def _on_reanswered(self, leg: Leg, event: Reanswered) -> None:
        """Take what came of an offer of ours; raise `CallError` where its answer leaves no sound."""
        change = self._change
        received = receives(leg)
        if event.sdp is None:
            _log.info("a change was refused by the other side", call=self.id, status=event.status)
            leg.media.refuses_pictures |= leg.media.proposes_pictures
        await take_reanswer(leg, event)
        leg.holds = not receives(leg) and (received or leg.holds)
        if change is None or change.far is not leg:
            await self._arrange()
            return
        self._forget(change)
        await self._conclude(change)

    async def _conclude(self, change: Change) -> None:
        """Answer who asked for a change, unless it has given that up."""
        near = change.near
        if near not in self.parties:
            return
        if near.signal.awaits(change.asked.offer):
            await self._answer(near, change.asked)
        else:
            await self._arrange()
            await self._follow(near, near.media.streams[MediaKind.AUDIO].takes)

    def _forget(self, change: Change) -> None:
        change.timer.cancel()
        self._change = None

    def _has_taken_long(self) -> None:
        self.post(None, ChangeTookLong())

    async def _on_call(self, signal: Signal | None, event: CallEvent) -> None:
        change = self._change
        if not isinstance(event, ChangeTookLong):
            await super()._on_call(signal, event)
        elif change is not None and change.timer.when() <= asyncio.get_running_loop().time():
            self._forget(change)
            await self._conclude(change)

    async def _leave(self, leg: Leg) -> None:
        change = self._change
        if change is not None and leg in {change.near, change.far}:
            self._forget(change)
            if leg is change.far:
                change.near.signal.postpone_offer(change.asked.offer)
        await super()._leave(leg)

    async def _finish(self, end: CallEnd) -> None:
        change = self._change
        if change is not None:
            self._forget(change)
            change.near.signal.refuse_offer(change.asked.offer, CallEnd.CANCELLED)
        await super()._finish(end)


async def take_reanswer(leg: Leg, event: Reanswered) -> None:
    """Bring the media of a leg in step with what came of an offer of ours; raise `CallError`."""
    if event.sdp is None:
        await leg.media.withdraw()
    else:
        await leg.media.take_answer(read_sdp(event.sdp))
