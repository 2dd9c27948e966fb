"""Starts the processes that fetch streams of other servers by HLS."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

COMMAND = (sys.executable, "-m", "roomtone.workers.fetch")
STOP_S = 3.0
MAX_REASON = 500


class FetchProcesses:
    """One process an attempt. ``rtmp`` is where they publish to, ``host:port`` of this server."""

    def __init__(self, rtmp: str | None, *, allow_private: bool, command: Sequence[str] = COMMAND) -> None:
        self._rtmp = rtmp
        self._allow_private = allow_private
        self._command = tuple(command)

    def why_not(self) -> str:
        """Say why nothing can be fetched so; empty where it can."""
        if self._rtmp is None:
            return "it is published here by RTMP, which nobody listens for (rtmp.enabled)"
        if importlib.util.find_spec("av") is None:
            return "it needs PyAV: install roomtone[transcode]"
        return ""

    async def fetch(self, name: str, url: str, secret: str) -> str:
        """Fetch one attempt; give why it is over."""
        told = {
            "ROOMTONE_FETCH_FROM": url,
            "ROOMTONE_FETCH_TO": f"rtmp://{self._rtmp}/live/{name}?token={secret}",
            "ROOMTONE_FETCH_PRIVATE": "1" if self._allow_private else "0",
        }
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | told,
        )
        try:
            return await _last_line(process)
        finally:
            await _end(process)


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


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a process: by closing its input, then by force."""
    if process.returncode is not None:
        return
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
