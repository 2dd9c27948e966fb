"""Finding SIP servers: NAPTR, SRV and addresses (RFC 3263)."""

from __future__ import annotations

from roomtone.clients.resolver.dns import Dns, DnsError, Naptr, Srv, SystemDns
from roomtone.clients.resolver.failing import FailedTargets
from roomtone.clients.resolver.locating import (
    STREAM_ABOVE_BYTES,
    Locator,
    NotFoundError,
    NotFoundReason,
    Target,
    for_size,
)

__all__ = [
    "STREAM_ABOVE_BYTES",
    "Dns",
    "DnsError",
    "FailedTargets",
    "Locator",
    "Naptr",
    "NotFoundError",
    "NotFoundReason",
    "Srv",
    "SystemDns",
    "Target",
    "for_size",
]
