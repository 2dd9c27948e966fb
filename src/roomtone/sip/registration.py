"""A registration of ours, kept alive (RFC 3261 section 10.2, RFC 5626, RFC 5627)."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.headers import Wildcard, contact_expires, instance_id, parse_seconds
from roomtone.protocols.sip.uri import SipUri, make_sip_uri
from roomtone.sip.errors import PeerError, SipCode, SipError, UseError, peer_error
from roomtone.sip.requests import header_block
from roomtone.sip.wiring import Waiting, commanding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.sip.dialog import Dialog
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.headers import Address
    from roomtone.protocols.sip.message import Response
    from roomtone.sip.account import Account
    from roomtone.sip.wiring import Wiring

_REDIRECT, _TOO_BRIEF = 300, 423
FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 300.0
"""Between tries after a failure: doubled each time, with jitter (RFC 5626 section 4.5 doubles likewise)."""


class RegistrationState(StrEnum):
    """How a registration is."""

    REGISTERED = "registered"
    FAILED = "failed"
    """The last try failed; another follows."""
    ENDED = "ended"


class Registration:
    """Where an account can be reached; made by `Endpoint.register`, refreshed by itself until `close`."""

    def __init__(
        self, wiring: Wiring, account: Account, flow: Flow, *, contact: str, registrar: str, wish_s: int
    ) -> None:
        self.account = account
        self.contact = contact
        """URI that was registered."""
        self.state = RegistrationState.FAILED
        self.failure: SipError | None = None
        """Why the last try failed."""
        self.granted_s = 0
        self.bindings: list[Address] = []
        """All contacts of the account, as the registrar told them last."""
        self.public_gruu = self.temporary_gruu = ""
        """URIs by which this very device is reached (RFC 5627); empty where the registrar gives none."""
        self._wiring = wiring
        self._flow = flow
        self._registrar = registrar
        self._wish_s = wish_s
        self._dialog: Dialog | None = None
        self._lost = asyncio.Event()
        """Set when the connection it was registered by is gone."""
        self._keeping: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Register for the first time, and keep it alive from then on. Raises `SipError`, and then it is over."""
        try:
            await self._register(self._wish_s)
        except SipError:
            self.state = RegistrationState.ENDED
            raise
        self._wiring.sockets.keep_alive(self._flow)
        self._wiring.sockets.pool.watchers.append(self)
        self._keeping = self._wiring.start(self._keep(), "sip-registration")

    async def refresh(self) -> None:
        """Register again at once. Raises `SipError`."""
        if self.state is RegistrationState.ENDED:
            raise UseError(SipCode.WRONG_STATE, "the registration is over")
        await self._register(self._wish_s)

    async def close(self) -> None:
        """Take it back; what the registrar says to that is of no more use. May be called twice."""
        if self.state is RegistrationState.ENDED:
            return
        self.state = RegistrationState.ENDED
        if self._keeping is not None:
            self._keeping.cancel()
            self._wiring.sockets.pool.watchers.remove(self)
        self._wiring.sockets.let_go(self._flow)
        with suppress(SipError):
            await self._ask(0)

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        wait_s = self._until_refresh()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._lost.wait()
            try:
                await self._find_way()
                await self._register(self._wish_s)
                pause_s, wait_s = FIRST_PAUSE_S, self._until_refresh()
            except SipError as error:
                self.state, self.failure = RegistrationState.FAILED, error
                wait_s = pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter keeps no secret
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _find_way(self) -> None:
        """Look for the way anew when that there was is gone, or led to nothing."""
        if not self._lost.is_set() and self.failure is None:
            return
        self._lost.clear()
        flow = await self._wiring.flow_to(self._registrar, self.account)
        if flow != self._flow:
            sockets = self._wiring.sockets
            sockets.let_go(self._flow)
            sockets.keep_alive(flow)
            self._flow = flow
            self.contact = contact_of(flow, self.account)
            if self._dialog is not None:
                self._dialog.flow = flow

    def connection_opened(self, flow: Flow) -> None:
        """Nothing is registered by it yet."""

    def connection_closed(self, flow: Flow, reason: str) -> None:  # noqa: ARG002 - as of a `ConnectionWatcher`
        """Register anew when it was the way we were reached by (RFC 5626 section 4.5)."""
        mine = self._flow
        if flow.connection == mine.connection or (not mine.connection and flow[:3] == mine[:3]):
            self._lost.set()

    def _until_refresh(self) -> float:
        return max(self.granted_s / 2, self.granted_s - 30.0)

    async def _register(self, seconds: int) -> None:
        response = await self._ask(seconds)
        if response.status == _TOO_BRIEF:
            least = parse_seconds(response.headers.text("min-expires"), "Min-Expires")
            if least is not None and least > seconds:
                self._wish_s = least
                response = await self._ask(least)
        if response.status >= _REDIRECT:
            raise peer_error(response, "register")
        try:
            self._read(response)
        except SipSyntaxError as error:
            raise PeerError(SipCode.REFUSED, f"register: {error}", response) from error
        self.state, self.failure = RegistrationState.REGISTERED, None

    def _read(self, response: Response) -> None:
        contacts = response.contacts
        self.bindings = [] if isinstance(contacts, Wildcard) else contacts
        mine = next((one for one in self.bindings if self._is_mine(one)), None)
        granted = None if mine is None else contact_expires(mine, response.headers)
        if granted is None:
            granted = parse_seconds(response.headers.text("expires"), "Expires") or self._wish_s
        self.granted_s = granted
        if mine is not None:
            self.public_gruu = mine.params.get("pub-gruu") or ""
            self.temporary_gruu = mine.params.get("temp-gruu") or ""

    def _is_mine(self, contact: Address) -> bool:
        if self.account.instance and instance_id(contact) == self.account.instance:
            return True
        uri = contact.uri
        flow = self._flow
        return isinstance(uri, SipUri) and (uri.address, uri.port) == (flow.local_host, flow.local_port)

    async def _ask(self, seconds: int) -> Response:
        agent, account = self._wiring.agent, self.account
        contact = f"<{self.contact}>"
        extensions: Iterable[tuple[str, str]] = ()
        if account.instance:
            contact += f';+sip.instance="<{account.instance}>";reg-id=1'
            extensions = [("Supported", "gruu, outbound, path")]
        block = header_block([("Contact", contact), ("Expires", str(seconds)), *extensions])
        with commanding():
            dialog = self._dialog
            if dialog is None:
                me = account.address
                dialog = agent.new_dialog(self._registrar, self._flow, from_=me, to=me, routes=account.routes)
                self._dialog = dialog
            sent = agent.request(dialog, "REGISTER", self._wiring.now(), block=block)
        sent.owner = waiting = Waiting(account, asyncio.get_running_loop().create_future())
        self._wiring.drain()
        response = await waiting.future
        if response is None:
            raise peer_error(None, "register")
        return response


def contact_of(flow: Flow, account: Account) -> str:
    """Write the URI by which we are reached. Raises `UseError` for a name that cannot be written."""
    with commanding():
        uri = make_sip_uri(flow.local_host, user=account.username, port=flow.local_port).serialize()
    return uri if flow.transport is Transport.UDP else f"{uri};transport={flow.transport}"
