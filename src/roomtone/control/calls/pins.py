"""PINs of dispatch rules: how they are entered, and how often somebody may be wrong."""

from __future__ import annotations

import hmac
from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.control.calls.directory.rules import Entry
    from roomtone.control.calls.values import Caller

END_KEY, CLEAR_KEY = "#", "*"


class PinCount(StrEnum):
    """What became of PINs that were asked for."""

    RIGHT = "right"
    WRONG = "wrong"
    NOT_ENTERED = "not_entered"
    """Nothing was entered in time."""
    REFUSED = "refused"
    """Who calls was wrong too often before, and is not asked."""
    FORGOTTEN = "forgotten"
    """Somebody's wrong tries were forgotten, since too many others tried."""


@dataclass(frozen=True, slots=True)
class PinRules:
    """How PINs are asked for."""

    tries: int = 3
    timeout_s: float = 10.0
    """How long somebody may take to the next key; what is entered by then counts."""
    failures: int = 10
    """Wrong tries of one caller within ``window_s``; then its calls are refused."""
    window_s: float = 600.0
    max_callers: int = 10_000


class PinGuard:
    """Remembers who was wrong how often.

    Limit: `PinRules.max_callers`; when full, who tried longest ago is forgotten, and counted.
    """

    def __init__(self, rules: PinRules, clock: Callable[[], float]) -> None:
        self.rules = rules
        self.counts: Counter[PinCount] = Counter()
        self._clock = clock
        self._failed: OrderedDict[tuple[str, str], list[float]] = OrderedDict()

    def may_try(self, caller: Caller) -> bool:
        """Whether a caller is asked at all."""
        allowed = self.may_go_on(caller)
        if not allowed:
            self.counts[PinCount.REFUSED] += 1
        return allowed

    def may_go_on(self, caller: Caller) -> bool:
        """Whether a caller has a further try."""
        return len(self._recent(caller)) < self.rules.failures

    def note_failure(self, caller: Caller, what: PinCount) -> None:
        """Note that somebody was wrong, or entered nothing."""
        self.counts[what] += 1
        if what is not PinCount.WRONG:
            return
        tries = [*self._recent(caller), self._clock()]
        self._failed[_source(caller)] = tries[-self.rules.failures :]
        self._failed.move_to_end(_source(caller))
        if len(self._failed) > self.rules.max_callers:
            self._failed.popitem(last=False)
            self.counts[PinCount.FORGOTTEN] += 1

    def note_right(self) -> None:
        """Note that somebody was right; earlier tries stay, since a right PIN of one room opens no other."""
        self.counts[PinCount.RIGHT] += 1

    def _recent(self, caller: Caller) -> list[float]:
        since = self._clock() - self.rules.window_s
        return [at for at in self._failed.get(_source(caller), ()) if at > since]


class PinEntry:
    """Keys on their way to a PIN. It is whole with the end key, or as long as the longest that fits."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._longest = max(len(entry.rule.pin) for entry in entries)
        self._entered = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was entered."""
        return not self._entered

    def press(self, key: str) -> bool:
        """Take a key; True when the PIN is whole."""
        if key == CLEAR_KEY:
            self._entered = ""
            return False
        if key == END_KEY:
            return bool(self._entered)
        if key.isdigit():
            self._entered += key
        return len(self._entered) >= self._longest

    def take(self) -> Entry | None:
        """Give where what was entered leads, None where it is wrong, and begin anew."""
        entered, self._entered = self._entered, ""
        found = [entry for entry in self._entries if hmac.compare_digest(entry.rule.pin, entered)]
        return found[0] if found else None


def _source(caller: Caller) -> tuple[str, str]:
    return caller.trunk, caller.account
