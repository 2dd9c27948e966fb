"""`roomtone keys`: the API keys of the database, and who signs when a token is made on the command line."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from roomtone.app.errors import StartError
from roomtone.control.accounts import COMMAND_LINE, AccountError
from roomtone.control.calls import PhoneError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from roomtone.app.people import People
    from roomtone.config import Settings

_T = TypeVar("_T")


def signing_keys(settings: Settings, key: str | None) -> Mapping[str, str]:
    """Give the keys that may sign: those of the settings, and of the database where the settings have not the one."""
    keys = settings.api_keys
    if (key in keys if key is not None else keys) or not _has_database(settings):
        return keys

    async def read(people: People) -> dict[str, str]:
        return dict(people.api_keys.ring)

    return with_people(settings, read)


def create(settings: Settings, label: str, name: str | None) -> list[str]:
    """Make a key: the lines to print."""

    async def make(people: People) -> list[str]:
        made = await people.api_keys.create(label, COMMAND_LINE, name)
        return [f"key    {made.name}", f"secret {made.secret}"]

    return with_people(settings, make)


def revoke(settings: Settings, name: str) -> None:
    """Revoke a key; a server that runs sees it within `accounts.refresh_cache_s`."""

    async def end(people: People) -> None:
        await people.api_keys.revoke(name, COMMAND_LINE)

    with_people(settings, end)


def listing(settings: Settings) -> list[str]:
    """Describe all keys, one a line."""

    async def read(people: People) -> list[str]:
        ring = people.api_keys.ring
        lines = [f"{name}  of the settings" for name in ring if ring.is_of_settings(name)]
        for key in await people.api_keys.list():
            state = "in force" if key.revoked_at is None else f"revoked {_day(key.revoked_at)}"
            lines.append(f"{key.name}  made {_day(key.created_at)} by {key.created_by}, {state}  {key.label}".rstrip())
        return lines

    return with_people(settings, read)


def _has_database(settings: Settings) -> bool:
    """Whether there is one to look into; looking must not make a file."""
    file = settings.server.data_path / ("dev.db" if settings.server.dev else "roomtone.db")
    return bool(settings.database.url.get_secret_value()) or file.exists()


def with_people(settings: Settings, work: Callable[[People], Awaitable[_T]]) -> _T:
    """Open the database, do something with it and close it; what it refuses is a `StartError`."""

    async def run() -> _T:
        from roomtone.app.people import open_people  # noqa: PLC0415 - other commands need no database

        settings.server.data_path.mkdir(mode=0o700, parents=True, exist_ok=True)
        people = await open_people(settings, serving=False)
        try:
            return await work(people)
        except (AccountError, PhoneError) as error:
            raise StartError(error.message) from error
        finally:
            await people.close()

    return asyncio.run(run())


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
