"""Phones at the user agent: its events become steps of calls and registrations, and nothing is left unanswered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from roomtone.control.calls import (
    Acknowledged,
    CallEnd,
    Caller,
    CallError,
    InfoSent,
    Invitation,
    Offered,
    PickedUp,
    Rang,
    end_of_status,
)
from roomtone.control.calls import Ended as LegEnded
from roomtone.protocols.sip.agent import (
    AgentEvent,
    AgentSettings,
    Answered,
    Confirmed,
    Ended,
    EndReason,
    Invited,
    Notified,
    Pracked,
    Progressed,
    PublicationEnded,
    Refused,
    Reoffered,
    Requested,
    Responded,
    Resubscribed,
    StateChanged,
    SubscriptionEnded,
    UserAgent,
    WrongStateError,
)
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.servers.sip.bodies import NoDescriptionError, description_of
from roomtone.servers.sip.local import LocalAddresses
from roomtone.servers.sip.registering import register
from roomtone.servers.sip.signals import OutboundSignal, PhoneSignal
from roomtone.servers.sip.trunk_calls import called_of, caller_of
from roomtone.servers.sip.trunking import TrunkAuthenticator, TrunkDesk, TrunkRequest
from roomtone.servers.sip.ways import AddressesOnly, Ways

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.calls import Call, Calls, Registrar, Target, Trunk, Trunks
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction, TransactionLayer
    from roomtone.servers.sip.domains import Domains
    from roomtone.servers.sip.endpoint import Endpoint
    from roomtone.servers.sip.guard import PhoneGuard
    from roomtone.servers.sip.ways import Names

METHODS = frozenset({"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "REGISTER"})
EXTENSIONS = frozenset({"100rel", "timer"})
_ACCEPT = b"Accept: application/sdp\r\n"
_NOT_HERE, _NOT_FOUND, _BAD_TYPE, _UNSUPPORTED, _TIMEOUT, _FORBIDDEN, _NO_CALL = 488, 404, 415, 501, 408, 403, 481
_UNAVAILABLE = 503
_ENDS = {
    EndReason.REMOTE: CallEnd.COMPLETED,
    EndReason.CANCELLED: CallEnd.CANCELLED,
    EndReason.TRANSPORT_ERROR: CallEnd.UNREACHABLE,
    EndReason.TIMEOUT: CallEnd.UNREACHABLE,
    EndReason.EXPIRED: CallEnd.LEG_LOST,
}
_log = logging.getLogger(__name__)


class PhoneServer:
    """The user agent of all phones, and its user.

    Its `after_input` is called after each input of the endpoint; `attach` gives it the endpoint and the calls.
    ``counters`` of the user agent and of the guard tell the rest.
    """

    def __init__(self, layer: TransactionLayer, guard: PhoneGuard, domains: Domains, product: str = "") -> None:
        self.guard = guard
        self.domains = domains
        settings = AgentSettings(methods=METHODS, extensions=EXTENSIONS, product=product)
        self._authenticator = TrunkAuthenticator()
        self.agent = UserAgent(layer, settings, authenticator=self._authenticator, guard=guard)
        self._authenticator.agent = self.agent
        self._endpoint: Endpoint | None = None
        self._addresses = LocalAddresses()
        self._calls: Calls | None = None
        self._registrar: Registrar | None = None
        self._ways: Ways | None = None
        self._trunks: Trunks | None = None
        self.trunk_desk: TrunkDesk | None = None
        self._wall_clock: Callable[[], float] = lambda: 0.0

    def attach(
        self,
        endpoint: Endpoint,
        calls: Calls,
        registrar: Registrar,
        wall_clock: Callable[[], float],
        *,
        names: Names | None = None,
        trunks: Trunks | None = None,
    ) -> None:
        """Say what it works with; before this it takes no calls and no registrations. Without names none are found."""
        self._ways = Ways(endpoint, names or AddressesOnly())
        self._trunks = trunks
        self.trunk_desk = TrunkDesk(self, endpoint, self._ways, self._authenticator)
        self._endpoint, self._calls, self._registrar = endpoint, calls, registrar
        self._wall_clock = wall_clock

    def now(self) -> int:
        """Give the user agent's time."""
        return 0 if self._endpoint is None else self._endpoint.now()

    def drain(self) -> None:
        """Send what there is."""
        if self._endpoint is not None:
            self._endpoint.drain()

    def bound_ip(self, flow: Flow) -> str:
        """Give the address of ours by which a peer is reached; what is announced need not be one of this machine."""
        endpoint = self._endpoint
        if endpoint is None or flow.local_host != endpoint.options.announced_ip:
            return flow.local_host
        return self._addresses.toward("", flow.remote_host)

    # --- control's way out ---

    async def ways_to(self, target: Target) -> list[Target]:
        """Find the flows by which a target can be reached; raise `CallError`."""
        if self._ways is None:
            raise CallError(CallEnd.UNREACHABLE, "there are no sockets yet")
        return await self._ways.to(target)

    def leg_to(self, target: Target, call: Call) -> OutboundSignal:
        """Prepare a leg to a target that has a flow; raise `CallError` for another."""
        if target.flow is None:
            raise CallError(CallEnd.UNREACHABLE, f"no way to {target.uri} was looked for")
        signal = OutboundSignal(self, target.flow, target, self.domains)
        signal.owner = call
        return signal

    # --- the user agent's way in ---

    def after_input(self, now: int) -> None:
        """Take what the user agent has to tell."""
        while (event := self.agent.poll_event()) is not None:
            try:
                self._on_event(event, now)
            except SipSyntaxError as error:
                _log.info("a request could not be read: %s", error)
                if isinstance(event, Requested):
                    self.agent.answer(event.transaction, 400, now)
                elif isinstance(event, Invited):
                    self.agent.refuse(event.leg, 400, now)

    def _on_event(self, event: AgentEvent, now: int) -> None:
        match event:
            case Invited():
                self._on_invited(event, now)
            case Progressed() | Answered() | Refused():
                self._on_outgoing(event)
            case Reoffered():
                self._on_reoffered(event, now)
            case Requested():
                self._on_requested(event, now)
            case Confirmed() | Pracked() | Responded() | Ended():
                self._on_outcome(event, now)
            case Notified() | Resubscribed() | SubscriptionEnded() | StateChanged() | PublicationEnded():
                pass  # nobody here subscribes or publishes, and SUBSCRIBE and PUBLISH are refused
            case _:
                assert_never(event)

    def _on_outcome(self, event: Confirmed | Pracked | Responded | Ended, now: int) -> None:
        match event:
            case Confirmed():
                self._post(event.leg.owner, Acknowledged(_text(event.ack)))
            case Pracked():
                if event.transaction is not None:
                    self.agent.respond(event.transaction, _NOT_HERE, now)
            case Responded():
                if isinstance(event.outgoing.owner, TrunkRequest):
                    event.outgoing.owner.done(event.response)
                elif callable(event.outgoing.owner):
                    event.outgoing.owner(_TIMEOUT if event.response is None else event.response.status)
            case Ended():
                if event.reason is not EndReason.LOCAL:
                    self._post(event.leg.owner, LegEnded(_ENDS.get(event.reason, CallEnd.LEG_LOST)))

    def _on_invited(self, event: Invited, now: int) -> None:
        leg, request = event.leg, event.request
        trunk = self.guard.trunk_of(request, leg.dialog.flow)
        caller, number = self._parties(trunk, request, leg.dialog.flow)
        status, block = 0, b""
        sdp: str | None = None
        if caller is None or self._calls is None:
            status = _FORBIDDEN
        elif event.replaces is not None:
            status = _UNSUPPORTED
        elif not number:
            status = _NOT_FOUND
        else:
            try:
                sdp = description_of(request)
            except NoDescriptionError:
                status, block = _BAD_TYPE, _ACCEPT
        if status or caller is None or self._calls is None:
            self.agent.refuse(leg, status, now, block=block)
            return
        signal = PhoneSignal(self, leg.dialog.flow)
        signal.leg, leg.owner, signal.trunk = leg, signal, trunk
        signal.owner = self._calls.invited(signal, Invitation(caller, number or "", sdp))

    def _parties(self, trunk: Trunk | None, request: Request, flow: Flow) -> tuple[Caller | None, str | None]:
        """Tell who calls, None for somebody unknown, and what was dialled."""
        if trunk is not None:
            return caller_of(trunk, request), called_of(trunk, request)
        account = self.guard.account_of(request)
        caller = None if account is None else Caller(account.username, account.name, account.security)
        return caller, self.domains.number(request.uri, flow)

    def _on_outgoing(self, event: Progressed | Answered | Refused) -> None:
        signal = event.call.owner
        if not isinstance(signal, OutboundSignal):
            return
        match event:
            case Progressed():
                self._post(signal, Rang(event.response.status, _text(event.response)))
            case Answered():
                signal.leg, event.leg.owner = event.leg, signal
                self._note(signal, reached=True)
                self._post(signal, PickedUp(_text(event.response)))
            case Refused():
                self._on_refused(signal, event)

    def _on_refused(self, signal: OutboundSignal, event: Refused) -> None:
        if event.reason is EndReason.TRANSPORT_ERROR and signal.invite_by_datagram():
            return
        status = None if event.response is None else event.response.status
        if event.reason is not EndReason.CANCELLED:
            self._note(signal, reached=status not in {None, _UNAVAILABLE})
        self._post(signal, LegEnded(CallEnd.UNREACHABLE if status is None else end_of_status(status)))

    def _note(self, signal: OutboundSignal, *, reached: bool) -> None:
        if self._ways is not None:
            self._ways.note(signal.target, reached=reached)
        if signal.trunk is not None and self._trunks is not None and (reached or signal.target.is_last):
            self._trunks.note_call(signal.trunk.name, reached=reached)

    def _on_reoffered(self, event: Reoffered, now: int) -> None:
        signal = event.leg.owner
        if not isinstance(signal, PhoneSignal) or signal.owner is None:
            self.agent.respond(event.transaction, _NO_CALL, now)
            return
        try:
            sdp = description_of(event.request)
        except NoDescriptionError:
            self.agent.respond(event.transaction, _BAD_TYPE, now, block=_ACCEPT)
            return
        self._post(signal, Offered(event.transaction, sdp))

    def _on_requested(self, event: Requested, now: int) -> None:
        request, transaction = event.request, event.transaction
        match request.method:
            case "OPTIONS":
                self.agent.answer(transaction, 200, now, _ACCEPT + self.agent.allow_block)
            case "REGISTER":
                self._on_register(transaction, request, now)
            case "INFO" if event.leg is not None:
                self._on_info(event.leg.owner, transaction, request)
            case _:
                self.agent.answer(transaction, _UNSUPPORTED, now)

    def _on_register(self, transaction: ServerTransaction, request: Request, now: int) -> None:
        account = self.guard.account_of(request)
        if account is None or self._registrar is None:
            self.agent.answer(transaction, _FORBIDDEN, now)
            return
        if self.domains.number(request.uri, transaction.flow) is None:
            self.agent.answer(transaction, _NOT_FOUND, now)
            return
        status, block = register(self._registrar, account.username, request, transaction.flow, self._wall_clock())
        self.agent.answer(transaction, status, now, block)

    def _on_info(self, signal: object, transaction: ServerTransaction, request: Request) -> None:
        def reply(status: int) -> None:
            try:
                self.agent.answer(transaction, status, self.now())
            except WrongStateError:
                return
            self.drain()

        if not isinstance(signal, PhoneSignal) or signal.owner is None:
            reply(_NO_CALL)
            return
        content_type = request.headers.text("content-type") or "application/octet-stream"
        signal.owner.post(signal, InfoSent(content_type, request.body, reply))

    @staticmethod
    def _post(signal: object, event: Rang | PickedUp | LegEnded | Offered | Acknowledged) -> None:
        if isinstance(signal, PhoneSignal) and signal.owner is not None:
            signal.owner.post(signal, event)


def _text(message: object) -> str | None:
    """Give the description in a response or an ACK; None where there is none."""
    try:
        return description_of(message)  # type: ignore[arg-type]
    except (NoDescriptionError, SipSyntaxError):
        return None
