"""Which database an URL names, and with which driver it is spoken to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from roomtone.store.errors import StoreError, StoreFailure

if TYPE_CHECKING:
    from pathlib import Path

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mariadb+asyncmy",
}
SQLITE, POSTGRESQL, MYSQL = "sqlite", "postgresql", "mysql"


def database_url(text: str, default_file: Path) -> URL:
    """Read the setting; empty is a SQLite file. Raise `StoreError` for what is no database this server knows."""
    if not text:
        return URL.create("sqlite+aiosqlite", database=str(default_file))
    try:
        url = make_url(text)
        name = url.get_backend_name()
    except (ArgumentError, ValueError) as error:
        # The text itself may hold a password: it is not repeated.
        raise StoreError(StoreFailure.BAD_URL, "database.url is no URL") from error
    if name not in _DRIVERS:
        detail = f"database.url names {name}, which is none of sqlite, postgresql, mysql, mariadb"
        raise StoreError(StoreFailure.BAD_URL, detail)
    if name != SQLITE and not url.database:
        raise StoreError(StoreFailure.BAD_URL, "database.url names no database: end it with /NAME")
    if name == "mariadb":
        name = MYSQL
    return url.set(drivername=_DRIVERS[name])


def shown(url: URL) -> str:
    """Write an URL for people: without the driver and the password."""
    if url.get_backend_name() == SQLITE:
        return url.database or "an SQLite database in memory"
    host = f"{url.host or 'localhost'}" + (f":{url.port}" if url.port else "")
    return f"{url.get_backend_name()}://{host}/{url.database}"
