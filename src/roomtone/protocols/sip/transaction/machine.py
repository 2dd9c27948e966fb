"""What the four transaction machines share: a table, one timer, and the way out of the layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.transaction.events import TransactionFailed
from roomtone.protocols.sip.transaction.states import Signal, State, TransactionFailure

if TYPE_CHECKING:
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.transaction.layer import TransactionLayer
    from roomtone.protocols.sip.transaction.matching import Key
    from roomtone.protocols.sip.wheel import Timer

Action: TypeAlias = Callable[[Any, int, Any], None]
"""Done on the way to the next state, with the transaction, the time in milliseconds, and the message if any."""
Table: TypeAlias = dict[State, dict[Signal, tuple[State, Action | None]]]
"""State and input to the next state and what is done. An input that a state has no row for changes nothing."""

_REPEAT, _GIVE_UP, _LINGER, _TERMINATED = Signal.REPEAT, Signal.GIVE_UP, Signal.LINGER, State.TERMINATED
_UDP = Transport.UDP


class Transaction:
    """One transaction: where it is in its table, and what it sent last.

    At most one of its timers runs at a time: the repetitions (A, E, G) and their end (B, F, H) are one timer, armed
    for whichever is next.
    """

    __slots__ = (
        "_ends_ms",
        "_interval_ms",
        "_signal",
        "_timer",
        "data",
        "flow",
        "home",
        "key",
        "layer",
        "owner",
        "state",
    )

    TABLE: ClassVar[Table]

    def __init__(self, layer: TransactionLayer, home: dict[Key, Any], key: Key, flow: Flow, state: State) -> None:
        self.layer = layer
        self.home = home
        """Where it is found by its key; it takes itself out when it ends."""
        self.key = key
        """What messages are matched by."""
        self.flow = flow
        """Where what it sends goes."""
        self.state = state
        self.data = b""
        """What it sent last."""
        self.owner: Any = None
        """Whatever its user wants to find again with its events."""
        self._timer: Timer | None = None
        self._signal = _REPEAT
        self._interval_ms = 0
        self._ends_ms = 0
        layer.gauges[state] += 1

    @property
    def is_over(self) -> bool:
        """Whether it has left the layer."""
        return self.state is _TERMINATED

    def step(self, signal: Signal, now: int, message: Any = None) -> bool:
        """Take an input; False when its state has no row for it."""
        before = self.state
        row = self.TABLE[before].get(signal)
        if row is None:
            self.layer.counters.ignored += 1
            return False
        after, action = row
        if after is not before:
            self.enter(after)
        if action is not None:
            action(self, now, message)
        if self.state is _TERMINATED:
            self.owner = None  # which knows it: without the circle both are gone at once
        return True

    def enter(self, state: State) -> None:
        """Go to a state; the last one stops the timer and leaves the layer."""
        gauges = self.layer.gauges
        gauges[self.state] -= 1
        self.state = state
        if state is _TERMINATED:
            self.disarm()
            del self.home[self.key]
        else:
            gauges[state] += 1

    def disarm(self) -> None:
        """Stop the timer."""
        timer = self._timer
        if timer is not None:
            self.layer.wheel.cancel(timer)
            self._timer = None

    def arm(self, at_ms: int, signal: Signal) -> None:
        """Have the timer give this input at that time, and nothing else any more."""
        timer = self._timer
        wheel = self.layer.wheel
        if timer is not None:
            wheel.cancel(timer)
        self._signal = signal
        self._timer = wheel.arm(at_ms, self)

    def arm_repeats(self, now: int) -> None:
        """Wait for the next repetition, or the end of them."""
        at_ms = now + self._interval_ms
        if at_ms < self._ends_ms:
            self.arm(at_ms, _REPEAT)
        else:
            self.arm(self._ends_ms, _GIVE_UP)

    def linger(self, now: int, for_ms: int) -> None:
        """Absorb repetitions for a while; over a reliable transport there are none, so this is the end."""
        if for_ms and self.flow.transport is _UDP:
            timer = self._timer
            if timer is not None and timer.at_ms == now + for_ms:  # answered at once: it ends when it would have then
                self._signal = _LINGER
            else:
                self.arm(now + for_ms, _LINGER)
        else:
            self.enter(_TERMINATED)

    def handle_timer(self, now: int) -> None:
        """Take the input the timer was armed for."""
        self._timer = None
        if self._signal is _LINGER:  # which every table answers with the end, and nothing else
            self.enter(_TERMINATED)
            self.owner = None
        else:
            self.step(self._signal, now)

    __call__ = handle_timer
    """A timer's value is the transaction itself: no bound method is made for each of them."""

    def send(self) -> None:
        """Send what it sent last."""
        self.layer.transmit(self.flow, self.data, self)

    def fail(self, failure: TransactionFailure) -> None:
        """Tell the user that nothing more will come."""
        layer = self.layer
        layer.counters.failed[failure] += 1
        layer.events.append(TransactionFailed(self, failure, self.owner))


def time_out(transaction: Transaction, _now: int, _message: object) -> None:
    """Tell that nothing came for 64 times T1."""
    transaction.fail(TransactionFailure.TIMEOUT)


def transport_failed(transaction: Transaction, _now: int, _message: object) -> None:
    """Tell that it could not be sent."""
    transaction.fail(TransactionFailure.TRANSPORT_ERROR)
