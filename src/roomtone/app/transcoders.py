"""Starts the processes that make live streams anew."""

from __future__ import annotations

import importlib.util
import json
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

from roomtone.app.errors import StartError
from roomtone.app.supervisor import Supervisor, WorkerError
from roomtone.control.live import WorkerStartError
from roomtone.servers.api.context import transcode_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from roomtone.config import LiveSettings
    from roomtone.control.live import Worker

COMMAND = (sys.executable, "-m", "roomtone.workers.transcode")


def check_transcoding(live: LiveSettings) -> None:
    """Raise `StartError` where the settings want what there is not, or what is not installed."""
    try:
        rules = transcode_rules(live)
    except LookupError as error:
        raise StartError(f"live.ladder: {error.args[0]}") from error
    if rules.wanted and importlib.util.find_spec("av") is None:
        wanting = "live.ladder, live.transcode_rooms, live.sound and live.webrtc_making"
        raise StartError(f"{wanting} need PyAV: install roomtone[transcode]")


class TranscoderProcesses:
    """One process a track, each connected to the engine by a socket in a folder that only this server reads."""

    def __init__(self, folder: Path, on_restart: Callable[[], None], command: Sequence[str] = COMMAND) -> None:
        self._folder = folder
        self._on_restart = on_restart
        self._command = tuple(command)
        self._numbers = count(1)

    def socket_path(self) -> str:
        """Give a path for a Unix socket, at which there is nothing."""
        return str(self._folder / f"transcoder-{next(self._numbers)}.sock")

    async def start(
        self,
        name: str,
        socket: str,
        plan: Mapping[str, Any],
        on_said: Callable[[Mapping[str, Any]], None],
        on_restart: Callable[[], None],
    ) -> Worker:
        """Start a process and keep it running; raise `WorkerStartError`."""

        async def prepare() -> Sequence[str]:
            return [*self._command, "--socket", socket, "--plan", json.dumps(plan)]

        def restarted() -> None:
            self._on_restart()
            on_restart()

        def said(line: str) -> None:
            try:
                fields = json.loads(line)
            except ValueError:
                return
            if isinstance(fields, dict):
                on_said(fields)

        supervisor = Supervisor(f"transcoder {name}", prepare, on_restart=restarted, on_line=said)
        try:
            await supervisor.start()
        except WorkerError as error:
            raise WorkerStartError(str(error)) from error
        return supervisor
