"""Webhooks kept, sent, and kept again when they could not be.

A webhook is written to the store before it is sent, and forgotten when it has arrived: it survives the process. Each
row belongs to the server that sends it, by a lease that is renewed; after its end another server takes it over.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING

from roomtone.clients.webhooks.target import Chances, Target
from roomtone.clients.webhooks.values import Outcome, SendRules
from roomtone.control.webhooks import WebhookError, WebhookRefusal
from roomtone.observe import get_logger
from roomtone.store import DeadLetterRecord, StoreError, WaitingWebhookRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.clients.webhooks.values import Poster
    from roomtone.control.webhooks import Webhook, WebhookStore

_log = get_logger(__name__)
LEASE_S = 60.0
RENEW_EVERY_S = 20.0
BATCH = 200


class WebhookDelivery:
    """A `WebhookSender`, and `DeadLetters`.

    Without a poster it has no targets, and only those that were given up.
    Limit: ``rules.queue`` webhooks wait for one target; a further one is given up at once and counted as overflowed.
    """

    def __init__(
        self,
        rules: SendRules,
        poster: Poster | None,
        store: WebhookStore,
        *,
        clock: Callable[[], float],
        chances: Chances | None = None,
    ) -> None:
        self.counts: Counter[Outcome] = Counter()
        self._rules = rules
        self._store = store
        self._clock = clock
        self._owner = secrets.token_hex(8)
        chances = chances or Chances(asyncio.sleep, random.SystemRandom().random)
        self._targets = {
            url: Target(url, rules, poster, self, counts=self.counts, chances=chances)
            for url in rules.urls
            if poster is not None
        }
        self._inbox: deque[WaitingWebhookRecord] = deque()
        self._overflow: deque[WaitingWebhookRecord] = deque()
        self._arrived: list[int] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopped = False
        self._writing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def waiting(self) -> int:
        """Webhooks that have not ended, of all targets."""
        return sum(target.waiting for target in self._targets.values())

    # --- life ---

    async def start(self) -> None:
        """Begin to send; what an earlier run left is sent first."""
        if not self._targets:
            return
        await self._claim()
        self._tasks = [
            asyncio.create_task(self._keep_writing(), name="webhooks-kept"),
            asyncio.create_task(self._keep_leases(), name="webhooks-leases"),
        ]

    async def close(self) -> None:
        """Go on for a moment, then leave what is left to the next start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._rules.drain_s):
                await self.drained()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._targets:
            return
        self._stopped = True
        await self._write()
        for target in self._targets.values():
            await target.stop()
        await self._write()
        try:
            await self._store.renew(self._owner, 0)
        except StoreError as error:
            _log.warning("waiting webhooks stay leased for a while", reason=error.message)
        if left := self.waiting:
            _log.info("webhooks wait for the next start", webhooks=left)

    async def drained(self) -> None:
        """Wait until all that was taken is sent or given up, and that is noted in the store."""
        while self.waiting or not self._idle.is_set():
            await self._idle.wait()
            await asyncio.gather(*(target.drained() for target in self._targets.values()))

    # --- control.webhooks.WebhookSender ---

    def send(self, webhook: Webhook) -> None:
        """Take an event for each target."""
        for target in self._targets.values():
            record = WaitingWebhookRecord(
                owner=self._owner,
                lease_until=0.0,
                url=target.url,
                event_id=webhook.id,
                event=webhook.event,
                room=webhook.room,
                body=webhook.body,
                created_at=webhook.at,
            )
            if target.waiting >= self._rules.queue:
                self._overflowed(record)
                continue
            target.waiting += 1
            self._inbox.append(record)
            self._poke()

    # --- control.webhooks.DeadLetters ---

    async def letters(self, limit: int, *, after: int = 0) -> list[DeadLetterRecord]:
        """Give those that were given up, by id, from the one after ``after``."""
        return await self._store.letters(limit, after=after)

    async def resend(self, id_: int) -> None:
        """Send one that was given up again; raise `WebhookError`."""
        letter = await self._store.letter(id_)
        if letter is None:
            raise _no_letter()
        target = self._targets.get(letter.url)
        if target is None:
            raise WebhookError(WebhookRefusal.UNKNOWN_TARGET, "its URL is not among webhooks.urls any more")
        if target.waiting >= self._rules.queue:
            raise WebhookError(WebhookRefusal.QUEUE_FULL, "too many webhooks wait for this target")
        target.waiting += 1
        try:
            webhook = await self._store.revive(id_, self._owner, self._clock() + LEASE_S)
        except BaseException:
            target.waiting -= 1
            raise
        if webhook is None:
            target.waiting -= 1
            raise _no_letter()
        # Its room has gone on without it: it holds up nothing.
        target.add(replace(webhook, room=f"{webhook.event_id} again"))

    async def forget(self, id_: int) -> None:
        """Forget one that was given up; raise `WebhookError`."""
        if not await self._store.forget(id_):
            raise _no_letter()

    # --- what targets tell ---

    def delivered(self, webhook: WaitingWebhookRecord) -> None:
        """Note that a webhook has arrived."""
        if webhook.id is not None:
            self._arrived.append(webhook.id)
            self._poke()

    async def give_up(self, webhook: WaitingWebhookRecord, attempts: int, error: str) -> None:
        """Keep a webhook among those given up."""
        self.counts[Outcome.GIVEN_UP] += 1
        letter = DeadLetterRecord(
            url=webhook.url,
            event_id=webhook.event_id,
            event=webhook.event,
            body=webhook.body,
            attempts=attempts,
            last_error=error[:1000],
            created_at=webhook.created_at,
            given_up_at=self._clock(),
        )
        try:
            await self._store.give_up(webhook.id, letter)
        except StoreError as failure:
            # One that has a row waits there, and is sent after the next start.
            if webhook.id is None:
                self.counts[Outcome.LOST] += 1
            _log.error("a webhook could not be kept", event_name=webhook.event, reason=failure.message)

    # --- steps ---

    def _overflowed(self, record: WaitingWebhookRecord) -> None:
        self.counts[Outcome.OVERFLOWED] += 1
        if len(self._overflow) >= self._rules.queue:
            self.counts[Outcome.LOST] += 1
            return
        self._overflow.append(record)
        self._poke()

    def _poke(self) -> None:
        self._idle.clear()
        self._wake.set()

    async def _keep_writing(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.shield(self._write())

    async def _write(self) -> None:
        """Bring the store up to date, and send what has been written."""
        async with self._writing:
            while self._inbox or self._arrived or self._overflow:
                await self._write_some()
        if not self._wake.is_set():
            self._idle.set()

    async def _write_some(self) -> None:
        new = [self._inbox.popleft() for _ in range(min(BATCH, len(self._inbox)))]
        if new:
            for webhook in await self._kept(new):
                if not self._stopped:
                    self._targets[webhook.url].add(webhook)
        arrived, self._arrived = self._arrived[:BATCH], self._arrived[BATCH:]
        if arrived:
            await self._note_arrived(arrived)
        if self._overflow:
            await self.give_up(self._overflow.popleft(), 0, f"more than {self._rules.queue} webhooks waited")

    async def _kept(self, new: list[WaitingWebhookRecord]) -> list[WaitingWebhookRecord]:
        lease = self._clock() + LEASE_S
        leased = [replace(webhook, lease_until=lease) for webhook in new]
        try:
            ids = await self._store.add(leased)
        except StoreError as error:
            self.counts[Outcome.UNKEPT] += len(new)
            _log.error("webhooks are sent without being kept", webhooks=len(new), reason=error.message)
            return leased
        return [replace(webhook, id=id_) for webhook, id_ in zip(leased, ids, strict=True)]

    async def _note_arrived(self, ids: list[int]) -> None:
        try:
            await self._store.delivered(ids)
        except StoreError as error:
            # At worst they are sent again after the next start, with the same ids.
            _log.error("delivered webhooks stay in the database", webhooks=len(ids), reason=error.message)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                if self.waiting:
                    await self._store.renew(self._owner, self._clock() + LEASE_S)
            except StoreError as error:
                _log.warning("leases of webhooks were not renewed", reason=error.message)
            await self._claim()

    async def _claim(self) -> None:
        """Take over what nobody sees to, as far as it finds a place."""
        try:
            while place := self._rules.queue - max(target.waiting for target in self._targets.values()):
                now = self._clock()
                limit = min(place, BATCH)
                found = await self._store.claim(self._owner, now, now + LEASE_S, limit)
                await self._take_over(found)
                if len(found) < limit:
                    return
        except StoreError as error:
            _log.error("waiting webhooks of earlier runs were not read", reason=error.message)

    async def _take_over(self, found: list[WaitingWebhookRecord]) -> None:
        for webhook in found:
            target = self._targets.get(webhook.url)
            if target is None:
                await self.give_up(webhook, 0, "its URL is not among webhooks.urls any more")
                continue
            target.waiting += 1
            target.add(webhook)


def _no_letter() -> WebhookError:
    return WebhookError(WebhookRefusal.NO_SUCH_LETTER, "there is no such webhook among those given up")
