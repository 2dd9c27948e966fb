"""Ports of other listeners that hand media over TCP to the engine, and what WebRTC peers are told of them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from roomtone.media.values import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HOST_TCP_PREFERENCE = 90
"""Type preference of a host candidate over TCP, as the engine's own: 126 - 36."""
_FIRST_LOCAL_PREFERENCE = 1023
"""Below all that the engine gives its own TCP candidates: a shared port is the last thing to try."""


@dataclass(frozen=True, slots=True)
class SharedTcpPort:
    """A port that is open on ``ips``; "0.0.0.0" and "::" stand for all addresses of their family."""

    port: int
    ips: tuple[str, ...]

    def is_open_on(self, ip: str) -> bool:
        """Whether a peer that connects to this address gets there."""
        return ip in self.ips or ("::" if ip_address(ip).version == 6 else "0.0.0.0") in self.ips  # noqa: PLR2004, S104


def with_shared_ports(own: Sequence[Candidate], shared: Iterable[SharedTcpPort]) -> tuple[Candidate, ...]:
    """Add to the engine's candidates those of shared ports, on the addresses the engine itself announces."""
    ips = tuple(dict.fromkeys(candidate.ip for candidate in own))
    places = dict.fromkeys((ip, port.port) for port in shared for ip in ips if port.is_open_on(ip))
    added = [
        Candidate(
            foundation=f"shared{number}",
            component=1,
            protocol="tcp",
            priority=(_HOST_TCP_PREFERENCE << 24) | (max(0, _FIRST_LOCAL_PREFERENCE - number) << 8) | 255,
            ip=ip,
            port=port,
            kind="host",
            tcp_type="passive",
        )
        for number, (ip, port) in enumerate(places)
    ]
    return (*own, *added)
