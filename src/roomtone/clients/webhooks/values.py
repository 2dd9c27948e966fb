"""What the parts of the sender share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Outcome(StrEnum):
    """What became of webhooks and attempts, for the metric."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """An attempt; another follows, or it is given up."""
    GIVEN_UP = "given_up"
    OVERFLOWED = "overflowed"
    """Given up since too many waited."""
    UNKEPT = "unkept"
    """The database did not take it: it is sent, but would not survive the process."""
    LOST = "lost"
    """Neither sent nor kept: the database did not take what was given up."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt ended; ``error`` is empty when the webhook has arrived."""

    error: str = ""
    final: bool = False
    """Another attempt would end likewise."""
    retry_after_s: float = 0.0
    """The target's own wish for the pause."""


class Poster(Protocol):
    """Makes attempts."""

    async def post(self, url: str, body: bytes) -> Attempt:
        """Hand a webhook over."""
        ...


@dataclass(frozen=True, slots=True)
class SendRules:
    """How webhooks are sent."""

    urls: tuple[str, ...]
    retries: int = 12
    first_pause_s: float = 1.0
    max_pause_s: float = 300.0
    queue: int = 10_000
    concurrency: int = 8
    drain_s: float = 2.0

    def pause_s(self, attempts: int, chance: float) -> float:
        """Give the pause after so many attempts; ``chance`` is from 0 to 1, and takes off up to a half."""
        longest = min(self.max_pause_s, self.first_pause_s * 2.0 ** min(attempts - 1, 32))
        return longest * (1 - chance / 2)
