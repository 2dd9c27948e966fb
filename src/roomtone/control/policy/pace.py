"""How fast one client may ask: a bucket of tokens that fills steadily."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """``per_second`` requests in the long run, ``burst`` of them at once."""

    per_second: float = 100.0
    burst: int = 1_000


class Allowance:
    """What one client has left of a pace."""

    __slots__ = ("_filled_at", "_pace", "_tokens")

    def __init__(self, pace: Pace, now: float) -> None:
        self._pace = pace
        self._tokens = float(pace.burst)
        self._filled_at = now

    def take(self, now: float) -> float:
        """Count a request. 0: it may be done; else in how many seconds one may, and this one counts for nothing."""
        pace = self._pace
        self._tokens = min(pace.burst, self._tokens + max(0.0, now - self._filled_at) * pace.per_second)
        self._filled_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / pace.per_second
        self._tokens -= 1
        return 0.0
