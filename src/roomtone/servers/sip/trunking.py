"""Speaking to trunks: REGISTER, OPTIONS, and answers to their challenges."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from roomtone.control.calls import CallError, Target, TrunkReply
from roomtone.protocols.sip.agent import TooManyError
from roomtone.protocols.sip.dialog import contact_block
from roomtone.protocols.sip.digest import DigestClient, Login
from roomtone.protocols.sip.errors import SipBuildError, SipSyntaxError
from roomtone.protocols.sip.headers import Address, Wildcard, contact_expires, parse_retry_after, parse_seconds
from roomtone.protocols.sip.message import header_line
from roomtone.protocols.sip.transaction import TooManyTransactionsError
from roomtone.protocols.sip.uri import SipUri, make_sip_uri
from roomtone.servers.sip.signals import PhoneSignal

if TYPE_CHECKING:
    from roomtone.control.calls import Trunk
    from roomtone.protocols.sip.agent import UserAgent
    from roomtone.protocols.sip.dialog import Dialog
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request, Response
    from roomtone.servers.sip.endpoint import Endpoint
    from roomtone.servers.sip.ways import Ways

_UNAVAILABLE = 503
_ACCEPT = b"Accept: application/sdp\r\n"


class TrunkAuthenticator:
    """Answers challenges with the login of the trunk that a request goes to."""

    def __init__(self) -> None:
        self.agent: UserAgent | None = None
        self._clients: dict[str, tuple[Login, DigestClient]] = {}

    def answer(self, request: Request, response: Response, owner: object) -> bytes | None:
        """Write credentials; None where there are none, or none that would help."""
        trunk = self._trunk(request, owner)
        if trunk is None or not trunk.username or self.agent is None:
            return None
        login = Login(trunk.username, trunk.password)
        held = self._clients.get(trunk.name)
        if held is None or held[0] != login:
            held = self._clients[trunk.name] = login, DigestClient(login, self.agent.layer.tokens.next)
        found = held[1].answer(response, request)
        if not isinstance(found, list):
            return None
        return b"".join(header_line(name, value) + b"\r\n" for name, value in found)

    def forget(self, name: str) -> None:
        """Forget what is known of a trunk's challenges."""
        self._clients.pop(name, None)

    def _trunk(self, request: Request, owner: object) -> Trunk | None:
        if isinstance(owner, TrunkRequest):
            return owner.trunk
        if not isinstance(owner, PhoneSignal) and self.agent is not None:
            # a request of a dialog: its leg says whose that is
            dialog = self.agent.dialogs.get((request.call_id, request.from_tag or "", request.to_tag or ""))
            owner = None if dialog is None or dialog.leg is None else dialog.leg.owner
        return owner.trunk if isinstance(owner, PhoneSignal) else None


class TrunkRequest:
    """A request to a trunk that somebody waits for."""

    __slots__ = ("future", "trunk")

    def __init__(self, trunk: Trunk) -> None:
        self.trunk = trunk
        self.future: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()

    def done(self, response: Response | None) -> None:
        """Tell what came of it."""
        if not self.future.done():
            self.future.set_result(response)


class TrunkDriver(Protocol):
    """What is needed of who drives the user agent."""

    agent: UserAgent

    def now(self) -> int:
        """Give the user agent's time."""

    def drain(self) -> None:
        """Send what came of a command."""


