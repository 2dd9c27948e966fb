"""Keeps a worker process running: started again with growing pauses when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.observe import OK, Verdict, get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_log = get_logger(__name__)

MAX_LINE = 4096


@dataclass(slots=True)
class Backoff:
    """Pauses between starts: doubled up to a bound, back to the first after a good run."""

    first_s: float = 0.5
    limit_s: float = 30.0
    good_run_s: float = 60.0
    _next_s: float = field(default=0.0, init=False)

    def next_pause(self, ran_s: float) -> float:
        """How long to wait after a run of this length."""
        if ran_s >= self.good_run_s:
            self._next_s = 0.0
        self._next_s = min(self.limit_s, max(self.first_s, self._next_s * 2))
        return self._next_s


class WorkerError(Exception):
    """The worker cannot be started now; the message says why."""


class Supervisor:
    """One worker process and its restarts.

    Before each start ``prepare`` makes what the worker needs and gives its command; it may raise `WorkerError`.
    The worker's standard input stays open: it ends when that closes. ``on_line`` takes what it writes to standard
    output, line by line; without, that goes nowhere.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[[], Awaitable[Sequence[str]]],
        *,
        on_restart: Callable[[], None] = lambda: None,
        on_line: Callable[[str], None] | None = None,
        backoff: Backoff | None = None,
        stop_timeout_s: float = 3.0,
    ) -> None:
        self.name = name
        self.restarts = 0
        self.process: asyncio.subprocess.Process | None = None
        self._prepare = prepare
        self._on_restart = on_restart
        self._on_line = on_line
        self._backoff = backoff or Backoff()
        self._stop_timeout_s = stop_timeout_s
        self._task: asyncio.Task[None] | None = None
        self._last_line = ""

    async def start(self) -> None:
        """Start the process the first time; raise `WorkerError` when that fails."""
        self.process = await self._spawn()
        self._task = asyncio.create_task(self._keep_running(), name=f"supervise-{self.name}")

    async def close(self) -> None:
        """Stop the process: first by closing its input, then by force."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._stop_process()

    def restart(self) -> None:
        """End the process now; the supervisor starts it again."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()

    def kill(self) -> None:
        """End the process by force, as it does not heed anything; the supervisor starts it again."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()

    def verdict(self) -> Verdict:
        """Whether the worker runs."""
        if self.process is not None and self.process.returncode is None:
            return OK
        return Verdict(ok=False, reason=self._last_line or f"{self.name} is not running")

    async def _spawn(self) -> asyncio.subprocess.Process:
        command = await self._prepare()
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL if self._on_line is None else asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MAX_LINE,
            )
        except OSError as error:
            raise WorkerError(f"{command[0]} cannot be started: {error.strerror}") from error

    async def _keep_running(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            if self.process is not None:
                await asyncio.gather(self._read_errors(self.process), self._read_lines(self.process))
                code = await self.process.wait()
                _log.warning("worker ended", worker=self.name, exit_code=code, last_line=self._last_line)
            await asyncio.sleep(self._backoff.next_pause(loop.time() - started))
            self.restarts += 1
            self._on_restart()
            try:
                self.process = await self._spawn()
            except WorkerError as error:
                self.process = None
                self._last_line = str(error)
                _log.warning("worker did not start", worker=self.name, reason=str(error))

    async def _read_errors(self, process: asyncio.subprocess.Process) -> None:
        """Log what the worker writes to standard error until it ends; overlong lines are cut."""
        if process.stderr is None:
            return
        while True:
            try:
                line = await process.stderr.readline()
            except ValueError:
                continue
            if not line:
                return
            self._last_line = line.decode(errors="replace").strip()
            _log.info("worker says", worker=self.name, line=self._last_line)

    async def _read_lines(self, process: asyncio.subprocess.Process) -> None:
        """Hand on what the worker writes to standard output until it ends; overlong lines are left out."""
        if process.stdout is None or self._on_line is None:
            return
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                continue
            if not line:
                return
            self._on_line(line.decode(errors="replace"))

    async def _stop_process(self) -> None:
        process = self.process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(self._stop_timeout_s):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
