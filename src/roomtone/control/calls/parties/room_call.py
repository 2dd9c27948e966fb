"""A call that leads to a room, at once or by a PIN.

The leg's ports are on the room's home router, so its sound crosses to the mixer and the others by no further hop. Who
has to enter a PIN first is on a router of its own until then, and stays there.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, assert_never

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.media.attendant import ASK, RIGHT, WRONG, Attendant
from roomtone.control.calls.media.offering import read_sdp, take_first_offer, wanted_by_nobody
from roomtone.control.calls.parties.asking_in import AskingParty
from roomtone.control.calls.parties.keypad import KeyFilter, KeyKind, read_info
from roomtone.control.calls.parties.legs import LegInput, LegState
from roomtone.control.calls.parties.room_party import KIND, PROTOCOL
from roomtone.control.calls.pins import PinCount, PinEntry
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import (
    Acknowledged,
    CallState,
    Ended,
    Given,
    GiveUp,
    InfoSent,
    KeyPressed,
    NotGiven,
    Offered,
    PickedUp,
    Rang,
    Reanswered,
    Redirected,
    Referred,
    Waited,
)
from roomtone.control.rooms import JoinRequest
from roomtone.media import EngineCommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.control.calls.directory.rules import Entry
    from roomtone.control.calls.parties.call import Call
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.parties.parts import CallParts
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.values import CallEvent, Invitation, LegEvent
    from roomtone.control.rooms import Rooms
    from roomtone.media.values import MixerId
    from roomtone.protocols.sdp.telephony import PhoneDescription

_OK, _NOT_ACCEPTABLE = 200, 488
FAREWELL_S = 0.8
"""How long the last tone takes."""


class RoomCall(AskingParty):
    """A call with one leg, whose other side is a room."""

    def __init__(
        self,
        parts: CallParts,
        rooms: Rooms,
        entries: Sequence[Entry],
        invitation: Invitation,
        signal: Signal,
        *,
        comes_from: Call | None = None,
    ) -> None:
        super().__init__(parts, rooms, entries[0].room, invitation, signal)
        self._comes_from = comes_from
        """The call whose party it takes, until it has it."""
        self._entry = entries[0]
        self._pin = PinEntry(entries) if entries[0].rule.pin else None
        """What is entered of a PIN, until that is right."""
        self._attendant: Attendant | None = None
        self._tries = 0
        self._has_failed = False
        """Whether it is told that it was wrong for the last time."""
        self._keys = KeyFilter()
        self._timer: asyncio.TimerHandle | None = None

    async def _begin(self) -> None:
        if self._comes_from is not None:
            await self._ask_for_party(self._comes_from)
            return
        invitation = self.invitation
        offer = None if invitation.sdp is None else read_sdp(invitation.sdp)
        if self._pin is None:
            participant = await self._join()
            self.router, self._shares_router = participant.room.router, True
        else:
            self._check_may_try()
            self.router = await self._parts.engine.open_router()
        caller = invitation.caller
        leg = self.caller = self._leg(self._signal, caller.account, caller.security, offer)
        if offer is not None:
            await take_first_offer(leg.media, offer)
        await self._pick_up(leg, offer)
        self.state = CallState.ANSWERED
        self.answered_at = self._parts.clock()

    async def _pick_up(self, leg: Leg, offer: PhoneDescription | None) -> None:
        """Answer a phone, in the place of those that ring for it if any do; raise `CallError`."""
        if offer is None:
            sdp = await leg.media.offer(wanted_by_nobody())
            leg.offered = True
        else:
            # What it was told with early media is its answer.
            sdp = leg.heard or self._answer(leg, offer)
            await self._on_first_answer(leg)
        leg.signal.answer(sdp)
        leg.step(LegInput.ANSWERED)

    def _check_may_try(self) -> None:
        if not self._parts.pins.may_try(self.invitation.caller):
            raise CallError(CallEnd.PIN_REFUSED, "too many wrong PINs before")

    # --- a party of another call, which is transferred here ---

    async def _ask_for_party(self, comes_from: Call) -> None:
        """Ask for a party once it may come; raise `CallError`."""
        if self._pin is None:
            await self._join()
        else:
            self._check_may_try()
        comes_from.post(None, GiveUp(self, None, into_room=True))

    async def _on_call(self, signal: Signal | None, event: CallEvent) -> None:
        match event:
            case Given() if self._comes_from is not None and len(event.legs) == 1:
                self._comes_from = None
                await self._on_party(event)
            case NotGiven() if self._comes_from is not None:
                self._comes_from = None
                self.end = event.end
            case _:
                await super()._on_call(signal, event)

    async def _on_party(self, event: Given) -> None:
        """Take a party in, with the routers it is on."""
        (leg,) = event.legs
        self._legs, self.caller = [leg], leg
        self.router = leg.media.router
        self.routers = [router for router in event.routers if router is not self.router]
        self.end_by(event.ends_at)
        leg.held = leg.muted = False
        leg.measured = self.measured
        if leg.state is LegState.UP:
            await self._on_first_answer(leg)
        else:
            await self._pick_up(leg, None if self.invitation.sdp is None else read_sdp(self.invitation.sdp))
        self.state = CallState.ANSWERED
        self.answered_at = self._parts.clock()

    async def _on_first_answer(self, leg: Leg) -> None:
        if self._pin is None:
            await self._enter(leg)
            return
        assert self.router is not None  # noqa: S101 - `_begin` opened it
        self._attendant = await Attendant.open(self.router, leg)
        await self._ask()

    async def _enter(self, leg: Leg) -> None:
        await self._sit_down(leg)
        self.parties = [leg]

    def _request(self, status: str) -> JoinRequest:
        caller, rule = self.invitation.caller, self._entry.rule
        told = {"sip.callID": self.id, "sip.callStatus": status, "sip.trunkPhoneNumber": self.invitation.called}
        if caller.trunk:
            told |= {"sip.trunkID": caller.trunk, "sip.ruleID": rule.name}
        if not rule.hides_number:
            told["sip.phoneNumber"] = caller.account
        shown = self.id[:8] if rule.hides_number else caller.account
        return JoinRequest(
            f"sip_{shown}",
            name=shown if rule.hides_number else caller.name or caller.account,
            metadata=rule.metadata,
            kind=KIND,
            protocol=PROTOCOL,
            attributes=tuple((told | dict(rule.attributes)).items()),
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
            case Reanswered():
                await self._on_reanswered(leg, event)
            case InfoSent():
                await self._on_info(event)
            case Referred():
                await self._on_referred(leg, event)
            case Rang() | PickedUp() | Redirected():
                pass  # nobody was called
            case _:
                assert_never(event)

    # --- the PIN ---

    def owns_mixer(self, mixer: MixerId) -> bool:
        """Whether keys heard by a mixer are this call's."""
        return self._attendant is not None and self._attendant.mixer == mixer

    async def _on_info(self, event: InfoSent) -> None:
        read = read_info(event.content_type, event.body)
        if read is None or self._pin is None:
            event.reply(_NOT_ACCEPTABLE)  # a room has no use for keys, and must not say that it had
            return
        event.reply(_OK)
        await self._on_pressed(KeyPressed(read[0], KeyKind.INFO))

    async def _on_event(self, event: CallEvent) -> None:
        if isinstance(event, KeyPressed):
            await self._on_pressed(event)
        elif isinstance(event, Waited):
            await self._on_waited()

    async def _on_pressed(self, event: KeyPressed) -> None:
        now = asyncio.get_running_loop().time()
        if self._pin is None or self._has_failed or not self._keys.accept(event.key, event.kind, now):
            return
        self._wait(self._parts.pins.rules.timeout_s)
        if self._pin.press(event.key):
            await self._judge(self._pin)

    async def _on_waited(self) -> None:
        if self._pin is None:
            return
        if self._has_failed:
            self.end = CallEnd.WRONG_PIN
        elif self._pin.is_empty:
            await self._fail(PinCount.NOT_ENTERED)
        else:
            await self._judge(self._pin)

    async def _judge(self, pin: PinEntry) -> None:
        entry = pin.take()
        if entry is None:
            await self._fail(PinCount.WRONG)
            return
        self._parts.pins.note_right()
        self._stop_waiting()
        leg, attendant = self.caller, self._attendant
        assert leg is not None  # noqa: S101 - who enters something has been answered
        assert attendant is not None  # noqa: S101
        self._pin, self._entry, self.room = None, entry, entry.room
        await attendant.say(RIGHT)
        await self._join()
        await self._enter(leg)
        self._attendant = None
        await attendant.close()

    async def _fail(self, what: PinCount) -> None:
        guard = self._parts.pins
        guard.note_failure(self.invitation.caller, what)
        self._tries += 1
        if self._tries >= guard.rules.tries or (not guard.may_go_on(self.invitation.caller)):
            self._has_failed = True
        if self._attendant is not None:
            await self._attendant.say(WRONG)
        if self._has_failed:
            self._wait(FAREWELL_S)
        else:
            await self._ask()

    async def _ask(self) -> None:
        if self._attendant is not None:
            await self._attendant.say(ASK)
        self._wait(self._parts.pins.rules.timeout_s)

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.post, None, Waited())

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _finish(self, end: CallEnd) -> None:
        self._stop_waiting()
        if self._comes_from is not None:
            self._comes_from.post(None, NotGiven(end))
        await super()._finish(end)
        if self._attendant is not None:  # on a router that goes on, it would too
            with contextlib.suppress(EngineCommandError):
                await self._attendant.close()
