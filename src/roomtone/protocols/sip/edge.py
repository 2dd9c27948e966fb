"""The edge: bytes of strangers become checked messages here, or are answered, or dropped and counted.

What comes out can be worked with: every header that transactions, dialogs and routing need has been read.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.flow import Flow, Transmit
from roomtone.protocols.sip.message import (
    LIMITS,
    Headers,
    Limits,
    Refusal,
    Request,
    Response,
    can_be_answered,
    check_request,
    check_response,
    parse_message,
    refusal_of,
    respond,
)

if TYPE_CHECKING:
    from roomtone.protocols.sip.errors import Fault
    from roomtone.protocols.sip.tokens import Tokens

SCANNERS = (
    "friendly-scanner",
    "friendly-request",
    "sipvicious",
    "sundayddr",
    "sip-scan",
    "sipscan",
    "iwar",
    "sivus",
    "gulp",
    "pplsip",
    "sipcli",
    "vaxsipuseragent",
)
"""Parts of User-Agent of well-known scanners, lower case."""

AGENTS = 1_024
"""Values of User-Agent whose verdict is remembered, each up to this many bytes of it:"""
LONGEST_AGENT = 200


class Drop(StrEnum):
    """Why something that came in was neither answered nor handed on; a closed set, used as a metric label."""

    MALFORMED = "malformed"
    """No message, or one whose sender would not recognise an answer."""
    BAD_RESPONSE = "bad_response"
    SCANNER = "scanner"
    TOO_MANY = "too_many"
    """More messages of one source than it may send."""
    BANNED = "banned"
    """The source failed to authenticate too often."""


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """How much of strangers is listened to; sources are addresses, of IPv6 /64 networks."""

    message: Limits = LIMITS
    messages_per_second: int = 200
    """Messages of one source; further ones are dropped."""
    burst: int = 1_000
    sources: int = 65_536
    """Sources remembered; the one that was silent longest is forgotten for another."""
    failures: int = 10
    """Failed authentications of one source within ``failure_window_ms`` after which it is not listened to."""
    failure_window_ms: int = 60_000
    ban_ms: int = 300_000
    scanners: tuple[str, ...] = SCANNERS
    is_loopback_free: bool = True
    """Whether this machine may send as much as it likes; it can still be banned."""
    exempt: frozenset[str] = frozenset()
    """Addresses that are never limited or banned: trunks, proxies."""


@dataclass(slots=True)
class EdgeCounters:
    """Sums since the start."""

    requests: int = 0
    responses: int = 0
    dropped: Counter[Drop] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)
    """Of messages that were refused or dropped for their grammar."""
    refused: int = 0
    """Requests answered here."""
    bans: int = 0
    """Times a source was not listened to any more."""
    sources_forgotten: int = 0


@dataclass(slots=True)
class _Source:
    allowance: float
    seen_ms: int
    failures: int = 0
    first_failure_ms: int = 0
    banned_until_ms: int = 0


class Edge:
    """Turns bytes into messages.

    Inputs: `handle` with the bytes of one message; `note_failure` for a failed authentication. Times in milliseconds.
    Outputs: the message, or None; `poll_transmit` until None: answers to what could not be worked with.
    Order: that of the input. Limits: `EdgeLimits`.
    """

    def __init__(self, tokens: Tokens, limits: EdgeLimits | None = None) -> None:
        self.limits = limits or EdgeLimits()
        self.counters = EdgeCounters()
        self._tokens = tokens
        self._sources: dict[str, _Source] = {}
        self._transmits: deque[Transmit] = deque()
        scanners = re.compile("|".join(map(re.escape, self.limits.scanners)) or r"(?!)", re.IGNORECASE)
        self._is_scanner = lru_cache(AGENTS)(lambda agent: scanners.search(agent.decode("latin-1")) is not None)

    def handle(self, data: bytes, flow: Flow, now: int) -> Request | Response | None:
        """Take the bytes of one message; give it when it is to be worked with."""
        if not self._may_speak(flow.remote_host, now):
            return None
        try:
            message = parse_message(data, self.limits.message)
        except SipSyntaxError as error:
            self._refuse_bytes(error, flow)
            return None
        if isinstance(message, Response):
            return self._response(message)
        if self._scans(message):
            self.counters.dropped[Drop.SCANNER] += 1
            return None
        refusal = check_request(message)
        if refusal is not None:
            self._refuse(message.headers, refusal, flow, message.method)
            return None
        self.counters.requests += 1
        return message

    def poll_transmit(self) -> Transmit | None:
        """Take the next answer to be sent."""
        return self._transmits.popleft() if self._transmits else None

    def note_failure(self, host: str, now: int) -> bool:
        """Count a failed authentication of an address; whether it is not listened to from now on."""
        if host in self.limits.exempt or not self.limits.ban_ms:
            return False
        source = self._source(_network(host), now)
        if now - source.first_failure_ms > self.limits.failure_window_ms:
            source.failures, source.first_failure_ms = 0, now
        source.failures += 1
        if source.failures < self.limits.failures:
            return False
        self.counters.bans += 1
        source.banned_until_ms = now + self.limits.ban_ms
        source.failures = 0
        return True

    def _response(self, response: Response) -> Response | None:
        fault = check_response(response)
        if fault is not None:
            self.counters.faults[fault] += 1
            self.counters.dropped[Drop.BAD_RESPONSE] += 1
            return None
        self.counters.responses += 1
        return response

    def _scans(self, request: Request) -> bool:
        agent = request.headers.get("user-agent")
        return agent is not None and self._is_scanner(agent[:LONGEST_AGENT])

    def _may_speak(self, host: str, now: int) -> bool:
        limits = self.limits
        if host in limits.exempt:
            return True
        source = self._source(_network(host) if ":" in host else host, now)
        if source.banned_until_ms > now:
            self.counters.dropped[Drop.BANNED] += 1
            return False
        earned = (now - source.seen_ms) * limits.messages_per_second / 1000
        source.seen_ms = now
        source.allowance = min(limits.burst, source.allowance + earned) - 1
        if source.allowance < 0:
            source.allowance = 0
            if limits.is_loopback_free and (host.startswith("127.") or host == "::1"):
                return True
            self.counters.dropped[Drop.TOO_MANY] += 1
            return False
        return True

    def _source(self, name: str, now: int) -> _Source:
        source = self._sources.pop(name, None)
        if source is None:
            source = _Source(self.limits.burst, now)
            if len(self._sources) >= self.limits.sources:
                del self._sources[next(iter(self._sources))]
                self.counters.sources_forgotten += 1
        self._sources[name] = source  # at the end: the first is the one silent longest
        return source

    def _refuse_bytes(self, error: SipSyntaxError, flow: Flow) -> None:
        if error.headers is None:
            self.counters.faults[error.fault] += 1
            self.counters.dropped[Drop.MALFORMED] += 1
        else:
            self._refuse(error.headers, refusal_of(error), flow, "")

    def _refuse(self, headers: Headers, refusal: Refusal, flow: Flow, method: str) -> None:
        if refusal.fault is not None:
            self.counters.faults[refusal.fault] += 1
        if method == "ACK" or not can_be_answered(headers):
            self.counters.dropped[Drop.MALFORMED] += 1
            return
        self.counters.refused += 1
        tag = self._tokens.stable(headers.text("call-id") or "")
        answer = respond(headers, refusal.status, refusal.reason, to_tag=tag, headers=refusal.headers)
        # Sent to where it came from: a broken Via is not followed.
        self._transmits.append(Transmit(flow, answer.serialize()))


def _network(host: str) -> str:
    """Return the name an address is limited by: itself, or the /64 of IPv6."""
    if ":" not in host:
        return host
    head, gap, _ = host.partition("::")
    groups = head.split(":")
    return ":".join(groups[:4]) + ("::" if gap and len(groups) < 4 else "")  # noqa: PLR2004
