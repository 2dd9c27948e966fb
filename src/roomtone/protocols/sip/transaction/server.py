"""Server transactions: of INVITE (RFC 3261 section 17.2.1, RFC 6026) and of all other methods (17.2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from roomtone.protocols.sip.message import parse_message
from roomtone.protocols.sip.transaction.answers import Answers
from roomtone.protocols.sip.transaction.events import AckReceived
from roomtone.protocols.sip.transaction.machine import Transaction, time_out, transport_failed
from roomtone.protocols.sip.transaction.states import Signal, State, TransactionFailure, TransactionOverError

if TYPE_CHECKING:
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.transaction.layer import TransactionLayer
    from roomtone.protocols.sip.transaction.matching import Key

PROCEEDING = State.INVITE_SERVER_PROCEEDING
ACCEPTED = State.INVITE_SERVER_ACCEPTED
COMPLETED = State.INVITE_SERVER_COMPLETED
CONFIRMED = State.CONFIRMED
TRYING = State.SERVER_TRYING
OTHER_PROCEEDING = State.SERVER_PROCEEDING
OTHER_COMPLETED = State.SERVER_COMPLETED
TERMINATED = State.TERMINATED
_FINAL = 200
_FAILURE = 300


def signal_of(status: int) -> Signal:
    """Tell which input a response is."""
    if status < _FINAL:
        return Signal.PROVISIONAL
    return Signal.SUCCESS if status < _FAILURE else Signal.FAILURE


class ServerTransaction(Transaction):
    """A request of a peer other than INVITE and ACK, until repetitions of it are no longer expected."""

    __slots__ = ("_answers", "fallback_port", "request")

    FIRST: ClassVar[State] = TRYING

    def __init__(self, layer: TransactionLayer, key: Key, flow: Flow, request: Request, now: int) -> None:
        super().__init__(layer, layer.servers, key, flow, self.FIRST)
        self.request: Request | None = request
        """What is to be answered; None once it has been."""
        self._answers: Answers | None = None
        self.fallback_port: int | None = None
        """Where a new connection leads when the one the request came by is gone (18.2.2); None: nowhere else."""
        self.begin(now)

    def begin(self, now: int) -> None:
        """Wait for an answer of ours as long as the peer does (its timer F)."""
        self.arm(now + self.layer.timings.give_up_ms, Signal.ABANDONED)

    @property
    def answers(self) -> Answers:
        """What responses to its request are written with; there until the final one."""
        answers = self._answers
        if answers is None:
            if self.request is None:
                raise TransactionOverError(f"{self.state.name.lower()}: the request has its final response")
            answers = self._answers = Answers(self.request)
        return answers

    def settle(self, data: bytes) -> None:
        """Send the final response; what was needed to write it is let go."""
        self.data = data
        self.request = self._answers = None
        self.send()

    def has_tag(self, to_tag: str | None) -> bool:
        """Whether what it sent last has this tag in To."""
        return bool(self.data) and parse_message(self.data).to_tag == to_tag

    def provisional(self, _now: int, data: bytes) -> None:
        """Send it; it is what repetitions of the request get from now on."""
        self.data = data
        self.send()

    def complete(self, now: int, data: bytes) -> None:
        """Send the final response, and again for each repetition until timer J."""
        self.settle(data)
        self.linger(now, self.layer.timings.give_up_ms)

    def repeat(self, _now: int, _message: object) -> None:
        """Send what was sent last, as the request came again."""
        if self.data:
            self.layer.counters.repeated += 1
            self.send()

    def abandon(self, _now: int, _message: object) -> None:
        """Too late for an answer: the peer no longer waits (RFC 4320 section 4.2 forbids a late 408)."""
        self.request = self._answers = None
        self.fail(TransactionFailure.ABANDONED)

    def try_elsewhere(self, now: int, _message: object) -> None:
        """Open a new connection once for a response that could not be sent, else tell the user.

        The transaction stays and absorbs repetitions (RFC 6026 section 8.9 for INVITE; it does no harm for others).
        """
        if self.fallback_port is not None and self.data:
            self.flow = self.flow._replace(remote_port=self.fallback_port, connection=0)
            self.fallback_port = None
            self.send()
        else:
            transport_failed(self, now, None)


_S = ServerTransaction
ServerTransaction.TABLE = {
    TRYING: {
        Signal.REQUEST: (TRYING, None),
        Signal.PROVISIONAL: (OTHER_PROCEEDING, _S.provisional),
        Signal.SUCCESS: (OTHER_COMPLETED, _S.complete),
        Signal.FAILURE: (OTHER_COMPLETED, _S.complete),
        Signal.ABANDONED: (TERMINATED, _S.abandon),
    },
    OTHER_PROCEEDING: {
        Signal.REQUEST: (OTHER_PROCEEDING, _S.repeat),
        Signal.PROVISIONAL: (OTHER_PROCEEDING, _S.provisional),
        Signal.SUCCESS: (OTHER_COMPLETED, _S.complete),
        Signal.FAILURE: (OTHER_COMPLETED, _S.complete),
        Signal.ABANDONED: (TERMINATED, _S.abandon),
        Signal.TRANSPORT_ERROR: (OTHER_PROCEEDING, _S.try_elsewhere),
    },
    OTHER_COMPLETED: {
        Signal.REQUEST: (OTHER_COMPLETED, _S.repeat),
        Signal.LINGER: (TERMINATED, None),  # timer J
        Signal.TRANSPORT_ERROR: (OTHER_COMPLETED, _S.try_elsewhere),
    },
    TERMINATED: {},
}


class InviteServerTransaction(ServerTransaction):
    """An INVITE of a peer."""

    __slots__ = ()

    FIRST: ClassVar[State] = PROCEEDING

    def begin(self, now: int) -> None:
        """Say 100 (17.2.1), at once or if nobody else says anything soon."""
        after = self.layer.timings.trying_after_ms
        if after:
            self.arm(now + after, Signal.TRYING)
        else:
            self.trying(now, None)

    def trying(self, now: int, _message: object) -> None:
        """Send 100, unless something else was sent."""
        if not self.data and self.request is not None:
            self.data = self.answers.write(100)
            self.send()
        self.arm(now + self.layer.timings.abandoned_ms, Signal.ABANDONED)

    def accept(self, now: int, data: bytes) -> None:
        """Send the 2xx; repetitions of the INVITE are absorbed until timer L, those of the 2xx are the dialog's."""
        self.settle(data)
        if not self.flow.is_reliable:
            self.data = b""  # it is never sent again from here
        self.arm(now + self.layer.timings.give_up_ms, Signal.LINGER)

    def accept_again(self, _now: int, data: bytes) -> None:
        """Send a repetition of the 2xx."""
        self.data = data
        self.send()

    def refuse(self, now: int, data: bytes) -> None:
        """Send the failure, over and over until it is acknowledged (timers G, H)."""
        timings = self.layer.timings
        self._ends_ms = now + timings.give_up_ms
        self._interval_ms = timings.t1_ms
        if self.flow.is_reliable:
            self.arm(self._ends_ms, Signal.GIVE_UP)
        else:
            self.arm_repeats(now)
        self.settle(data)

    def refuse_again(self, now: int, _message: object) -> None:
        """Send the failure again and wait twice as long, at most T2 (timer G)."""
        self.layer.counters.repeated += 1
        self._interval_ms = min(2 * self._interval_ms, self.layer.timings.t2_ms)
        self.send()
        self.arm_repeats(now)

    def confirm(self, now: int, _ack: Request) -> None:
        """Stop repeating; absorb repetitions of the ACK (timer I)."""
        self.disarm()
        self.linger(now, self.layer.timings.t4_ms)

    def acknowledge(self, _now: int, ack: Request) -> None:
        """Hand up the ACK of a 2xx with the branch of its INVITE, as peers of RFC 2543 send it."""
        self.layer.events.append(AckReceived(ack, self.flow))

    def refuse_abandoned(self, now: int, _message: object) -> None:
        """Nobody has answered it: the peer is told so."""
        if self.request is not None:
            self.refuse(now, self.layer.write(self, 500))
        self.fail(TransactionFailure.ABANDONED)


