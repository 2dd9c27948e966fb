"""Ways between us and a peer, and the bytes that take them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple


class Transport(StrEnum):
    """What carries messages; the values are the words of URIs (RFC 3261 section 19.1.1, RFC 7118)."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"
    WS = "ws"
    WSS = "wss"


_VIA = {transport: transport.name.encode() for transport in Transport}


class Flow(NamedTuple):
    """A way between one of our addresses and one of a peer's.

    Of a message that came in: how it came, and how an answer goes back. Of one that goes out: where to.
    ``local_host`` and ``local_port`` are what we call ourselves there: the address a peer reaches us at, as Via and
    Contact tell it. IPv6 addresses are without brackets. A named tuple, because flows are keys of maps that every
    message looks into.
    """

    transport: Transport
    remote_host: str
    remote_port: int
    local_host: str
    local_port: int
    connection: int = 0
    """Of transports with connections: the driver's number for it, never used twice; 0: whichever leads there, or a
    new one."""

    @property
    def is_reliable(self) -> bool:
        """Whether the transport itself repeats what is lost."""
        return self.transport is not Transport.UDP

    @property
    def via_transport(self) -> bytes:
        """The transport in the words of Via."""
        return _VIA[self.transport]


class Transmit(NamedTuple):
    """Bytes of one whole message to be sent; a driver that cannot tells so with ``handle_transport_error``."""

    flow: Flow
    data: bytes
    source: Any = None
    """What it belongs to; a driver hands it back as it is."""
