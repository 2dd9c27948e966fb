"""How often something may be tried: by account and by address, in this process or over several servers."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SUBJECTS = 65_536


class AttemptKind(StrEnum):
    """What is tried."""

    LOGIN = "login"
    REGISTER = "register"
    RESET = "reset"
    ROOM_TOKEN = "room_token"  # noqa: S105 - no token


class AttemptsError(Exception):
    """Too many attempts; try again after ``retry_after_s``."""

    def __init__(self, kind: AttemptKind, retry_after_s: int) -> None:
        super().__init__(f"too many attempts ({kind.value}): try again in {retry_after_s} s")
        self.kind = kind
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` attempts in ``per_s`` seconds; that many may come at once."""

    count: int
    per_s: float

    @property
    def interval_s(self) -> float:
        """Seconds that one attempt takes from the allowance."""
        return self.per_s / self.count


class Buckets(Protocol):
    """Where attempts are counted."""

    async def take(self, subject: str, rate: Rate, now: float) -> float:
        """Count one attempt of a subject: 0 when it is within the rate, else the seconds until one is again."""
        ...


class MemoryBuckets:
    """Counts attempts in this process, each subject by the time at which its allowance is full again (GCRA).

    Limits: ``max_subjects`` are remembered; when full, the one that tried longest ago is forgotten, and ``forgotten``
    counts those that had not recovered.
    """

    def __init__(self, max_subjects: int = MAX_SUBJECTS) -> None:
        self.forgotten = 0
        self._max_subjects = max_subjects
        self._full_at: OrderedDict[str, float] = OrderedDict()

    async def take(self, subject: str, rate: Rate, now: float) -> float:
        """See `Buckets.take`."""
        # A clock that was set back must not lock anybody out for longer than a period.
        full_at = min(max(self._full_at.pop(subject, now), now), now + rate.per_s) + rate.interval_s
        wait = full_at - now - rate.per_s
        allowed = wait <= 0
        self._full_at[subject] = full_at if allowed else full_at - rate.interval_s
        if len(self._full_at) > self._max_subjects:
            _, forgotten = self._full_at.popitem(last=False)
            self.forgotten += forgotten > now
        return 0.0 if allowed else wait

    def __len__(self) -> int:
        return len(self._full_at)


class AttemptLimiter:
    """Asks the buckets; ``refused`` counts by kind."""

    def __init__(self, buckets: Buckets) -> None:
        self.refused: Counter[AttemptKind] = Counter()
        self._buckets = buckets

    async def take(self, kind: AttemptKind, subjects: Sequence[tuple[str, Rate]], now: float) -> None:
        """Count one attempt of all subjects; raise `AttemptsError` when one of them is over its rate."""
        waits = [await self._buckets.take(f"{kind.value}:{subject}", rate, now) for subject, rate in subjects]
        if (wait := max(waits, default=0.0)) > 0:
            self.refused[kind] += 1
            raise AttemptsError(kind, max(1, math.ceil(wait)))
