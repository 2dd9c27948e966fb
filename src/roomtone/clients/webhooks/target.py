"""Webhooks on their way to one target: those of a room one after the other, rooms side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from roomtone.clients.webhooks.values import Attempt, Outcome, Poster, SendRules
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Awaitable, Callable

    from roomtone.store import WaitingWebhookRecord

_log = get_logger(__name__)


class Keeper(Protocol):
    """Hears how each webhook ended."""

    def delivered(self, webhook: WaitingWebhookRecord) -> None:
        """Note that it has arrived."""

    async def give_up(self, webhook: WaitingWebhookRecord, attempts: int, error: str) -> None:
        """Keep it among those given up."""


@dataclass(frozen=True, slots=True)
class Chances:
    """What a test replaces: pauses, and the random part of their length."""

    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]


class Target:
    """One URL. ``waiting`` counts webhooks that have not ended; who adds them holds that to its limit."""

    def __init__(
        self,
        url: str,
        rules: SendRules,
        poster: Poster,
        keeper: Keeper,
        *,
        counts: Counter[Outcome],
        chances: Chances,
    ) -> None:
        self.url = url
        self.waiting = 0
        self._rules = rules
        self._poster = poster
        self._keeper = keeper
        self._counts = counts
        self._chances = chances
        self._lanes: dict[str, deque[WaitingWebhookRecord]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(rules.concurrency)

    def add(self, webhook: WaitingWebhookRecord) -> None:
        """Send a webhook after those of its room."""
        lane = self._lanes.get(webhook.room)
        if lane is not None:
            lane.append(webhook)
            return
        self._lanes[webhook.room] = deque([webhook])
        task = asyncio.create_task(self._work(webhook.room), name="webhooks")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drained(self) -> None:
        """Wait until nothing waits."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def stop(self) -> None:
        """Send no more; what has not arrived stays with who keeps it."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, room: str) -> None:
        """Send the webhooks of a room, in their order, until there are no more."""
        lane = self._lanes[room]
        try:
            while lane:
                await self._send(lane[0])
                lane.popleft()
                self.waiting -= 1
        finally:
            del self._lanes[room]

    async def _attempt(self, webhook: WaitingWebhookRecord) -> Attempt:
        try:
            return await self._poster.post(self.url, webhook.body)
        except Exception as error:  # noqa: BLE001 - one webhook must not keep back those of its room for good
            return Attempt(f"{type(error).__name__}: {error}")

    async def _send(self, webhook: WaitingWebhookRecord) -> None:
        attempts = 0
        while True:
            async with self._places:
                attempt = await self._attempt(webhook)
            attempts += 1
            if not attempt.error:
                self._counts[Outcome.DELIVERED] += 1
                self._keeper.delivered(webhook)
                return
            self._counts[Outcome.FAILED] += 1
            if attempt.final or attempts > self._rules.retries:
                _log.error("a webhook was given up", event_name=webhook.event, attempts=attempts, reason=attempt.error)
                await self._keeper.give_up(webhook, attempts, attempt.error)
                return
            pause_s = self._rules.pause_s(attempts, self._chances.random())
            pause_s = min(self._rules.max_pause_s, max(pause_s, attempt.retry_after_s))
            _log.warning("a webhook was not taken", event_name=webhook.event, reason=attempt.error, again_in_s=pause_s)
            await self._chances.sleep(pause_s)
