"""Which domains are ours."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from roomtone.protocols.sip.uri import SipUri, TelUri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.uri import Uri


class Domains:
    """The domains of the settings, and every address a peer reaches us at; all of loopback is one host."""

    def __init__(self, names: Iterable[str] = (), announced_ip: str | None = None) -> None:
        self._names = frozenset(name.lower().strip("[]") for name in names)
        self._announced = announced_ip

    def serves(self, host: str, flow: Flow) -> bool:
        """Whether a host, without brackets, is us for who came by this flow."""
        if host in self._names or host in {flow.local_host, self._announced}:
            return True
        return _is_loopback(host) and _is_loopback(flow.local_host)

    def number(self, uri: Uri, flow: Flow) -> str | None:
        """Give the number or name a Request-URI asks for here; None when it is for somebody else."""
        match uri:
            case SipUri():
                return uri.username if self.serves(uri.address, flow) else None
            case TelUri():
                return uri.digits
            case _:
                return None

    def named(self, flow: Flow) -> str:
        """Give what we call our domain towards a peer, with brackets where it is an IPv6 address."""
        host = min(self._names, default=flow.local_host)
        return f"[{host}]" if ":" in host else host


@lru_cache(1_024)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
