"""A sender of webhooks over a store in memory, a poster that answers as told, and pauses that are only noted."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from typing import Any

from roomtone.clients.webhooks import Attempt, SendRules, WebhookDelivery
from roomtone.clients.webhooks.target import Chances
from roomtone.control.webhooks import Webhook
from roomtone.store import DeadLetterRecord, StoreError, StoreFailure, WaitingWebhookRecord

NOW = 1_000_000.0
URL, OTHER = "https://one.example/hook", "https://two.example/hook"


@dataclass
class MemoryStore:
    """A `WebhookStore` that outlives its sender."""

    waiting: dict[int, WaitingWebhookRecord] = field(default_factory=dict)
    dead: dict[int, DeadLetterRecord] = field(default_factory=dict)
    broken: bool = False
    last_id: int = 0

    def _check(self) -> None:
        if self.broken:
            raise StoreError(StoreFailure.UNREACHABLE, "the database is away")

    def _next(self) -> int:
        self.last_id += 1
        return self.last_id

    async def add(self, webhooks: Any) -> list[int]:
        self._check()
        ids = [self._next() for _ in webhooks]
        self.waiting |= {id_: replace(one, id=id_) for id_, one in zip(ids, webhooks, strict=True)}
        return ids

    async def delivered(self, ids: Any) -> None:
        self._check()
        for id_ in ids:
            del self.waiting[id_]

    async def give_up(self, id_: int | None, letter: DeadLetterRecord) -> None:
        self._check()
        if id_ is not None:
            del self.waiting[id_]
        key = self._next()
        self.dead[key] = replace(letter, id=key)

    async def revive(self, id_: int, owner: str, lease_until: float) -> WaitingWebhookRecord | None:
        self._check()
        letter = self.dead.pop(id_, None)
        if letter is None:
            return None
        key = self._next()
        self.waiting[key] = WaitingWebhookRecord(
            owner, lease_until, letter.url, letter.event_id, letter.event, "", letter.body, letter.created_at, key
        )
        return self.waiting[key]

    async def renew(self, owner: str, lease_until: float) -> None:
        self._check()
        mine = {id_: one for id_, one in self.waiting.items() if one.owner == owner}
        self.waiting |= {id_: replace(one, lease_until=lease_until) for id_, one in mine.items()}

    async def claim(self, owner: str, now: float, lease_until: float, limit: int) -> list[WaitingWebhookRecord]:
        self._check()
        free = [id_ for id_, one in sorted(self.waiting.items()) if one.lease_until < now][:limit]
        for id_ in free:
            self.waiting[id_] = replace(self.waiting[id_], owner=owner, lease_until=lease_until)
        return [self.waiting[id_] for id_ in free]

    async def letter(self, id_: int) -> DeadLetterRecord | None:
        return self.dead.get(id_)

    async def letters(self, limit: int, *, after: int = 0) -> list[DeadLetterRecord]:
        return [one for id_, one in sorted(self.dead.items()) if id_ > after][:limit]

    async def forget(self, id_: int) -> bool:
        return self.dead.pop(id_, None) is not None


@dataclass
class Posts:
    """A `Poster`: answers by URL as told, and yes to the rest."""

    answers: dict[str, deque[Attempt]] = field(default_factory=lambda: defaultdict(deque))
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self.gate.set()

    async def post(self, url: str, body: bytes) -> Attempt:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
            self.sent.append((url, body))
            return self.answers[url].popleft() if self.answers[url] else Attempt()
        finally:
            self.at_once -= 1


@dataclass
class World:
    """The sender and all around it."""

    delivery: WebhookDelivery
    store: MemoryStore
    posts: Posts
    pauses: list[float]
    clock: list[float]

    def send(self, id_: str, room: str = "demo") -> None:
        self.delivery.send(Webhook(id_, "room_started", room, id_.encode(), NOW))

    def bodies(self, url: str = URL) -> list[str]:
        return [body.decode() for to, body in self.posts.sent if to == url]


async def settle() -> None:
    """Let everything that has begun come to its end."""
    for _ in range(100):
        await asyncio.sleep(0)


def make_world(store: MemoryStore | None = None, posts: Posts | None = None, **rules: Any) -> World:
    """Make a sender, not started yet."""
    store, posts = store or MemoryStore(), posts or Posts()
    pauses: list[float] = []
    clock = [NOW]

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds
        await asyncio.sleep(0)

    delivery = WebhookDelivery(
        SendRules(**({"urls": (URL,), "drain_s": 0.0} | rules)),
        posts,
        store,
        clock=lambda: clock[0],
        chances=Chances(sleep, lambda: 0.0),
    )
    return World(delivery, store, posts, pauses, clock)
