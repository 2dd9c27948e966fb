"""SIP over UDP: one datagram, one message (RFC 3261, 18.1.1, 18.2.1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.stun import answer_binding, is_stun
from roomtone.servers.sip.counters import SendFailure

if TYPE_CHECKING:
    from roomtone.servers.sip.endpoint import Endpoint

_KEEP_ALIVES = frozenset({b"\r\n\r\n", b"\r\n", b"\x00", b"\x00\x00\x00\x00", b""})
"""What phones and their routers send so that a binding lives: RFC 5626's, and habits."""


class UdpListener(asyncio.DatagramProtocol):
    """One bound socket."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._transport: asyncio.DatagramTransport | None = None
        self.host = ""
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where we listen."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.host, self.port = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand one message on, or keep a flow alive."""
        endpoint = self._endpoint
        if len(data) <= 4 and data in _KEEP_ALIVES:  # noqa: PLR2004
            endpoint.counters.keep_alives += 1
            return
        if data[0] < 4:  # noqa: PLR2004 - no letter: STUN (RFC 8489, 6) or nothing
            self._stun(data, addr)
            return
        host, port = addr[0], addr[1]
        local = endpoint.local.toward(self.host, host)
        endpoint.receive(data, Flow(Transport.UDP, host, port, local, self.port))

    def _stun(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = answer_binding(data, addr[0], addr[1]) if is_stun(data) else None
        if answer is None:
            self._endpoint.counters.noise += 1
        else:
            self._endpoint.counters.keep_alives += 1
            self.send(answer, addr[0], addr[1])

    def error_received(self, exc: Exception) -> None:
        """Count that nobody listens at some peer; which message it was for is not told."""
        del exc
        self._endpoint.counters.unsent[SendFailure.SOCKET] += 1

    def send(self, data: bytes, host: str, port: int) -> None:
        """Send one datagram."""
        if self._transport is not None:
            self._transport.sendto(data, (host, port))

    def close(self) -> None:
        """Stop."""
        if self._transport is not None:
            self._transport.close()
