"""Starts the processes that send slates."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from roomtone.app.last_word import run_until_over
from roomtone.control.live import CARD, SlateLook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.control.live import Slates

COMMAND = (sys.executable, "-m", "roomtone.workers.slate")
_SOUND = {"aac": "aac", "opus": "libopus", "": ""}


class SlateProcesses:
    """One process a slate. ``rtmp`` is where they publish to, ``host:port`` of this server."""

    def __init__(self, rtmp: str | None, command: Sequence[str] = COMMAND) -> None:
        self._rtmp = rtmp
        self._command = tuple(command)

    def why_not(self, shown: str) -> str:
        """Say why this cannot be shown; empty where it can."""
        if self._rtmp is None:
            return "it is published here by RTMP, which nobody listens for (rtmp.enabled)"
        if importlib.util.find_spec("av") is None or importlib.util.find_spec("numpy") is None:
            return "it needs PyAV: install roomtone[transcode]"
        return "" if shown == CARD or Path(shown).is_file() else f"there is no file {shown}"

    async def show(self, name: str, secret: str, look: SlateLook) -> str:
        """Show a slate until the server lets it go; give why it is over. Ended at once by being cancelled."""
        size = f"{look.width}x{look.height}"
        command = (*self._command, "--show", look.shown, "--size", size, "--sound", _SOUND[look.sound])
        told = {"ROOMTONE_SLATE_TO": f"rtmp://{self._rtmp}/live/{name}?token={secret}"}
        # Whoever comes back is waiting for its place.
        return await run_until_over(command, told, stop_s=0.0)


def open_slates(slates: Slates, rtmp: str | None) -> list[str]:
    """Let slates be shown from now on; give what is wrong with those that the settings name."""
    processes = slates.processes = SlateProcesses(rtmp)
    named = {slates.rules.shown, *slates.rules.by_name.values()} - {""}
    reasons = {shown: processes.why_not(shown) for shown in sorted(named)}
    return [f"live.slate: {shown} is not shown: {why}" for shown, why in reasons.items() if why]
