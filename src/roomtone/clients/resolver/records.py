"""The machine's resolvers, asked by dnspython: loaded with the first question, since no start is to wait for it."""

from __future__ import annotations

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
from dns.rdatatype import RdataType
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.NAPTR import NAPTR
from dns.rdtypes.IN.SRV import SRV

from roomtone.clients.resolver.dns import REMEMBERED, DnsError, Naptr, Srv


class DnspythonDns:
    """Asks those of ``/etc/resolv.conf``, or the one given; see `SystemDns`."""

    def __init__(self, *, has_ipv6: bool, timeout_s: float, resolver: dns.asyncresolver.Resolver | None) -> None:
        self._resolver = resolver
        if resolver is not None:
            _prepare(resolver, timeout_s)
        self._timeout_s = timeout_s
        self._has_ipv6 = has_ipv6

    async def naptr(self, name: str) -> list[Naptr]:
        """Ask for NAPTR records."""
        return [
            Naptr(
                record.order,
                record.preference,
                record.flags.decode("latin-1").lower(),
                record.service.decode("latin-1").upper(),
                _text(record.replacement),
            )
            for record in await self._ask(name, RdataType.NAPTR)
            if isinstance(record, NAPTR)
        ]

    async def srv(self, name: str) -> list[Srv]:
        """Ask for SRV records."""
        return [
            Srv(record.priority, record.weight, record.port, _text(record.target))
            for record in await self._ask(name, RdataType.SRV)
            if isinstance(record, SRV)
        ]

    async def addresses(self, name: str) -> list[str]:
        """Ask for addresses."""
        found: list[str] = []
        for kind in (RdataType.AAAA, RdataType.A) if self._has_ipv6 else (RdataType.A,):
            found += [record.address for record in await self._ask(name, kind) if isinstance(record, A | AAAA)]
        return found

    async def _ask(self, name: str, kind: RdataType) -> list[object]:
        try:
            # made when it is needed: a machine without resolvers still calls addresses
            resolver = self._resolver = self._resolver or _prepare(dns.asyncresolver.Resolver(), self._timeout_s)
            answer = await resolver.resolve(name, kind, raise_on_no_answer=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.name.LabelTooLong:
            return []  # no such name can exist
        except dns.exception.DNSException as error:
            raise DnsError(f"{name} {kind.name}: {error}") from error
        return [] if answer.rrset is None else list(answer.rrset)


def _prepare(resolver: dns.asyncresolver.Resolver, timeout_s: float) -> dns.asyncresolver.Resolver:
    resolver.cache = dns.resolver.LRUCache(REMEMBERED)
    resolver.lifetime = timeout_s
    return resolver


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True)
