from __future__ import annotations

import asyncio

import pytest

from roomtone.media import MailboxClosed, MailboxOverflow
from roomtone.media.mailbox import MailboxDirectory
from roomtone.media.values import (
    ActiveSpeakers,
    ChannelId,
    ChannelMessage,
    EngineCloseReason,
    EventsDropped,
    IceState,
    IceStateChanged,
    ObserverId,
    ProducerId,
    ProducerScore,
    ProducerSilent,
    ProducerStarted,
    RouterId,
    TransportClosed,
    TransportId,
)


def ice(transport: int, state: IceState = IceState.CHECKING) -> IceStateChanged:
    return IceStateChanged(transport=TransportId(transport), state=state)


def closed(transport: int) -> TransportClosed:
    return TransportClosed(transport=TransportId(transport), reason=EngineCloseReason.REQUESTED)


def score(producer: int, value: int) -> ProducerScore:
    return ProducerScore(producer=ProducerId(producer), encoding=0, score=value)


def message(channel: int) -> ChannelMessage:
    return ChannelMessage(channel=ChannelId(channel), data=b"x", text=False)


@pytest.fixture
def directory() -> MailboxDirectory:
    return MailboxDirectory()


async def test_a_mailbox_gets_only_what_it_asked_for_in_order(directory: MailboxDirectory) -> None:
    box = directory.open([1, 2], limit=8)
    for event in (ice(1), ice(3), closed(2), closed(1)):
        directory.deliver(event)
    assert [await box.get() for _ in range(3)] == [ice(1), closed(2), closed(1)]
    assert box.get_nowait() is None


async def test_an_event_about_two_objects_comes_once(directory: MailboxDirectory) -> None:
    box = directory.open([7, 8], limit=8)
    directory.deliver(ActiveSpeakers(router=RouterId(7), observer=ObserverId(8), speakers=[], dominant=None))
    assert len(box) == 1


async def test_a_mailbox_without_ids_gets_everything(directory: MailboxDirectory) -> None:
    box = directory.open([], limit=8)
    directory.deliver(ice(1))
    directory.deliver(message(9))
    assert len(box) == 2


async def test_when_full_statistics_make_way_first_and_the_reader_is_told(directory: MailboxDirectory) -> None:
    box = directory.open([1, 5], limit=2)
    directory.deliver(score(5, 3))
    directory.deliver(ice(1))
    directory.deliver(closed(1))
    assert await box.get() == EventsDropped(statistics=1, merged=0)
    assert [await box.get(), await box.get()] == [ice(1), closed(1)]


async def test_when_full_an_older_state_of_the_same_object_makes_way(directory: MailboxDirectory) -> None:
    box = directory.open([1, 9], limit=2)
    directory.deliver(ice(1, IceState.CHECKING))
    directory.deliver(message(9))
    directory.deliver(ice(1, IceState.CONNECTED))
    assert await box.get() == EventsDropped(statistics=0, merged=1)
    assert [await box.get(), await box.get()] == [message(9), ice(1, IceState.CONNECTED)]


async def test_started_and_silent_merge_into_the_newer(directory: MailboxDirectory) -> None:
    box = directory.open([5], limit=1)
    directory.deliver(ProducerStarted(producer=ProducerId(5), encoding=0, ssrc=1))
    directory.deliver(ProducerSilent(producer=ProducerId(5), encoding=0))
    await box.get()
    assert isinstance(await box.get(), ProducerSilent)


async def test_a_statistic_that_does_not_fit_is_itself_dropped(directory: MailboxDirectory) -> None:
    box = directory.open([5, 9], limit=1)
    directory.deliver(message(9))
    directory.deliver(score(5, 1))
    assert box.dropped_statistics == 1
    assert not box.closed


async def test_what_may_not_be_lost_overflows_the_mailbox_and_the_reader_learns_it_last(
    directory: MailboxDirectory,
) -> None:
    box = directory.open([9], limit=2)
    for _ in range(3):
        directory.deliver(message(9))
    assert [await box.get(), await box.get()] == [message(9), message(9)]
    with pytest.raises(MailboxOverflow):
        await box.get()


async def test_a_closed_mailbox_gives_the_rest_and_then_ends(directory: MailboxDirectory) -> None:
    box = directory.open([1], limit=4)
    directory.deliver(ice(1))
    box.close()
    directory.deliver(closed(1))
    assert [event async for event in box] == [ice(1)]
    with pytest.raises(MailboxClosed):
        await box.get()


async def test_a_reader_that_waits_is_woken(directory: MailboxDirectory) -> None:
    box = directory.open([1], limit=4)
    reader = asyncio.create_task(box.get())
    await asyncio.sleep(0)
    directory.deliver(ice(1))
    assert await reader == ice(1)


async def test_no_trace_of_closed_mailboxes_remains(directory: MailboxDirectory) -> None:
    with directory.open([1, 2], limit=1), directory.open([], limit=1):
        pass
    directory.close()
    assert directory._by_id == {}
    assert directory._everything == []