_I = InviteServerTransaction
InviteServerTransaction.TABLE = {
    PROCEEDING: {
        Signal.REQUEST: (PROCEEDING, _I.repeat),
        Signal.PROVISIONAL: (PROCEEDING, _I.provisional),
        Signal.SUCCESS: (ACCEPTED, _I.accept),
        Signal.FAILURE: (COMPLETED, _I.refuse),
        Signal.TRYING: (PROCEEDING, _I.trying),
        Signal.ABANDONED: (COMPLETED, _I.refuse_abandoned),
        Signal.TRANSPORT_ERROR: (PROCEEDING, _I.try_elsewhere),
    },
    ACCEPTED: {  # RFC 6026 section 7.1
        Signal.REQUEST: (ACCEPTED, None),
        Signal.SUCCESS: (ACCEPTED, _I.accept_again),
        Signal.ACK: (ACCEPTED, _I.acknowledge),
        Signal.LINGER: (TERMINATED, None),  # timer L
        Signal.TRANSPORT_ERROR: (ACCEPTED, _I.try_elsewhere),
    },
    COMPLETED: {
        Signal.REQUEST: (COMPLETED, _I.repeat),
        Signal.ACK: (CONFIRMED, _I.confirm),
        Signal.REPEAT: (COMPLETED, _I.refuse_again),  # timer G
        Signal.GIVE_UP: (TERMINATED, time_out),  # timer H
        Signal.TRANSPORT_ERROR: (COMPLETED, _I.try_elsewhere),
    },
    CONFIRMED: {
        Signal.REQUEST: (CONFIRMED, None),
        Signal.ACK: (CONFIRMED, None),
        Signal.LINGER: (TERMINATED, None),  # timer I
    },
    TERMINATED: {},
}
