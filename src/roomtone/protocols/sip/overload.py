"""Overload: from when on, until when, and for which cause new requests are refused (RFC 3261 section 21.5.4)."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class OverloadCause(StrEnum):
    """What there is too much of; a closed set, used as a metric label."""

    LOOP_LAG = "loop_lag"
    """The event loop is late."""
    QUEUE = "queue"
    """Requests that were taken wait for what they need."""
    TRANSACTIONS = "transactions"
    """As many requests are remembered as may be."""


class Overload:
    """Whether requests that belong to nothing there is are taken.

    Inputs: `heed` with the level of a cause that has a bound. Outputs: `cause`, that of now, and ``refused``, which
    whoever refuses counts. Order: of several causes the first that began is told. Limits: nothing here grows.

    A cause begins when its level is above its bound, and ends when it is below half of that: peers that were refused
    come back together, and where the two were one, all of them would find the door open and shut it again.
    """

    __slots__ = ("_bounds", "_causes", "cause", "refused")

    def __init__(self, bounds: Mapping[OverloadCause, float] | None = None) -> None:
        self._bounds = dict(bounds or {})
        self._causes: list[OverloadCause] = []
        self.cause: OverloadCause | None = None
        """Why requests are refused now; None: they are taken."""
        self.refused: Counter[OverloadCause] = Counter()
        """Requests refused since the start, by cause."""

    def heed(self, cause: OverloadCause, level: float) -> None:
        """Take how much there is of something, in the unit of its bound."""
        bound, causes = self._bounds[cause], self._causes
        if cause in causes:
            if level < bound / 2:
                causes.remove(cause)
        elif level > bound:
            causes.append(cause)
        self.cause = causes[0] if causes else None
