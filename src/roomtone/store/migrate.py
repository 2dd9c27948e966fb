"""Bring a database's tables up to date, with the migrations that are shipped beside this module.

A migration's ``upgrade`` and ``downgrade`` take the operations they use as ``op``: Alembic's own proxies are global to
the process, and two databases may be opened at once.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from roomtone.store.errors import StoreError, StoreFailure
from roomtone.store.migrations import HEAD
from roomtone.store.tables import metadata

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_266_687
"""Any number; servers that start at once agree on it to migrate one after the other."""


async def migrate(engine: AsyncEngine) -> None:
    """Run what is missing; raise `StoreError` for a database of a newer program."""
    async with engine.begin() as connection:
        if await connection.run_sync(revision) == HEAD:
            return  # the usual case: Alembic need not be loaded
    async with engine.connect() as connection:
        await connection.run_sync(_upgrade)


def revision(connection: Connection) -> str | None:
    """Give the revision a database is at; none where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def scripts() -> ScriptDirectory:
    """Give the migrations as Alembic sees them."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see `_create`

    return ScriptDirectory(str(MIGRATIONS))


def _upgrade(connection: Connection) -> None:
    _lock(connection)
    try:
        if revision(connection) is None:
            _create(connection)
        else:
            _migrate(connection)
        connection.commit()
    finally:
        _unlock(connection)


def _create(connection: Connection) -> None:
    """Make the tables as they are now, without Alembic, which takes half a second to load; a test compares the ways."""
    metadata.create_all(connection)
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})


def _migrate(connection: Connection) -> None:
    # It tells of its plugins while it is loaded.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic.migration import MigrationContext  # noqa: PLC0415 - see `_create`
    from alembic.operations import Operations  # noqa: PLC0415 - likewise
    from alembic.util.exc import CommandError  # noqa: PLC0415 - likewise

    directory = scripts()
    context = MigrationContext.configure(
        connection,
        opts={"fn": lambda at, _: directory._upgrade_revs("head", at)},  # noqa: SLF001 - what `alembic upgrade` calls
    )
    try:
        context.run_migrations(op=Operations(context))
    except CommandError as error:
        connection.rollback()
        detail = f"the database is at revision {revision(connection)}, which this version does not know: is it newer?"
        raise StoreError(StoreFailure.BAD_SCHEMA, detail) from error


def _lock(connection: Connection) -> None:
    match connection.dialect.name:
        case "postgresql":
            connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
        case "mysql" | "mariadb":
            connection.execute(text(f"SELECT GET_LOCK('roomtone-{_LOCK}', 60)"))
        case _:
            # The driver begins no transaction for what changes tables: without this, each statement stood alone.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
    connection.commit()  # the lock is the connection's, not the transaction's


def _unlock(connection: Connection) -> None:
    if connection.in_transaction():
        connection.rollback()
    match connection.dialect.name:
        case "postgresql":
            connection.execute(text(f"SELECT pg_advisory_unlock({_LOCK})"))
        case "mysql" | "mariadb":
            connection.execute(text(f"SELECT RELEASE_LOCK('roomtone-{_LOCK}')"))
        case _:
            return
    connection.commit()
