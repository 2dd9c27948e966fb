"""Subscriptions (RFC 6665) in both roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent import EndReason, WrongStateError
from roomtone.protocols.sip.headers import SubscriptionStatus, parse_event
from roomtone.sip.errors import SipCode, UseError, ended_error, peer_error
from roomtone.sip.requests import InboundRequest, Received, header_block
from roomtone.sip.stock import Stock, StockOver
from roomtone.sip.wiring import commanding

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

    from roomtone.protocols.sip.agent import Subscription as Machine
    from roomtone.protocols.sip.message import Request, Response
    from roomtone.protocols.sip.transaction import ServerTransaction
    from roomtone.sip.account import Account
    from roomtone.sip.wiring import Wiring

_REDIRECT = 300


class Watch:
    """A subscription of ours; made by `Endpoint.subscribe`, refreshed by itself until `close`."""

    def __init__(self, wiring: Wiring, account: Account | None, accepted: asyncio.Future[None]) -> None:
        self.account = account
        self.machine: Machine | None = None
        self.end: EndReason | None = None
        """Why it is over."""
        self._wiring = wiring
        self._accepted = accepted
        self._notes: Stock[Received] = Stock(wiring.limits.waiting, wiring.counters)

    def done(self, response: Response | None) -> None:
        """Take the answer to a SUBSCRIBE."""
        if self._accepted.done():
            return
        if response is None or response.status >= _REDIRECT:
            self._accepted.set_exception(peer_error(response, "subscribe"))
        else:
            self._accepted.set_result(None)

    def notified(self, request: Request) -> None:
        """Take a NOTIFY."""
        if self.machine is not None:
            self._notes.put(Received(request, self.machine.dialog.flow, None))
        if not self._accepted.done():
            self._accepted.set_result(None)

    def ended(self, reason: EndReason, message: Request | Response | None) -> None:
        """Take the end."""
        self.end = reason
        self._notes.close()
        if not self._accepted.done():
            self._accepted.set_exception(ended_error(reason, message, "subscribe"))

    async def next_note(self) -> Received:
        """Take the next NOTIFY (it was answered). Raises `UseError` when the subscription is over."""
        try:
            return await self._notes.get()
        except StockOver:
            raise UseError(SipCode.WRONG_STATE, "the subscription is over") from None

    async def __aiter__(self) -> AsyncIterator[Received]:
        """Go over all NOTIFYs until the end."""
        async for note in self._notes:
            yield note

    async def close(self) -> None:
        """Unsubscribe; nothing once it is over."""
        machine = self.machine
        if machine is None or machine.is_over or machine.is_ending:
            return
        with commanding():
            self._wiring.agent.subscriptions.unsubscribe(machine, self._wiring.now())
        self._wiring.drain()


class Watcher:
    """A subscriber of ours: `notify` tells it the state; made by `SubscribeRequest.accept`."""

    def __init__(self, wiring: Wiring, machine: Machine, received: Received) -> None:
        self.received = received
        self.package = machine.package
        self.account = None
        self.end: EndReason | None = None
        self._wiring = wiring
        self._machine = machine

    @property
    def is_over(self) -> bool:
        """Whether nobody is there to be told any more."""
        return self._machine.is_over

    def notify(self, body: bytes, content_type: str, *, final: bool = False) -> None:
        """Tell the state; refreshes of the subscriber are told the same again. ``final`` ends the subscription."""
        block = header_block([], content_type if body else "")
        status = SubscriptionStatus.TERMINATED if final else SubscriptionStatus.ACTIVE
        with commanding():
            self._wiring.agent.subscriptions.notify(
                self._machine, self._wiring.now(), body=body, block=block, status=status
            )
        self._wiring.drain()

    def ended(self, reason: EndReason, message: Request | Response | None) -> None:  # noqa: ARG002 - as of `Watch`
        """Take the end."""
        self.end = reason


class SubscribeRequest(InboundRequest):
    """A SUBSCRIBE: `accept` it and notify at once, or `respond` with a refusal."""

    def __init__(self, wiring: Wiring, transaction: ServerTransaction, request: Request, username: str | None) -> None:
        super().__init__(wiring, transaction, request, username)
        self.package = parse_event(request.headers.text("event") or "").package

    def accept(self, body: bytes, content_type: str) -> Watcher:
        """Accept it and tell the first state. Raises `UseError` when it cannot be any more."""
        agent = self._wiring.agent
        try:
            machine = agent.subscriptions.accept(self.transaction, self._wiring.now())
        except WrongStateError as error:
            raise UseError(SipCode.WRONG_STATE, str(error)) from error
        self.is_answered = True
        if machine is None:
            self._wiring.drain()
            raise UseError(SipCode.TOO_MANY, "there are as many subscriptions as may be: it was refused")
        watcher = Watcher(self._wiring, machine, self)
        machine.owner = watcher
        watcher.notify(body, content_type)
        return watcher
