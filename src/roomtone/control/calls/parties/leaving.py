"""Phones that leave a room for somebody else: an operator transfers them, or has their own side call elsewhere.

Until somebody has answered the phone stays in the room, and so it does when nobody answers. Then it goes to the other
call with the router that its ports are on; where that is the room's, it ends with whoever needs it last.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.media.bridge import feed
from roomtone.control.calls.media.playing import gone_already
from roomtone.control.calls.parties.commands import Transfer, settle
from roomtone.control.calls.parties.room_party import RoomParty
from roomtone.control.calls.parties.unwanted import end_given
from roomtone.control.calls.reasons import CallEnd, end_of_status
from roomtone.control.calls.values import Given, GiveUp, NotGiven
from roomtone.control.rooms import CloseReason
from roomtone.media import EngineCommandError
from roomtone.media.values import MediaKind
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from roomtone.control.calls.parties.call import Call
    from roomtone.control.calls.parties.commands import Command
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.values import Caller, CallEvent
    from roomtone.media import Router

_ANSWERED = range(200, 300)
_log = get_logger(__name__)


@dataclass(eq=False, slots=True)
class Departure:
    """A phone in a room that is to talk to somebody else."""

    room: str
    """Where it is."""
    leg: Leg
    comes_from: Call
    caller: Caller
    """As whom it calls."""
    to: str
    reply: asyncio.Future[None]
    """Of the command that wants it: done once somebody rings, or a room takes it in."""
    taker: Call | None = None
    """The call that takes it."""


class LeavingParty(RoomParty):
    """A call whose other side is a room, until its phone goes elsewhere."""

    _leaving: Departure | None = None

    async def _do(self, command: Command, reply: asyncio.Future[None]) -> None:
        if isinstance(command, Transfer):
            self._send_on(command, reply)  # the answer follows
        else:
            await super()._do(command, reply)

    def _send_on(self, command: Transfer, reply: asyncio.Future[None]) -> None:
        leg, _ = self._seated(command.leg)
        if self._leaving is not None or leg.offered:
            raise PhoneError(PhoneRefusal.WRONG_STATE, "this phone is being transferred, or describes its media")
        caller = leg.party or self.invitation.caller
        departure = Departure(self.room, leg, self, caller, command.to, reply)
        try:
            departure.taker = self._parts.send_on(departure)
        except CallError as error:
            raise PhoneError(PhoneRefusal.NOT_POSSIBLE, error.message or error.end.value) from error
        self._leaving = departure

    async def _on_call(self, signal: Signal | None, event: CallEvent) -> None:
        departure = self._leaving
        match event:
            case GiveUp() if departure is not None and event.to is departure.taker:
                await self._give(departure, event)
            case NotGiven() if departure is not None:
                self._leaving = None
                _log.info("a phone stays in its room", call=self.id, reason=event.end.value)
                settle(departure.reply, PhoneError(PhoneRefusal.NOT_POSSIBLE, f"it came to nothing: {event.end}"))
            case _:
                await super()._on_call(signal, event)

    async def _give(self, departure: Departure, event: GiveUp) -> None:
        """Give the phone to the call that takes it; this one ends for it."""
        leg = departure.leg
        if leg.is_over or leg.offered:
            self._leaving = None
            event.to.post(None, NotGiven(CallEnd.LEG_LOST))
            settle(departure.reply, PhoneError(PhoneRefusal.WRONG_STATE, "the phone describes its media"))
            return
        await self._leave_room(leg)
        given = Given((leg,), self._routers_to_give(leg), self.ends_at)
        self.router, self.routers = None, []
        self._legs = [one for one in self._legs if one is not leg]
        self.parties = []
        self.end, self._leaving = CallEnd.TRANSFERRED, None  # until here a failure is what the other call is told
        if not event.to.post(None, given):
            await end_given(given)  # who had answered has hung up meanwhile
            settle(departure.reply, PhoneError(PhoneRefusal.NOT_POSSIBLE, "nobody is there any more"))
            return
        leg.signal.move_to(event.to)
        self._send_after(leg, event.to)
        settle(departure.reply)

    def _routers_to_give(self, leg: Leg) -> tuple[Router, ...]:
        if self._shares_router and self.router is not None:
            held = leg.media.router = self._rooms.hold_router(self.router)
            return (held,)
        return tuple(self.all_routers)

    async def _leave_room(self, leg: Leg) -> None:
        """Take the phone out of the room's mix, and the room out of its ear."""
        if self._pressing is not None:
            self._pressed(self._pressing, PhoneError(PhoneRefusal.NO_SUCH_LEG, "the leg has left"))
        stream, seat = leg.media.streams[MediaKind.AUDIO], self.seat
        await feed(stream, None, (), flows=False)
        await self.floor.clear()
        await self._tell_status("hangup")
        if self.participant is not None:
            await self._rooms.end(self.participant, CloseReason.LEFT)
        if self._ringback is not None:
            await gone_already(self._ringback.mixer.close())
        if seat is not None and seat.track.muted and stream.producer is not None:
            with contextlib.suppress(EngineCommandError):
                await stream.producer.resume()

    async def transfer(self, to: str, timeout_s: float) -> int:
        """Have the phone's side call a URI instead (RFC 3515), and end once that is answered; gives its status.

        Raise `CallError` where it refuses, or nobody answers in time; then the phone stays in the room.
        """
        leg = self._phone
        if leg is None or leg.is_over or self.answered_at is None:
            raise CallError(CallEnd.LEG_LOST, "the phone has not answered, or has gone")
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def tell(status: int) -> None:
            if not told.done():
                told.set_result(status)

        leg.signal.refer(to, tell)
        try:
            async with asyncio.timeout(timeout_s):
                status = await told
        except TimeoutError as error:
            raise CallError(CallEnd.NO_ANSWER, "nobody has answered in time") from error
        if status not in _ANSWERED:
            raise CallError(end_of_status(status), f"the phone's side answered {status}")
        self.ask_to_end(CallEnd.TRANSFERRED)
        return status

    async def _finish(self, end: CallEnd) -> None:
        departure, self._leaving = self._leaving, None
        if departure is not None:
            settle(departure.reply, PhoneError(PhoneRefusal.NO_SUCH_CALL, "the call has ended"))
            if departure.taker is not None:
                departure.taker.post(None, NotGiven(CallEnd.CANCELLED))
        await super()._finish(end)
