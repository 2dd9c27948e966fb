"""The sockets SIP listens on."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.servers.sip.connection import StreamConnection
from roomtone.servers.sip.tls import ServerCertificates
from roomtone.servers.sip.udp import UdpListener

if TYPE_CHECKING:
    import asyncio

    from roomtone.servers.sip.endpoint import Endpoint
    from roomtone.servers.sip.options import Listen

RECEIVE_BUFFER = 4 << 20
BACKLOG = 1_024
_log = logging.getLogger(__name__)


class Listeners:
    """UDP, TCP and TLS sockets of an endpoint; ``refused`` says which of the optional ones could not be had."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._udp: dict[int, list[UdpListener]] = {socket.AF_INET: [], socket.AF_INET6: []}
        self._servers: list[tuple[Transport, asyncio.Server]] = []
        self.certificates: ServerCertificates | None = None
        self.refused: list[str] = []

    async def open(self) -> None:
        """Open all; raise `OSError` or `TlsError` and leave none open when one that is not optional is taken."""
        options = self._endpoint.options
        try:
            for listen in options.udp:
                await self._open(Transport.UDP, listen)
            for listen in options.tcp:
                await self._open(Transport.TCP, listen)
            if options.tls:
                self.certificates = ServerCertificates(options.security)
            for listen in options.tls:
                await self._open(Transport.TLS, listen)
        except BaseException:
            self.close()
            raise

    async def _open(self, transport: Transport, listen: Listen) -> None:
        try:
            sock = _bind(listen, socket.SOCK_DGRAM if transport is Transport.UDP else socket.SOCK_STREAM)
        except OSError as error:
            if not listen.optional:
                raise OSError(error.errno, f"sip: {transport} {listen.host} port {listen.port}: {error}") from error
            self.refused.append(f"{transport} {listen.host} port {listen.port}")
            return
        if transport is Transport.UDP:
            self._open_udp(sock)
        else:
            await self._open_stream(transport, sock)

    def _open_udp(self, sock: socket.socket) -> None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._udp[sock.family].append(UdpListener(self._endpoint, sock))

    async def _open_stream(self, transport: Transport, sock: socket.socket) -> None:
        endpoint = self._endpoint
        secure = transport is Transport.TLS and self.certificates is not None
        server = await endpoint.loop.create_server(
            lambda: StreamConnection(endpoint, transport, is_ours=False),
            sock=sock,
            backlog=BACKLOG,
            ssl=self.certificates.context if secure and self.certificates else None,
            ssl_handshake_timeout=endpoint.options.handshake_timeout_s if secure else None,
        )
        self._servers.append((transport, server))

    def udp_for(self, flow: Flow) -> UdpListener | None:
        """Return the socket a datagram leaves by: that of our side of the flow, else the first of its family."""
        there = self._udp[socket.AF_INET6 if ":" in flow.remote_host else socket.AF_INET]
        if len(there) == 1:
            return there[0]
        for listener in there:
            if listener.port == flow.local_port and listener.host in {flow.local_host, "0.0.0.0", "::"}:  # noqa: S104
                return listener
        return there[0] if there else None

    def addresses(self) -> dict[Transport, list[tuple[str, int]]]:
        """Where we listen."""
        found: dict[Transport, list[tuple[str, int]]] = {}
        for listeners in self._udp.values():
            for listener in listeners:
                found.setdefault(Transport.UDP, []).append((listener.host, listener.port))
        for transport, server in self._servers:
            found.setdefault(transport, []).extend(sock.getsockname()[:2] for sock in server.sockets)
        return found

    def close(self) -> None:
        """Close all."""
        for listeners in self._udp.values():
            for listener in listeners:
                listener.close()
            listeners.clear()
        for _, server in self._servers:
            server.close()
        self._servers.clear()


def _bind(listen: Listen, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((listen.host, listen.port))
    except OSError:
        sock.close()
        raise
    return sock
