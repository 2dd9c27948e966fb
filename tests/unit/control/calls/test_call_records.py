"""Records of calls at the end of a server."""

from __future__ import annotations

import asyncio

import pytest
from calls_world import NOW, World

from roomtone.control.calls import calls as module
from roomtone.store import CallRecord


def record(id_: str) -> CallRecord:
    return CallRecord(id_, "ada", "bob", "ada", "", NOW, None, NOW + 1, "busy", 486, "")


async def test_what_is_being_written_when_the_server_ends_is_written_once_and_the_rest_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WRITE_EVERY_S", 0)
    world = World()
    await world.open()
    world.records.answers = asyncio.Event()
    world.calls.records.add(record("a"))
    await world.settle()
    assert [row.id for row in world.records.rows] == ["a"]
    world.calls.records.add(record("b"))
    closing = asyncio.create_task(world.close())
    await world.settle()
    world.records.answers.set()
    await closing
    assert [row.id for row in world.records.rows] == ["a", "b"]
