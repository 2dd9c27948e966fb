"""How long transactions wait (RFC 3261 section 17 and appendix A, RFC 6026), and how many there may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timings:
    """Times in milliseconds; timers named in RFC 3261 follow from the first three."""

    t1_ms: int = 500
    """An estimate of the round trip: first interval of repetitions (timers A, E, G)."""
    t2_ms: int = 4_000
    """Longest interval of repetitions of all but INVITE requests."""
    t4_ms: int = 5_000
    """How long a message may stay in the network (timers I, K)."""
    timer_c_ms: int = 180_000
    """How long an INVITE may ring without a further provisional response before it is cancelled."""
    timer_d_ms: int = 32_000
    """How long repeated failures of an INVITE are acknowledged over UDP; at least 32 s."""
    trying_after_ms: int = 0
    """When 100 is sent for an INVITE nobody has answered; the standard allows 200 ms."""
    abandoned_ms: int = 600_000
    """When an INVITE that the server has neither answered nor refused is refused with 500."""

    @property
    def give_up_ms(self) -> int:
        """64 times T1: timers B, F, H, J, L, M, and N of RFC 6665."""
        return 64 * self.t1_ms


@dataclass(frozen=True, slots=True)
class TransactionLimits:
    """How many transactions there may be at once.

    A request beyond ``server`` is answered 503 without keeping anything of it (an ACK is dropped); one of ours beyond
    ``client`` is refused with `TooManyTransactionsError`. Both are counted.
    """

    server: int = 400_000
    client: int = 400_000
    retry_after_s: int = 5
    """What refused requests are told to wait."""
