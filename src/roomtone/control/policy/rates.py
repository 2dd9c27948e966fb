"""How often one address may join, and how many joined things it may hold."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

MAX_ADDRESSES = 65_536
_SHARED = "*"


class RateReason(StrEnum):
    """Which limit was reached."""

    JOINS = "join_rate"
    HELD = "held_by_address"


class RateError(Exception):
    """An address is over a limit; try again after ``retry_after_s``."""

    def __init__(self, reason: RateReason, retry_after_s: int) -> None:
        super().__init__(f"too many joins from this address ({reason.value})")
        self.reason = reason
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class _Address:
    tokens: float
    filled_at: float
    held: int = 0


class JoinTicket:
    """The place of one join; released once, however often asked."""

    __slots__ = ("_state",)

    def __init__(self, state: _Address) -> None:
        self._state: _Address | None = state

    def release(self) -> None:
        """Give the place back."""
        if self._state is not None:
            self._state.held -= 1
            self._state = None


class JoinLimiter:
    """A token bucket and a count for each address.

    Limits: ``max_addresses`` are remembered; when full, the one unseen for longest that holds nothing is forgotten;
    if all hold something, further addresses share one count. ``refused`` counts by reason. 0 turns a limit off.
    """

    def __init__(self, joins_per_second: float, max_held: int, *, max_addresses: int = MAX_ADDRESSES) -> None:
        self.refused: dict[RateReason, int] = dict.fromkeys(RateReason, 0)
        self._rate = joins_per_second
        self._max_held = max_held
        self._max_addresses = max_addresses
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    def check(self, address: str, now: float) -> None:
        """Raise `RateError` where a join would be over a limit now; nothing is counted."""
        self._check(self._state(address, now), now)

    def take(self, address: str, now: float) -> JoinTicket:
        """Count a join that begins; raise `RateError` over a limit. `JoinTicket.release` gives the place back."""
        state = self._state(address, now)
        self._check(state, now)
        if self._rate:
            state.tokens -= 1
        state.held += 1
        return JoinTicket(state)

    def _check(self, state: _Address, now: float) -> None:
        if self._max_held and state.held >= self._max_held:
            raise self._refuse(RateReason.HELD, 5)
        if self._rate:
            state.tokens = min(self._rate, state.tokens + (now - state.filled_at) * self._rate)
            state.filled_at = now
            if state.tokens < 1:
                raise self._refuse(RateReason.JOINS, max(1, math.ceil((1 - state.tokens) / self._rate)))

    def held(self, address: str) -> int:
        """How much an address holds."""
        state = self._addresses.get(address)
        return 0 if state is None else state.held

    def _state(self, address: str, now: float) -> _Address:
        state = self._addresses.get(address)
        if state is None and len(self._addresses) >= self._max_addresses and not self._forget_one():
            address = _SHARED
            state = self._addresses.get(address)
        if state is None:
            state = self._addresses[address] = _Address(self._rate, now)
        self._addresses.move_to_end(address)
        return state

    def _forget_one(self) -> bool:
        idle = next((address for address, state in self._addresses.items() if not state.held), None)
        if idle is None:
            return False
        del self._addresses[idle]
        return True

    def _refuse(self, reason: RateReason, retry_after_s: int) -> RateError:
        self.refused[reason] += 1
        return RateError(reason, retry_after_s)
