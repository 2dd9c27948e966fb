"""Which server has the live stream of a name, in Redis, so that several servers give each name once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis.asyncio import Redis
from redis.exceptions import RedisError

from roomtone.store.errors import StoreError, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_PREFIX = "roomtone:stream:"
KEEP_S = 15.0
"""A name is kept so long for a server that says nothing more."""
# Answers whose the name is: that of the server that asks, where nobody else has it.
_CLAIM = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class RedisStreams:
    """Names of the streams of a server, which others know by ``node``, an address that leads to it.

    While Redis cannot be asked every name is taken for free: streams go on. ``failures`` counts such times, and
    ``last_failure`` is empty once it answers again.
    """

    def __init__(self, url: str, node: str, *, timeout_s: float = 2.0, keep_s: float = KEEP_S) -> None:
        self.node = node
        self.failures = 0
        self.last_failure = ""
        self._timeout_s = timeout_s
        self._keep_ms = round(keep_s * 1000)
        try:
            self._redis: Redis = Redis.from_url(
                url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, decode_responses=True
            )
        except ValueError as error:
            raise StoreError(StoreFailure.BAD_URL, "redis.url is no URL of a Redis server") from error
        self._claim = self._redis.register_script(_CLAIM)
        self._release = self._redis.register_script(_RELEASE)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def claim(self, name: str) -> str:
        """Take a name, or keep it for longer; give which other server has it, empty where none has."""
        owner = await self._ask(lambda: self._claim(keys=[_PREFIX + name], args=[self.node, self._keep_ms]))
        return owner if owner != self.node else ""

    async def keep(self, names: Sequence[str]) -> list[str]:
        """Keep names for longer; give those that other servers have."""
        return [name for name in names if await self.claim(name)]

    async def release(self, name: str) -> None:
        """Give a name back; one that another server has is left to it."""
        await self._ask(lambda: self._release(keys=[_PREFIX + name], args=[self.node]))

    async def owner(self, name: str) -> str:
        """Give which other server has a name; empty where none has."""
        owner = await self._ask(lambda: self._redis.get(_PREFIX + name))
        return owner if owner != self.node else ""

    async def _ask(self, question: Callable[[], Awaitable[object]]) -> str:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await question()
        except (RedisError, OSError, TimeoutError) as error:
            self.failures += 1
            self.last_failure = str(error) or f"no answer within {self._timeout_s:g} s"
            return ""
        self.last_failure = ""
        return answer if isinstance(answer, str) else ""
