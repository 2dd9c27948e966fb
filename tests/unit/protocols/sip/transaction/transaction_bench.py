"""A transaction layer on a bench: what it sends and tells, by hand-written messages and a clock in the hand."""

from __future__ import annotations

from typing import Any

from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.message import Request, Response, parse_message
from roomtone.protocols.sip.tokens import Tokens
from roomtone.protocols.sip.transaction import (
    ClientTransaction,
    RequestReceived,
    ServerTransaction,
    Timings,
    TransactionLayer,
    TransactionLimits,
)

UDP = Flow(Transport.UDP, "192.0.2.2", 5060, "192.0.2.1", 5060)
TCP = Flow(Transport.TCP, "192.0.2.2", 40_000, "192.0.2.1", 5060, connection=7)


def request(method: str = "INVITE", branch: str | None = "z9hG4bKa", **parts: str) -> bytes:
    """Write a request; ``parts`` replace lines or URI."""
    via = parts.get("via", f"SIP/2.0/UDP 192.0.2.2:5060{f';branch={branch}' if branch else ''};rport")
    return "\r\n".join(
        [
            f"{method} {parts.get('uri', 'sip:b@192.0.2.1')} SIP/2.0",
            f"Via: {via}",
            *([f"Route: {parts['route']}"] if "route" in parts else []),
            "Max-Forwards: 70",
            "From: <sip:a@192.0.2.2>;tag=f",
            f"To: <sip:b@192.0.2.1>{parts.get('to', '')}",
            "Call-ID: c1",
            f"CSeq: {parts.get('cseq', '1')} {parts.get('cseq_method', method)}",
            "Content-Length: 0",
            "",
            "",
        ]
    ).encode()


def answer(data: bytes, status: int, tag: str = "t") -> bytes:
    """Write the response to a request that came out of a layer."""
    asked = parse_message(data)
    lines = [line for key, line in zip(asked.headers.keys, asked.headers.lines, strict=True) if key in COPIED]
    lines = [
        line + b";tag=" + tag.encode() if line.startswith(b"To:") and b"tag=" not in line else line for line in lines
    ]
    return b"\r\n".join([b"SIP/2.0 %d X" % status, *lines, b"Content-Length: 0", b"", b""])


COPIED = {"via", "from", "to", "call-id", "cseq"}


class Bench:
    """One layer and its clock."""

    def __init__(self, *, limits: TransactionLimits | None = None, flow: Flow = UDP, **timings: int) -> None:
        self.now = 1_000_000
        self.layer = TransactionLayer(Tokens(b"x" * 32), Timings(**timings), limits)
        self.flow = flow

    def receive(self, data: bytes) -> None:
        self.layer.handle_data(data, self.flow, self.now)

    def ask(self, method: str = "INVITE", **parts: str) -> ClientTransaction:
        return self.layer.send_request(method, "z9hG4bKa", request(method, **parts), self.flow, self.now)

    def accept(self, data: bytes | None = None) -> ServerTransaction:
        self.receive(request() if data is None else data)
        event = self.events()[-1]
        assert isinstance(event, RequestReceived)
        return event.transaction

    def respond(self, transaction: ServerTransaction, status: int, data: bytes | None = None) -> bool:
        return self.layer.respond(transaction, status, answer(data or request(), status), self.now)

    def events(self) -> list[Any]:
        return list(iter(self.layer.poll_event, None))

    def sent(self) -> list[str]:
        """First words of what was sent: method, or status."""
        return [_word(item.data) for item in iter(self.layer.poll_transmit, None)]

    def messages(self) -> list[Request | Response]:
        return [parse_message(item.data) for item in iter(self.layer.poll_transmit, None)]

    def until(self, after_ms: int) -> list[tuple[int, str]]:
        """Let time pass: when what was sent, counted from now."""
        start, end = self.now, self.now + after_ms
        seen = [(0, word) for word in self.sent()]
        while (at := self.layer.next_timeout()) is not None and at <= end:
            self.now = max(at, self.now)
            self.layer.handle_timeout(self.now)
            seen += [(self.now - start, word) for word in self.sent()]
        self.now = end
        return seen

    def is_empty(self) -> bool:
        return len(self.layer) == 0 and sum(self.layer.gauges) == 0 and len(self.layer.wheel) == 0


def _word(data: bytes) -> str:
    words = data.split(b" ", 2)
    return (words[1] if words[0] == b"SIP/2.0" else words[0]).decode()
