"""An endpoint that takes what peers begin: calls, registrations, messages, subscriptions."""

# ruff: noqa: ARG002 - what subclasses write has arguments

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, TypeAlias

from roomtone.protocols.sip.agent import RefersToNobodyError, read_referral
from roomtone.protocols.sip.digest import DigestPolicy, DigestServer, Secret
from roomtone.protocols.sip.digest.hooks import DigestGuard
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.sip.call import Call
from roomtone.sip.endpoint import METHODS, Endpoint
from roomtone.sip.errors import Refusal, SipError
from roomtone.sip.inbound import InboundCall
from roomtone.sip.requests import InboundRequest, header_block
from roomtone.sip.transfer import TransferRequest
from roomtone.sip.watching import SubscribeRequest

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping
    from typing import Any

    from roomtone.protocols.sip.agent import Guard, Invited, Requested
    from roomtone.protocols.sip.digest import Verdict
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction

_HANDLERS = {
    "MESSAGE": "on_message",
    "REGISTER": "on_register",
    "SUBSCRIBE": "on_subscribe",
    "PUBLISH": "on_publish",
    "REFER": "on_transfer",
}
Headers: TypeAlias = "tuple[tuple[str, str], ...]"
_RETRY = b"Retry-After: 5\r\n"
_log = logging.getLogger(__name__)


