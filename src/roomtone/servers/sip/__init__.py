"""SIP's sockets: UDP, TCP, TLS and WebSocket in front of the protocol's cores."""

from __future__ import annotations

from roomtone.servers.sip.core import ConnectionWatcher, SipCore
from roomtone.servers.sip.counters import ConnectionEnd, SendFailure, TransportCounters
from roomtone.servers.sip.endpoint import Endpoint
from roomtone.servers.sip.options import Certificate, Listen, PeerCertificates, TlsOptions, TransportOptions
from roomtone.servers.sip.tls import TlsError
from roomtone.servers.sip.websocket import PATH, WebSocketEntrance

__all__ = [
    "PATH",
    "Certificate",
    "ConnectionEnd",
    "ConnectionWatcher",
    "Endpoint",
    "Listen",
    "PeerCertificates",
    "SendFailure",
    "SipCore",
    "TlsError",
    "TlsOptions",
    "TransportCounters",
    "TransportOptions",
    "WebSocketEntrance",
]
