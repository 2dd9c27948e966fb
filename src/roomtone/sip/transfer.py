"""Transfers (RFC 3515, RFC 5589): asking a peer to call somebody else, and being asked."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent import Referral, WrongStateError, replaces_of
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.headers import Address
from roomtone.protocols.sip.message import Response, parse_message
from roomtone.protocols.sip.uri import SipUri, parse_uri
from roomtone.sip.errors import PeerError, SipCode, UseError, ended_error, peer_error
from roomtone.sip.requests import Received

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent import EndReason, Subscription
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction
    from roomtone.sip.account import Account
    from roomtone.sip.call import Call
    from roomtone.sip.endpoint import Endpoint
    from roomtone.sip.wiring import Wiring

_FINAL, _REDIRECT, _DECLINED = 200, 300, 603


class Transfer:
    """A transfer we asked for, until its outcome is known; owner of its REFER and of what that subscribes to."""

    def __init__(self, account: Account | None) -> None:
        self.account = account
        self.progress: list[int] = []
        """Statuses that the peer has told."""
        self._outcome: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def outcome(self, timeout_s: float) -> int:
        """Wait for the status of the new call. Raises `PeerError` where there is none below 300."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._outcome
        except TimeoutError:
            raise PeerError(SipCode.NO_ANSWER, f"transfer: no outcome in {timeout_s:g} s") from None

    def done(self, response: Response | None) -> None:
        """Take the answer to the REFER."""
        if response is None or response.status >= _REDIRECT:
            self._fail(peer_error(response, "transfer"))

    def notified(self, request: Request) -> None:
        """Take a NOTIFY: a status line as message/sipfrag."""
        with suppress(SipSyntaxError):
            told = parse_message(request.body.rstrip(b"\r\n") + b"\r\n\r\n")
            if isinstance(told, Response):
                self.progress.append(told.status)
                if told.status >= _REDIRECT:
                    self._fail(peer_error(told, "transfer"))
                elif told.status >= _FINAL and not self._outcome.done():
                    self._outcome.set_result(told.status)

    def ended(self, reason: EndReason, message: Request | Response | None) -> None:
        """Take the end of the subscription."""
        self._fail(ended_error(reason, message, "transfer"))

    def _fail(self, error: PeerError) -> None:
        if not self._outcome.done():
            self._outcome.set_exception(error)
            self._outcome.exception()  # who no longer waits need not be told twice


class TransferRequest(Received):
    """A peer asks us to call somebody else: `follow`, or `refuse`."""

    def __init__(
        self, wiring: Wiring, endpoint: Endpoint, call: Call, transaction: ServerTransaction, referral: Referral
    ) -> None:
        request = transaction.request
        if request is None:
            raise UseError(SipCode.WRONG_STATE, "the REFER was answered")
        super().__init__(request, transaction.flow, None)
        self.call = call
        self.referral = referral
        """Whom to call, whose dialog the call replaces, and who asked."""
        self.is_answered = False
        self._wiring = wiring
        self._endpoint = endpoint
        self._transaction = transaction

    def refuse(self, status: int = _DECLINED) -> None:
        """Refuse it. Raises `UseError` when it was answered before."""
        self._answer_once()
        self._wiring.agent.answer(self._transaction, status, self._wiring.now())
        self._wiring.drain()

    async def follow(self, *, sdp: str | None = None, account: Account | None = None) -> Call:
        """Accept it and make the call; the peer is told how that goes. Gives the call when it is answered.

        Raises `SipError` when it comes to nothing; the peer has been told then, and goes on with the call there was.
        """
        self._answer_once()
        told = self._wiring.agent.subscriptions.accept_refer(self._transaction, self._wiring.now())
        self._wiring.drain()
        try:
            call = await self._endpoint.call(
                self.referral.target.uri_text,
                sdp=sdp,
                account=account or self.call.account,
                block=self.referral.block,
            )
            await call.wait_answered()
        except PeerError as error:
            self._tell(told, error.status or 503)
            raise
        except BaseException:
            self._tell(told, 503)
            raise
        self._tell(told, _FINAL)
        return call

    def _answer_once(self) -> None:
        if self.is_answered:
            raise UseError(SipCode.WRONG_STATE, "it was answered before")
        self.is_answered = True

    def _tell(self, told: Subscription | None, status: int) -> None:
        if told is not None:
            with suppress(WrongStateError):  # the peer has gone meanwhile
                self._wiring.agent.subscriptions.tell_refer(told, status, self._wiring.now())
        self._wiring.drain()


def refer_to(to: str | Call) -> Address:
    """Write whom a peer is to call: a URI, or the peer of a call, which it takes over."""
    if isinstance(to, str):
        return Address(to)
    if to.leg is None or to.is_over:
        raise UseError(SipCode.WRONG_STATE, "the call to be taken over is over, or has no answer")
    uri = parse_uri(to.leg.dialog.target)
    if not isinstance(uri, SipUri):
        raise UseError(SipCode.BAD_INPUT, f"{to.leg.dialog.target} is no SIP URI")
    return replaces_of(to.leg).refer_to(uri)
