"""Names of live streams that several servers share: kept in Redis, where the settings say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.live import NameKeeper

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from roomtone.config import Settings
    from roomtone.servers.api import ApiContext


def share_names(settings: Settings, context: ApiContext, stack: AsyncExitStack) -> None:
    """Claim names of streams in Redis from now on, until the stack unwinds; nothing where a server is alone."""
    url, node = settings.redis.url.get_secret_value(), settings.live.node_url
    if not url or not node:
        return
    from roomtone.store.redis_streams import RedisStreams  # noqa: PLC0415 - most servers have none

    registry = RedisStreams(url, node, timeout_s=settings.redis.timeout_s)
    stack.push_async_callback(registry.close)
    context.ingests.registry = context.live.registry = registry
    names = NameKeeper(registry, lambda: [*context.ingests.by_name, *context.live.by_name])
    context.ingests.names = names
    stack.push_async_callback(names.close)
    names.start()
