"""What the transports of SIP count, and why connections end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class ConnectionEnd(StrEnum):
    """Why a connection ended; a closed set, used as a metric label."""

    PEER_CLOSED = "peer_closed"
    CONNECTION_ERROR = "connection_error"
    FRAMING = "framing"
    """Bytes that cannot be cut into messages."""
    IDLE = "idle"
    NO_PONG = "no_pong"
    """It answered keep-alives, and then no more."""
    SLOW_PEER = "slow_peer"
    """It did not take what we have for it."""
    TOO_MANY = "too_many"
    """Refused: there are enough connections, or enough of its address."""
    SHUTDOWN = "shutdown"


class SendFailure(StrEnum):
    """Why a message could not be sent; a closed set, used as a metric label."""

    NO_LISTENER = "no_listener"
    """No socket of ours for that transport and family."""
    NO_CONNECTION = "no_connection"
    """The connection it was for is gone."""
    CONNECT = "connect"
    """The peer could not be connected to in time."""
    TLS = "tls"
    """Its certificate was not accepted, or ours."""
    QUEUE = "queue"
    """Too much waits for that peer already."""
    SOCKET = "socket"
    TOO_LONG = "too_long"
    """Longer than a datagram can be."""


@dataclass(slots=True)
class TransportCounters:
    """Sums since the start; by transport where that is the key."""

    received: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    connected: Counter[str] = field(default_factory=Counter)
    """Connections made to us."""
    opened: Counter[str] = field(default_factory=Counter)
    """Connections made by us."""
    ended: Counter[ConnectionEnd] = field(default_factory=Counter)
    unsent: Counter[SendFailure] = field(default_factory=Counter)
    keep_alives: int = 0
    """CRLF and STUN of peers that kept a flow alive."""
    pings: int = 0
    """Keep-alives of ours."""
    defects: int = 0
    """Messages and timers whose handling failed by a defect of ours; the log has each."""
    noise: int = 0
    """Datagrams that are nothing of SIP at all."""
