"""What a client is told, on its way to its socket."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from livekit.protocol import rtc


class Outbox:
    """Messages for one socket. Limit: ``limit``; when full all are dropped, it ends, and says so by ``on_full``.

    What is said while no socket is there is not kept: a client that comes back is told anew how things are.
    """

    def __init__(self, limit: int, on_full: Callable[[], None]) -> None:
        self._limit = limit
        self._on_full = on_full
        self._messages: deque[rtc.SignalResponse] = deque()
        self._wake = asyncio.Event()
        self._full = False
        self._ended = False

    def put(self, message: rtc.SignalResponse) -> None:
        """Add a message."""
        if self._ended or self._full:
            return
        if len(self._messages) >= self._limit:
            self._full = True
            self._messages.clear()
            self._on_full()
            return
        self._messages.append(message)
        self._wake.set()

    def end(self, farewell: rtc.SignalResponse | None = None) -> None:
        """Take no more after a last message; what is in is still sent. May be called twice."""
        if not self._ended and farewell is not None:
            self._messages.append(farewell)
        self._ended = True
        self._wake.set()

    async def get(self) -> rtc.SignalResponse | None:
        """Wait for the next message; None at the end."""
        while not self._messages:
            if self._ended:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._messages.popleft()
