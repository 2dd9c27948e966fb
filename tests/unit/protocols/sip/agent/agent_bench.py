"""User agents on a bench: two of them on a line without loss, one clock in the hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from roomtone.protocols.sip.agent import AgentLimits, AgentSettings, Answered, Invited, Leg, OutgoingInvite, UserAgent
from roomtone.protocols.sip.flow import Flow, Transmit, Transport
from roomtone.protocols.sip.headers.address import Address
from roomtone.protocols.sip.message import Request, Response, parse_message
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import TransactionLayer

A_HOST, B_HOST = "192.0.2.1", "192.0.2.2"
OFFER, ANSWER = b"v=0\r\no=offer\r\n", b"v=0\r\no=answer\r\n"
ADDRESS = Address("sip:somebody@example.org")
E = TypeVar("E")


class End:
    """One agent, what it was told, and what it sent."""

    def __init__(
        self,
        host: str,
        peer: str,
        settings: AgentSettings | None = None,
        limits: AgentLimits | None = None,
        **hooks: Any,
    ) -> None:
        self.flow = Flow(Transport.UDP, peer, 5060, host, 5060)
        self.agent = UserAgent(TransactionLayer(Tokens(host.encode() * 4)), settings, limits, **hooks)
        self.events: list[Any] = []
        self.log: list[str] = []
        self.sent: list[Request | Response] = []

    def drain(self) -> None:
        self.events += iter(self.agent.poll_event, None)

    def take(self, kind: type[E]) -> E:
        """Take the oldest event, which is of this kind."""
        event = self.events.pop(0)
        assert isinstance(event, kind), event
        return event

    def none(self) -> bool:
        return self.events == []


class Pair:
    """Two agents: ``a`` calls, ``b`` is called. Messages arrive at once; ``lose`` says which do not."""

    def __init__(
        self,
        a: AgentSettings | None = None,
        b: AgentSettings | None = None,
        *,
        limits: AgentLimits | None = None,
        a_hooks: dict[str, Any] | None = None,
        b_hooks: dict[str, Any] | None = None,
    ) -> None:
        self.now = 5_000
        self.a = End(A_HOST, B_HOST, a, limits, **(a_hooks or {}))
        self.b = End(B_HOST, A_HOST, b, limits, **(b_hooks or {}))
        self.lose: Callable[[Request | Response], bool] = lambda _: False
        self.wire: list[str] = []
        """All that was sent: who, and method or status."""

    def run(self) -> None:
        """Deliver until nothing is under way."""
        busy = True
        while busy:
            busy = False
            for end, other in ((self.a, self.b), (self.b, self.a)):
                while (transmit := end.agent.poll_transmit()) is not None:
                    busy = True
                    self._carry(end, other, transmit)
        self.a.drain()
        self.b.drain()

    def _carry(self, end: End, other: End, transmit: Transmit) -> None:
        message = parse_message(transmit.data)
        end.sent.append(message)
        word = message.method if isinstance(message, Request) else f"{message.status} {message.cseq.method}"
        self.wire.append(f"{'a' if end is self.a else 'b'} {word}")
        if not self.lose(message):
            other.agent.handle_data(transmit.data, other.flow, self.now)

    def wait(self, ms: int) -> None:
        """Let time pass."""
        end = self.now + ms
        self.run()
        while True:
            due = [at for side in (self.a, self.b) if (at := side.agent.next_timeout()) is not None and at <= end]
            if not due:
                break
            self.now = max(self.now, min(due))
            self.a.agent.handle_timeout(self.now)
            self.b.agent.handle_timeout(self.now)
            self.run()
        self.now = end

    def words(self) -> list[str]:
        """Take what went over the wire."""
        wire, self.wire = self.wire, []
        return wire

    def call(self, body: bytes = OFFER, **more: Any) -> OutgoingInvite:
        call = self.a.agent.invite(
            f"sip:b@{B_HOST}",
            self.a.flow,
            self.now,
            from_=Address(f"sip:a@{A_HOST}"),
            to=Address(f"sip:b@{B_HOST}"),
            body=body,
            **more,
        )
        self.run()
        return call

    def invited(self) -> Leg:
        return self.b.take(Invited).leg

    def talk(self) -> tuple[Leg, Leg]:
        """Set a call up: a's leg and b's."""
        self.call()
        theirs = self.invited()
        self.b.agent.answer_invite(theirs, self.now, body=ANSWER)
        self.run()
        ours = self.a.take(Answered).leg
        self.b.events.clear()
        self.words()
        return ours, theirs

    def is_empty(self) -> bool:
        """Whether nothing is left after all timers."""
        self.wait(3_700_000)
        return all(
            not end.agent.dialogs
            and not end.agent.calls
            and not end.agent.merging
            and len(end.agent.layer) == 0
            and len(end.agent.layer.wheel) == 0
            and end.agent.subscriptions.count == 0
            for end in (self.a, self.b)
        )
