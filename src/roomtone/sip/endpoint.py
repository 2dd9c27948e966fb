"""One SIP endpoint: its sockets, and everything that goes out."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.protocols.sip.agent import AgentSettings
from roomtone.protocols.sip.edge import EdgeLimits
from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.headers import Address
from roomtone.protocols.sip.uri import make_sip_uri
from roomtone.servers.sip import Listen, TlsError, TransportOptions
from roomtone.sip.asking import ANONYMOUS, Asking
from roomtone.sip.codecs import audio_codecs
from roomtone.sip.errors import SipCode, SipError, UseError
from roomtone.sip.events import Events
from roomtone.sip.living import OutboundCall
from roomtone.sip.registration import Registration, contact_of
from roomtone.sip.requests import header_block
from roomtone.sip.wiring import EndpointCounters, EndpointLimits, MediaPlan, Wiring, commanding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from roomtone.media import Engine
    from roomtone.protocols.sip.agent import Guard, Invited, Requested
    from roomtone.protocols.sip.flow import Flow
    from roomtone.servers.sip import WebSocketEntrance
    from roomtone.sip.account import Account
    from roomtone.sip.call import Call
    from roomtone.sip.media import CallMedia

METHODS = frozenset({"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "PRACK", "NOTIFY"})
_PARTING_S = 2.0


class Endpoint(Asking):
    """Registers, calls, subscribes and asks; calls of others it refuses (`Server` takes them).

    An async context manager: its sockets are open inside. ``host`` and ``port`` are listened on by UDP and TCP (0: any
    port; TLS peers are called too, and ``options`` says all the rest: certificates, limits). With an ``engine``
    (`roomtone.media.Engine`, started) calls have sound; without one they are given descriptions. ``codecs`` are
    offered by name, the preferred first; none: Opus, G.722, PCMU, PCMA, with telephone events.

    Entering raises `OSError` for a port that is taken, `TlsError` for a bad certificate. Requests raise `SipError`.
    """

    def __init__(
        self,
        *,
        host: str = "0.0.0.0",  # noqa: S104 - a phone is to be reached
        port: int = 0,
        options: TransportOptions | None = None,
        engine: Engine | None = None,
        codecs: Sequence[str] = (),
        security: MediaSecurity = MediaSecurity.OPTIONAL,
        product: str = "",
        limits: EndpointLimits | None = None,
        edge_limits: EdgeLimits | None = None,
    ) -> None:
        here = (Listen(host, port),)
        self._options = options or TransportOptions(udp=here, tcp=here)
        self._plan = None if engine is None else MediaPlan(engine, audio_codecs(codecs), security)
        self._product = product
        self._limits = limits or EndpointLimits()
        self._edge_limits = edge_limits or EdgeLimits()
        self._wiring: Wiring | None = None
        self._registrations: set[Registration] = set()
        self.calls: set[Call] = set()
        """Calls that are not over."""

    # lifetime

    async def __aenter__(self) -> Self:
        settings = AgentSettings(methods=self._methods(), product=self._product)
        events = Events(self)
        wiring = Wiring(
            options=self._options,
            settings=settings,
            edge_limits=self._edge_limits,
            guard=self._guard(),
            plan=self._plan,
            limits=self._limits,
            after_input=events.take_all,
        )
        events.wiring = wiring
        await wiring.sockets.open()
        if self._plan is not None:
            try:
                self._plan.router = await self._plan.engine.open_router()
            except BaseException:
                await wiring.sockets.close()
                raise
        self._wiring = wiring
        return self

    async def __aexit__(self, *_: object) -> None:
        """End calls and registrations, then close the sockets."""
        wiring = self._open()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PARTING_S):  # peers that are gone are not waited for
                partings = [one.close() for one in tuple(self._registrations)]
                partings += [call.hang_up() for call in tuple(self.calls)]
                await asyncio.gather(*partings, return_exceptions=True)
        tasks = tuple(wiring.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await wiring.sockets.close()
        if self._plan is not None and self._plan.router is not None:
            router, self._plan.router = self._plan.router, None
            with suppress(Exception):  # an engine that was closed has no router any more
                await router.close()
        self._wiring = None

    def _methods(self) -> frozenset[str]:
        """Methods that peers may use."""
        return METHODS

    def _guard(self) -> Guard | None:
        """Who looks at requests first."""
        return None

    def _open(self) -> Wiring:
        if self._wiring is None:
            raise UseError(SipCode.WRONG_STATE, "the endpoint is not open: use it as `async with`")
        return self._wiring

    # what it is

    @property
    def counters(self) -> EndpointCounters:
        """What was counted since it was opened."""
        return self._open().counters

    def addresses(self) -> dict[Transport, list[tuple[str, int]]]:
        """Where it listens."""
        return self._open().sockets.listeners.addresses()

    def port(self, transport: Transport = Transport.UDP) -> int:
        """Give the first port of a transport. Raises `UseError` where it does not listen."""
        found = self.addresses().get(transport)
        if not found:
            raise UseError(SipCode.BAD_INPUT, f"nothing listens by {transport}")
        return found[0][1]

    @property
    def websocket(self) -> WebSocketEntrance:
        """An ASGI application that takes SIP over WebSocket (RFC 7118), to be served by any ASGI server."""
        from roomtone.servers.sip import WebSocketEntrance  # noqa: PLC0415 - only where it is asked for

        return WebSocketEntrance(self._open().sockets)

    # registrations

    async def register(self, account: Account, registrar: str = "", *, expires_s: int = 600) -> Registration:
        """Register an account, and keep it registered until `Registration.close` or the end of the endpoint.

        ``registrar`` is a URI (``sip:example.org;transport=tcp``); by default the domain of the account. Raises
        `PeerError` when the first try is refused; later ones are repeated.
        """
        wiring = self._open()
        with commanding():
            uri = registrar or make_sip_uri(account.host, port=account.port).serialize()
        flow = await wiring.flow_to(uri, account)
        made = Registration(wiring, account, flow, contact=contact_of(flow, account), registrar=uri, wish_s=expires_s)
        await made.begin()
        self._registrations.add(made)
        return made

    # calls

    async def call(
        self,
        uri: str,
        *,
        account: Account | None = None,
        sdp: str | None = None,
        codecs: Sequence[str] | None = None,
        security: MediaSecurity | None = None,
        headers: Iterable[tuple[str, str]] = (),
        from_: Address | None = None,
        max_forwards: int = 70,
        block: bytes = b"",
    ) -> OutboundCall:
        """Call somebody: the INVITE is out when this returns; `Call.wait_answered` tells how it went.

        ``sdp`` is the program's own description, for media of its own; else ``codecs`` and ``security`` may differ from
        those of the endpoint. Who passes a call on gives ``max_forwards`` one less than it came with, so that circles
        end. Raises `SipError` for what cannot be sent.
        """
        wiring = self._open()
        routes = () if account is None else account.routes
        lines = block + header_block(headers)
        flow = await wiring.flow_to(uri, account)
        call = OutboundCall(wiring, account)
        if sdp is None:
            call.media = self.media_for(flow, call, codecs=codecs, security=security)
            if call.media is None:
                raise UseError(SipCode.NO_MEDIA, "there is no engine: give a description")
            sdp = await call.media.offer()
        call.local_sdp = sdp
        try:
            with commanding():
                call.invite = wiring.agent.invite(
                    uri,
                    flow,
                    wiring.now(),
                    from_=from_ or (ANONYMOUS if account is None else account.address),
                    to=Address(uri),
                    body=sdp.encode(),
                    block=lines,
                    routes=routes,
                    user="" if account is None else account.username,
                    max_forwards=max_forwards,
                )
        except SipError:
            if call.media is not None:
                await call.media.close()
            raise
        call.invite.owner = call
        wiring.counters.calls_out += 1
        self.adopt(call)
        call.begin()
        wiring.drain()
        return call

    def media_for(
        self,
        flow: Flow,
        call: Call,
        *,
        codecs: Sequence[str] | None = None,
        security: MediaSecurity | None = None,
    ) -> CallMedia | None:
        """Make the sound of a call by this flow; None without an engine."""
        wiring, plan = self._open(), self._plan
        if plan is None or plan.router is None:
            return None
        from roomtone.sip.media import CallMedia  # noqa: PLC0415 - all of control comes with it

        return CallMedia(
            plan.engine,
            plan.router,
            flow,
            told_ip=wiring.told_ip(flow),
            bound_ip=wiring.bound_ip(flow),
            security=security or plan.security,
            codecs=plan.codecs if codecs is None else audio_codecs(codecs),
            on_key=call.take_key,
        )

    def adopt(self, call: Call) -> None:
        """Count a call among those that are ended with the endpoint."""
        self.calls.add(call)
        call.when_over = self.calls.discard

    # what peers begin

    def on_invited(self, event: Invited) -> None:
        """Refuse a call: there is nobody to take it."""
        wiring = self._open()
        wiring.agent.refuse(event.leg, 480, wiring.now())

    def on_requested(self, event: Requested) -> None:
        """Refuse any other request, which `AgentSettings.methods` let pass for calls alone."""
        wiring = self._open()
        wiring.agent.answer(event.transaction, 405, wiring.now(), wiring.agent.allow_block)


__all__ = ["ANONYMOUS", "Endpoint", "TlsError"]
