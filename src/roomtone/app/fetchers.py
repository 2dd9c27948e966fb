"""Starts the processes that fetch streams of other servers by HLS."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from roomtone.app.last_word import run_until_over

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = (sys.executable, "-m", "roomtone.workers.fetch")


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
        return await run_until_over(self._command, told)
