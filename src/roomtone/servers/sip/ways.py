"""Ways to a URI: places it may be reached at, each with the socket of ours that leads there (RFC 3263)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple, Protocol

from roomtone.control.calls import CallEnd, CallError, Target
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.uri import SipUri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.servers.sip.endpoint import Endpoint

_DEFAULT_PORTS = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061}


class Place(NamedTuple):
    """Where a URI may be reached."""

    transport: Transport
    host: str
    """An address."""
    port: int
    name: str
    """What its certificate has to be for."""


class Names(Protocol):
    """Finds the places of a URI, and remembers which of them failed."""

    async def find(self, uri: SipUri, now: int) -> Sequence[Place]:
        """Find where a URI leads, the best first, those that failed lately last; raise `CallError`."""

    def failed(self, place: Place, now: int) -> None:
        """Note that a place was not reached, or answered 503."""

    def succeeded(self, place: Place) -> None:
        """Note that a place answered."""


class AddressesOnly:
    """Finds places of URIs that have an address, and looks nothing up."""

    async def find(self, uri: SipUri, now: int) -> Sequence[Place]:
        """Find where a URI leads; raise `CallError` for a name."""
        del now
        named = uri.transport or (Transport.TLS if uri.secure else Transport.UDP)
        if named not in {one.value for one in _DEFAULT_PORTS}:
            raise CallError(CallEnd.UNREACHABLE, f"nothing is sent by {named}")
        transport = Transport(named)
        try:
            host = str(ip_address(uri.address))
        except ValueError as error:
            raise CallError(CallEnd.UNREACHABLE, f"{uri.host} is a name, and names are not looked up") from error
        return [Place(transport, host, uri.port or _DEFAULT_PORTS[transport], host)]

    def failed(self, place: Place, now: int) -> None:
        """Forget it."""

    def succeeded(self, place: Place) -> None:
        """Forget it."""


class Ways:
    """Makes targets that have a flow of those that have a URI only."""

    def __init__(self, endpoint: Endpoint, names: Names) -> None:
        self._endpoint = endpoint
        self._names = names

    async def to(self, target: Target) -> list[Target]:
        """Give the ways to a target, the best first; raise `CallError` where there is none."""
        if target.flow is not None:
            return [target, *target.others]
        if target.trunk is not None and target.trunk.proxy:
            return await self._look_for(replace(target, path=(_route(target.trunk.proxy),)), target.trunk.proxy)
        return await self._look_for(target, target.uri)

    async def _look_for(self, target: Target, text: str) -> list[Target]:
        try:
            uri = parse_uri(text)
        except SipSyntaxError as error:
            raise CallError(CallEnd.UNREACHABLE, str(error)) from error
        if not isinstance(uri, SipUri):
            raise CallError(CallEnd.UNREACHABLE, f"{text} is no address of SIP")
        found = []
        for place in await self._names.find(uri, self._endpoint.now()):
            flow = self._flow(place.transport, place.host, place.port)
            if flow is None:
                continue
            if place.transport is Transport.TLS:
                self._endpoint.name_peer(place.host, place.port, place.name)
            is_open = target.large_by_stream and place.transport is Transport.UDP and uri.transport is None
            stream = self._flow(Transport.TCP, place.host, place.port) if is_open else None
            found.append(replace(target, flow=flow, stream=stream, found_by=place.name))
        if not found:
            raise CallError(CallEnd.UNREACHABLE, f"no socket leads to {text}")
        return [*(replace(way, is_last=False) for way in found[:-1]), found[-1]]

    def note(self, target: Target, *, reached: bool) -> None:
        """Remember whether a target that was found by its URI was reached."""
        flow = target.flow
        if flow is None or not target.found_by:
            return
        place = Place(flow.transport, flow.remote_host, flow.remote_port, target.found_by)
        if reached:
            self._names.succeeded(place)
        else:
            self._names.failed(place, self._endpoint.now())

    def _flow(self, transport: Transport, host: str, port: int) -> Flow | None:
        listening = self._endpoint.listeners.addresses().get(transport, [])
        same = [(bound, its_port) for bound, its_port in listening if (":" in bound) is (":" in host)]
        if not same:
            return None
        bound, its_port = same[0]
        return Flow(transport, host, port, self._endpoint.local.toward(bound, host), its_port)


def _route(proxy: str) -> str:
    """Write a Route to a proxy that leaves the Request-URI as it is (RFC 3261 section 16.12)."""
    return f"<{proxy}>" if ";lr" in proxy.lower() else f"<{proxy};lr>"
