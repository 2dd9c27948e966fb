"""A line between SIP user agents in virtual time that loses, doubles and delays what it carries, by one seed."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from roomtone.protocols.sip.agent import AgentSettings, UserAgent
from roomtone.protocols.sip.flow import Flow, Transmit, Transport
from roomtone.protocols.sip.message import Response, parse_message
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import Timings, TransactionLayer

DEAF = "192.0.2.66"
"""A host that is there and never says anything."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What the line does to a message; delays are drawn for each, so later ones overtake earlier ones."""

    loss: float = 0.0
    doubling: float = 0.0
    least_ms: int = 5
    most_ms: int = 5
    failing: float = 0.0
    """How often a message cannot even be sent, and the sender is told."""


class Station:
    """One agent on the line."""

    def __init__(self, line: Line, host: str, **agent: Any) -> None:
        self.line = line
        self.host = host
        self.agent = UserAgent(TransactionLayer(Tokens((host + str(line.seed)).encode() * 4), Timings()), **agent)
        self.on_event: Callable[[Any, int], None] = lambda _event, _now: None

    def to(self, other: str, transport: Transport = Transport.UDP) -> Flow:
        connection = 0 if transport is Transport.UDP else 1
        return Flow(transport, other, 5060, self.host, 5060, connection)

    def drain(self, now: int) -> None:
        """Let events cause commands, and messages leave, until nothing more comes."""
        agent = self.agent
        while True:
            event = agent.poll_event()
            if event is not None:
                self.on_event(event, now)
                continue
            transmit = agent.poll_transmit()
            if transmit is None:
                return
            self.line.carry(self, transmit, now)


class Forker:
    """A host that passes each request on to several others, and their responses back, and remembers nothing.

    It judges no response: all finals of all forks come back, in any order, as no proxy should let them.
    """

    def __init__(self, line: Line, host: str, others: list[str]) -> None:
        self.line = line
        self.host = host
        self.others = others

    def handle(self, data: bytes, now: int) -> None:
        message = parse_message(data)
        if isinstance(message, Response):
            message.pop_via()
            via = message.via
            self._send(message.serialize(), via.received or via.host, via.rport or 5060, now)
            return
        for other in self.others:
            copy = message.copy()
            branch = f"z9hG4bK{other.replace('.', '')}{message.via.branch}"
            copy.headers.prepend("Via", f"SIP/2.0/UDP {self.host}:5060;branch={branch}")
            self._send(copy.serialize(), other, 5060, now)

    def _send(self, data: bytes, host: str, port: int, now: int) -> None:
        self.line.carry(self, Transmit(Flow(Transport.UDP, host, port, self.host, 5060), data), now)


class Line:
    """All stations, and what is under way."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311
        self.weather = weather
        self.now = 1_000
        self.stations: dict[str, Station] = {}
        self.forkers: dict[str, Forker] = {}
        self.carried = 0
        self._queue: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0

    def add(self, host: str, settings: AgentSettings | None = None, **agent: Any) -> Station:
        station = self.stations[host] = Station(self, host, settings=settings, **agent)
        return station

    def at(self, when: int, what: Callable[[int], None]) -> None:
        """Do something at a time."""
        self._count += 1
        heapq.heappush(self._queue, (when, self._count, what))

    def carry(self, sender: Station | Forker, transmit: Transmit, now: int) -> None:
        weather, chance = self.weather, self.chance
        flow = transmit.flow
        receiver = self.stations.get(flow.remote_host) or self.forkers.get(flow.remote_host)
        self.carried += 1
        if flow.remote_host == DEAF:
            return
        if receiver is None or chance.random() < weather.failing:
            self.at(now + 1, lambda at: self._fail(sender, transmit, at))
            return
        if not flow.is_reliable and chance.random() < weather.loss:
            return
        back = Flow(flow.transport, sender.host, flow.local_port, receiver.host, flow.remote_port, flow.connection)
        copies = 2 if not flow.is_reliable and chance.random() < weather.doubling else 1
        for _ in range(copies):
            delay = weather.least_ms if flow.is_reliable else chance.randint(weather.least_ms, weather.most_ms)
            self.at(now + delay, lambda at: self._deliver(receiver, transmit.data, back, at))

    def _deliver(self, receiver: Station | Forker, data: bytes, flow: Flow, now: int) -> None:
        if isinstance(receiver, Forker):
            receiver.handle(data, now)
            return
        receiver.agent.handle_data(data, flow, now)
        receiver.drain(now)

    def _fail(self, sender: Station | Forker, transmit: Transmit, now: int) -> None:
        if isinstance(sender, Forker):
            return
        sender.agent.handle_transport_error(transmit, now)
        sender.drain(now)

    def run(self, until: int) -> None:
        """Let time pass up to a moment."""
        stations = list(self.stations.values())
        while True:
            when = self._queue[0][0] if self._queue else until + 1
            for station in stations:
                due = station.agent.next_timeout()
                if due is not None and due < when:
                    when = due
            if when > until:
                break
            self.now = max(self.now, when)
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2](self.now)
            for station in stations:
                due = station.agent.next_timeout()
                if due is not None and due <= self.now:
                    station.agent.handle_timeout(self.now)
                    station.drain(self.now)
        self.now = until
