"""What the transports of SIP are told: a value, made from the settings by the application."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_DATAGRAM = 65_507


class PeerCertificates(StrEnum):
    """Whether clients show a certificate of their own (mutual TLS)."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of a certificate chain, leaf first, and its key; the first of several is the default."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on, without brackets; port 0 takes any."""

    host: str
    port: int
    optional: bool = False
    """Whether the server starts without it when it is taken."""


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """TLS in both directions."""

    certificates: tuple[Certificate, ...] = ()
    client_certificates: PeerCertificates = PeerCertificates.OFF
    authorities: Path | None = None
    """PEM file whose authorities are believed, of clients and of peers; the system's for peers without it."""
    verify_peers: bool = True
    """Whether peers we connect to must have a certificate for their name."""


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """Sockets and their limits; times in seconds."""

    udp: tuple[Listen, ...] = ()
    tcp: tuple[Listen, ...] = ()
    tls: tuple[Listen, ...] = ()
    security: TlsOptions = field(default_factory=TlsOptions)
    announced_ip: str | None = None
    """What we call ourselves towards others instead of the address they are reached from."""
    max_connections: int = 10_000
    max_connections_per_address: int = 500
    connect_timeout_s: float = 5.0
    handshake_timeout_s: float = 10.0
    idle_timeout_s: float = 600.0
    """A peer's connection without a byte from it for so long ends; one of ours without a message, unless it is kept."""
    keep_alive_s: float = 90.0
    """How often connections we made are kept alive by CRLF (RFC 5626, 4.4.1); 0: never."""
    pong_timeout_s: float = 10.0
    """A peer that answered a keep-alive once has so long for the next ones."""
    udp_keep_alive_s: float = 25.0
    """How often flows of UDP that are to be kept are kept alive (RFC 5626, 4.4.2: 24 to 29 s)."""
    max_kept_flows: int = 4_096
    """Flows that are kept alive; a further one is refused."""
    write_timeout_s: float = 30.0
    """A connection whose peer takes nothing for so long ends."""
    write_buffer_bytes: int = 1 << 20
    """What may wait for a peer on its connection; above it the connection ends."""
    waiting_per_peer: int = 256
    """Messages that may wait for a connection that is being made."""
    max_connecting: int = 1_024
    """Connections being made at once."""