class Server(Endpoint):
    """An `Endpoint` whose subclass handles what peers begin, each in a task of its own.

    Methods without a handler are refused (405, named in Allow); INVITE without one with 480. A handler raises `Refusal`
    to refuse; anything else it raises is logged, and answered 500; a call it leaves without a decision is
    refused with 480, a MESSAGE without an answer is answered 200, and anything else, which is done only by an answer of
    its own, 500.

    With ``accounts`` (passwords by user name) every request outside of calls must have credentials (RFC 7616, RFC
    8760), but those from addresses in ``trusted``; sources that fail too often are not listened to for a while.
    """

    def __init__(
        self,
        *,
        accounts: Mapping[str, str] | None = None,
        realm: str = "roomtone",
        trusted: Iterable[str] = (),
        policy: DigestPolicy | None = None,
        **endpoint: Any,
    ) -> None:
        super().__init__(**endpoint)
        self._accounts = accounts
        self._policy = policy or DigestPolicy(realm)
        self._trusted = frozenset(trusted)
        self._digest_guard: DigestGuard | None = None
        self._handlers = 0

    # what subclasses write

    async def on_invite(self, call: InboundCall) -> None:
        """Take a call: `InboundCall.ring`, `answer`, `refuse`, `redirect`; it may outlive this."""
        raise Refusal(480)

    async def on_message(self, message: InboundRequest) -> None:
        """Take a MESSAGE (RFC 3428): ``message.text``."""
        raise Refusal(405)

    async def on_register(self, request: InboundRequest) -> None:
        """Take a REGISTER (RFC 3261 section 10.3): its contacts are in ``request.message.contacts``."""
        raise Refusal(405)

    async def on_subscribe(self, request: SubscribeRequest) -> None:
        """Take a SUBSCRIBE (RFC 6665): `SubscribeRequest.accept`, or `Refusal` (489: no such package)."""
        raise Refusal(489)

    async def on_publish(self, request: InboundRequest) -> None:
        """Take a PUBLISH (RFC 3903); its 200 has a SIP-ETag, which ``respond`` is given."""
        raise Refusal(489)

    async def on_transfer(self, transfer: TransferRequest) -> None:
        """Take a REFER in a call: `TransferRequest.follow` or `refuse`."""
        raise Refusal(603)

    # the wiring of that

    def _methods(self) -> frozenset[str]:
        return METHODS | {method for method, name in _HANDLERS.items() if self._handles(name)}

    def _handles(self, name: str) -> bool:
        return getattr(type(self), name) is not getattr(Server, name)

    def _guard(self) -> Guard | None:
        if self._accounts is None:
            return None
        digest = DigestServer(self._policy, os.urandom(32))
        self._digest_guard = DigestGuard(
            digest,
            lambda: self._open().now(),
            self._secret,
            let_pass=lambda request, flow: request.method == "OPTIONS" or flow.remote_host in self._trusted,
            on_verdict=self._on_verdict,
            is_ours=lambda _: True,  # a server of this kind has no domains: whichever it was called by is its own
        )
        return self._digest_guard

    def _secret(self, username: str) -> Secret | None:
        password = None if self._accounts is None else self._accounts.get(username)
        return None if password is None else Secret(password)

    def _on_verdict(self, verdict: Verdict, flow: Flow) -> None:
        if verdict.is_failure:
            wiring = self._open()
            wiring.edge.note_failure(flow.remote_host, wiring.now())

    def _username(self, request: Request) -> str | None:
        return None if self._digest_guard is None else self._digest_guard.username(request)

    def on_invited(self, event: Invited) -> None:
        """Hand a call to its handler."""
        wiring = self._open()
        if not self._handles("on_invite"):
            super().on_invited(event)
            return
        if not self._has_room():
            wiring.agent.refuse(event.leg, 503, wiring.now(), block=_RETRY)
            return
        call = InboundCall(wiring, event, self._username(event.request), None)
        call.media = self.media_for(event.leg.dialog.flow, call)
        wiring.counters.calls_in += 1
        self.adopt(call)
        call.begin()
        wiring.start(self._run_call(call), "sip-on-invite")

    async def _run_call(self, call: InboundCall) -> None:
        status, headers = await self._outcome(self.on_invite(call), 480)
        if not call.is_decided:
            call.refuse(status, headers)
        elif status == 500 and not call.is_over:  # noqa: PLR2004 - what it was answered for cannot go on
            await call.hang_up()

    async def _outcome(self, handling: Coroutine[Any, Any, None], usual: int) -> tuple[int, Headers]:
        """Run a handler; give the status and headers of an answer that it has not given itself."""
        self._handlers += 1
        try:
            await handling
        except Refusal as refusal:
            return refusal.status, refusal.headers
        except SipSyntaxError as error:
            _log.info("a request could not be read: %s", error)
            return 400, ()
        except SipError as error:
            _log.info("a handler gave up: %s", error)
            return 500, ()
        except Exception:  # noqa: BLE001 - counted and logged with its trace; one request fails, not the endpoint
            self._open().counters.handlers_failed += 1
            _log.exception("a handler failed")
            return 500, ()
        finally:
            self._handlers -= 1
        return usual, ()

    def on_requested(self, event: Requested) -> None:
        """Hand any other request to its handler."""
        wiring = self._open()
        if not self._has_room():
            wiring.agent.answer(event.transaction, 503, wiring.now(), _RETRY)
            return
        request, transaction = event.request, event.transaction
        owner = None if event.leg is None else event.leg.owner
        username = self._username(request)
        match request.method:
            case "REFER" if isinstance(owner, Call):
                self._on_refer(owner, transaction, request)
            case "SUBSCRIBE":
                asked = SubscribeRequest(wiring, transaction, request, username)
                wiring.start(self._run(self.on_subscribe(asked), transaction), "sip-on-subscribe")
            case "MESSAGE" | "REGISTER" | "PUBLISH":
                handler = getattr(self, _HANDLERS[request.method])
                inbound = InboundRequest(wiring, transaction, request, username)
                wiring.start(self._run(handler(inbound), transaction), "sip-on-request")
            case _:
                super().on_requested(event)

    def _on_refer(self, call: Call, transaction: ServerTransaction, request: Request) -> None:
        wiring = self._open()
        try:
            referral = read_referral(request)
        except RefersToNobodyError as error:
            wiring.agent.answer(transaction, error.status, wiring.now())
            return
        transfer = TransferRequest(wiring, self, call, transaction, referral)
        wiring.start(self._run(self.on_transfer(transfer), transaction), "sip-on-transfer")

    async def _run(self, handling: Coroutine[Any, Any, None], transaction: ServerTransaction) -> None:
        request = transaction.request
        is_message = request is not None and request.method == "MESSAGE"
        status, headers = await self._outcome(handling, 200 if is_message else 500)
        if transaction.request is not None:
            wiring = self._open()
            wiring.agent.answer(transaction, status, wiring.now(), header_block(headers))
            wiring.drain()

    def _has_room(self) -> bool:
        wiring = self._open()
        if self._handlers < wiring.limits.handlers:
            return True
        wiring.counters.handlers_refused += 1
        return False
