"""What the parts of one endpoint share: sockets, the user agent, ways, logins, the engine."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from roomtone.protocols.sip.agent import TooManyError, UserAgent, WrongStateError
from roomtone.protocols.sip.digest import DigestClient, Login
from roomtone.protocols.sip.digest.hooks import DigestAuthenticator
from roomtone.protocols.sip.edge import Edge, EdgeLimits
from roomtone.protocols.sip.errors import SipBuildError
from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import TooManyTransactionsError, TransactionLayer
from roomtone.servers.sip import Endpoint as Sockets
from roomtone.servers.sip import TlsError
from roomtone.servers.sip.local import LocalAddresses
from roomtone.sip.errors import SipCode, SipError, UseError
from roomtone.sip.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from roomtone.media import Engine, Router
    from roomtone.protocols.sdp import Codec
    from roomtone.protocols.sdp.telephony import MediaSecurity
    from roomtone.protocols.sip.agent import AgentSettings, Guard
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request, Response
    from roomtone.servers.sip import TransportOptions
    from roomtone.servers.sip.websocket_client import WebSocketLink
    from roomtone.sip.account import Account

_WEBSOCKETS = frozenset({Transport.WS, Transport.WSS})
MAX_LOGINS = 1_024
"""Accounts whose nonces are remembered; the oldest is forgotten for another."""


class HasAccount(Protocol):
    """The owner of a request: whose credentials it is sent with."""

    account: Account | None


@dataclass(slots=True)
class EndpointCounters:
    """Sums since the start of an endpoint."""

    calls_out: int = 0
    calls_in: int = 0
    handlers_failed: int = 0
    """Handlers that raised something else than `Refusal`; their requests were answered 500."""
    handlers_refused: int = 0
    """Requests answered 503 because ``max_handlers`` ran."""
    events_lost: int = 0
    """Keys and notifications that nobody took in time."""


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """How much an endpoint holds."""

    handlers: int = 1_000
    """Handlers that run at once; a further request is refused with 503."""
    waiting: int = 256
    """Keys, or notifications, of one call or subscription that wait to be taken; the oldest goes for a new one."""


class Logins:
    """Answers challenges with the account that a request was sent with."""

    def __init__(self, tokens: Tokens) -> None:
        self.agent: UserAgent | None = None
        self._tokens = tokens
        self._clients: dict[tuple[str, str, str], DigestAuthenticator] = {}

    def answer(self, request: Request, response: Response, owner: object) -> bytes | None:
        """Write credentials; None where there are none, or none that would help."""
        account = self._account(request, owner)
        if account is None or not account.password:
            return None
        key = account.login or account.username, account.domain, account.password
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) >= MAX_LOGINS:
                del self._clients[next(iter(self._clients))]
            client = DigestAuthenticator(DigestClient(Login(key[0], account.password), self._tokens.next))
            self._clients[key] = client
        return client.answer(request, response, owner)

    def _account(self, request: Request, owner: object) -> Account | None:
        if owner is None and self.agent is not None:  # a request of a dialog: its leg says whose it is
            dialog = self.agent.dialogs.get((request.call_id, request.from_tag or "", request.to_tag or ""))
            owner = None if dialog is None or dialog.leg is None else dialog.leg.owner
        return getattr(owner, "account", None)


@dataclass(slots=True)
class MediaPlan:
    """How calls get sound: an engine, and what is offered; without an engine programs do it themselves."""

    engine: Engine
    codecs: tuple[Codec, ...]
    security: MediaSecurity
    router: Router | None = None


class Wiring:
    """The parts of one open endpoint."""

    def __init__(
        self,
        *,
        options: TransportOptions,
        settings: AgentSettings,
        edge_limits: EdgeLimits,
        guard: Guard | None,
        plan: MediaPlan | None,
        limits: EndpointLimits,
        after_input: Callable[[int], None],
    ) -> None:
        tokens = Tokens(os.urandom(32))
        logins = Logins(tokens)
        self.tokens = tokens
        self.agent = UserAgent(TransactionLayer(tokens), settings, authenticator=logins, guard=guard)
        logins.agent = self.agent
        self.edge = Edge(tokens, edge_limits)
        self.sockets = Sockets(self.agent, self.edge, options, after_input)
        self.reach = Reach(self.sockets)
        self.plan = plan
        self.limits = limits
        self.counters = EndpointCounters()
        self.tasks: set[asyncio.Task[None]] = set()
        self._addresses = LocalAddresses()
        self._links: dict[str, WebSocketLink] = {}
        """WebSockets that accounts of ours go by, by their URLs."""
        self._connecting = asyncio.Lock()

    def now(self) -> int:
        """Give the user agent's time in milliseconds."""
        return self.sockets.now()

    def drain(self) -> None:
        """Send what came of a command."""
        self.sockets.drain()

    async def flow_to(self, uri: str, account: Account | None) -> Flow:
        """Find the way to a URI for requests of an account. Raises `SipError`."""
        if account is None or not account.websocket:
            return await self.reach.flow_to(uri, () if account is None else account.routes)
        async with self._connecting:
            link = self._links.get(account.websocket)
            if link is None or self.sockets.pool.find(link.flow) is not link:
                link = await self._open_link(account.websocket)
            return link.flow

    async def _open_link(self, url: str) -> WebSocketLink:
        from roomtone.servers.sip.websocket_client import open_websocket  # noqa: PLC0415 - few have one

        try:
            link = await open_websocket(self.sockets, url, f"{self.tokens.next()}.invalid")
        except (OSError, TlsError) as error:
            raise SipError(SipCode.UNREACHABLE, str(error), retryable=True) from error
        self._links[url] = link
        self.start(link.live(), "sip-websocket")
        return link

    def told_ip(self, flow: Flow) -> str:
        """Give what we call our address in descriptions: a client of a WebSocket has no name but that of its media."""
        return self.bound_ip(flow) if flow.transport in _WEBSOCKETS else flow.local_host

    def bound_ip(self, flow: Flow) -> str:
        """Give the address of ours towards a peer as this machine has it; what is announced need not be one."""
        if flow.transport in _WEBSOCKETS:
            return self._addresses.toward("", flow.remote_host)
        if flow.local_host != self.sockets.options.announced_ip:
            return flow.local_host
        return self._addresses.toward("", flow.remote_host)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something until it ends, or the endpoint does."""
        task = self.sockets.loop.create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


@dataclass(eq=False, slots=True)
class Waiting:
    """A request of ours that somebody waits for."""

    account: Account | None
    future: asyncio.Future[Response | None] = field(repr=False)

    def done(self, response: Response | None) -> None:
        """Take the final response; None: there was none."""
        if not self.future.done():
            self.future.set_result(response)


class commanding:  # noqa: N801 - reads as the statement it is
    """Turns what the user agent refuses into `SipError`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        match error:
            case WrongStateError():
                raise UseError(SipCode.WRONG_STATE, str(error)) from error
            case TooManyError() | TooManyTransactionsError():
                raise SipError(SipCode.TOO_MANY, str(error), retryable=True) from error
            case SipBuildError():
                raise UseError(SipCode.BAD_INPUT, str(error)) from error
            case _:
                return
