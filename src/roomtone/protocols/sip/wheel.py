"""A timer wheel: deadlines in milliseconds, armed and cancelled in constant time.

Most timers of SIP never fire: each transaction arms several, and an answer cancels them. A heap pays for each of them
with its depth, and a cancelled one stays in it until its time.
"""

from __future__ import annotations

from collections import deque
from typing import Any

_BITS = 6
_WIDTH = 1 << _BITS
_LEVELS = 8
HORIZON_MS = 1 << (_BITS * _LEVELS)
"""Times are below this one: some 8,900 years."""
_LEVEL_OF = tuple(max(0, (bits - 1) // _BITS) for bits in range(_BITS * _LEVELS + 1))
"""Level by the length of what a deadline and the wheel's time differ in."""

_Slot = dict["Timer", None]
_DUE: _Slot = {}
"""Where timers are that have been taken from the wheel and not yet polled. Nothing is ever in it."""


class Timer:
    """A deadline and what it is for; made by `TimerWheel.arm`."""

    __slots__ = ("_slot", "at_ms", "value")

    def __init__(self, at_ms: int, value: Any, slot: _Slot) -> None:
        self.at_ms = at_ms
        self.value = value
        self._slot: _Slot | None = slot

    @property
    def is_armed(self) -> bool:
        """Whether it is still to fire."""
        return self._slot is not None


class TimerWheel:
    """Timers by deadline.

    Inputs: `arm`, `cancel`. Outputs: `poll` until it is None; `next_timeout`.
    Order: by deadline, those of one millisecond as they were armed; a deadline that has passed counts as now.
    Limits: none of its own; whoever arms timers bounds what they belong to. Cancelled timers are gone at once.

    A level has 64 slots, each as wide as all slots of the level below it; level 0 has slots of 1 ms. A timer's level
    is where its deadline first differs from the wheel's time, so all timers with one deadline are in one slot,
    nothing ever wraps around, and the first slot of the lowest level in use is the next one.
    """

    __slots__ = ("_due", "_now_ms", "_slots", "_used")

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms
        self._slots: list[_Slot | None] = [None] * (_LEVELS * _WIDTH)
        self._used = [0] * _LEVELS
        """A bit for each slot that may have timers in it."""
        self._due: deque[Timer] = deque()

    def __len__(self) -> int:
        """How many timers are armed; walks over all slots."""
        return sum(map(len, filter(None, self._slots))) + sum(timer.is_armed for timer in self._due)

    def arm(self, at_ms: int, value: Any) -> Timer:
        """Have ``value`` come out of `poll` when ``at_ms`` is reached."""
        now_ms = self._now_ms
        if at_ms > now_ms:
            level = _LEVEL_OF[(at_ms ^ now_ms).bit_length()]
            bit = at_ms >> level * _BITS & _WIDTH - 1
        else:
            level, bit = 0, now_ms & _WIDTH - 1
        index = level << _BITS | bit
        slot = self._slots[index]
        if slot is None:
            slot = self._slots[index] = {}
            self._used[level] |= 1 << bit
        timer = Timer(at_ms, value, slot)
        slot[timer] = None
        return timer

    def cancel(self, timer: Timer) -> None:
        """Make a timer never fire; one that has fired or been cancelled stays as it is."""
        slot = timer._slot  # noqa: SLF001 - the two are one
        if slot is not None:
            timer._slot = None  # noqa: SLF001
            slot.pop(timer, None)

    def poll(self, now_ms: int) -> Any | None:
        """Take the value of the next timer that is due; None when there is none."""
        due = self._due
        while True:
            while due:
                timer = due.popleft()
                if timer._slot is not None:  # noqa: SLF001
                    timer._slot = None  # noqa: SLF001
                    return timer.value
            if not self._turn(now_ms):
                return None

    def next_timeout(self) -> int | None:
        """When `poll` is next to be called, at the latest; None: nothing is armed.

        It may be earlier than the first deadline, never later: far deadlines are looked at once in each level.
        """
        if self._due:
            return self._now_ms
        found = self._first()
        return None if found is None else found[1]

    def _first(self) -> tuple[int, int] | None:
        """Find the first slot that is not empty, and the time at which it begins."""
        for level in range(_LEVELS):
            while used := self._used[level]:
                bit = (used & -used).bit_length() - 1
                index = level << _BITS | bit
                if self._slots[index]:
                    shift = level * _BITS
                    return index, (self._now_ms >> shift + _BITS << _BITS | bit) << shift
                self._slots[index] = None
                self._used[level] = used & used - 1
        return None

    def _turn(self, now_ms: int) -> bool:
        """Go on to the next slot, if it has begun: its timers are due, or belong to lower levels now."""
        found = self._first()
        if found is None or found[1] > now_ms:
            self._now_ms = max(self._now_ms, now_ms)
            return False
        index, self._now_ms = found
        slot = self._slots[index] or {}
        self._slots[index] = None
        self._used[index >> _BITS] &= ~(1 << (index & _WIDTH - 1))
        if index < _WIDTH:
            for timer in slot:
                timer._slot = _DUE  # noqa: SLF001
            self._due.extend(slot)
        else:
            self._settle(slot)
        return True

    def _settle(self, slot: _Slot) -> None:
        """Put timers into lower levels, now that their slot has begun."""
        now_ms, slots, all_used = self._now_ms, self._slots, self._used
        for timer in slot:
            at_ms = timer.at_ms
            level = _LEVEL_OF[(at_ms ^ now_ms).bit_length()]
            bit = at_ms >> level * _BITS & _WIDTH - 1
            index = level << _BITS | bit
            lower = slots[index]
            if lower is None:
                lower = slots[index] = {}
                all_used[level] |= 1 << bit
            timer._slot = lower  # noqa: SLF001
            lower[timer] = None
