"""What all objects of the engine have in common: an id, statistics, and a way to be closed."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from roomtone.media.errors import EngineCommandError
from roomtone.media.values import OPENED, AnyCommand, Done, Dump, Dumped, ErrorCode, GetStats, Stats

if TYPE_CHECKING:
    from roomtone.media.engine import Engine, Report


class EngineObject(ABC):
    """An object of the engine, by id."""

    __slots__ = ("_engine", "_id", "closed")

    def __init__(self, engine: Engine, id_: int) -> None:
        self._engine = engine
        self._id = id_
        self.closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._id}>"

    @property
    def engine(self) -> Engine:
        """The engine it lives in."""
        return self._engine

    async def stats(self) -> list[Report]:
        """Get reports of this object, its own first; W3C webrtc-stats names where they exist."""
        return (await self._engine.ask(GetStats(id=self._id), Stats)).reports

    async def dump(self) -> dict[str, Any]:
        """Get the whole inner state."""
        dumped = await self._engine.ask(Dump(id=self._id), Dumped)
        state: dict[str, Any] = json.loads(dumped.json)
        return state

    async def close(self) -> None:
        """Close the object and what it holds; closing what is gone already, or was never opened, is no error."""
        await self._close(self._close_command())

    async def _close(self, command: AnyCommand) -> None:
        self.closed = True
        if not self._id or self._id & OPENED:
            return
        try:
            await self._engine.ask(command, Done)
        except EngineCommandError as error:
            if error.code not in {ErrorCode.NOT_FOUND, ErrorCode.ENGINE_CLOSED}:
                raise

    @abstractmethod
    def _close_command(self) -> AnyCommand: ...

    async def _do(self, command: AnyCommand) -> None:
        await self._engine.ask(command, Done)
