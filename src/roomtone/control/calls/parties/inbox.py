"""What waits for the task of a call: the part of a queue that one reader needs."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Items in their order, for one reader. Limit: ``most`` that wait; `put` tells of a further one."""

    __slots__ = ("_items", "_most", "_reader")

    def __init__(self, most: int) -> None:
        self._items: deque[T] = deque()
        self._most = most
        self._reader: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_awaited(self) -> bool:
        """Whether its reader waits, having done with all there was."""
        return self._reader is not None and not self._reader.done()

    def put(self, item: T) -> bool:
        """Hand in an item; False when there is no room for it. Never waits."""
        if len(self._items) >= self._most:
            return False
        self._items.append(item)
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)
        return True

    def put_back(self, items: list[T]) -> None:
        """Have these be what waits, in their order: some of what `take_all` gave."""
        self._items.extend(items)

    def take_all(self) -> list[T]:
        """Take what waits now."""
        items = list(self._items)
        self._items.clear()
        return items

    async def take(self) -> T:
        """Wait for the next item, and take it."""
        if not self._items:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._items.popleft()
