"""SIP over UDP: one datagram, one message (RFC 3261, 18.1.1, 18.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.stun import answer_binding, is_stun
from roomtone.servers.sip.counters import SendFailure
from roomtone.servers.sip.options import LARGEST_DATAGRAM

if TYPE_CHECKING:
    import socket

    from roomtone.servers.sip.endpoint import Endpoint

BATCH = 64
"""Datagrams read before anything else of the loop has its turn."""
FLOWS = 4_096
"""Flows of peers that are remembered; the oldest is forgotten for another."""
_KEEP_ALIVES = frozenset({b"\r\n\r\n", b"\r\n", b"\x00", b"\x00\x00\x00\x00", b""})
"""What phones and their routers send so that a binding lives: RFC 5626's, and habits."""


class UdpListener:
    """One bound socket. Read until it is empty, up to ``BATCH``: what came at once is worked on in one turn.

    What the socket does not take is lost as on the way, and counted; SIP repeats it.
    """

    def __init__(self, endpoint: Endpoint, sock: socket.socket) -> None:
        self.host, self.port = sock.getsockname()[:2]
        self._endpoint = endpoint
        self._sock = sock
        self._flows: dict[tuple[str, int], Flow] = {}
        endpoint.loop.add_reader(sock.fileno(), self._read)

    def _read(self) -> None:
        endpoint, receive = self._endpoint, self._sock.recvfrom
        now = endpoint.now()
        for _ in range(BATCH):
            try:
                data, address = receive(LARGEST_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:  # what the network said of something sent; of what is not told
                endpoint.counters.unsent[SendFailure.SOCKET] += 1
                continue
            self._take(data, address, now)
        endpoint.settle(now)

    def _take(self, data: bytes, address: tuple[str, int], now: int) -> None:
        """Hand one message on, or keep a flow alive."""
        endpoint = self._endpoint
        if len(data) <= 4 and data in _KEEP_ALIVES:  # noqa: PLR2004
            endpoint.counters.keep_alives += 1
        elif data[0] < 4:  # noqa: PLR2004 - no letter: STUN (RFC 8489, 6) or nothing
            self._stun(data, address)
        else:
            flow = self._flows.get(address)
            endpoint.take(data, self._flow(address) if flow is None else flow, now)

    def _flow(self, address: tuple[str, int]) -> Flow:
        """Make the flow of a peer that was not heard of lately."""
        host, port = address[0], address[1]
        if len(self._flows) >= FLOWS:
            del self._flows[next(iter(self._flows))]
        local = self._endpoint.local.toward(self.host, host)
        flow = self._flows[address] = Flow(Transport.UDP, host, port, local, self.port)
        return flow

    def _stun(self, data: bytes, address: tuple[str, int]) -> None:
        answer = answer_binding(data, address[0], address[1]) if is_stun(data) else None
        if answer is None:
            self._endpoint.counters.noise += 1
        else:
            self._endpoint.counters.keep_alives += 1
            self.send(answer, address[0], address[1])

    def send(self, data: bytes, host: str, port: int) -> bool:
        """Send one datagram; False when it was lost here. Raises `OSError` for a peer that cannot be sent to."""
        try:
            self._sock.sendto(data, (host, port))
        except (BlockingIOError, InterruptedError):
            self._endpoint.counters.unsent[SendFailure.QUEUE] += 1
            return False
        return True

    def close(self) -> None:
        """Stop."""
        if self._sock.fileno() >= 0:
            self._endpoint.loop.remove_reader(self._sock.fileno())
            self._sock.close()
