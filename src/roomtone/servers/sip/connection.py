"""One connection that carries messages: TCP and TLS (RFC 3261, 18.3; RFC 5626, 3.5.1)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, cast

from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.message import KeepAlive, StreamFramer
from roomtone.servers.sip.counters import ConnectionEnd

if TYPE_CHECKING:
    from roomtone.servers.sip.endpoint import Endpoint

_LONGEST_KEEP_ALIVE = 4


class Connection(Protocol):
    """What the pool keeps: something messages go out by."""

    flow: Flow

    def send(self, data: bytes) -> bool:
        """Send one message; False when the connection is ending."""

    def end(self, reason: ConnectionEnd) -> None:
        """Close; ``reason`` is counted and told."""

    def check(self, now: float) -> None:
        """End when it is idle or its peer takes nothing; ``now`` is the loop's time in seconds."""


class StreamConnection(asyncio.Protocol):
    """A connection of TCP or TLS, made by a peer or by us."""

    def __init__(self, endpoint: Endpoint, transport: Transport, *, is_ours: bool) -> None:
        self._endpoint = endpoint
        self._kind = transport
        self._is_ours = is_ours
        self._framer = StreamFramer(endpoint.edge.limits.message)
        self._transport: asyncio.Transport | None = None
        self._heard = 0.0
        self._used = 0.0  # when the last message went either way
        self._blocked_since: float | None = None
        self._end: ConnectionEnd | None = None
        self._pinged: float | None = None
        self._waits_for_pong = False
        self._answers_pings = False
        self.flow = Flow(transport, "", 0, "", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place in the pool, or be closed again when there is none."""
        self._transport = stream = cast("asyncio.Transport", transport)
        endpoint = self._endpoint
        host, port = stream.get_extra_info("peername")[:2]
        local_host, local_port = stream.get_extra_info("sockname")[:2]
        if not self._is_ours:
            local_host = endpoint.local.toward(local_host, host)
        number = endpoint.pool.next_number()
        self.flow = Flow(self._kind, host, port, local_host, local_port, number)
        self._heard = self._used = endpoint.loop.time()
        stream.set_write_buffer_limits(high=endpoint.options.write_buffer_bytes)
        if not endpoint.pool.add(self, is_ours=self._is_ours):
            self._end = ConnectionEnd.TOO_MANY
            stream.abort()

    def data_received(self, data: bytes) -> None:
        """Cut the stream into messages and hand them on."""
        endpoint = self._endpoint
        self._heard = endpoint.loop.time()
        framer = self._framer
        framer.handle_bytes(data)
        try:
            while (item := framer.poll()) is not None:
                if isinstance(item, bytes):
                    self._used = self._heard
                    endpoint.receive(item, self.flow)
                else:
                    self._keep_alive(item)
        except SipSyntaxError as error:
            endpoint.edge.counters.faults[error.fault] += 1
            self.end(ConnectionEnd.FRAMING)
            return
        if (item := framer.flush()) is not None:
            self._keep_alive(item)

    def _keep_alive(self, item: KeepAlive) -> None:
        self._endpoint.counters.keep_alives += 1
        if item is KeepAlive.PING:
            self.send(b"\r\n")
        else:
            self._answers_pings, self._waits_for_pong = True, False

    def pause_writing(self) -> None:
        """Note that the peer takes less than we send."""
        self._blocked_since = self._endpoint.loop.time()

    def resume_writing(self) -> None:
        """Note that it has caught up."""
        self._blocked_since = None

    def eof_received(self) -> bool:
        """Close with the peer."""
        self._end = self._end or ConnectionEnd.PEER_CLOSED
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the pool and say why."""
        reason = self._end or (ConnectionEnd.CONNECTION_ERROR if exc else ConnectionEnd.PEER_CLOSED)
        self._end = reason
        self._endpoint.pool.remove(self, reason)

    def send(self, data: bytes) -> bool:
        """Send one message; a peer that has too much waiting already loses the connection."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._blocked_since is not None and len(data) > _LONGEST_KEEP_ALIVE:
            self.end(ConnectionEnd.SLOW_PEER)
            return False
        if len(data) > _LONGEST_KEEP_ALIVE:
            self._used = self._endpoint.loop.time()
        self._transport.write(data)
        return True

    def end(self, reason: ConnectionEnd) -> None:
        """Close; what waits for a slow peer is given up, other bytes are still sent."""
        self._end = self._end or reason
        if self._transport is not None:
            if reason in {ConnectionEnd.SLOW_PEER, ConnectionEnd.SHUTDOWN}:
                self._transport.abort()
            else:
                self._transport.close()

    def check(self, now: float) -> None:
        """End when nothing was heard for too long, or nothing taken."""
        options = self._endpoint.options
        if self._blocked_since is not None and now - self._blocked_since > options.write_timeout_s:
            self.end(ConnectionEnd.SLOW_PEER)
        elif now - (self._used if self._is_ours else self._heard) > options.idle_timeout_s:
            if self._endpoint.is_kept(self.flow):
                self._ping(now)
            else:
                self.end(ConnectionEnd.IDLE)
        elif self._is_ours and options.keep_alive_s:
            self._ping(now)

    def _ping(self, now: float) -> None:
        """Keep a connection of ours alive; it ends when a peer that used to answer does not (RFC 5626, 4.4.1)."""
        options = self._endpoint.options
        since = now - (self._heard if self._pinged is None else self._pinged)
        if self._waits_for_pong and self._answers_pings and since > options.pong_timeout_s:
            self.end(ConnectionEnd.NO_PONG)
        elif since > options.keep_alive_s:
            self._pinged, self._waits_for_pong = now, True
            self._endpoint.counters.pings += 1
            self.send(b"\r\n\r\n")

    @property
    def certificate_names(self) -> tuple[str, ...]:
        """Names in the peer's certificate that was verified: DNS names and ``sip:`` URIs (RFC 5922, 7.1)."""
        shown: dict[str, Any] | None = self._transport.get_extra_info("peercert") if self._transport else None
        return names_in(shown or {})


def names_in(certificate: dict[str, Any]) -> tuple[str, ...]:
    """DNS names and domains of ``sip:`` URIs in a certificate, as `ssl` describes it, in lower case."""
    names = []
    for kind, value in certificate.get("subjectAltName", ()):
        if kind == "DNS":
            names.append(value.lower())
        elif kind == "URI" and value.lower().startswith("sip:"):
            names.append(value[4:].lower())
    return tuple(names)
