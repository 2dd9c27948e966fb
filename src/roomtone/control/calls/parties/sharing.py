"""Legs that go from one call to another, with the routers they are on; and calls that become one."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.media.bridge import may_send
from roomtone.control.calls.media.conversion import convertible
from roomtone.control.calls.media.offering import check_talk
from roomtone.control.calls.parties.commands import Merge, settle
from roomtone.control.calls.parties.hunting import HuntingCall
from roomtone.control.calls.parties.translating import TranslatingCall
from roomtone.control.calls.parties.unwanted import end_given
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import Given, GiveUp, NotGiven
from roomtone.media.values import MediaKind

if TYPE_CHECKING:
    import asyncio

    from roomtone.control.calls.parties.commands import Command
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.values import CallEvent

MAX_PARTIES = 16
"""Of one conference."""


class SharingCall(HuntingCall, TranslatingCall):
    """A call that gives legs away and takes them in."""

    _merging: asyncio.Future[None] | None = None
    """The answer to who wants another call merged with this one, while that is asked."""

    @property
    @abstractmethod
    def _is_moving(self) -> bool:
        """Whether a party is being transferred."""

    # --- legs from one call to another ---

    async def _on_asked_to_give(self, event: GiveUp) -> None:
        """Give legs to another call, which this one ends for; or say why not."""
        if self.answered_at is None and self.caller is not None and event.replaced is self.caller.signal:
            # Nobody has answered yet: the phones there are to ring for who is transferred.
            if event.to.post(None, NotGiven(CallEnd.CANCELLED, rang_at=self.invitation.called)):
                self.end = CallEnd.TRANSFERRED
            return
        try:
            legs = self._givable(event)
        except CallError as error:
            event.to.post(None, NotGiven(error.end))
            return
        routers = tuple(self.all_routers)
        if not event.to.post(None, Given(legs, routers, self.ends_at)):
            return
        self.router, self.routers = None, []
        self._legs = [leg for leg in self._legs if leg not in legs]
        self.parties = [leg for leg in self.parties if leg not in legs]
        for leg in legs:
            leg.signal.move_to(event.to)
            self._send_after(leg, event.to)
        self.end = CallEnd.TRANSFERRED
        await self.floor.clear()

    def _givable(self, event: GiveUp) -> tuple[Leg, ...]:
        if self._is_moving or self._merging is not None or self._change is not None or self.answered_at is None:
            raise CallError(CallEnd.REFUSED, "the other call rings, or is being transferred or changed")
        if event.replaced is None:
            if any(leg.offered for leg in self.parties):
                raise CallError(CallEnd.REFUSED, "the other call waits for a description")
            return tuple(self.parties)
        replaced = self._leg_of(event.replaced)
        far = None if replaced is None else self._far(replaced)
        if far is None or far.offered:
            raise CallError(CallEnd.LEG_LOST, "the other call has no such leg, or no two parties")
        if event.meets is not None:
            check_talk(event.meets.media, far.media)
        return (far,)

    async def _on_given(self, event: Given) -> None:
        """Take legs in; those that nothing was asked for any more end."""
        merging = self._merging
        if merging is None:
            await end_given(event)
        else:
            self._take_in(event)
            await self._merged(list(event.legs), merging)

    def _take_in(self, event: Given) -> None:
        self._legs = [*self.legs, *event.legs]
        self.routers += event.routers
        self.end_by(event.ends_at)

    async def _on_not_given(self, event: NotGiven) -> None:
        """Take that another call gives nothing."""
        del event
        merging, self._merging = self._merging, None
        if merging is not None:
            settle(merging, PhoneError(PhoneRefusal.NOT_POSSIBLE, "the other call cannot be merged now"))

    # --- several in one ---

    async def _merged(self, legs: list[Leg], reply: asyncio.Future[None]) -> None:
        """Have all hear each other; of two legs of one phone the one on hold ends."""
        everybody = [*self.parties, *legs]
        twice = [one for one in everybody if any(_is_same_phone(one, other) for other in everybody if other is not one)]
        doomed = next((leg for leg in twice if leg.holds), twice[-1] if twice else None)
        self.parties = [leg for leg in everybody if leg is not doomed]
        if doomed is not None:
            await self.floor.forget(doomed)
            await doomed.finish(CallEnd.TRANSFERRED, tell=True)
        await self._arrange()
        self._merging = None  # until here a failure, which ends the call, is the answer
        settle(reply)

    def _ask_to_merge(self, command: Merge, reply: asyncio.Future[None]) -> None:
        other = command.other
        if self.answered_at is None or other.answered_at is None or self._is_moving or self._merging:
            raise PhoneError(PhoneRefusal.WRONG_STATE, "one of the calls rings or is being transferred")
        if other is self or not isinstance(other, SharingCall):
            raise PhoneError(PhoneRefusal.NOT_POSSIBLE, "these two calls cannot be merged")
        if len(self.parties) + len(other.parties) > MAX_PARTIES:
            raise PhoneError(PhoneRefusal.NOT_POSSIBLE, f"a conference has at most {MAX_PARTIES} parties")
        if not all(can_be_mixed(leg) for leg in (*self.parties, *other.parties)):
            raise PhoneError(PhoneRefusal.NOT_POSSIBLE, "a party speaks no codec that can be mixed")
        self._merging = reply
        other.post(None, GiveUp(self, None))

    async def _on_call(self, signal: Signal | None, event: CallEvent) -> None:
        match event:
            case GiveUp():
                await self._on_asked_to_give(event)
            case Given():
                await self._on_given(event)
            case NotGiven():
                await self._on_not_given(event)
            case _:
                await super()._on_call(signal, event)

    async def _do(self, command: Command, reply: asyncio.Future[None]) -> None:
        if isinstance(command, Merge):
            self._ask_to_merge(command, reply)  # the answer follows with the legs
        else:
            await super()._do(command, reply)

    async def _finish(self, end: CallEnd) -> None:
        merging, self._merging = self._merging, None
        if merging is not None:
            settle(merging, PhoneError(PhoneRefusal.NO_SUCH_CALL, "the call has ended"))
        await super()._finish(end)


def _is_same_phone(one: Leg, other: Leg) -> bool:
    """Whether two legs are of one phone: of one account, at one place."""
    return bool(one.account) and one.account == other.account and one.signal.source_ip == other.signal.source_ip


def can_be_mixed(leg: Leg) -> bool:
    """Whether a leg speaks a codec that a mixer has."""
    stream = leg.media.streams.get(MediaKind.AUDIO)
    return stream is not None and convertible(may_send(stream))
