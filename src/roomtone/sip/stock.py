"""Things that wait to be taken: bounded, the oldest goes for a new one, and the end is told."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roomtone.sip.wiring import EndpointCounters

_T = TypeVar("_T")


class StockOver(Exception):  # noqa: N818 - the end of a stock is no error
    """Nothing more will come."""


class Stock(Generic[_T]):
    """A queue of at most ``limit``; what had to go is counted in ``events_lost``."""

    def __init__(self, limit: int, counters: EndpointCounters) -> None:
        self._held: deque[_T] = deque()
        self._limit = limit
        self._counters = counters
        self._changed = asyncio.Event()
        self._over = False

    def __len__(self) -> int:
        return len(self._held)

    def put(self, one: _T) -> None:
        """Put one in; never waits."""
        if len(self._held) >= self._limit:
            self._held.popleft()
            self._counters.events_lost += 1
        self._held.append(one)
        self._changed.set()

    def close(self) -> None:
        """Take no more; what is in can still be taken."""
        self._over = True
        self._changed.set()

    async def get(self) -> _T:
        """Take the oldest; wait for one. Raises `StockOver`."""
        while not self._held:
            if self._over:
                raise StockOver
            self._changed.clear()
            await self._changed.wait()
        return self._held.popleft()

    async def __aiter__(self) -> AsyncIterator[_T]:
        """Go over all until the end."""
        while True:
            try:
                yield await self.get()
            except StockOver:
                return
