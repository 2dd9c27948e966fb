"""Webhooks, from the settings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.app.errors import StartError
from roomtone.clients.webhooks import SendRules, WebhookDelivery

if TYPE_CHECKING:
    from roomtone.app.people import People
    from roomtone.clients.webhooks.asking import PublishAsker
    from roomtone.clients.webhooks.posting import WebhookPoster
    from roomtone.config import Settings

HOOK_TIMEOUT_S = 2.5
"""An encoder is refused when nothing was decided in three seconds."""


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The sender, and what it posts with."""

    delivery: WebhookDelivery
    poster: WebhookPoster | None

    async def close(self) -> None:
        """Send for a moment more, keep what is left."""
        await self.delivery.close()
        if self.poster is not None:
            await self.poster.close()


def make_webhooks(settings: Settings, people: People) -> Webhooks:
    """Put the sender together; it sends nothing without URLs. Raise `StartError` for a key that is not there."""
    of = settings.webhooks
    rules = SendRules(
        urls=tuple(dict.fromkeys(of.urls)),
        retries=of.retries,
        first_pause_s=of.first_pause_s,
        max_pause_s=of.max_pause_s,
        queue=of.queue,
        concurrency=of.concurrency,
        drain_s=of.drain_s,
    )
    poster = _poster(settings, people) if rules.urls else None
    return Webhooks(WebhookDelivery(rules, poster, people.webhooks, clock=time.time), poster)


@dataclass(frozen=True, slots=True)
class PublishAsking:
    """The hook that is asked who may publish, and what it posts with."""

    ask: PublishAsker
    poster: WebhookPoster

    async def close(self) -> None:
        """Ask no more."""
        await self.poster.close()


def make_publish_hook(settings: Settings, people: People) -> PublishAsking | None:
    """Give the hook of the settings; raise `StartError` where there is no key to sign with."""
    if not settings.live.publish_hook:
        return None
    from roomtone.clients.webhooks.asking import PublishAsker  # noqa: PLC0415 - most servers have none

    poster = _poster(settings, people, timeout_s=HOOK_TIMEOUT_S)
    return PublishAsking(PublishAsker(settings.live.publish_hook, poster), poster)


def _poster(settings: Settings, people: People, timeout_s: float | None = None) -> WebhookPoster:
    from roomtone.clients.webhooks.addresses import GuardedBackend  # noqa: PLC0415 - most servers send none
    from roomtone.clients.webhooks.posting import WebhookPoster  # noqa: PLC0415 - likewise

    of = settings.webhooks
    ring = people.api_keys.ring

    def sign_as() -> str | None:
        return of.key or next(iter(ring), None)

    if (sign_as() or "") not in ring:
        raise StartError(f"webhooks.key: there is no API key {of.key!r}" if of.key else "webhooks need an API key")
    return WebhookPoster(
        people.keys,
        sign_as,
        backend=GuardedBackend(allow_private=of.allow_private),
        clock=time.time,
        connect_timeout_s=of.connect_timeout_s,
        timeout_s=of.timeout_s if timeout_s is None else timeout_s,
    )
