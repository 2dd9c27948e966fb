"""One SQL database: connections, transactions, and the first line of what went wrong."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from roomtone.store.errors import StoreError, StoreFailure
from roomtone.store.migrate import migrate
from roomtone.store.urls import SQLITE, shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_BUSY_MS = 10_000
_RECYCLE_S = 1800
# A connection that a server or firewall has closed is found before it is used.
_NETWORK = {"pool_pre_ping": True, "pool_recycle": _RECYCLE_S}


class Database:
    """An open database. Limits: ``pool_size`` connections; who waits longer than ``timeout_s`` is told so.

    ``failures`` counts transactions the database did not carry out, ``last_failure`` is empty once one succeeds.
    """

    def __init__(self, url: URL, *, pool_size: int = 5, timeout_s: float = 10.0) -> None:
        self.url = url
        self.transactions = 0
        self.failures = 0
        self.last_failure = ""
        self._timeout_s = timeout_s
        self._pool_size = pool_size
        self._engine: AsyncEngine | None = None

    async def open(self) -> None:
        """Connect and bring the tables up to date; raise `StoreError` and stay closed when that cannot be done."""
        if self.url.get_backend_name() == SQLITE:
            await asyncio.to_thread(self._try_sqlite)
        self._engine = self._create_engine()
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self.transaction() as connection:
                    await connection.execute(text("SELECT 1"))
            await migrate(self._engine)
        except TimeoutError as error:
            await self.close()
            detail = f"the database {shown(self.url)} did not answer within {self._timeout_s:g} s"
            raise StoreError(StoreFailure.UNREACHABLE, detail) from error
        except SQLAlchemyError as error:
            await self.close()
            raise self._failed(error) from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close all connections. May be called twice."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Run statements as one, all undone when the block raises; raise `StoreError` for what the database says."""
        self.transactions += 1
        if self._engine is None:
            self.failures += 1
            raise StoreError(StoreFailure.UNREACHABLE, "the database is closed")
        try:
            async with self._engine.begin() as connection:
                yield connection
        except IntegrityError as error:
            raise StoreError(StoreFailure.TAKEN, "such a row exists already") from error
        except (SQLAlchemyError, OSError) as error:
            raise self._failed(error) from error
        self.last_failure = ""

    async def ping(self) -> bool:
        """Ask whether the database answers; ``last_failure`` says why not."""
        try:
            async with asyncio.timeout(self._timeout_s):
                async with self.transaction() as connection:
                    await connection.execute(text("SELECT 1"))
        except StoreError:
            return False
        except TimeoutError:
            self.failures += 1
            self.last_failure = f"no answer within {self._timeout_s:g} s"
            return False
        return True

    def _try_sqlite(self) -> None:
        """Open the file once: the asynchronous driver leaves a thread behind when that fails.

        A new file is its owner's only, since it holds hashes of passwords; SQLite gives its neighbours the same mode.
        """
        file = self.url.database
        try:
            if file and file != ":memory:":
                os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
            sqlite3.connect(file or ":memory:").close()
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

    def _create_engine(self) -> AsyncEngine:
        backend = self.url.get_backend_name()
        more: dict[str, Any] = {} if backend == SQLITE else dict(_NETWORK)
        try:
            engine = create_async_engine(
                self.url, pool_size=self._pool_size, max_overflow=0, pool_timeout=self._timeout_s, **more
            )
        except ModuleNotFoundError as error:
            extra = "postgres" if backend.startswith("postgres") else "mysql"
            detail = f"the driver {error.name} is not installed: install roomtone[{extra}]"
            raise StoreError(StoreFailure.NO_DRIVER, detail) from error
        if backend == SQLITE:
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        return engine

    def _failed(self, error: Exception) -> StoreError:
        self.failures += 1
        self.last_failure = _first_line(error)
        unreachable = isinstance(error, OSError) or (isinstance(error, DBAPIError) and error.connection_invalidated)
        # What comes out of connecting is an operational error on all drivers, beside locks and the like.
        failure = StoreFailure.UNREACHABLE if unreachable else StoreFailure.FAILED
        return StoreError(failure, f"the database {shown(self.url)}: {self.last_failure}")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # Readers and the one writer do not wait for each other; a crash of the machine may cost the last commits, no more.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={_BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _first_line(error: Exception) -> str:
    cause: BaseException = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = str(cause).strip().splitlines()
    return lines[0].strip() if lines else type(cause).__name__
