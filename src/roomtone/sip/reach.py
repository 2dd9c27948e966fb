"""The way to a URI: an address, and the socket of ours that leads there (RFC 3263)."""

from __future__ import annotations

import random
from ipaddress import ip_address
from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.headers import parse_address
from roomtone.protocols.sip.uri import SipUri, parse_uri
from roomtone.sip.errors import SipCode, SipError, UseError

if TYPE_CHECKING:
    from roomtone.clients.resolver import Locator
    from roomtone.servers.sip import Endpoint as Sockets

_PORTS = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061}
_STREAMS = frozenset({Transport.TCP, Transport.TLS})


class Reach:
    """Finds flows. Addresses are taken as they are; names are looked up by NAPTR, SRV, A and AAAA."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets
        self._locator: Locator | None = None

    async def flow_to(self, uri_text: str, routes: tuple[str, ...] = ()) -> Flow:
        """Find the flow to the first route, else to the URI. Raises `SipError`."""
        text = parse_address(routes[0]).uri_text if routes else uri_text
        try:
            uri = parse_uri(text)
        except SipSyntaxError as error:
            raise UseError(SipCode.BAD_INPUT, str(error)) from error
        if not isinstance(uri, SipUri):
            raise UseError(SipCode.UNREACHABLE, f"{text} leads nowhere without a proxy: it is no SIP URI")
        for transport, host, port, name in await self._places(uri):
            flow = self._flow(transport, host, port)
            if flow is not None:
                if transport is Transport.TLS:
                    self._sockets.name_peer(host, port, name)
                return flow
        raise SipError(SipCode.UNREACHABLE, f"no socket of ours leads to {text}")

    async def _places(self, uri: SipUri) -> list[tuple[Transport, str, int, str]]:
        host = "127.0.0.1" if uri.address == "localhost" else uri.address
        try:
            literal = str(ip_address(host))
        except ValueError:
            return await self._look_up(uri)
        named = uri.transport or ("tls" if uri.secure else "udp")
        if named not in {one.value for one in _PORTS}:
            raise UseError(SipCode.UNREACHABLE, f"nothing is sent by {named}")
        transport = Transport.TLS if uri.secure else Transport(named)
        return [(transport, literal, uri.port or _PORTS[transport], uri.address)]

    async def _look_up(self, uri: SipUri) -> list[tuple[Transport, str, int, str]]:
        from roomtone.clients.resolver import Locator, NotFoundError, SystemDns  # noqa: PLC0415 - a third of the import

        if self._locator is None:
            # the weights of SRV spread load and keep no secret
            self._locator = Locator(SystemDns(has_ipv6=self._has(":")), random.randrange)
        try:
            return [(one.transport, one.host, one.port, one.name) for one in await self._locator.locate(uri)]
        except NotFoundError as error:
            raise SipError(SipCode.UNREACHABLE, str(error), retryable=True) from error

    def _has(self, mark: str) -> bool:
        bound = self._sockets.listeners.addresses().values()
        return any(mark in host for places in bound for host, _ in places)

    def _flow(self, transport: Transport, host: str, port: int) -> Flow | None:
        listening = self._sockets.listeners.addresses()
        family = [place for place in listening.get(transport, []) if (":" in place[0]) is (":" in host)]
        if family:
            bound, its_port = family[0]
        elif transport in _STREAMS:  # a connection needs no listener: the peer comes back by it (RFC 5923)
            bound, its_port = "::" if ":" in host else "0.0.0.0", _PORTS[transport]  # noqa: S104 - nothing is bound
        else:
            return None
        return Flow(transport, host, port, self._sockets.local.toward(bound, host), its_port)
