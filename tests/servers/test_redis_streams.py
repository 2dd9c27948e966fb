"""Names of live streams in Redis: each is of one server at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import database_servers
import pytest

from roomtone.store import StoreError, StoreFailure
from roomtone.store.redis_streams import RedisStreams

ONE, TWO = "https://one.example.org", "https://two.example.org"


@pytest.fixture(scope="module")
def redis() -> Iterator[str]:
    with database_servers.redis() as url:
        yield url


@pytest.fixture
async def both(redis: str) -> AsyncIterator[tuple[RedisStreams, RedisStreams]]:
    servers = RedisStreams(redis, ONE, timeout_s=20), RedisStreams(redis, TWO, timeout_s=20)
    yield servers
    for server in servers:
        assert server.failures == 0
        await server.close()


async def test_a_name_is_of_one_server_until_it_is_given_back(both: tuple[RedisStreams, RedisStreams]) -> None:
    one, two = both
    assert await one.claim("studio") == await one.claim("studio") == ""
    assert (await two.claim("studio"), await two.owner("studio")) == (ONE, ONE)
    assert await one.owner("studio") == ""
    assert await two.keep(["studio", "other"]) == ["studio"]
    await two.release("studio")
    assert await two.owner("studio") == ONE, "it is not the other's to give back"
    await one.release("studio")
    assert (await two.claim("studio"), await one.owner("studio")) == ("", TWO)
    assert await one.owner("other") == TWO


async def test_a_name_that_nobody_keeps_is_free_after_a_while(both: tuple[RedisStreams, RedisStreams]) -> None:
    one, two = both
    await one.claim("brief")
    key = "roomtone:stream:brief"
    assert 14_000 < await one._redis.pttl(key) <= 15_000
    await one._redis.pexpire(key, 100)
    await one.keep(["brief"])
    assert await one._redis.pttl(key) > 14_000
    await one._redis.pexpire(key, 0)
    assert await two.claim("brief") == ""


async def test_while_redis_is_gone_names_are_free_and_that_is_counted() -> None:
    server = RedisStreams("redis://127.0.0.1:1/0", ONE, timeout_s=20)
    assert (await server.claim("studio"), await server.owner("studio")) == ("", "")
    assert await server.keep(["studio"]) == []
    assert server.failures == 3
    assert server.last_failure
    await server.close()


def test_what_is_no_url_of_redis_is_refused() -> None:
    with pytest.raises(StoreError) as caught:
        RedisStreams("http://nowhere", ONE)
    assert caught.value.failure is StoreFailure.BAD_URL
