"""Attempts counted in Redis: by several servers together, and in memory while it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import database_servers
import pytest

from roomtone.control.policy.attempts import MemoryBuckets, Rate
from roomtone.store import StoreError, StoreFailure
from roomtone.store.redis_buckets import RedisBuckets

FIVE_AN_HOUR = Rate(5, 3600)


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with database_servers.redis() as url:
        yield url


async def test_servers_that_share_redis_count_together(redis: str) -> None:
    servers = [RedisBuckets(redis, MemoryBuckets().take, timeout_s=20) for _ in range(2)]
    for server in servers:
        await server.open()
    waits = await asyncio.gather(*(server.take("together", FIVE_AN_HOUR, 0) for server in servers for _ in range(4)))
    assert sorted(waits)[:5] == [0] * 5
    assert all(0 < wait <= 720 for wait in sorted(waits)[5:]), waits
    assert await servers[0].take("other", FIVE_AN_HOUR, 0) == 0
    for server in servers:
        assert server.failures == 0
        await server.close()


async def test_a_subject_is_forgotten_when_it_has_recovered(redis: str) -> None:
    server = RedisBuckets(redis, MemoryBuckets().take, timeout_s=20)
    await server.take("brief", Rate(1, 1000), 0)
    remaining = await server._redis.pttl("roomtone:attempts:brief")
    assert 990_000 < remaining <= 1_000_001
    await server.close()


async def test_while_redis_is_gone_attempts_are_counted_in_memory() -> None:
    server = RedisBuckets("redis://127.0.0.1:1/0", MemoryBuckets().take, timeout_s=20)
    waits = [await server.take("ada", FIVE_AN_HOUR, 0) for _ in range(6)]
    assert waits == [0, 0, 0, 0, 0, 720]
    assert server.failures == 6
    assert server.last_failure
    await server.close()


async def test_redis_that_is_configured_must_answer_at_the_start() -> None:
    server = RedisBuckets("redis://:hush@127.0.0.1:1/0", MemoryBuckets().take, timeout_s=20)
    with pytest.raises(StoreError) as caught:
        await server.open()
    assert caught.value.failure is StoreFailure.UNREACHABLE
    assert "hush" not in caught.value.message


def test_what_is_no_url_of_redis_is_refused() -> None:
    with pytest.raises(StoreError) as caught:
        RedisBuckets("http://nowhere", MemoryBuckets().take)
    assert caught.value.failure is StoreFailure.BAD_URL
