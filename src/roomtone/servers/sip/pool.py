"""All connections there are: found by number or by peer, so that they are used again (RFC 3261, 18; RFC 5923)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from roomtone.servers.sip.counters import ConnectionEnd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from roomtone.protocols.sip.flow import Flow, Transport
    from roomtone.servers.sip.connection import Connection
    from roomtone.servers.sip.core import ConnectionWatcher
    from roomtone.servers.sip.counters import TransportCounters

Peer = tuple["Transport", str, int]


class ConnectionPool:
    """Connections by number and by peer.

    Limits: ``most`` in all, ``most_per_address`` of one address; one more is refused and counted (`TOO_MANY`).
    Connections we make are not refused for their address.
    """

    def __init__(self, counters: TransportCounters, most: int, most_per_address: int) -> None:
        self._counters = counters
        self._most = most
        self._most_per_address = most_per_address
        self._by_number: dict[int, Connection] = {}
        self._by_peer: dict[Peer, Connection] = {}
        self._per_address: Counter[str] = Counter()
        self._numbers = 0
        self.watchers: list[ConnectionWatcher] = []

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._by_number.values()))

    def next_number(self) -> int:
        """Give the number of a new connection; none is given twice."""
        self._numbers += 1
        return self._numbers

    def add(self, connection: Connection, *, is_ours: bool) -> bool:
        """Keep a connection; False when there is no room for it."""
        flow = connection.flow
        full = not is_ours and self._per_address[flow.remote_host] >= self._most_per_address
        if full or len(self._by_number) >= self._most:
            return False
        self._by_number[flow.connection] = connection
        self._by_peer[peer_of(flow)] = connection
        self._per_address[flow.remote_host] += 1
        (self._counters.opened if is_ours else self._counters.connected)[flow.transport] += 1
        for watcher in self.watchers:
            watcher.connection_opened(flow)
        return True

    def remove(self, connection: Connection, reason: ConnectionEnd) -> None:
        """Forget a connection that ended."""
        self._counters.ended[reason] += 1
        flow = connection.flow
        if self._by_number.pop(flow.connection, None) is None:
            return
        if self._by_peer.get(peer_of(flow)) is connection:
            del self._by_peer[peer_of(flow)]
        self._per_address[flow.remote_host] -= 1
        if not self._per_address[flow.remote_host]:
            del self._per_address[flow.remote_host]
        for watcher in self.watchers:
            watcher.connection_closed(flow, reason)

    def find(self, flow: Flow) -> Connection | None:
        """Return the connection of a flow: by its number, else whichever leads to its peer."""
        if flow.connection:
            return self._by_number.get(flow.connection)
        return self._by_peer.get(peer_of(flow))

    def check(self, now: float) -> None:
        """End those that are idle or stuck."""
        for connection in self:
            connection.check(now)

    def end_all(self, connections: Iterable[Connection] | None = None) -> None:
        """End all."""
        for connection in list(self if connections is None else connections):
            connection.end(ConnectionEnd.SHUTDOWN)


def peer_of(flow: Flow) -> Peer:
    """Key of the other side of a flow."""
    return flow.transport, flow.remote_host, flow.remote_port
