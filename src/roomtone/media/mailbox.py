"""Bounded mailboxes of engine events."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Self

from roomtone.media.errors import MailboxClosed, MailboxOverflow
from roomtone.media.event_kinds import is_statistic, merge_key, subjects
from roomtone.media.values import AnyEvent, EventsDropped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

DEFAULT_MAILBOX_LIMIT = 1024


class Mailbox:
    """Events about chosen objects, in order, for one reader.

    When full, statistics (levels, scores) go first, then an older state of the same object makes way for
    the newer one, and the reader is told by an `EventsDropped`. An event that may do neither (a close, a
    message) overflows the mailbox: it closes, and the reader gets `MailboxOverflow` once it has read the rest.
    """

    def __init__(self, limit: int, on_close: Callable[[Mailbox], None]) -> None:
        self.limit = limit
        self.dropped_statistics = 0
        self.dropped_merged = 0
        self.overflowed = False
        self._told = (0, 0)
        self._events: OrderedDict[int, AnyEvent] = OrderedDict()
        self._next = 0
        self._wake = asyncio.Event()
        self._closed = False
        self._on_close = on_close

    def __len__(self) -> int:
        return len(self._events)

    @property
    def closed(self) -> bool:
        """No more events will be put in."""
        return self._closed

    def put(self, event: AnyEvent) -> None:
        """Add an event; never waits. Called by the engine."""
        if self._closed:
            return
        if len(self._events) >= self.limit and not self._make_way(event):
            return
        self._events[self._next] = event
        self._next += 1
        self._wake.set()

    def get_nowait(self) -> AnyEvent | None:
        """Next event, or None when there is none at the moment."""
        dropped = (self.dropped_statistics, self.dropped_merged)
        if dropped != self._told:
            told, self._told = self._told, dropped
            return EventsDropped(statistics=dropped[0] - told[0], merged=dropped[1] - told[1])
        if self._events:
            return self._events.popitem(last=False)[1]
        return None

    async def get(self) -> AnyEvent:
        """Wait for the next event; raise `MailboxClosed` or `MailboxOverflow` at the end."""
        while True:
            event = self.get_nowait()
            if event is not None:
                return event
            if self.overflowed:
                message = f"mailbox of {self.limit} events overflowed"
                raise MailboxOverflow(message)
            if self._closed:
                message = "mailbox is closed"
                raise MailboxClosed(message)
            self._wake.clear()
            await self._wake.wait()

    def close(self) -> None:
        """Take no more events; what is in can still be read. May be called twice."""
        if not self._closed:
            self._closed = True
            self._wake.set()
            self._on_close(self)

    async def __aiter__(self) -> AsyncIterator[AnyEvent]:
        """Iterate until the mailbox is closed and empty."""
        while True:
            try:
                yield await self.get()
            except MailboxClosed:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _make_way(self, event: AnyEvent) -> bool:
        """Free one place for the event; False when the event itself is what is dropped."""
        key = merge_key(event)
        if key is not None and (older := self._find(lambda held: merge_key(held) == key)) is not None:
            del self._events[older]
            self.dropped_merged += 1
            return True
        if (statistic := self._find(is_statistic)) is not None:
            del self._events[statistic]
            self.dropped_statistics += 1
            return True
        if is_statistic(event):
            self.dropped_statistics += 1
            return False
        self.overflowed = True
        self.close()
        return False

    def _find(self, wanted: Callable[[AnyEvent], bool]) -> int | None:
        return next((number for number, held in self._events.items() if wanted(held)), None)


class MailboxDirectory:
    """Which mailbox wants events of which object."""

    def __init__(self) -> None:
        self._by_id: dict[int, list[Mailbox]] = {}
        self._everything: list[Mailbox] = []

    def open(self, ids: Iterable[int], limit: int) -> Mailbox:
        """Make a mailbox; without ids it gets every event."""
        wanted = tuple(dict.fromkeys(ids))
        mailbox = Mailbox(limit, lambda box: self._forget(box, wanted))
        for id_ in wanted:
            self._by_id.setdefault(id_, []).append(mailbox)
        if not wanted:
            self._everything.append(mailbox)
        return mailbox

    def deliver(self, event: AnyEvent) -> None:
        """Put an event into each mailbox that wants it, once."""
        targets: dict[int, Mailbox] = {id(box): box for box in self._everything}
        for subject in subjects(event):
            targets |= {id(box): box for box in self._by_id.get(subject, ())}
        if isinstance(event, EventsDropped):
            targets |= {id(box): box for boxes in self._by_id.values() for box in boxes}
        for box in targets.values():
            box.put(event)

    def close(self) -> None:
        """Close all mailboxes."""
        for box in {id(box): box for boxes in (*self._by_id.values(), self._everything) for box in boxes}.values():
            box.close()

    def _forget(self, mailbox: Mailbox, ids: tuple[int, ...]) -> None:
        for id_ in ids:
            boxes = self._by_id.get(id_, [])
            boxes.remove(mailbox)
            if not boxes:
                self._by_id.pop(id_, None)
        if not ids:
            self._everything.remove(mailbox)
