"""One INVITE of a peer (RFC 3261 sections 13.3 and 14.2): until its answer is acknowledged."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from roomtone.protocols.sip.agent.events import Confirmed, EndReason, Pracked
from roomtone.protocols.sip.agent.settings import WrongStateError
from roomtone.protocols.sip.headers.cseq import parse_rack
from roomtone.protocols.sip.headers.valued import parse_seconds
from roomtone.protocols.sip.transaction import State, TransactionOverError

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.agent import UserAgent
    from roomtone.protocols.sip.agent.leg import Leg
    from roomtone.protocols.sip.agent.session import SessionTimer
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction import ServerTransaction
    from roomtone.protocols.sip.wheel import Timer

_TRYING, _FINAL, _REDIRECT = 100, 200, 300


class _Provisional(NamedTuple):
    rseq: int
    status: int
    data: bytes
    has_body: bool


class IncomingInvite:
    """The server's side of one INVITE, initial or not.

    2xx are repeated here until their ACK comes, whatever the transport (13.3.1.4), and reliable provisional responses
    until their PRACK comes (RFC 3262 section 3): one at a time, the others wait.
    """

    __slots__ = (
        "_acked_rseq",
        "_ends_ms",
        "_expiry",
        "_final",
        "_interval_ms",
        "_queue",
        "_rseq",
        "_timer",
        "_unacked",
        "agent",
        "cseq",
        "data",
        "has_offer",
        "is_final",
        "is_initial",
        "leg",
        "session",
        "session_block",
        "transaction",
    )

    def __init__(self, leg: Leg, transaction: ServerTransaction, request: Request, *, is_initial: bool) -> None:
        self.agent: UserAgent = leg.agent
        self.leg = leg
        self.transaction = transaction
        self.cseq = request.cseq.number
        self.is_initial = is_initial
        self.has_offer = bool(request.body)
        self.is_final = False
        """Whether a final response has been given."""
        self.session: SessionTimer | None = None
        self.session_block = b""
        self.data: bytes | None = None
        """The 2xx while it waits for its ACK."""
        self._unacked: _Provisional | None = None
        self._acked_rseq = -1
        self._rseq = 0
        self._queue: deque[tuple[int, bytes, bytes]] | None = None
        self._final: tuple[int, bytes, bytes] | None = None
        self._timer: Timer | None = None
        self._expiry: Timer | None = None
        self._interval_ms = 0
        self._ends_ms = 0

    def wait_until_expiry(self, request: Request, now: int) -> None:
        """Refuse the INVITE when its Expires is over (13.3.1)."""
        if "expires" not in request.headers:
            return
        seconds = parse_seconds(request.headers.text("expires"), "Expires")
        if seconds:
            self._expiry = self.agent.layer.wheel.arm(now + 1_000 * seconds, self._on_expiry)

    def _on_expiry(self, now: int) -> None:
        self._expiry = None
        if not self.is_final and self._final is None:
            self._end(487, now)
            self.leg.on_refused(self, EndReason.EXPIRED, None, now)

    # provisional responses

    def progress(self, status: int, block: bytes, body: bytes, now: int, *, reliable: bool) -> None:
        """Send a provisional response. Raises `WrongStateError`: too late, or the peer has no 100rel."""
        request = self.transaction.request
        if self.is_final or request is None:
            raise WrongStateError("the INVITE has its final response")
        if not reliable:
            reliable = "100rel" in request.options("require")
        elif "100rel" not in request.options("supported") | request.options("require"):
            raise WrongStateError("the peer does not support 100rel")
        if not reliable or status == _TRYING:
            data = self.transaction.answers.write(status, self.leg.contact + block, body)
            self.agent.layer.respond(self.transaction, status, data, now)
            return
        queue = self._queue
        if queue is None:
            queue = self._queue = deque()
        if len(queue) >= self.agent.limits.provisionals:
            raise WrongStateError("too many provisional responses wait for a PRACK")
        queue.append((status, block, body))
        self._send_reliable(now)

    def _send_reliable(self, now: int) -> None:
        if self._unacked is not None or not self._queue:
            return
        status, block, body = self._queue.popleft()
        self._rseq = self._rseq + 1 if self._rseq else self.agent.random_below(2**31 - 1) + 1
        block = b"%bRequire: 100rel\r\nRSeq: %d\r\n%b" % (self.leg.contact, self._rseq, block)
        data = self.transaction.answers.write(status, block, body)
        self._unacked = _Provisional(self._rseq, status, data, bool(body))
        if body:
            self.leg.on_body_sent(is_offer=not self.has_offer)
        self.agent.layer.respond(self.transaction, status, data, now)
        self._repeat_from(now)

    def on_prack(self, transaction: ServerTransaction, request: Request, now: int) -> None:
        """Take a PRACK: stop repeating what it acknowledges, and send what waited for it."""
        value = request.headers.text("rack")
        rack = None if value is None else parse_rack(value)
        unacked = self._unacked
        if rack is None or rack.method != "INVITE" or rack.cseq != self.cseq:
            self.agent.answer(transaction, 481, now)
            return
        if unacked is None or rack.rseq != unacked.rseq:
            self.agent.answer(transaction, 200 if rack.rseq <= self._acked_rseq else 481, now)
            return
        self._unacked = None
        self._acked_rseq = unacked.rseq
        self.stop()
        is_offer = bool(request.body) and not (unacked.has_body and not self.has_offer)
        if not is_offer:
            self.agent.answer(transaction, 200, now)
        if request.body:
            self.leg.on_body_received(is_offer=is_offer)
        self.agent.tell(Pracked(self.leg, request, transaction if is_offer else None))
        final = self._final
        if final is not None:
            self._final = None
            self.answer(*final, now)
        elif not self.is_final:
            self._send_reliable(now)

    # final responses

    def answer(self, status: int, block: bytes, body: bytes, now: int) -> None:
        """Send a 2xx; after the PRACK of a provisional response with a body (RFC 3262 section 3)."""
        if self.is_final or self._final is not None:
            raise WrongStateError("the INVITE has its final response")
        if self._unacked is not None and self._unacked.has_body:
            self._final = status, block, body
            return
        self._unacked = None
        leg = self.leg
        block = b"".join((leg.contact, self.agent.invite_block, self.session_block, block))
        try:
            data = self.transaction.answers.write(status, block, body)
        except TransactionOverError:
            raise WrongStateError("nobody waits for an answer any more") from None
        self.is_final = True
        self.data = data
        self.agent.layer.respond(self.transaction, status, data, now)
        self._repeat_from(now)
        leg.remote_offer = False
        leg.local_offer = bool(body) and not self.has_offer
        leg.last_body = body or leg.last_body
        leg.on_answered(self, now)

    def refuse(self, status: int, block: bytes, body: bytes, now: int) -> None:
        """Send a final response of 300 or more."""
        if self.is_final or self._final is not None:
            raise WrongStateError("the INVITE has its final response")
        self._end(status, now, block, body)
        self.leg.on_refused(self, EndReason.LOCAL, None, now)

    def on_cancel(self, cancel: Request, now: int) -> None:
        """Take a CANCEL (9.2)."""
        if not self.is_final:
            self._end(487, now)
            self.leg.on_refused(self, EndReason.CANCELLED, cancel, now)

    def on_failure(self, reason: EndReason, now: int) -> None:
        """Take the end of its transaction: refused for us, or a response that could not be sent."""
        if self.transaction.state is not State.INVITE_SERVER_PROCEEDING and not self.is_final:
            self.is_final = True
            self.stop()
            self.leg.on_refused(self, reason, None, now)

    def terminate(self, now: int) -> None:
        """End it because its dialog ends: 487 if it was not answered (15.1.2)."""
        if not self.is_final:
            self._end(487, now)
        self.stop()

    def _end(self, status: int, now: int, block: bytes = b"", body: bytes = b"") -> None:
        self.is_final = True
        self._unacked = self._final = self._queue = None
        self.stop()
        self.agent.answer(self.transaction, status, now, block, body)

    # acknowledgement

    def on_ack(self, ack: Request, now: int) -> None:
        """Take the ACK of the 2xx; further ones change nothing."""
        if self.data is None:
            return
        self.data = None
        self.stop()
        self.leg.local_offer = False
        self.agent.tell(Confirmed(self.leg, ack))
        self.leg.on_acknowledged(now)

    def _repeat_from(self, now: int) -> None:
        timings = self.agent.layer.timings
        self.stop()
        self._interval_ms = timings.t1_ms
        self._ends_ms = now + timings.give_up_ms
        self._timer = self.agent.layer.wheel.arm(now + self._interval_ms, self._on_timer)

    def stop(self) -> None:
        """Repeat nothing any more."""
        if self._timer is not None:
            self.agent.layer.wheel.cancel(self._timer)
            self._timer = None
        if self._expiry is not None and self.is_final:
            self.agent.layer.wheel.cancel(self._expiry)
            self._expiry = None

    def _on_timer(self, now: int) -> None:
        self._timer = None
        if now >= self._ends_ms:
            self._on_silence(now)
            return
        layer = self.agent.layer
        layer.counters.repeated += 1
        longest = layer.timings.t2_ms
        if self._unacked is not None:
            layer.respond(self.transaction, self._unacked.status, self._unacked.data, now)
            self._interval_ms *= 2  # RFC 3262 section 3: without the bound of T2
        elif self.data is not None:
            layer.respond(self.transaction, _FINAL, self.data, now)
            self._interval_ms = min(2 * self._interval_ms, longest)
        self._timer = layer.wheel.arm(min(now + self._interval_ms, self._ends_ms), self._on_timer)

    def _on_silence(self, now: int) -> None:
        if self._unacked is not None:
            self._end(504, now)
            self.leg.on_refused(self, EndReason.NO_PRACK, None, now)
        else:
            self.data = None
            if self.leg.is_ending:
                self.leg.on_acknowledged(now)
            else:
                self.leg.bye(now, reason=EndReason.NO_ACK)
