"""Names into records: the questions that finding a SIP server asks, and the answers of the machine's resolvers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import dns.asyncresolver

REMEMBERED = 10_000
"""Answers kept for as long as they say; the least recently used makes room."""


class Naptr(NamedTuple):
    """A NAPTR record (RFC 3403) as SIP uses it: a service, and the name to ask for next."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(NamedTuple):
    """An SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


class DnsError(Exception):
    """No resolver answered; that says nothing of whether the name exists."""


class Dns(Protocol):
    """Asks. A name that does not exist, or has no such record, has no records; `DnsError` when nobody answers."""

    async def naptr(self, name: str) -> list[Naptr]:
        """Ask for NAPTR records."""

    async def srv(self, name: str) -> list[Srv]:
        """Ask for SRV records."""

    async def addresses(self, name: str) -> list[str]:
        """Ask for addresses: IPv6 first where there are both and this machine has it."""


class SystemDns:
    """The machine's resolvers (``/etc/resolv.conf``). Limits: ``timeout_s`` a question, ``REMEMBERED`` answers."""

    def __init__(
        self, *, has_ipv6: bool, timeout_s: float = 4.0, resolver: dns.asyncresolver.Resolver | None = None
    ) -> None:
        self._has_ipv6 = has_ipv6
        self._timeout_s = timeout_s
        self._resolver = resolver
        self._loaded: Dns | None = None

    async def naptr(self, name: str) -> list[Naptr]:
        """Ask for NAPTR records."""
        return await (await self._dns()).naptr(name)

    async def srv(self, name: str) -> list[Srv]:
        """Ask for SRV records."""
        return await (await self._dns()).srv(name)

    async def addresses(self, name: str) -> list[str]:
        """Ask for addresses."""
        return await (await self._dns()).addresses(name)

    async def _dns(self) -> Dns:
        if self._loaded is None:
            self._loaded = await asyncio.to_thread(self._load)
        return self._loaded

    def _load(self) -> Dns:
        from roomtone.clients.resolver.records import DnspythonDns  # noqa: PLC0415 - see there

        return DnspythonDns(has_ipv6=self._has_ipv6, timeout_s=self._timeout_s, resolver=self._resolver)
