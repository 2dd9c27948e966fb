"""How late the event loop is: the sum of all that keeps it from its timers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_S = 0.25
WARN_S = 0.1


class LoopLag:
    """Measures the loop's lateness at a fixed beat and hands it to an observer."""

    def __init__(
        self,
        observe: Callable[[float], None],
        warn: Callable[[float], None] | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.last_s = 0.0
        self.worst_s = 0.0
        self._observe = observe
        self._warn = warn
        self._interval_s = interval_s
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to measure the running loop."""
        loop = asyncio.get_running_loop()
        self._arm(loop)

    def stop(self) -> None:
        """Measure no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + self._interval_s
        self._handle = loop.call_at(due, self._on_beat, loop, due)

    def _on_beat(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self.last_s = max(0.0, loop.time() - due)
        self.worst_s = max(self.worst_s, self.last_s)
        self._observe(self.last_s)
        if self._warn is not None and self.last_s > WARN_S:
            self._warn(self.last_s)
        self._arm(loop)
