"""Servers that share a database: PostgreSQL beneath two of them, Redis beside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import database_servers
import pytest
from test_mail import post

from roomtone.app.errors import StartError
from roomtone.app.families import people_values
from roomtone.app.people import DEV_PASSWORD, People, open_people
from roomtone.config import Settings
from roomtone.control.accounts import AccountError, AccountRefusal
from roomtone.control.policy.attempts import AttemptsError
from roomtone.control.rooms.chat import ChatMessage

PASSWORD = "correct horse battery"


@pytest.fixture
def postgresql() -> Iterator[str]:
    with database_servers.postgresql() as url:
        yield url


def settings(tmp_path: Path, **sections: Any) -> Settings:
    base: dict[str, Any] = {
        "server": {"data_dir": str(tmp_path)},
        "accounts": {"bcrypt_cost": 4, "refresh_cache_s": 3_600},
    }
    for section, values in sections.items():
        base[section] = base.get(section, {}) | values
    return Settings.model_validate(base)


async def log_in(people: People, username: str, password: str) -> str:
    return (await people.accounts.log_ins.log_in(username, password, None, "192.0.2.1")).access_token


async def test_servers_that_start_at_once_make_one_administrator_and_share_everything(
    postgresql: str, tmp_path: Path
) -> None:
    shared = settings(tmp_path, database={"url": postgresql})
    people = await asyncio.gather(open_people(shared), open_people(shared))
    shown = [one.first_start for one in people if one.first_start.username]
    assert [first.username for first in shown] == ["admin"]
    for one in people:
        now = one.accounts.parts.clock()
        for other in people:
            token = await log_in(one, "admin", shown[0].password)
            assert other.keys.verify(token, now).identity == "a_first"
    first, second = people
    made = await first.api_keys.create("shared", "test")
    assert made.name not in second.api_keys.ring
    await second.sync()
    assert second.api_keys.ring[made.name] == made.secret
    for one in people:
        await one.close()
    again = await open_people(shared)
    assert again.first_start.lines() == []
    await again.close()


async def test_the_published_password_is_never_put_into_a_shared_database(postgresql: str, tmp_path: Path) -> None:
    people = await open_people(settings(tmp_path, database={"url": postgresql}, server={"dev": True}))
    assert people.first_start.username == "admin"
    with pytest.raises(AccountError) as caught:
        await log_in(people, "admin", DEV_PASSWORD)
    assert caught.value.refusal is AccountRefusal.BAD_CREDENTIALS
    await people.close()


async def test_a_development_server_keeps_a_database_of_its_own(tmp_path: Path) -> None:
    dev = await open_people(settings(tmp_path, server={"dev": True}))
    assert dev.first_start.lines() == []
    await log_in(dev, "admin", DEV_PASSWORD)
    await dev.close()
    real = await open_people(settings(tmp_path))
    with pytest.raises(AccountError):
        await log_in(real, "admin", DEV_PASSWORD)
    assert len(real.first_start.lines()) == 5
    await real.close()
    assert dev.database.url.database != real.database.url.database


async def test_keys_of_the_settings_take_the_place_of_a_made_one(tmp_path: Path) -> None:
    people = await open_people(settings(tmp_path, keys={"mine": PASSWORD * 2}))
    assert (people.first_start.key, people.first_start.username) == ("", "admin")
    assert dict(people.api_keys.ring) == {"mine": PASSWORD * 2}
    await people.close()


async def test_servers_that_share_redis_count_attempts_together(tmp_path: Path) -> None:
    with database_servers.redis() as url:
        shared = settings(tmp_path, redis={"url": url, "timeout_s": 20}, accounts={"rates": {"logins_per_minute": 3}})
        people = [await open_people(shared) for _ in range(2)]
        outcomes = []
        for one in (*people, *people):
            with pytest.raises((AccountError, AttemptsError)) as caught:
                await log_in(one, "nobody", PASSWORD)
            outcomes.append(type(caught.value))
        assert outcomes == [AccountError, AccountError, AccountError, AttemptsError]
        for one in people:
            await one.close()


@pytest.mark.parametrize(
    ("sections", "hint"),
    [
        ({"redis": {"url": "redis://127.0.0.1:1/0"}}, "redis.url"),
        ({"redis": {"url": "nonsense"}}, "redis.url"),
        ({"database": {"url": "oracle://x/y"}}, "database.url"),
        ({"database": {"url": "mysql://u:hush@127.0.0.1:1/d"}}, "mysql://127.0.0.1:1/d"),
        ({"accounts": {"key_file": "/nowhere/at/all"}}, "key file"),
    ],
)
async def test_what_cannot_be_opened_is_one_line_and_leaves_nothing_open(
    tmp_path: Path, sections: dict[str, Any], hint: str
) -> None:
    before = asyncio.all_tasks()
    with pytest.raises(StartError, match=hint) as caught:
        await open_people(settings(tmp_path, **sections))
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)
    assert asyncio.all_tasks() == before


async def test_a_running_server_learns_what_another_process_changes_and_goes_on_when_it_cannot(tmp_path: Path) -> None:
    server, other = await open_people(settings(tmp_path)), await open_people(settings(tmp_path), serving=False)
    following = asyncio.create_task(server.keep_in_step(0))

    async def until(what: Callable[[], bool]) -> None:
        async with asyncio.timeout(40):
            while not what():
                await other.database.ping()

    made = await other.api_keys.create("from outside", "test")
    await until(lambda: made.name in server.api_keys.ring)
    engine, server.database._engine = server.database._engine, None
    failed = server.database.failures
    await until(lambda: server.database.failures > failed)
    assert made.name in server.api_keys.ring, "what was known stays"
    server.database._engine = engine
    await other.api_keys.revoke(made.name, "test")
    await until(lambda: made.name not in server.api_keys.ring)
    await server.fall_out_of_step(following)
    for people in (other, server):
        await people.close()


async def test_what_expired_or_is_too_old_is_forgotten_once_an_hour(tmp_path: Path) -> None:
    times = [1_800_000_000.0]
    people = await open_people(settings(tmp_path), serving=False, clock=lambda: times[0])
    parts = people.accounts.parts
    await people.accounts.register("ada", PASSWORD, None, "", "192.0.2.1")
    await people.chat.add(ChatMessage("m1", "r", "ada", "Ada", "hello", times[0]))
    await people.audit.flush()
    times[0] += 366 * 86_400
    await people.purge()
    assert await people.audit_table.list(9) == []
    assert await people.chat.history("r") == []
    assert await parts.tables.refresh.purge(times[0]) == 0, "nothing was left"
    await people.chat.add(ChatMessage("m1", "r", "ada", "Ada", "hello", 0))
    await people.purge()
    assert len(await people.chat.history("r")) == 1, "within the hour"
    await people.close()


async def test_a_link_that_resets_a_password_goes_out_by_the_mail_server_of_the_settings(tmp_path: Path) -> None:
    async with post() as server:
        mail = {"host": "127.0.0.1", "port": server.port, "security": "none", "public_url": "https://meet.example"}
        people = await open_people(settings(tmp_path, mail=mail))
        await people.accounts.register("ada", PASSWORD, "ada@example.org", "", "192.0.2.1")
        await people.accounts.forgot_password("ada", "http://a-host-the-request-named/", "192.0.2.1")
        assert people.mailer is not None
        await people.mailer.drained()
        assert people_values(people)["mails"] == {"sent": 1, "failed": 0, "dropped": 0}
        await people.close()
    assert b"https://meet.example/account/reset/#token" in server.mails[0]


async def test_a_key_file_that_does_not_fit_the_database_says_so(tmp_path: Path) -> None:
    people = await open_people(settings(tmp_path))
    await people.close()
    (tmp_path / "secrets.key").unlink()
    with pytest.raises(StartError, match="another key file"):
        await open_people(settings(tmp_path))
