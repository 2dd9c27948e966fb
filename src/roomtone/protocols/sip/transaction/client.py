"""Client transactions: of INVITE (RFC 3261 section 17.1.1, RFC 6026) and of all other methods (17.1.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from roomtone.protocols.sip.transaction.derived import ack_of_failure, cancel_of
from roomtone.protocols.sip.transaction.events import ResponseReceived
from roomtone.protocols.sip.transaction.machine import Transaction, time_out, transport_failed
from roomtone.protocols.sip.transaction.states import Signal, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Response
    from roomtone.protocols.sip.transaction.layer import TransactionLayer
    from roomtone.protocols.sip.transaction.matching import Key

CALLING = State.CALLING
PROCEEDING = State.INVITE_CLIENT_PROCEEDING
ACCEPTED = State.INVITE_CLIENT_ACCEPTED
COMPLETED = State.INVITE_CLIENT_COMPLETED
TRYING = State.CLIENT_TRYING
OTHER_PROCEEDING = State.CLIENT_PROCEEDING
OTHER_COMPLETED = State.CLIENT_COMPLETED
TERMINATED = State.TERMINATED


class ClientTransaction(Transaction):
    """A request of ours other than INVITE and ACK, until its final response."""

    __slots__ = ("is_quiet",)

    def __init__(self, layer: TransactionLayer, key: Key, flow: Flow, data: bytes, now: int) -> None:
        super().__init__(layer, layer.clients, key, flow, self.FIRST)
        self.data = data
        self.is_quiet = False
        """Whether nobody wants to hear of it (a CANCEL: what it did is seen at its INVITE)."""
        timings = layer.timings
        self._ends_ms = now + timings.give_up_ms
        self._interval_ms = timings.t1_ms
        if flow.is_reliable:
            self.arm(self._ends_ms, Signal.GIVE_UP)
        else:
            self.arm_repeats(now)
        self.send()

    FIRST: ClassVar[State] = TRYING

    def tell(self, _now: int, response: Response) -> None:
        """Hand a response up."""
        if not self.is_quiet:
            self.layer.events.append(ResponseReceived(self, response, self.owner))

    def fail(self, failure: Any) -> None:
        """Tell the user, if there is one."""
        if not self.is_quiet:
            super().fail(failure)

    def repeat(self, now: int, _message: object) -> None:
        """Send again and wait twice as long, at most T2 (timer E)."""
        self.layer.counters.repeated += 1
        longest = self.layer.timings.t2_ms
        self._interval_ms = min(2 * self._interval_ms, longest) if self.state is TRYING else longest
        self.send()
        self.arm_repeats(now)

    def complete(self, now: int, response: Response) -> None:
        """Hand the final response up and absorb others (timer K)."""
        self.tell(now, response)
        self.data = b""
        self.linger(now, self.layer.timings.t4_ms)


_C = ClientTransaction
ClientTransaction.TABLE = {
    TRYING: {
        Signal.PROVISIONAL: (OTHER_PROCEEDING, _C.tell),
        Signal.SUCCESS: (OTHER_COMPLETED, _C.complete),
        Signal.FAILURE: (OTHER_COMPLETED, _C.complete),
        Signal.REPEAT: (TRYING, _C.repeat),  # timer E
        Signal.GIVE_UP: (TERMINATED, time_out),  # timer F
        Signal.TRANSPORT_ERROR: (TERMINATED, transport_failed),  # 8.1.3.1
    },
    OTHER_PROCEEDING: {
        Signal.PROVISIONAL: (OTHER_PROCEEDING, _C.tell),
        Signal.SUCCESS: (OTHER_COMPLETED, _C.complete),
        Signal.FAILURE: (OTHER_COMPLETED, _C.complete),
        Signal.REPEAT: (OTHER_PROCEEDING, _C.repeat),  # every T2
        Signal.GIVE_UP: (TERMINATED, time_out),
        Signal.TRANSPORT_ERROR: (TERMINATED, transport_failed),
    },
    OTHER_COMPLETED: {
        Signal.PROVISIONAL: (OTHER_COMPLETED, None),
        Signal.SUCCESS: (OTHER_COMPLETED, None),
        Signal.FAILURE: (OTHER_COMPLETED, None),
        Signal.LINGER: (TERMINATED, None),  # timer K
    },
    TERMINATED: {},
}


class InviteClientTransaction(ClientTransaction):
    """An INVITE of ours: until its final response has been acknowledged and no further one is expected."""

    __slots__ = ("_cancel_headers", "_cancelled")

    FIRST: ClassVar[State] = CALLING

    def __init__(self, layer: TransactionLayer, key: Key, flow: Flow, data: bytes, now: int) -> None:
        self._cancelled = False
        self._cancel_headers: Sequence[bytes] = ()
        super().__init__(layer, key, flow, data, now)

    def cancel(self, now: int, headers: Sequence[bytes] = ()) -> bool:
        """Have it cancelled: at once, or when a provisional response has come (RFC 3261 section 9.1).

        False when it has a final response. ``headers`` are lines for the CANCEL (a Reason). The final response still
        comes, and may be 2xx; when none comes for 64 times T1, it fails.
        """
        if self.state not in {CALLING, PROCEEDING}:
            return False
        if not self._cancelled:
            self._cancelled = True
            self._cancel_headers = headers
            if self.state is PROCEEDING:
                self._send_cancel(now)
        return True

    def _send_cancel(self, now: int) -> None:
        timings = self.layer.timings
        self.arm(now + timings.give_up_ms, Signal.GIVE_UP)
        self.layer.send_cancel(cancel_of(self.data, self._cancel_headers), self, now)

    def repeat(self, now: int, _message: object) -> None:
        """Send again and wait twice as long (timer A)."""
        self.layer.counters.repeated += 1
        self._interval_ms *= 2
        self.send()
        self.arm_repeats(now)

    def ring(self, now: int, response: Response) -> None:
        """Stop repeating; a CANCEL that waited for this goes out."""
        if self._cancelled:
            self._send_cancel(now)
        else:
            self.arm(now + self.layer.timings.timer_c_ms, Signal.RINGING)
        self.tell(now, response)

    def ring_on(self, now: int, response: Response) -> None:
        """Hand it up; anything but 100 starts timer C again (16.7 step 2)."""
        if not self._cancelled and response.status > 100:  # noqa: PLR2004 - 100 Trying
            self.arm(now + self.layer.timings.timer_c_ms, Signal.RINGING)
        self.tell(now, response)

    def rang_too_long(self, now: int, _message: object) -> None:
        """Cancel what has rung for timer C without a word (16.8)."""
        self.cancel(now)

    def accept(self, now: int, response: Response) -> None:
        """Hand the 2xx up; others may come, of forks and repeated ones, until timer M."""
        self.arm(now + self.layer.timings.give_up_ms, Signal.LINGER)
        self.data = b""
        self.tell(now, response)

    def refuse(self, now: int, response: Response) -> None:
        """Acknowledge the failure, and again each time it is repeated, until timer D."""
        self.data = ack_of_failure(self.data, response)
        self.send()
        self.tell(now, response)
        self.linger(now, self.layer.timings.timer_d_ms)

    def acknowledge(self, _now: int, _response: Response) -> None:
        """Send the ACK again."""
        self.send()


_I = InviteClientTransaction
InviteClientTransaction.TABLE = {
    CALLING: {
        Signal.PROVISIONAL: (PROCEEDING, _I.ring),
        Signal.SUCCESS: (ACCEPTED, _I.accept),
        Signal.FAILURE: (COMPLETED, _I.refuse),
        Signal.REPEAT: (CALLING, _I.repeat),  # timer A
        Signal.GIVE_UP: (TERMINATED, time_out),  # timer B
        Signal.TRANSPORT_ERROR: (TERMINATED, transport_failed),
    },
    PROCEEDING: {
        Signal.PROVISIONAL: (PROCEEDING, _I.ring_on),
        Signal.SUCCESS: (ACCEPTED, _I.accept),
        Signal.FAILURE: (COMPLETED, _I.refuse),
        Signal.RINGING: (PROCEEDING, _I.rang_too_long),  # timer C
        Signal.GIVE_UP: (TERMINATED, time_out),  # 9.1: 64 times T1 after a CANCEL
    },
    ACCEPTED: {  # RFC 6026 section 7.2
        Signal.SUCCESS: (ACCEPTED, _I.tell),
        Signal.LINGER: (TERMINATED, None),  # timer M
    },
    COMPLETED: {
        Signal.FAILURE: (COMPLETED, _I.acknowledge),
        Signal.LINGER: (TERMINATED, None),  # timer D
        Signal.TRANSPORT_ERROR: (TERMINATED, transport_failed),  # the ACK could not be sent
    },
    TERMINATED: {},
}
