"""Attempts counted in Redis, so that several servers count together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from roomtone.store.errors import StoreError, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_PREFIX = "roomtone:attempts:"
# The same rule as in memory, by the clock of Redis, which all servers share. Times are microseconds; the answer is how
# many must pass, 0 for an attempt within the rate.
_TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, period = tonumber(ARGV[1]), tonumber(ARGV[2])
local held = tonumber(redis.call('GET', KEYS[1]) or '0')
local full_at = math.min(math.max(held, now), now + period) + interval
local wait = full_at - now - period
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1)
return 0
"""


class _Rate(Protocol):
    @property
    def interval_s(self) -> float: ...
    @property
    def per_s(self) -> float: ...


class RedisBuckets:
    """Counts attempts in Redis; while it cannot be asked, ``instead`` counts them here.

    ``failures`` counts such times; ``last_failure`` is empty once Redis answers again.
    """

    def __init__(
        self, url: str, instead: Callable[[str, Any, float], Awaitable[float]], *, timeout_s: float = 2.0
    ) -> None:
        self.failures = 0
        self.last_failure = ""
        self._timeout_s = timeout_s
        self._instead = instead
        try:
            self._redis: Redis = Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
        except ValueError as error:
            raise StoreError(StoreFailure.BAD_URL, "redis.url is no URL of a Redis server") from error
        self._take = self._redis.register_script(_TAKE)

    async def open(self) -> None:
        """See that Redis answers; raise `StoreError` when it does not."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            await self.close()
            why = str(error).splitlines()[0] if str(error) else f"no answer within {self._timeout_s:g} s"
            raise StoreError(StoreFailure.UNREACHABLE, f"redis.url: {why}") from error

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def take(self, subject: str, rate: _Rate, now: float) -> float:
        """Count one attempt: 0 when it is within the rate, else the seconds until one is again."""
        arguments = [round(rate.interval_s * 1e6), round(rate.per_s * 1e6)]
        try:
            async with asyncio.timeout(self._timeout_s):
                wait = await self._take(keys=[_PREFIX + subject], args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self.failures += 1
            self.last_failure = str(error) or f"no answer within {self._timeout_s:g} s"
            return await self._instead(subject, rate, now)
        self.last_failure = ""
        return float(wait) / 1e6
