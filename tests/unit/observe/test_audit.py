"""The audit trail: logged at once, kept soon after, never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from roomtone.observe import AuditEvent, AuditKind, AuditLog


class Shelf:
    """A sink that keeps events, or fails when told to."""

    def __init__(self) -> None:
        self.kept: list[AuditEvent] = []
        self.broken = False

    async def write(self, events: Sequence[AuditEvent]) -> None:
        if self.broken:
            raise OSError("the shelf is broken")
        await asyncio.sleep(0)
        self.kept += events


def event(number: int = 0) -> AuditEvent:
    return AuditEvent(AuditKind.LOGIN, "ok", float(number), "ada", "ada", "192.0.2.1")


async def test_an_event_is_logged_at_once_and_kept_soon_after() -> None:
    shelf = Shelf()
    audit = AuditLog(shelf)
    audit.start()
    with structlog.testing.capture_logs() as logs:
        audit.record(event())
    assert [(line["event"], line["kind"], line["account"]) for line in logs] == [("audit", "login", "ada")]
    assert shelf.kept == []
    await audit.close()
    assert shelf.kept == [event()]
    assert audit.recorded == {AuditKind.LOGIN: 1}


async def test_events_are_kept_in_order_over_many_batches() -> None:
    shelf = Shelf()
    audit = AuditLog(shelf)
    audit.start()
    for number in range(600):
        audit.record(event(number))
        if number % 100 == 0:
            await asyncio.sleep(0)
    await audit.close()
    assert [one.at for one in shelf.kept] == [float(number) for number in range(600)]


async def test_more_than_may_wait_are_logged_only_and_counted() -> None:
    audit = AuditLog(Shelf(), max_waiting=2)
    for number in range(5):
        audit.record(event(number))
    assert (audit.unkept, audit.recorded[AuditKind.LOGIN]) == (3, 5)
    await audit.close()


async def test_a_sink_that_fails_costs_rows_and_nothing_else() -> None:
    shelf = Shelf()
    audit = AuditLog(shelf)
    shelf.broken = True
    audit.record(event(1))
    await audit.flush()
    shelf.broken = False
    audit.record(event(2))
    await audit.flush()
    assert audit.unkept == 1
    assert [one.at for one in shelf.kept] == [2]


async def test_without_a_sink_nothing_waits() -> None:
    audit = AuditLog(max_waiting=1)
    for number in range(3):
        audit.record(event(number))
    assert audit.unkept == 0
    await audit.close()


async def test_a_flush_waits_for_what_is_being_written() -> None:
    gate = asyncio.Event()

    class SlowShelf(Shelf):
        async def write(self, events: Sequence[AuditEvent]) -> None:
            await gate.wait()
            await super().write(events)

    shelf = SlowShelf()
    audit = AuditLog(shelf)
    audit.start()
    audit.record(event())
    for _ in range(5):
        await asyncio.sleep(0)
    flushing = asyncio.ensure_future(audit.flush())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not flushing.done()
    gate.set()
    await flushing
    assert shelf.kept == [event()]
    await audit.close()
