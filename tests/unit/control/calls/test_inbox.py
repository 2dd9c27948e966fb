"""What waits for a call: in order, bounded, for one reader."""

from __future__ import annotations

import asyncio

import pytest

from roomtone.control.calls.parties.inbox import Inbox


async def test_items_come_out_as_they_were_put_in() -> None:
    inbox: Inbox[int] = Inbox(4)
    assert [inbox.put(n) for n in range(4)] == [True] * 4
    assert not inbox.put(4)
    assert [await inbox.take() for _ in range(4)] == [0, 1, 2, 3]
    assert len(inbox) == 0


async def test_a_reader_waits_until_something_is_put_in() -> None:
    inbox: Inbox[str] = Inbox(4)
    reading = asyncio.ensure_future(inbox.take())
    await asyncio.sleep(0)
    assert not reading.done()
    inbox.put("first")
    inbox.put("second")  # before the reader has had its turn
    assert await reading == "first"
    assert await inbox.take() == "second"


async def test_a_reader_that_gave_up_loses_nothing() -> None:
    inbox: Inbox[str] = Inbox(4)
    reading = asyncio.ensure_future(inbox.take())
    await asyncio.sleep(0)
    reading.cancel()
    inbox.put("kept")
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await inbox.take() == "kept"


async def test_some_of_what_was_taken_is_put_back_in_its_order() -> None:
    inbox: Inbox[int] = Inbox(4)
    for n in range(4):
        inbox.put(n)
    everything = inbox.take_all()
    assert len(inbox) == 0
    inbox.put_back([n for n in everything if n % 2])
    assert inbox.put(5)
    assert inbox.take_all() == [1, 3, 5]
