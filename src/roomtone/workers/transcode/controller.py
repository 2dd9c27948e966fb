"""What a ladder gives up while its processor is too slow, and takes back afterwards. Pure: loads in, changes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BUSY = 0.9
"""Above this part of the time at work there is no reserve."""
IDLE = 0.5
"""Below it more can be done."""
PATIENCE = 2
"""So many looks in turn must be too busy."""
CALM = 10
"""And so many idle, before something is taken back; doubled each time that this was a mistake."""
MAX_CALM = 320
RATES = (0.7, 0.5)
SMALLER = 2 / 3


@dataclass(frozen=True, slots=True)
class Load:
    """One look: the part of the time at work, 0 to 1, and units that were left out since the last."""

    busy: float
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """How a rung is made: parts of its rate, of the pictures and of the size; with ``on`` false not at all."""

    rate: float = 1.0
    every: int = 1
    size: float = 1.0
    on: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """From now on a rung, by its place in the ladder, is made so."""

    rung: int
    step: Step
    why: str


STEPS = (
    Step(),
    *(Step(rate=rate) for rate in RATES),
    Step(rate=RATES[-1], every=2),
    Step(rate=RATES[-1], every=2, size=SMALLER),
)
"""The rate first, then the frame rate, then the size."""
OFF = replace(STEPS[-1], on=False)


class Controller:
    """Decides for rungs, the largest first.

    Input: `handle_load`, once a second. Output: its changes. The largest rung gives up all it can, and then itself,
    before the next gives up anything; the smallest is never shed. What was given up last is taken back first.
    """

    def __init__(self, rungs: int) -> None:
        self.steps = [Step() for _ in range(rungs)]
        self._given_up: list[tuple[int, Step]] = []
        self._busy = 0
        self._idle = 0
        self._calm = CALM
        self._since_taken_back: int | None = None

    def handle_load(self, load: Load) -> Sequence[Change]:
        """Decide after one look."""
        too_busy = load.busy > BUSY or load.skipped > 0
        self._busy = self._busy + 1 if too_busy else 0
        self._idle = self._idle + 1 if load.busy < IDLE and not load.skipped else 0
        if self._since_taken_back is not None:
            self._since_taken_back += 1
        if self._busy >= PATIENCE or load.skipped:
            self._busy = 0
            return self._give_up(load)
        if self._idle >= self._calm:
            self._idle = 0
            return self._take_back(load)
        return ()

    def _give_up(self, load: Load) -> Sequence[Change]:
        if self._since_taken_back is not None and self._since_taken_back <= CALM:
            self._calm = min(self._calm * 2, MAX_CALM)
        self._since_taken_back = None
        last = len(self.steps) - 1
        for rung, step in enumerate(self.steps):
            if not step.on:
                continue
            lower = _lower(step)
            if lower is None or (not lower.on and rung == last):
                continue
            self._given_up.append((rung, step))
            self.steps[rung] = lower
            return (Change(rung, lower, _reason(load)),)
        return ()

    def _take_back(self, load: Load) -> Sequence[Change]:
        if not self._given_up:
            return ()
        rung, step = self._given_up.pop()
        self.steps[rung] = step
        self._since_taken_back = 0
        return (Change(rung, step, f"at work only {load.busy:.0%} of the time"),)


def _lower(step: Step) -> Step | None:
    at = STEPS.index(step)
    return STEPS[at + 1] if at + 1 < len(STEPS) else OFF


def _reason(load: Load) -> str:
    if load.skipped:
        return f"{load.skipped} units were left out"
    return f"at work {load.busy:.0%} of the time"
