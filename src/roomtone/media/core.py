"""The real engine: the only module that imports `roomtone._core`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from roomtone.media.errors import EngineCommandError, EngineStartError, QueueFull
from roomtone.media.link import encode
from roomtone.media.values import ErrorCode

if TYPE_CHECKING:
    from roomtone.media.values import EngineConfig


def core_module() -> Any:  # the module is a binary; its stub is `_core.pyi`
    """Import the binary module; raise `EngineStartError` with the way out when it is not built."""
    try:
        return importlib.import_module("roomtone._core")
    except ImportError as error:
        message = f"the media engine is not built ({error}); run `uv sync` in the repository"
        raise EngineStartError(message) from error


class CoreLink:
    """`roomtone._core.Engine` as a `Link`; raises `EngineStartError` when it cannot start."""

    def __init__(self, config: EngineConfig) -> None:
        core = core_module()
        self._queue_full: type[Exception] = core.QueueFull
        self._engine_error: type[Exception] = core.EngineError
        try:
            self._engine = core.Engine(encode(config))
        except core.EngineError as error:
            raise EngineStartError(str(error)) from error

    @property
    def binary(self) -> object:
        """The binary module's own object, for other parts of that module."""
        return self._engine

    def submit(self, command: bytes) -> None:
        """Send a `Request`."""
        try:
            self._engine.submit(command)
        except self._queue_full as error:
            raise QueueFull(str(error)) from error
        except self._engine_error as error:
            raise EngineCommandError(ErrorCode.ENGINE_CLOSED, str(error)) from error

    def event_fd(self) -> int:
        """Give the engine's eventfd."""
        fd: int = self._engine.event_fd()
        return fd

    def drain(self, limit: int) -> list[bytes]:
        """Take at most ``limit`` outbound values."""
        values: list[bytes] = self._engine.drain(limit)
        return values

    def answer(self, answer: bytes) -> None:
        """Send an `Answer`."""
        self._engine.answer(answer)

    def close(self) -> None:
        """Stop and join the engine's threads."""
        self._engine.close()
