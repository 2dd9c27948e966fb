from __future__ import annotations

import asyncio

from roomtone.app.families import LOOP_FAMILIES, loop_values


async def test_tasks_of_the_loop_are_counted_until_they_end() -> None:
    before = loop_values()["loop_tasks"]
    end = asyncio.Event()
    tasks = [asyncio.create_task(end.wait()) for _ in range(3)]
    assert loop_values()["loop_tasks"] == before + 3
    end.set()
    await asyncio.gather(*tasks)
    assert loop_values()["loop_tasks"] == before
    assert set(loop_values()) == {family.name for family in LOOP_FAMILIES}
