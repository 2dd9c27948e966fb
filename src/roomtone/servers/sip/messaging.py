"""MESSAGE between accounts (RFC 3428): to all phones of who it is for; the first that takes it answers for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from roomtone.control.calls import CallEnd, CallError, most_telling, sip_status
from roomtone.control.calls.reasons import end_of_status
from roomtone.protocols.sip.agent import WrongStateError
from roomtone.protocols.sip.errors import SipBuildError
from roomtone.protocols.sip.headers import Address
from roomtone.protocols.sip.message import header_line
from roomtone.protocols.sip.transaction import TooManyTransactionsError
from roomtone.protocols.sip.uri import make_sip_uri
from roomtone.servers.sip.devices import device_of
from roomtone.servers.sip.offers import SignalDriver

if TYPE_CHECKING:
    from roomtone.control.calls import Calls, PhoneAccount, Registrar, Target
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction
    from roomtone.servers.sip.domains import Domains

_OK, _REDIRECT, _NOT_FOUND, _NOT_IMPLEMENTED, _UNAVAILABLE = 200, 300, 404, 501, 503
_PASSED = (
    *("Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition"),
    *("Subject", "Date", "Priority", "In-Reply-To", "Expires"),
)


class MessageDesk(SignalDriver, Protocol):
    """What is needed of who drives the user agent."""

    domains: Domains
    calls: Calls | None
    registrar: Registrar | None


class _Delivery:
    """One message on its way to several phones."""

    def __init__(self, desk: MessageDesk, transaction: ServerTransaction, copies: int) -> None:
        self._desk = desk
        self._transaction = transaction
        self._left = copies
        self._failures: list[CallEnd] = []
        self._is_answered = False

    def took(self, status: int) -> None:
        """Take what one phone answered; 408 where it did not."""
        self._left -= 1
        if status < _REDIRECT:
            self._answer(_OK)
        else:
            self._failures.append(CallEnd.NOT_REGISTERED if status == 408 else end_of_status(status))  # noqa: PLR2004
            if not self._left:
                self._answer(sip_status(most_telling(self._failures))[0])

    def _answer(self, status: int) -> None:
        if not self._is_answered:
            self._is_answered = True
            try:
                self._desk.agent.answer(self._transaction, status, self._desk.now())
            except WrongStateError:  # its sender has given up
                return
            self._desk.drain()


class Messages:
    """Takes messages outside of calls; ``passed`` counts those that were sent on."""

    def __init__(self, desk: MessageDesk) -> None:
        self.passed = 0
        self._desk = desk

    def on_message(self, transaction: ServerTransaction, request: Request, sender: PhoneAccount, now: int) -> None:
        """Send a message on, or refuse it: 404 for who is not there, 480 for who has no phone that is."""
        desk, flow = self._desk, transaction.flow
        number, instance = device_of(desk.registrar, desk.domains.number(request.uri, flow), request.uri)
        if not number or desk.calls is None:
            desk.agent.answer(transaction, _NOT_FOUND, now)
            return
        try:
            dispatch = desk.calls.parts.dispatch
            found = dispatch.device(number, instance) if instance else dispatch.targets(number)
            targets = [one for one in found if one.account and one.flow]
        except CallError as error:
            desk.agent.answer(transaction, sip_status(error.end)[0], now)
            return
        if not targets:  # a trunk or a foreign server: nothing is promised that is not done
            desk.agent.answer(transaction, _NOT_IMPLEMENTED, now)
            return
        delivery = _Delivery(desk, transaction, len(targets))
        for target in targets:
            if not self._send(target, request, sender, number, delivery):
                delivery.took(_UNAVAILABLE)

    def _send(self, target: Target, request: Request, sender: PhoneAccount, number: str, delivery: _Delivery) -> bool:
        flow, agent, now = target.flow, self._desk.agent, self._desk.now()
        if flow is None:
            return False
        try:
            from_, to = self._parties(flow, sender, number)
            block = b"".join(
                header_line(name, value) + b"\r\n"
                for name in _PASSED
                if (value := request.headers.get(name)) is not None
            )
            dialog = agent.new_dialog(target.uri, flow, from_=from_, to=to, routes=target.path)
            sent = agent.request(dialog, "MESSAGE", now, body=request.body, block=block)
        except (TooManyTransactionsError, SipBuildError):
            return False
        sent.owner = delivery.took
        self.passed += 1
        return True

    def _parties(self, flow: Flow, sender: PhoneAccount, number: str) -> tuple[Address, Address]:
        domain = self._desk.domains.named(flow)
        us = make_sip_uri(domain, user=sender.username).serialize()
        return Address(us, display=sender.name), Address(make_sip_uri(domain, user=number).serialize())
