"""Secrets at rest, and URLs of databases."""

from __future__ import annotations

import socket
import stat
import sys
from pathlib import Path

import pytest

from roomtone.store import StoreError, StoreFailure
from roomtone.store.sealing import open_key_file
from roomtone.store.sql import Database
from roomtone.store.urls import database_url, shown

FILE = Path("/x/roomtone.db")


def test_a_secret_comes_back_with_the_same_key_file_only(tmp_path: Path) -> None:
    first = open_key_file(tmp_path / "one")
    sealed = first.seal("hush")
    assert "hush" not in sealed
    assert open_key_file(tmp_path / "one").unseal(sealed) == "hush"
    with pytest.raises(StoreError) as caught:
        open_key_file(tmp_path / "two").unseal(sealed)
    assert caught.value.failure is StoreFailure.UNREADABLE
    assert "key file" in caught.value.message


def test_the_key_file_is_made_for_its_owner_only_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    open_key_file(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    open_key_file(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(StoreError, match="chmod 600"):
        open_key_file(tmp_path / "key")


def test_a_file_that_is_no_key_or_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("rubbish")
    (tmp_path / "key").chmod(0o600)
    for path in (tmp_path / "key", tmp_path / "nowhere" / "key"):
        with pytest.raises(StoreError) as caught:
            open_key_file(path)
        assert caught.value.failure is StoreFailure.BAD_KEY_FILE


def test_derived_secrets_and_digests_differ_by_purpose_and_key(tmp_path: Path) -> None:
    one, two = open_key_file(tmp_path / "one"), open_key_file(tmp_path / "two")
    made = {one.derive("a"), one.derive("b"), one.digest("a"), two.derive("a"), two.digest("a")}
    assert len(made) == 5
    assert all(len(text) == 64 for text in made)
    assert one.derive("a") == one.derive("a")


@pytest.mark.parametrize(
    ("text", "driver"),
    [
        ("", "sqlite+aiosqlite"),
        ("sqlite:////y/z.db", "sqlite+aiosqlite"),
        ("postgres://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
        ("mysql://u:p@h/d", "mysql+asyncmy"),
        ("mariadb://u:p@h/d", "mysql+asyncmy"),
    ],
)
def test_a_url_gets_the_driver_that_does_not_block(text: str, driver: str) -> None:
    url = database_url(text, FILE)
    assert url.drivername == driver
    assert ":p@" not in shown(url)
    assert "+" not in shown(url)


@pytest.mark.parametrize("text", ["nonsense", "oracle://u:pass@h/d", "postgresql://u:pass@h", "mysql://u:pass@h:x/d"])
def test_what_is_no_database_is_refused_without_repeating_its_password(text: str) -> None:
    with pytest.raises(StoreError) as caught:
        database_url(text, FILE)
    assert caught.value.failure is StoreFailure.BAD_URL
    assert "pass" not in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["postgresql://u:pass@127.0.0.1:1/d", "mysql://u:pass@127.0.0.1:1/d", "sqlite:////nowhere/at/all.db"],
)
async def test_a_database_that_cannot_be_reached_is_one_line_without_its_password(text: str) -> None:
    database = Database(database_url(text, FILE), timeout_s=20)
    with pytest.raises(StoreError) as caught:
        await database.open()
    assert caught.value.failure in {StoreFailure.UNREACHABLE, StoreFailure.FAILED}
    assert "\n" not in caught.value.message
    assert "pass" not in caught.value.message
    await database.close()


async def test_a_server_that_takes_connections_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        database = Database(database_url(f"postgresql://u:pass@127.0.0.1:{port}/d", FILE), timeout_s=0.2)
        with pytest.raises(StoreError) as caught:
            await database.open()
    assert caught.value.failure is StoreFailure.UNREACHABLE
    assert caught.value.message == f"the database postgresql://127.0.0.1:{port}/d did not answer within 0.2 s"


@pytest.mark.parametrize(
    ("url", "driver", "extra"), [("postgres://h/d", "asyncpg", "postgres"), ("mysql://h/d", "asyncmy", "mysql")]
)
async def test_a_driver_that_is_not_installed_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, url: str, driver: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(StoreError) as caught:
        await Database(database_url(url, FILE)).open()
    assert caught.value.failure is StoreFailure.NO_DRIVER
    assert caught.value.message == f"the driver {driver} is not installed: install roomtone[{extra}]"


async def test_a_file_of_sqlite_is_its_owners_only(tmp_path: Path) -> None:
    database = Database(database_url("", tmp_path / "roomtone.db"))
    await database.open()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted(tmp_path.iterdir())}  # noqa: ASYNC240
    assert modes == {"roomtone.db": 0o600, "roomtone.db-shm": 0o600, "roomtone.db-wal": 0o600}
    await database.close()
