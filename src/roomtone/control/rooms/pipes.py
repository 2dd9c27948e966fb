"""Producers that stand for others on further routers: how they are ended."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from roomtone.media import EngineCommandError
from roomtone.media.values import ErrorCode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Iterable

    from roomtone.media import Producer

_log = logging.getLogger(__name__)


def made(pipes: Iterable[asyncio.Future[Producer]]) -> list[Producer]:
    """Give those that are there, of pipes that may still be on their way."""
    return [pipe.result() for pipe in pipes if pipe.done() and not pipe.cancelled() and pipe.exception() is None]


async def end_late_pipe(piping: Awaitable[Producer]) -> None:
    """Close a piped producer that nobody waits for any more, once it is made."""
    with suppress(EngineCommandError):
        await end_pipe(await piping)


async def end_pipe(piped: Producer) -> None:
    """Close a piped producer, unless it has gone already with what it was piped from or to."""
    try:
        await piped.close()
    except EngineCommandError as error:
        if error.code not in {ErrorCode.NOT_FOUND, ErrorCode.ENGINE_CLOSED}:
            _log.warning("closing a pipe failed: %s", error)
