from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import pytest

from roomtone.app.supervisor import Backoff, Supervisor, WorkerError

QUICK = Backoff(first_s=0.0, limit_s=0.0)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_pauses_double_up_to_the_limit_and_start_over_after_a_good_run() -> None:
    backoff = Backoff(first_s=0.5, limit_s=3.0, good_run_s=60)
    assert [backoff.next_pause(1) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert backoff.next_pause(61) == 0.5


async def test_a_worker_that_ends_is_prepared_and_started_again() -> None:
    starts: asyncio.Queue[int] = asyncio.Queue()
    count = 0

    async def prepare() -> Sequence[str]:
        nonlocal count
        count += 1
        starts.put_nowait(count)
        return python("raise SystemExit(3)" if count < 3 else "import sys; sys.stdin.read()")

    supervisor = Supervisor("w", prepare, backoff=QUICK)
    await supervisor.start()
    assert [await starts.get() for _ in range(3)] == [1, 2, 3]
    assert supervisor.restarts == 2
    await supervisor.close()


async def test_a_worker_ends_with_its_supervisor() -> None:
    async def prepare() -> Sequence[str]:
        return python("import sys; sys.stdin.read()")

    supervisor = Supervisor("w", prepare)
    await supervisor.start()
    assert supervisor.verdict().ok
    process = supervisor.process
    assert process is not None
    await supervisor.close()
    assert process.returncode == 0
    assert not supervisor.verdict().ok


async def test_a_worker_that_will_not_end_is_killed() -> None:
    async def prepare() -> Sequence[str]:
        return python("import signal\nwhile True: signal.pause()")

    supervisor = Supervisor("w", prepare, stop_timeout_s=0.05)
    await supervisor.start()
    process = supervisor.process
    assert process is not None
    await supervisor.close()
    assert process.returncode == -9


async def test_a_program_that_is_not_there_is_an_error_at_the_start() -> None:
    async def prepare() -> Sequence[str]:
        return ["/nowhere/at/all"]

    with pytest.raises(WorkerError, match="/nowhere/at/all"):
        await Supervisor("w", prepare).start()


async def test_a_preparation_that_fails_later_is_tried_again() -> None:
    attempts: asyncio.Queue[int] = asyncio.Queue()
    count = 0

    async def prepare() -> Sequence[str]:
        nonlocal count
        count += 1
        attempts.put_nowait(count)
        if count == 2:
            raise WorkerError("the room is full")
        return python("" if count == 1 else "import sys; sys.stdin.read()")

    supervisor = Supervisor("w", prepare, backoff=QUICK)
    await supervisor.start()
    assert [await attempts.get() for _ in range(3)] == [1, 2, 3]
    await supervisor.close()


async def test_what_a_worker_says_last_is_its_verdict() -> None:
    said = asyncio.Event()
    count = 0

    async def prepare() -> Sequence[str]:
        nonlocal count
        count += 1
        if count == 2:
            said.set()
            await asyncio.Event().wait()
        return python("import sys; sys.exit('out of tape')")

    supervisor = Supervisor("w", prepare, backoff=QUICK)
    await supervisor.start()
    await said.wait()
    assert supervisor.verdict().reason == "out of tape"
    await supervisor.close()
