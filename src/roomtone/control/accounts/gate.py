"""Whose tokens were withdrawn before they expired: asked for every request, so it lies in memory."""

from __future__ import annotations

from collections import OrderedDict

MAX_WITHDRAWN = 100_000


class WithdrawnTokens:
    """Accounts and log-ins whose older tokens are refused.

    Limit: ``max_withdrawn`` are remembered, and none for longer than a token lives. When full, the oldest makes way and
    from then on *every* token older than it is refused: people log in again, nobody slips through. ``evicted`` counts.
    """

    def __init__(self, longest_life_s: float, *, max_withdrawn: int = MAX_WITHDRAWN) -> None:
        self.evicted = 0
        self._longest_life_s = longest_life_s
        self._max_withdrawn = max_withdrawn
        self._valid_after: OrderedDict[str, float] = OrderedDict()
        self._all_valid_after = float("-inf")

    def __len__(self) -> int:
        return len(self._valid_after)

    def withdraw(self, name: str, at: float) -> None:
        """Refuse from now on what an account or a log-in (its family's name) was given before."""
        at = max(at, self._valid_after.pop(name, at))
        self._valid_after[name] = at
        while self._valid_after:
            oldest, when = next(iter(self._valid_after.items()))
            if len(self._valid_after) > self._max_withdrawn:
                self.evicted += 1
                self._all_valid_after = max(self._all_valid_after, when)
            elif at - when <= self._longest_life_s:
                return
            del self._valid_after[oldest]

    def refuses(self, account_id: str, family: str, issued_at: float) -> bool:
        """Whether a token is good no more."""
        if issued_at < self._all_valid_after:
            return True
        # A log-in that ended stays so; an account's newer tokens are good.
        return family in self._valid_after or issued_at < self._valid_after.get(account_id, issued_at)