class TrunkDesk:
    """Registers with trunks and probes them, each by the first of its servers that answers."""

    def __init__(self, driver: TrunkDriver, endpoint: Endpoint, ways: Ways, authenticator: TrunkAuthenticator) -> None:
        self._driver = driver
        self._endpoint = endpoint
        self._ways = ways
        self._authenticator = authenticator
        self._registrations: dict[str, Dialog] = {}

    async def register(self, trunk: Trunk, expires_s: int) -> TrunkReply:
        """Register, or take that back with 0 seconds."""
        try:
            reply = await self._ask_each(trunk, expires_s)
        finally:
            if not expires_s:
                self._forget(trunk)
        return reply

    async def probe(self, trunk: Trunk) -> TrunkReply:
        """Ask by OPTIONS whether it is there."""
        return await self._ask_each(trunk, None)

    async def _ask_each(self, trunk: Trunk, expires_s: int | None) -> TrunkReply:
        target = Target(trunk.uri, large_by_stream=trunk.large_by_tcp, trunk=trunk)
        try:
            ways = await self._ways.to(target)
        except CallError as error:
            return TrunkReply(None, error.message)
        reply = TrunkReply(None)
        for way in ways:
            if way.flow is None:
                continue
            try:
                response = await self._ask(trunk, way, way.flow, expires_s)
                reply = _read(response, expires_s or 0, way.flow)
            except (TooManyError, TooManyTransactionsError, SipBuildError, SipSyntaxError) as error:
                return TrunkReply(None, str(error))
            reached = reply.status not in {None, _UNAVAILABLE}
            self._ways.note(way, reached=reached)
            if reached:
                break
        return reply

    async def _ask(self, trunk: Trunk, way: Target, flow: Flow, expires_s: int | None) -> Response | None:
        driver = self._driver
        request = TrunkRequest(trunk)
        if expires_s is None:
            us = Address(make_sip_uri(trunk.its_domain, user=trunk.username or None).serialize())
            dialog = driver.agent.new_dialog(trunk.uri, flow, from_=us, to=Address(trunk.uri), routes=way.path)
            sent = driver.agent.request(dialog, "OPTIONS", driver.now(), block=_ACCEPT)
        else:
            dialog = self._registration(trunk, flow, way.path)
            contact = contact_block(flow.transport, flow.local_host, flow.local_port, trunk.username)
            block = b"Expires: %d\r\n" % expires_s
            sent = driver.agent.request(dialog, "REGISTER", driver.now(), contact=contact, block=block)
        sent.owner = request
        driver.drain()
        return await request.future

    def _registration(self, trunk: Trunk, flow: Flow, routes: tuple[str, ...]) -> Dialog:
        """Write all registrations of a trunk with one Call-ID and rising numbers (RFC 3261 section 10.2.4)."""
        held = self._registrations.get(trunk.name)
        if held is not None and held.flow == flow and held.target == trunk.uri:
            return held
        if held is not None:
            self._endpoint.let_go(held.flow)
        us = Address(make_sip_uri(trunk.its_domain, user=trunk.username).serialize())
        call_id = None if held is None else held.call_id
        made = self._driver.agent.new_dialog(trunk.uri, flow, from_=us, to=us, routes=routes, call_id=call_id)
        made.local_cseq = 0 if held is None else held.local_cseq
        self._registrations[trunk.name] = made
        self._endpoint.keep_alive(flow)
        return made

    def _forget(self, trunk: Trunk) -> None:
        held = self._registrations.pop(trunk.name, None)
        if held is not None:
            self._endpoint.let_go(held.flow)
        self._authenticator.forget(trunk.name)


def _read(response: Response | None, asked_s: int, flow: Flow) -> TrunkReply:
    if response is None:
        return TrunkReply(None)
    headers = response.headers
    retry = headers.text("retry-after")
    return TrunkReply(
        response.status,
        response.reason,
        expires_s=_granted(response, asked_s, flow),
        min_expires_s=parse_seconds(headers.text("min-expires"), "Min-Expires") or 0,
        retry_after_s=0 if retry is None else parse_retry_after(retry).seconds,
    )


def _granted(response: Response, asked_s: int, flow: Flow) -> int:
    """Give how long our contact lives, as far as the answer says so."""
    contacts = response.contacts
    if not isinstance(contacts, Wildcard):
        for contact in contacts:
            uri = contact.uri
            ours = isinstance(uri, SipUri) and (uri.address, uri.port) == (flow.local_host, flow.local_port)
            granted = contact_expires(contact, response.headers) if ours else None
            if granted is not None:
                return granted
    return parse_seconds(response.headers.text("expires"), "Expires") or asked_s
