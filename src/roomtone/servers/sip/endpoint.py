"""The driver: sockets in front of a sans-IO core. Reads, feeds, drains, sends, and re-arms one timer."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.flow import Flow, Transmit, Transport
from roomtone.servers.sip.connection import StreamConnection
from roomtone.servers.sip.counters import SendFailure, TransportCounters
from roomtone.servers.sip.listening import Listeners
from roomtone.servers.sip.local import LocalAddresses
from roomtone.servers.sip.options import LARGEST_DATAGRAM, TransportOptions
from roomtone.servers.sip.pool import ConnectionPool, Peer, peer_of
from roomtone.servers.sip.tls import TlsError, client_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.protocols.sip.edge import Edge
    from roomtone.servers.sip.core import SipCore

CHECK_EVERY_S = 5.0
"""How often connections are looked at for idleness."""
NAMES_KEPT = 4_096
_log = logging.getLogger(__name__)


class Endpoint:
    """All sockets of SIP and the core behind them.

    Inputs: sockets; `drain` after methods of the core were called from elsewhere. ``after_input`` is called with the
    time after each input and before what came of it is sent: there its user takes the core's events.
    Limits: `TransportOptions`, `EdgeLimits`.
    """

    def __init__(
        self,
        core: SipCore,
        edge: Edge,
        options: TransportOptions,
        after_input: Callable[[int], None] | None = None,
    ) -> None:
        self.core = core
        self.edge = edge
        self.options = options
        self.counters = TransportCounters()
        self.pool = ConnectionPool(self.counters, options.max_connections, options.max_connections_per_address)
        self.local = LocalAddresses(options.announced_ip)
        self.loop = asyncio.get_running_loop()
        self.listeners = Listeners(self)
        self._after_input = after_input
        self._client_tls: ssl.SSLContext | None = None
        self._names: dict[tuple[str, int], str] = {}
        self._connecting: dict[Peer, deque[Transmit]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: int | None = None
        self._draining = False
        self._kept: dict[Flow, float] = {}
        self._check: asyncio.TimerHandle | None = None

    def now(self) -> int:
        """Give the core's time: milliseconds of the loop's clock."""
        return int(self.loop.time() * 1000)

    async def open(self) -> None:
        """Open all listeners, or none; raise `OSError` or `TlsError`."""
        await self.listeners.open()
        self._check = self.loop.call_later(CHECK_EVERY_S, self._look_at_connections)

    async def close(self) -> None:
        """Close all sockets."""
        self.listeners.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.pool.end_all()
        for handle in (self._timer, self._check):
            if handle is not None:
                handle.cancel()
        self._timer = self._check = None

    def receive(self, data: bytes, flow: Flow) -> None:
        """Take the bytes of one message, and send what comes of it."""
        now = self.now()
        self.take(data, flow, now)
        self.settle(now)

    def take(self, data: bytes, flow: Flow, now: int) -> None:
        """Take the bytes of one message; `settle` follows. A defect of ours costs that message, not the socket."""
        self.counters.received[flow.transport] += 1
        self._draining = True  # what is to be sent waits for `settle`
        try:
            message = self.edge.handle(data, flow, now)
            if message is not None:
                self.core.handle_message(message, flow, now)
            if self._after_input is not None:
                self._after_input(now)
        except SipSyntaxError as error:
            self.edge.counters.faults[error.fault] += 1
        except Exception:  # noqa: BLE001 - counted and logged with its trace
            self._note_defect(now)
        finally:
            self._draining = False

    def settle(self, now: int) -> None:
        """Send what came of messages that were taken."""
        try:
            self.drain(now)
        except Exception:  # noqa: BLE001 - counted and logged with its trace
            self._note_defect(now)

    def drain(self, now: int | None = None) -> None:
        """Send what the core has for its peers, and arm the timer anew."""
        if self._draining:
            return  # called by what is drained: the loop below goes on
        self._draining = True
        now = self.now() if now is None else now
        try:
            if self._after_input is not None:
                self._after_input(now)
            while (transmit := self.edge.poll_transmit() or self.core.poll_transmit()) is not None:
                failure = self._send(transmit)
                if failure is not None:
                    self._failed(transmit, failure, now)
        finally:
            self._draining = False
        self._arm(now)

    def name_peer(self, host: str, port: int, name: str) -> None:
        """Note the domain an address was found by: its certificate has to be for that name (RFC 5922, 4)."""
        self._names.pop((host, port), None)
        if len(self._names) >= NAMES_KEPT:
            del self._names[next(iter(self._names))]
        self._names[host, port] = name

    def certificate_names(self, flow: Flow) -> tuple[str, ...]:
        """Names in the verified certificate of a flow's peer; empty without one."""
        connection = self.pool.find(flow)
        return connection.certificate_names if isinstance(connection, StreamConnection) else ()

    def keep_alive(self, flow: Flow) -> bool:
        """Keep a flow alive until `let_go`: one we registered by; False when there are too many."""
        if flow not in self._kept and len(self._kept) >= self.options.max_kept_flows:
            return False
        self._kept[flow] = self.loop.time()
        return True

    def let_go(self, flow: Flow) -> None:
        """Keep a flow alive no more."""
        self._kept.pop(flow, None)

    def is_kept(self, flow: Flow) -> bool:
        """Whether a flow is to be kept alive."""
        return flow in self._kept

    def look_at_flows(self, now: float) -> None:
        """End connections that are idle, keep alive what is to be kept; ``now`` is the loop's time in seconds."""
        self.pool.check(now)
        for flow, kept in self._kept.items():
            if flow.transport is Transport.UDP and now - kept >= self.options.udp_keep_alive_s - CHECK_EVERY_S:
                self._kept[flow] = now
                self.counters.pings += 1
                self._send_datagram(flow, b"\r\n\r\n")

    def _failed(self, transmit: Transmit, failure: SendFailure, now: int) -> None:
        self.counters.unsent[failure] += 1
        _log.debug("a message was not sent: %s", failure)
        self.core.handle_transport_error(transmit, now)
        if self._after_input is not None:
            self._after_input(now)

    def _send(self, transmit: Transmit) -> SendFailure | None:
        flow = transmit.flow
        if flow.transport is Transport.UDP:
            return self._send_datagram(flow, transmit.data)
        connection = self.pool.find(flow)
        if connection is not None:
            if not connection.send(transmit.data):
                return SendFailure.NO_CONNECTION
            self.counters.sent[flow.transport] += 1
            return None
        if flow.connection or flow.transport in {Transport.WS, Transport.WSS}:
            return SendFailure.NO_CONNECTION
        return self._connect(transmit)

    def _send_datagram(self, flow: Flow, data: bytes) -> SendFailure | None:
        listener = self.listeners.udp_for(flow)
        if listener is None:
            return SendFailure.NO_LISTENER
        if len(data) > LARGEST_DATAGRAM:
            return SendFailure.TOO_LONG
        try:
            self.counters.sent[Transport.UDP] += listener.send(data, flow.remote_host, flow.remote_port)
        except OSError:
            return SendFailure.SOCKET
        return None

    def _connect(self, transmit: Transmit) -> SendFailure | None:
        peer = peer_of(transmit.flow)
        waiting = self._connecting.get(peer)
        if waiting is None:
            if len(self._connecting) >= self.options.max_connecting:
                return SendFailure.QUEUE
            waiting = self._connecting[peer] = deque()
            task = self.loop.create_task(self._open_connection(peer), name="sip-connect")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif len(waiting) >= self.options.waiting_per_peer:
            return SendFailure.QUEUE
        waiting.append(transmit)
        return None

    async def _open_connection(self, peer: Peer) -> None:
        transport, host, port = peer
        failure: SendFailure | None = None
        connection: StreamConnection | None = None
        try:
            async with asyncio.timeout(self.options.connect_timeout_s):
                context = self._tls_context() if transport is Transport.TLS else None
                _, connection = await self.loop.create_connection(
                    lambda: StreamConnection(self, transport, is_ours=True),
                    host,
                    port,
                    ssl=context,
                    server_hostname=self._names.get((host, port), host) if context else None,
                    ssl_handshake_timeout=self.options.handshake_timeout_s if context else None,
                )
        except (ssl.SSLError, TlsError) as error:
            _log.warning("no TLS with %s port %d: %s", host, port, error)
            failure = SendFailure.TLS
        except (OSError, TimeoutError):
            failure = SendFailure.CONNECT
        finally:
            waiting = self._connecting.pop(peer)
        now = self.now()
        for transmit in waiting:
            if connection is not None and connection.send(transmit.data):
                self.counters.sent[transport] += 1
            else:
                self._failed(transmit, failure or SendFailure.NO_CONNECTION, now)
        self.drain(now)

    def _tls_context(self) -> ssl.SSLContext:
        if self._client_tls is None:
            self._client_tls = client_context(self.options.security)
        return self._client_tls

    def _arm(self, now: int) -> None:
        due = self.core.next_timeout()
        if due is None or (self._armed_for is not None and self._armed_for <= due):
            return  # a timer that fires early finds nothing due and is armed again
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = due
        self._timer = self.loop.call_later(max(0, due - now) / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = self._armed_for = None
        # the loop may call a moment early; the core's clock has whole milliseconds
        now = self.now()
        try:
            self.core.handle_timeout(now)
            self.drain(now)
        except Exception:  # noqa: BLE001 - counted and logged with its trace
            self._note_defect(now)

    def _note_defect(self, now: int) -> None:
        self.counters.defects += 1
        _log.exception("SIP: what came in could not be handled")
        self._arm(now)  # others' timers go on

    def _look_at_connections(self) -> None:
        self.look_at_flows(self.loop.time())
        self._check = self.loop.call_later(CHECK_EVERY_S, self._look_at_connections)
