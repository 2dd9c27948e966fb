"""What peers ask: INVITE and changes of it, REGISTER, OPTIONS, INFO; each is answered, or is a step of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from roomtone.control.calls import CallEnd, Caller, Dialog, InfoSent, Invitation, Offered, Referred, TakenOver
from roomtone.protocols.sip.agent import RefersToNobodyError, WrongStateError, read_referral
from roomtone.servers.sip.bodies import NoDescriptionError, description_of
from roomtone.servers.sip.devices import device_of
from roomtone.servers.sip.offers import SignalDriver
from roomtone.servers.sip.registering import register, said_to_browsers
from roomtone.servers.sip.signals import PhoneSignal, Referral
from roomtone.servers.sip.trunk_calls import called_of, caller_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.control.calls import Calls, Registrar, Trunk
    from roomtone.control.policy import IceServerRule
    from roomtone.protocols.sip.agent import Invited, Leg, Reoffered, Requested
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.headers import Replaces
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction
    from roomtone.servers.sip.domains import Domains
    from roomtone.servers.sip.guard import PhoneGuard
    from roomtone.servers.sip.messaging import Messages
    from roomtone.servers.sip.registering import BrowserBindings
    from roomtone.servers.sip.watching import Watching

_ACCEPT = b"Accept: application/sdp\r\n"
_OK = 200
_HOPS = 70
"""Of a request that does not say by how many servers it may go on."""
_NOT_FOUND, _BAD_TYPE, _UNSUPPORTED, _FORBIDDEN, _NO_CALL = 404, 415, 501, 403, 481


class PhoneDesk(SignalDriver, Protocol):
    """What is needed of who drives the user agent; calls and registrations come once it is attached to them."""

    guard: PhoneGuard
    domains: Domains
    calls: Calls | None
    registrar: Registrar | None
    browsers: BrowserBindings | None
    wall_clock: Callable[[], float]
    ice_rules: Sequence[IceServerRule]
    messages: Messages
    watching: Watching


class Asked:
    """Takes requests of peers."""

    def __init__(self, desk: PhoneDesk) -> None:
        self._desk = desk

    def on_invited(self, event: Invited, now: int) -> None:
        """Begin a call, or refuse it. Raises `SipSyntaxError`."""
        leg, request = event.leg, event.request
        trunk = self._desk.guard.trunk_of(request, leg.dialog.flow)
        caller, number = self._parties(trunk, request, leg.dialog.flow)
        number, instance = device_of(self._desk.registrar, number, request.uri)
        status, block = 0, b""
        sdp: str | None = None
        if caller is None or self._desk.calls is None:
            status = _FORBIDDEN
        elif not number and event.replaces is None:
            status = _NOT_FOUND
        else:
            try:
                sdp = description_of(request)
            except NoDescriptionError:
                status, block = _BAD_TYPE, _ACCEPT
        if status or caller is None or self._desk.calls is None:
            self._desk.agent.refuse(leg, status, now, block=block)
            return
        signal = PhoneSignal(self._desk, leg.dialog.flow)
        signal.leg, leg.owner, signal.trunk = leg, signal, trunk
        if not caller.trunk:
            self._desk.lamps.begin(signal, caller.account, "initiator", request.to.uri_text)
        hops = request.max_forwards
        invitation = Invitation(caller, number or "", sdp, instance, _HOPS if hops is None else hops)
        if event.replaces is None:
            signal.owner = self._desk.calls.invited(signal, invitation)
        else:
            _take_over(signal, invitation, event.replaces)

    def _parties(self, trunk: Trunk | None, request: Request, flow: Flow) -> tuple[Caller | None, str | None]:
        """Tell who calls, None for somebody unknown, and what was dialled."""
        if trunk is not None:
            return caller_of(trunk, request), called_of(trunk, request)
        account = self._desk.guard.account_of(request)
        caller = None if account is None else Caller(account.username, account.name, account.security)
        return caller, self._desk.domains.number(request.uri, flow)

    def on_reoffered(self, event: Reoffered, now: int) -> None:
        """Hand a re-INVITE or UPDATE to its call. Raises `SipSyntaxError`."""
        signal = event.leg.owner
        if not isinstance(signal, PhoneSignal) or signal.owner is None:
            self._desk.agent.respond(event.transaction, _NO_CALL, now)
            return
        try:
            sdp = description_of(event.request)
        except NoDescriptionError:
            self._desk.agent.respond(event.transaction, _BAD_TYPE, now, block=_ACCEPT)
            return
        signal.owner.post(signal, Offered(event.transaction, sdp))

    def on_requested(self, event: Requested, now: int) -> None:
        """Answer any other request, or hand it to its call. Raises `SipSyntaxError`."""
        request, transaction = event.request, event.transaction
        match request.method:
            case "OPTIONS":
                self._desk.agent.answer(transaction, 200, now, _ACCEPT + self._desk.agent.allow_block)
            case "REGISTER":
                self._on_register(transaction, request, now)
            case "INFO" if event.leg is not None:
                self._on_info(event.leg.owner, transaction, request)
            case "MESSAGE" | "SUBSCRIBE" if event.leg is None:
                self._on_of_account(transaction, request, now)
            case "REFER" if event.leg is not None:
                self._on_refer(event.leg, transaction, request)
            case _:
                self._desk.agent.answer(transaction, _UNSUPPORTED, now)

    def _on_register(self, transaction: ServerTransaction, request: Request, now: int) -> None:
        account = self._desk.guard.account_of(request)
        if account is None or self._desk.registrar is None:
            self._desk.agent.answer(transaction, _FORBIDDEN, now)
            return
        if self._desk.domains.number(request.uri, transaction.flow) is None:
            self._desk.agent.answer(transaction, _NOT_FOUND, now)
            return
        status, block = register(
            self._desk.registrar,
            account.username,
            request,
            transaction.flow,
            now=self._desk.wall_clock(),
            domain=self._desk.domains.named(transaction.flow),
        )
        if self._desk.browsers is not None:
            self._desk.browsers.note(account.username, transaction.flow)
        if status == _OK:
            now_s = self._desk.wall_clock()
            block += said_to_browsers(self._desk.ice_rules, account.username, transaction.flow, now_s)
        self._desk.agent.answer(transaction, status, now, block)

    def _on_of_account(self, transaction: ServerTransaction, request: Request, now: int) -> None:
        account = self._desk.guard.account_of(request)
        if account is None:
            self._desk.agent.answer(transaction, _FORBIDDEN, now)
        elif request.method == "MESSAGE":
            self._desk.messages.on_message(transaction, request, account, now)
        else:
            self._desk.watching.on_subscribe(transaction, request, account, now)

    def _on_refer(self, leg: Leg, transaction: ServerTransaction, request: Request) -> None:
        signal = leg.owner
        agent, now = self._desk.agent, self._desk.now()
        if not isinstance(signal, PhoneSignal) or signal.owner is None:
            agent.answer(transaction, _NO_CALL, now)
            return
        try:
            asked = read_referral(request)
        except RefersToNobodyError as error:
            agent.answer(transaction, error.status, now)
            return
        number = self._desk.domains.number(asked.target.uri, leg.dialog.flow)
        replaces = None if asked.replaces is None else self._dialog(asked.replaces)
        referred_by = b"" if asked.referred_by is None else asked.referred_by
        referral = Referral(transaction)
        signal.owner.post(signal, Referred(referral, number, replaces, referred_by.decode("utf-8", "replace")))

    def _dialog(self, replaces: Replaces) -> Dialog:
        """Find a leg of ours as its peer names it (RFC 3891 section 3)."""
        found = self._desk.agent.dialogs.get((replaces.call_id, replaces.to_tag, replaces.from_tag))
        signal = None if found is None or found.leg is None else signal_of(found.leg)
        return Dialog(None, None) if signal is None else Dialog(signal.owner, signal)

    def _on_info(self, signal: object, transaction: ServerTransaction, request: Request) -> None:
        def reply(status: int) -> None:
            try:
                self._desk.agent.answer(transaction, status, self._desk.now())
            except WrongStateError:
                return
            self._desk.drain()

        if not isinstance(signal, PhoneSignal) or signal.owner is None:
            reply(_NO_CALL)
            return
        content_type = request.headers.text("content-type") or "application/octet-stream"
        signal.owner.post(signal, InfoSent(content_type, request.body, reply))


def signal_of(leg: Leg) -> PhoneSignal | None:
    """Give the signal of a leg, also of one that only rings."""
    owner = leg.owner
    if owner is None and leg.call is not None:
        owner = leg.call.owner
    return owner if isinstance(owner, PhoneSignal) else None


def _take_over(signal: PhoneSignal, invitation: Invitation, replaced: Leg) -> None:
    """Have an INVITE take the place of a leg (RFC 3891)."""
    old = signal_of(replaced)
    if old is None or old.owner is None:
        signal.end(CallEnd.LEG_LOST)
    else:
        signal.owner = old.owner
        old.owner.post(signal, TakenOver(invitation, old))
