"""Which sockets the server opens, and how hard it insists on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.config import Address
from roomtone.media.front import FrontBind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from roomtone.config import Settings

HTTP, HTTPS, METRICS, SFU = "http", "https", "metrics", "sfu"
METRICS_PATH = "/metrics"
LOOPBACK = ("127.0.0.1", "::1")
SELF_SIGNED = ("self-signed.crt", "self-signed.key")
"""What the front door calls the certificate that it makes, and its key."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One socket; ``optional``: taken is a warning. IPv6 beside IPv4 is left out where the machine has none.

    ``http3``: the UDP port of the same number, too.
    """

    name: str
    address: Address
    optional: bool
    http3: bool = False

    def to_bind(self) -> FrontBind:
        """Describe it to the front door."""
        return FrontBind(
            name=self.name,
            address=str(self.address),
            tls=self.name == HTTPS,
            http3=self.http3,
            only=[METRICS_PATH] if self.name == METRICS else [],
            optional=self.optional,
        )


def listeners(settings: Settings, *, has_ipv6: bool) -> list[Listener]:
    """All listeners of the HTTP server after the settings; `--dev` keeps them on loopback."""
    dev = settings.server.dev
    wanted = [
        (HTTP, settings.http.listen, "listen" in settings.http.model_fields_set),
        (HTTPS, settings.http.tls_listen, "tls_listen" in settings.http.model_fields_set),
        (
            METRICS,
            (settings.metrics.listen,) if settings.metrics.listen else (),
            "listen" in settings.metrics.model_fields_set,
        ),
        (SFU, (settings.sfu_api.listen,) if settings.sfu_api.listen else (), True),
    ]
    made: list[Listener] = []
    for name, addresses, configured in wanted:
        chosen = on_loopback(addresses) if dev else tuple(addresses)
        if not has_ipv6 and not configured:
            chosen = tuple(address for address in chosen if ":" not in address.host)
        http3 = name == HTTPS and settings.http.http3
        made += [Listener(name, address, optional=dev and not configured, http3=http3) for address in chosen]
    return made


def on_loopback(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Turn "any address" into the loopback of its family; others that are not loopback likewise."""
    turned = (
        address if address.host in LOOPBACK else Address("::1" if ":" in address.host else "127.0.0.1", address.port)
        for address in addresses
    )
    return tuple(dict.fromkeys(turned))


def certificate_files(settings: Settings) -> tuple[Path, Path]:
    """Say where the certificate of HTTPS is, and its key: configured, or made by the front door at its first start."""
    http = settings.http
    if http.cert is not None and http.key is not None:
        return http.cert, http.key
    folder = settings.server.data_path / "tls"
    return folder / SELF_SIGNED[0], folder / SELF_SIGNED[1]
