"""Processes that do one thing until it is over, and say why in the last line of their standard error."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

STOP_S = 3.0
MAX_REASON = 500


async def run_until_over(command: Sequence[str], told: Mapping[str, str], *, stop_s: float = STOP_S) -> str:
    """Run a process, with more in its environment; give what it said last.

    Ended by being cancelled: its standard input is closed, and ``stop_s`` later it is killed.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | dict(told),
    )
    try:
        return await _last_line(process)
    finally:
        await _end(process, stop_s)


async def _last_line(process: asyncio.subprocess.Process) -> str:
    """Wait for the end of a process and give what it said last."""
    last = ""
    if process.stderr is not None:
        async for line in _lines(process.stderr):
            last = line or last
    code = await process.wait()
    return last[:MAX_REASON] or f"it ended with status {code}"


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            continue  # it was longer than is kept
        if not line:
            return
        yield line.decode(errors="replace").strip()


async def _end(process: asyncio.subprocess.Process, stop_s: float) -> None:
    """End a process: by closing its input, then by force."""
    if process.returncode is not None:
        return
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), stop_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
