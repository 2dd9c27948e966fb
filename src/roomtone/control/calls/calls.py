"""All calls of a server."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError, PhoneError, PhoneRefusal
from roomtone.control.calls.parties.dialed_call import DialedCall
from roomtone.control.calls.parties.keypad import KeyKind
from roomtone.control.calls.parties.leaving import LeavingParty
from roomtone.control.calls.parties.legs import LegState
from roomtone.control.calls.parties.nobody import Nobody
from roomtone.control.calls.parties.phone_call import PhoneCall
from roomtone.control.calls.parties.room_call import RoomCall
from roomtone.control.calls.parties.taking_call import TakingCall
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import CallId, Commanded, Invitation, KeyPressed, MediaLost
from roomtone.media import MailboxOverflow
from roomtone.media.values import (
    DtmfReceived,
    EngineCloseReason,
    MixerClosed,
    ProducerSilent,
    RouterClosed,
    TransportClosed,
)
from roomtone.observe import get_logger
from roomtone.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.calls.directory.book import PhoneBook
    from roomtone.control.calls.parties.call import Call
    from roomtone.control.calls.parties.commands import Command
    from roomtone.control.calls.parties.dialing import DialRequest
    from roomtone.control.calls.parties.leaving import Departure
    from roomtone.control.calls.parties.parts import CallParts
    from roomtone.control.calls.ports import Signal
    from roomtone.control.rooms import Participant
    from roomtone.media.values import AnyEvent, MixerId, RouterId, TransportId

WRITE_EVERY_S = 2.0
"""Bindings and records are written in batches, and accounts that others changed are read, at most this often."""
EVENTS_LIMIT = 65_536
SILENT_AT_ONCE = 1_024
_log = get_logger(__name__)


class Calls:
    """Calls from their INVITE to their end.

    Limit: ``most`` at once; a further one is refused, and counted in ``ended``. ``on_waiting`` is told how many wait
    for their first step: for the engine's ports, the names of hosts. Whoever takes requests refuses
    further ones where these are too many.
    """

    def __init__(
        self,
        parts: CallParts,
        book: PhoneBook,
        *,
        most: int = 10_000,
        on_waiting: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.parts = replace(
            parts, begin=self._bring_to_life, begun=self._has_begun, send_on=self._send_on, dial=self.dial
        )
        self.records = book.records
        self.registrar = book.registrar
        self._accounts = book.accounts
        self._trunks = book.trunks
        self.started = 0
        self.ended: Counter[CallEnd] = Counter()
        self._silences = 0
        self._silent: set[int] = set()
        """Producers that fell silent since these were last looked for among the calls."""
        self._most = most
        self._calls: dict[CallId, Call] = {}
        self._waiting: set[CallId] = set()
        self._on_waiting = on_waiting
        self._tasks: set[asyncio.Task[None]] = set()
        self._services: list[asyncio.Task[None]] = []
        self._writing: asyncio.Future[None] | None = None
        self._closing = False

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def waiting(self) -> int:
        """Calls that have not taken their first step: what this server has taken on and not come to."""
        return len(self._waiting)

    def start(self) -> None:
        """Begin to watch the engine and to write what is to be kept."""
        self._services = [
            asyncio.create_task(self._watch(), name="calls-watch"),
            asyncio.create_task(self._write_now_and_then(), name="calls-write"),
        ]

    async def close(self) -> None:
        """End all calls and write what is left."""
        self._closing = True
        for call in tuple(self._calls.values()):
            call.ask_to_end(CallEnd.SERVER_SHUTDOWN)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for service in self._services:
            service.cancel()
        await asyncio.gather(*self._services, return_exceptions=True)
        if self._writing is not None:
            await self._writing
        await self._write()

    def invited(self, signal: Signal, invitation: Invitation) -> Call | None:
        """Begin a call; None when there are too many, and then its caller has been told."""
        if self._closing or len(self._calls) >= self._most:
            end = CallEnd.SERVER_SHUTDOWN if self._closing else CallEnd.OVERLOADED
            self.ended[end] += 1
            signal.end(end)
            return None
        trunk = self._trunks.find(invitation.caller.trunk) if invitation.caller.trunk else None
        if trunk is not None and not trunk.takes(invitation.caller.account, invitation.called):
            self.ended[CallEnd.FORBIDDEN] += 1
            signal.end(CallEnd.FORBIDDEN)
            return None
        call = self._call(invitation, signal)
        self._bring_to_life(call)
        return call

    def dial(self, request: DialRequest) -> DialedCall:
        """Begin a call of a room; raise `CallError` where it cannot be begun at all."""
        if self.parts.rooms is None:
            raise CallError(CallEnd.UNSUPPORTED, "there are no rooms")
        if self._closing or len(self._calls) >= self._most:
            end = CallEnd.SERVER_SHUTDOWN if self._closing else CallEnd.OVERLOADED
            self.ended[end] += 1
            raise CallError(end, "no further call can be begun")
        call = DialedCall(self.parts, self.parts.rooms, request)
        self._bring_to_life(call)
        return call

    def of_participant(self, participant: Participant) -> LeavingParty | None:
        """Give the call whose phone is a participant."""
        calls = (call for call in self._calls.values() if isinstance(call, LeavingParty))
        return next((call for call in calls if call.participant is participant), None)

    def _bring_to_life(self, call: Call) -> None:
        self.started += 1
        self._calls[call.id] = call
        self._waiting.add(call.id)
        self._on_waiting(len(self._waiting))
        task = asyncio.create_task(self._live(call), name="call")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _has_begun(self, call: Call) -> None:
        if call.id in self._waiting:
            self._waiting.remove(call.id)
            self._on_waiting(len(self._waiting))

    def _send_on(self, departure: Departure) -> Call:
        """Begin the call that takes a phone out of a room: to another room, or to phones; raise `CallError`."""
        if self._closing or len(self._calls) >= self._most:
            end = CallEnd.SERVER_SHUTDOWN if self._closing else CallEnd.OVERLOADED
            self.ended[end] += 1
            raise CallError(end, "no further call can be begun")
        rooms, entries = self.parts.rooms, self.parts.dispatch.entries(departure.caller, departure.to)
        call: Call
        if entries and rooms is not None:
            if any(entry.room == departure.room and not entry.rule.pin for entry in entries):
                raise CallError(CallEnd.UNSUPPORTED, "the phone is in this room")
            invitation = Invitation(departure.caller, departure.to, None)
            call = RoomCall(self.parts, rooms, entries, invitation, Nobody(), comes_from=departure.comes_from)
        else:
            call = TakingCall(self.parts, departure)
        self._bring_to_life(call)
        return call

    def _call(self, invitation: Invitation, signal: Signal) -> Call:
        """Make the call that a number asks for: with a room, or with phones."""
        rooms, entries = self.parts.rooms, self.parts.dispatch.entries(invitation.caller, invitation.called)
        if entries and rooms is not None:
            return RoomCall(self.parts, rooms, entries, invitation, signal)
        return PhoneCall(self.parts, invitation, signal)

    def all(self) -> list[Call]:
        """Give the calls there are, the oldest first."""
        return list(self._calls.values())

    def legs(self) -> int:
        """Count the legs of all calls."""
        return sum(len(call.legs) for call in self._calls.values())

    def find(self, id_: str) -> Call:
        """Find a call that goes on; raise `PhoneError` where there is none."""
        call = self._calls.get(CallId(id_))
        if call is None:
            raise PhoneError(PhoneRefusal.NO_SUCH_CALL, f"there is no call {id_!r}")
        return call

    def hang_up(self, id_: str) -> None:
        """End a call; raise `PhoneError` where there is none."""
        self.find(id_).ask_to_end(CallEnd.REMOVED)

    async def command(self, id_: str, command: Command) -> None:
        """Have a call do something, and wait until it is done or begun; raise `PhoneError`."""
        reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.find(id_).post(None, Commanded(command, reply))
        await reply

    async def _live(self, call: Call) -> None:
        try:
            await call.run()
        finally:
            self._calls.pop(call.id, None)
            self._has_begun(call)  # one that came to nothing waits no more
            self.ended[call.end or CallEnd.FAILED] += 1
            self.records.add(call.record())

    async def _watch(self) -> None:
        """Hear of what the engine lost; what was missed meanwhile shows when the next command fails."""
        while True:
            try:
                async for event in self.parts.engine.events(EVENTS_LIMIT):
                    self._on_engine(event)
            except MailboxOverflow:
                _log.warning("calls fell behind the engine's events")
                continue
            return

    def _on_engine(self, event: AnyEvent) -> None:
        if isinstance(event, RouterClosed) and event.reason is not EngineCloseReason.REQUESTED:
            call = self._on_router(event.router)
            if call is not None:
                call.post(None, MediaLost())
        elif isinstance(event, MixerClosed) and event.reason is not EngineCloseReason.REQUESTED:
            call = self._on_mixer(event.mixer)
            if call is not None:
                call.post(None, MediaLost())
        elif isinstance(event, TransportClosed) and event.reason is not EngineCloseReason.REQUESTED:
            call = self._on_transport(event.transport, with_router=event.reason is EngineCloseReason.PARENT_CLOSED)
            if call is not None:
                call.post(None, MediaLost())
        elif isinstance(event, DtmfReceived):
            self._on_key(event)
        elif isinstance(event, ProducerSilent):
            self._silent.add(event.producer)
            if len(self._silent) >= SILENT_AT_ONCE:
                self._look_for_silent()

    def _on_key(self, event: DtmfReceived) -> None:
        """Tell a call of a key that was pressed on one of its legs."""
        call = self._on_mixer(event.mixer)
        if call is not None:
            kind = KeyKind.SOUND if event.inband else KeyKind.EVENT
            call.post(None, KeyPressed(event.digit, kind, event.input, event.duration_ms))

    def _on_mixer(self, mixer: MixerId) -> Call | None:
        return next((one for one in self._calls.values() if one.owns_mixer(mixer)), None)

    def _on_router(self, router: RouterId) -> Call | None:
        calls = self._calls.values()
        return next(
            (one for one in calls if any(held.id == router for held in (one.router, *one.routers) if held)), None
        )

    def _on_transport(self, transport: TransportId, *, with_router: bool) -> Call | None:
        """Find the call that cannot go on without a transport: one of those who ring is not missed.

        What went ``with_router`` is told of by that, unless it is a room's: each call ends so, and is not looked for.
        """
        return next(
            (
                call
                for call in self._calls.values()
                if not with_router or isinstance(call, RoomCall)
                for leg in call.legs
                if leg is call.caller or leg.state is LegState.UP
                if any(stream.transport.id == transport for stream in leg.media.streams.values())
            ),
            None,
        )

    @property
    def silences(self) -> int:
        """Times a peer that sent fell silent for two seconds without having said so."""
        self._look_for_silent()
        return self._silences

    def _look_for_silent(self) -> None:
        """Count those that are of calls, many at a time: all calls are looked through for it."""
        silent, self._silent = self._silent, set()
        if silent:
            self._silences += sum(
                stream.producer is not None and stream.producer.id in silent and stream.peer_sends
                for call in self._calls.values()
                for leg in call.legs
                for stream in leg.media.streams.values()
            )

    async def _write_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            self._look_for_silent()
            # Cut off behind its commit, a batch would be written again, and refused with what has come since.
            self._writing = asyncio.ensure_future(self._write())
            await asyncio.shield(self._writing)
            try:
                await self._accounts.sync()
            except StoreError as error:
                _log.warning("phone accounts were not read", reason=error.message)

    async def _write(self) -> None:
        self.registrar.sweep(self.parts.clock())
        try:
            await self.registrar.flush()
            await self.records.flush()
        except StoreError as error:
            _log.warning("phones were not written", reason=error.message)
