"""Which server has the live stream of a name, where several share their names.

A server that begins a stream claims its name, and keeps it while the stream is there; one that dies loses its names
after a while. Of one server alone all names are its own.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

_log = logging.getLogger(__name__)
KEEP_EVERY_S = 5.0
"""Names are kept for longer so often; others have them three times as long after the last."""


class StreamRegistry(Protocol):
    """Where names are claimed. Where it cannot be asked nobody else has a name; ``failures`` counts such times."""

    failures: int

    async def claim(self, name: str) -> str:
        """Take a name, or keep it for longer; give the address of which other server has it, empty where none has."""
        ...

    async def keep(self, names: Sequence[str]) -> list[str]:
        """Keep names for longer; give those that other servers have."""
        ...

    async def release(self, name: str) -> None:
        """Give a name back."""
        ...

    async def owner(self, name: str) -> str:
        """Give the address of which other server has a name; empty where none has."""
        ...


class MemoryRegistry:
    """The registry of a server that shares its names with no other."""

    failures = 0

    async def claim(self, name: str) -> str:
        """Take a name: it is free."""
        del name
        return ""

    async def keep(self, names: Sequence[str]) -> list[str]:
        """Keep names: they are its own."""
        del names
        return []

    async def release(self, name: str) -> None:
        """Give a name back, which nobody else wants."""

    async def owner(self, name: str) -> str:
        """Give no other server: there is none."""
        del name
        return ""


class NameKeeper:
    """Keeps the names of the streams that there are, and gives those back that are over.

    ``conflicts`` counts names that another server has too, each told once: that begins where the registry was away, or
    by a source that does not ask, and ends with one of the streams.
    """

    def __init__(
        self,
        registry: StreamRegistry,
        names: Callable[[], Iterable[str]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.conflicts = 0
        self._registry = registry
        self._names = names
        self._sleep = sleep
        self._kept: set[str] = set()
        self._contested: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Give all names back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for name in self._kept:
            await self._registry.release(name)
        self._kept = set()

    async def _run(self) -> None:
        while True:
            await self._sleep(KEEP_EVERY_S)
            await self.keep()

    async def keep(self) -> None:
        """Keep what is there, and give back what is not any more."""
        names = set(self._names())
        contested = set(await self._registry.keep(sorted(names)))
        for name in sorted(contested - self._contested):
            self.conflicts += 1
            _log.warning("another server has a live stream %s too", name)
        for name in self._kept - names:
            await self._registry.release(name)
        self._kept, self._contested = names, contested
