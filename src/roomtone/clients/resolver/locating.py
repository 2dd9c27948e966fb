"""Where a SIP URI leads (RFC 3263, 4): transports, addresses and ports, in the order in which they are to be tried."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from roomtone.clients.resolver.dns import Dns, DnsError, Naptr, Srv
from roomtone.protocols.sip.flow import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.protocols.sip.uri import SipUri

MAX_TARGETS = 32
"""Targets of one URI; records beyond them are not looked at."""
STREAM_ABOVE_BYTES = 1_300
"""Requests longer than this do not fit a path of unknown MTU (RFC 3261, 18.1.1)."""
_PORTS = {Transport.TLS: 5061}
_DEFAULT_PORT = 5060
_SERVICES = {"SIP+D2U": Transport.UDP, "SIP+D2T": Transport.TCP, "SIPS+D2T": Transport.TLS}
_SRV = {Transport.UDP: "_sip._udp.", Transport.TCP: "_sip._tcp.", Transport.TLS: "_sips._tcp."}


class Target(NamedTuple):
    """One place to try: an address and port, and the name its certificate has to be for (RFC 5922, 4)."""

    transport: Transport
    host: str
    port: int
    name: str


class NotFoundReason(StrEnum):
    """Why a URI leads nowhere."""

    NO_ADDRESS = "no_address"
    """The name does not exist, or has no address."""
    NO_ANSWER = "no_answer"
    """No resolver answered: it may be tried again."""
    NO_TRANSPORT = "no_transport"
    """It is reached only by transports that are not spoken here."""


class NotFoundError(Exception):
    """A URI leads nowhere."""

    def __init__(self, reason: NotFoundReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.retryable = reason is NotFoundReason.NO_ANSWER


@dataclass(frozen=True, slots=True)
class Locator:
    """Finds targets.

    Inputs: a URI. Outputs: `Target`s, best first; a request goes to the next when one cannot be reached, does not
    answer, or answers 503 (4.3). ``transports`` are those spoken here, in our order of preference; ``draw`` gives a
    random number below its argument (for the weights of SRV). Limits: ``MAX_TARGETS``.
    """

    dns: Dns
    draw: Callable[[int], int]
    transports: tuple[Transport, ...] = (Transport.UDP, Transport.TCP, Transport.TLS)

    async def locate(self, uri: SipUri) -> list[Target]:
        """Find where a request with this URI (or topmost Route) goes. Raises `NotFoundError`."""
        try:
            targets = await self._locate(uri)
        except DnsError as error:
            raise NotFoundError(NotFoundReason.NO_ANSWER, str(error)) from error
        if not targets:
            raise NotFoundError(NotFoundReason.NO_ADDRESS, f"{uri.address} has no address")
        return targets[:MAX_TARGETS]

    async def _locate(self, uri: SipUri) -> list[Target]:
        host = (uri.params.get("maddr") or uri.address).strip("[]")
        wanted = self._wanted(uri)
        if _is_address(host) or uri.port is not None:
            # Numeric, or told where: nothing is looked up but addresses (4.1, 4.2).
            transport = wanted or self._default(uri)
            return await self._addresses(transport, host, uri.port or _port(transport), uri.address)
        if wanted is not None:
            servers = await self._servers(host, [(wanted, _SRV[wanted] + host)], uri.address)
            return servers or await self._addresses(wanted, host, _port(wanted), uri.address)
        chosen = await self._by_naptr(uri, host) or [
            (transport, _SRV[transport] + host) for transport in self.transports if _fits(transport, uri)
        ]
        servers = await self._servers(host, chosen, uri.address)
        if servers:
            return servers
        transport = self._default(uri)
        return await self._addresses(transport, host, _port(transport), uri.address)

    def _wanted(self, uri: SipUri) -> Transport | None:
        """Return the transport a URI names; ``sips`` over TCP is TLS (RFC 3261, 26.2.2)."""
        name = uri.transport
        if name is None:
            return None
        if uri.secure and name == "tcp":
            name = "tls"
        if name not in set(Transport) or (transport := Transport(name)) not in self.transports:
            raise NotFoundError(NotFoundReason.NO_TRANSPORT, f"transport {name} is not spoken here")
        if not _fits(transport, uri):
            raise NotFoundError(NotFoundReason.NO_TRANSPORT, f"{name} is not secure, and a sips URI asks for it")
        return transport

    def _default(self, uri: SipUri) -> Transport:
        transport = Transport.TLS if uri.secure else Transport.UDP
        if transport in self.transports:
            return transport
        for other in self.transports:
            if _fits(other, uri):
                return other
        raise NotFoundError(NotFoundReason.NO_TRANSPORT, f"{transport} is not spoken here")

    async def _by_naptr(self, uri: SipUri, host: str) -> list[tuple[Transport, str]]:
        records = sorted(await self.dns.naptr(host), key=lambda record: (record.order, record.preference))
        known = [record for record in records if _service(record) is not None]
        usable = [
            (transport, record.replacement)
            for record in known
            if (transport := _service(record)) in self.transports and transport is not None and _fits(transport, uri)
        ]
        if known and not usable:
            raise NotFoundError(NotFoundReason.NO_TRANSPORT, f"{host} speaks none of our transports")
        return usable

    async def _servers(self, host: str, services: Sequence[tuple[Transport, str]], name: str) -> list[Target]:
        found: list[Target] = []
        refused = False
        for transport, service in services:
            records = await self.dns.srv(service)
            if len(records) == 1 and records[0].target in {"", "."}:
                refused = True  # "decidedly not available" (RFC 2782)
                continue
            for record in in_order(records, self.draw):
                if len(found) < MAX_TARGETS:
                    found += await self._addresses(transport, record.target, record.port, name)
        if refused and not found:
            raise NotFoundError(NotFoundReason.NO_ADDRESS, f"{host} says that it takes no SIP")
        return found

    async def _addresses(self, transport: Transport, host: str, port: int, name: str) -> list[Target]:
        addresses = [host] if _is_address(host) else await self.dns.addresses(host)
        return [Target(transport, address, port, name) for address in addresses]


def in_order(records: Sequence[Srv], draw: Callable[[int], int]) -> list[Srv]:
    """Sort SRV records: by priority, within it by chance after their weights (RFC 2782)."""
    ordered: list[Srv] = []
    for priority in sorted({record.priority for record in records}):
        # those without weight first: they are hit only by a draw of nought
        left = sorted((record for record in records if record.priority == priority), key=lambda record: record.weight)
        while left:
            hit = draw(sum(record.weight for record in left) + 1)
            for record in left:
                hit -= record.weight
                if hit <= 0:
                    break
            ordered.append(record)
            left.remove(record)
    return ordered


def for_size(targets: Sequence[Target], size: int, above: int | None = STREAM_ABOVE_BYTES) -> list[Target]:
    """Put TCP before UDP for a request of ``size`` bytes that may not fit a datagram; UDP stays behind it.

    RFC 3261, 18.1.1. ``above`` is the size from which on; None never does so, for trunks without TCP. The Via of what
    is sent has to name the transport of the target it goes to.
    """
    if above is None or size <= above:
        return list(targets)
    found: list[Target] = []
    for target in targets:
        if target.transport is Transport.UDP:
            stream = target._replace(transport=Transport.TCP)
            if stream not in found and stream not in targets:
                found.append(stream)
        found.append(target)
    return found


def _service(record: Naptr) -> Transport | None:
    return _SERVICES.get(record.service) if record.flags == "s" else None


def _fits(transport: Transport, uri: SipUri) -> bool:
    return transport in _SRV and (not uri.secure or transport is Transport.TLS)


def _port(transport: Transport) -> int:
    return _PORTS.get(transport, _DEFAULT_PORT)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
