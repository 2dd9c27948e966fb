"""The life of one call: a task with one inbox, so that its steps never cross.

Whatever fails, every leg is told and the router is closed, and with it every port.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.media.floor import Floor
from roomtone.control.calls.media.leg_media import media_for
from roomtone.control.calls.media.quality import measure
from roomtone.control.calls.parties.inbox import Inbox
from roomtone.control.calls.parties.legs import Leg, LegState
from roomtone.control.calls.parties.unwanted import end_given, turn_away
from roomtone.control.calls.reasons import CallEnd, sip_status
from roomtone.control.calls.values import (
    Acknowledged,
    Caller,
    CallEvent,
    CallId,
    CallState,
    ChangeTookLong,
    Commanded,
    Given,
    GiveUp,
    Invitation,
    KeyAnswered,
    KeyPressed,
    KeysSent,
    LegEvent,
    MediaLost,
    NotGiven,
    RangTooLong,
    TakenOver,
    Waited,
)
from roomtone.control.rooms import HeldRouter
from roomtone.media import EngineCommandError
from roomtone.media.values import ErrorCode
from roomtone.observe import get_logger
from roomtone.store import CallRecord

if TYPE_CHECKING:
    from roomtone.control.calls.media.conversion import Conversion
    from roomtone.control.calls.media.quality import LegQuality
    from roomtone.control.calls.parties.commands import Command
    from roomtone.control.calls.parties.parts import CallParts
    from roomtone.control.calls.ports import Signal
    from roomtone.media import Router
    from roomtone.media.values import MixerId
    from roomtone.protocols.sdp.telephony import MediaSecurity, PhoneDescription

MAX_WAITING = 64
"""Events of one call that may wait; more end it as overloaded."""
_OF_THE_CALL = (RangTooLong, TakenOver, GiveUp, Given, NotGiven, KeysSent, KeyAnswered, ChangeTookLong)
"""What happens to a call as a whole."""
_log = get_logger(__name__)


class Call(ABC):
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
        self.routers: list[Router] = []
        """Routers that legs of other calls brought along."""
        self.floor = Floor(parts.music)
        self.caller: Leg | None = None
        self.callees: list[Leg] = []
        """Who was called."""
        self.parties: list[Leg] = []
        """Legs that talk to each other."""
        self.answered_by: Leg | None = None
        self._legs: list[Leg] = []
        self.measured: list[LegQuality] = []
        """How good the sound of each leg was that has ended."""
        self._parts = parts
        self._signal = signal
        self._wish: CallEnd | None = None
        self._inbox: Inbox[tuple[Signal | None, CallEvent]] = Inbox(MAX_WAITING)

    # --- the way in ---

    def post(self, signal: Signal | None, event: CallEvent) -> bool:
        """Hand in what happened on a leg, or to the whole call; never waits. False where it comes too late."""
        if isinstance(event, Acknowledged) and self._tells_nothing(signal, event):
            return True
        if self.state is not CallState.ENDED:
            if self._inbox.put((signal, event)):
                return True
            self._wish = self._wish or CallEnd.OVERLOADED
        turn_away(signal, event)
        return False

    def _tells_nothing(self, signal: Signal | None, event: Acknowledged) -> bool:
        """Whether a call that has nothing else to do would wake up for an ACK of a leg that waits for none."""
        leg = self._leg_of(signal) if self._inbox.is_awaited and event.sdp is None else None
        return leg is not None and not leg.offered

    def ask_to_end(self, end: CallEnd) -> None:
        """End it as soon as the step it is at is done."""
        self._wish = self._wish or end
        self._inbox.put((None, MediaLost()))  # only to wake it: the wish comes first

    @property
    def legs(self) -> list[Leg]:
        """All legs that are not over."""
        return [leg for leg in self._legs if not leg.is_over]

    @property
    def all_routers(self) -> list[Router]:
        """Routers that its legs are on."""
        return self.routers if self.router is None else [self.router, *self.routers]

    @property
    def conversion(self) -> Conversion | None:
        """What turns the sound of two legs without a codec in common into each other's."""
        return self.floor.conversion

    async def judge(self) -> list[LegQuality]:
        """Measure how good the sound of each leg is now."""
        found = [await measure(leg.media, leg.account) for leg in self.legs if leg.up_at is not None]
        return [one for one in found if one is not None]

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
            quality=json.dumps([one.as_dict() for one in self.measured]) if self.measured else None,
        )

    # --- its life ---

    async def run(self) -> None:
        """Live: route, ring, bridge, until somebody ends it. Nothing is left of it afterwards."""
        try:
            await self._begin()
            self._parts.begun(self)
            while self.end is None:
                signal, event = await self._inbox.take()
                if self._wish is not None:
                    self.end = self._wish
                    await self._turn_away(signal, event)
                else:
                    await self._handle(signal, event)
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

    @abstractmethod
    async def _begin(self) -> None:
        """Do the first step; raise `CallError`."""

    @abstractmethod
    async def _on_leg(self, leg: Leg, event: LegEvent) -> None:
        """Take what happened on a leg that is not over; raise `CallError` where that ends the call."""

    async def _on_event(self, event: CallEvent) -> None:
        """Take keys, and what was waited for; nothing of it is this call's business."""
        del event

    def owns_mixer(self, mixer: MixerId) -> bool:
        """Whether a mixer is this call's."""
        return mixer in self.floor.mixers

    def _leg(
        self,
        signal: Signal,
        account: str,
        security: MediaSecurity,
        offer: PhoneDescription | None,
        party: Caller | None = None,
    ) -> Leg:
        """Make a leg; ``offer`` is its peer's, None where the first offer is ours."""
        assert self.router is not None  # noqa: S101 - `_begin` opened it
        parts = self._parts
        media = media_for(
            self.router,
            signal,
            security,
            offer,
            marking=parts.marking,
            extended_reports=parts.extended_reports,
            describes_silence=parts.describes_silence,
            srtp_suites=parts.srtp_suites,
        )
        leg = Leg(signal, account, media, security, party)
        self._legs = [*self.legs, leg]
        leg.measured = self.measured
        return leg

    def _leg_of(self, signal: Signal | None) -> Leg | None:
        return next((leg for leg in self._legs if leg.signal is signal), None)

    # --- what happens ---

    def _send_after(self, leg: Leg, to: Call) -> None:
        """Hand on what has happened on a leg meanwhile."""
        kept = []
        for signal, event in self._inbox.take_all():
            if signal is leg.signal:
                to.post(signal, event)
            else:
                kept.append((signal, event))
        self._inbox.put_back(kept)

    async def _handle(self, signal: Signal | None, event: CallEvent) -> None:
        leg = self._leg_of(signal)
        match event:
            case MediaLost():
                self.end = CallEnd.MEDIA_LOST
            case _ if isinstance(event, _OF_THE_CALL):
                await self._on_call(signal, event)
            case Commanded():
                await self._command(event)
            case KeyPressed() | Waited():
                await self._on_event(event)
            case _ if leg is None or leg.is_over:
                turn_away(signal, event)
            case _:
                await self._on_leg(leg, event)

    async def _on_call(self, signal: Signal | None, event: CallEvent) -> None:
        """Take what happened to the call as a whole; what it has no use for is turned away."""
        await self._turn_away(signal, event)

    @staticmethod
    async def _turn_away(signal: Signal | None, event: CallEvent) -> None:
        turn_away(signal, event)
        if isinstance(event, Given):
            await end_given(event)

    async def _command(self, event: Commanded) -> None:
        reply = event.reply
        try:
            await self._do(event.command, reply)
        except PhoneError as error:
            if not reply.done():
                reply.set_exception(error)
        except BaseException:
            turn_away(None, event)  # the call ends
            raise

    async def _do(self, command: Command, reply: asyncio.Future[None]) -> None:
        """Do what is wanted and set ``reply``, now or later; raise `PhoneError`."""
        del reply
        raise PhoneError(PhoneRefusal.NOT_POSSIBLE, f"this call knows no {type(command).__name__.lower()}")

    # --- its end ---

    async def _finish(self, end: CallEnd) -> None:
        """Tell everybody that is left, and give back every port. May not fail half way."""
        self.end, self.state = end, CallState.ENDED
        for signal, event in self._inbox.take_all():
            await self._turn_away(signal, event)
        if self.caller is None:
            self._signal.end(end)
        for leg in self.legs:
            with contextlib.suppress(EngineCommandError):
                # Who still rings is cancelled, whatever else happened.
                rings = leg is not self.caller and leg.state is not LegState.UP
                told = CallEnd.CANCELLED if rings else end
                await leg.finish(told, tell=True, with_call=bool(self.all_routers))
        if any(isinstance(router, HeldRouter) for router in self.all_routers):
            with contextlib.suppress(EngineCommandError):
                await self.floor.clear()
        for router in self.all_routers:
            with contextlib.suppress(EngineCommandError):
                await router.close_quietly()
