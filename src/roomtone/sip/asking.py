"""Requests of an endpoint that belong to no call: messages, questions, subscriptions."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from roomtone.protocols.sip.headers import Address
from roomtone.sip.errors import peer_error
from roomtone.sip.requests import header_block
from roomtone.sip.watching import Watch
from roomtone.sip.wiring import Waiting, commanding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roomtone.protocols.sip.message import Response
    from roomtone.sip.account import Account
    from roomtone.sip.wiring import Wiring

ANONYMOUS = Address("sip:anonymous@anonymous.invalid")
"""From of requests without an account (RFC 3323 section 4.1.1.3)."""
_REDIRECT = 300


class Asking(ABC):
    """Asks others. Raises `SipError`."""

    @abstractmethod
    def _open(self) -> Wiring:
        """Give what sends; raise `UseError` while nothing is open."""

    async def message(
        self, uri: str, text: str, *, account: Account | None = None, content_type: str = "text/plain;charset=UTF-8"
    ) -> Response:
        """Send a message (RFC 3428) and give its 2xx. Raises `PeerError` when it was not taken."""
        response = await self.request("MESSAGE", uri, text.encode(), content_type, account=account)
        if response.status >= _REDIRECT:
            raise peer_error(response, "message")
        return response

    async def options(self, uri: str, *, account: Account | None = None) -> Response:
        """Ask what somebody can do (RFC 3261 section 11): any final response shows that it is there."""
        return await self.request("OPTIONS", uri, headers=[("Accept", "application/sdp")], account=account)

    async def request(
        self,
        method: str,
        uri: str,
        body: bytes = b"",
        content_type: str = "",
        *,
        headers: Iterable[tuple[str, str]] = (),
        account: Account | None = None,
        from_: Address | None = None,
    ) -> Response:
        """Send any request outside of calls, and give its final response. Raises `PeerError` where there is none."""
        wiring = self._open()
        routes = () if account is None else account.routes
        block = header_block(headers, content_type if body else "")
        flow = await wiring.flow_to(uri, account)
        us = from_ or (ANONYMOUS if account is None else account.address)
        with commanding():
            dialog = wiring.agent.new_dialog(uri, flow, from_=us, to=Address(uri), routes=routes)
            sent = wiring.agent.request(dialog, method, wiring.now(), body=body, block=block)
        sent.owner = waiting = Waiting(account, asyncio.get_running_loop().create_future())
        wiring.drain()
        response = await waiting.future
        if response is None:
            raise peer_error(None, method)
        return response

    async def subscribe(
        self,
        uri: str,
        package: str,
        *,
        account: Account | None = None,
        accept: Sequence[str] = (),
        expires_s: int = 3_600,
    ) -> Watch:
        """Subscribe to a package (RFC 6665), and stay subscribed until `Watch.close`.

        ``accept`` are media types of bodies that are understood. Raises `PeerError` when the peer refuses.
        """
        wiring = self._open()
        routes = () if account is None else account.routes
        block = header_block([("Accept", ", ".join(accept))] if accept else [])
        flow = await wiring.flow_to(uri, account)
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        watch = Watch(wiring, account, accepted)
        with commanding():
            watch.machine = wiring.agent.subscriptions.subscribe(
                uri,
                flow,
                wiring.now(),
                package=package,
                from_=ANONYMOUS if account is None else account.address,
                to=Address(uri),
                expires_s=expires_s,
                block=block,
                routes=routes,
                owner=watch,
            )
        wiring.drain()
        await accepted
        return watch
