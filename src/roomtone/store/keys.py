"""API keys in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from roomtone.store.records import ApiKeyRecord
from roomtone.store.rows import columns_of, record_of
from roomtone.store.tables import api_keys

if TYPE_CHECKING:
    from roomtone.store.sql import Database


class SqlApiKeys:
    """The table of API keys; a revoked one stays, so that its name is not used again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKeyRecord) -> None:
        """Add a key; raise `StoreError` ``taken`` for a name in use."""
        async with self._database.transaction() as sql:
            await sql.execute(insert(api_keys).values(columns_of(key)))

    async def list(self) -> list[ApiKeyRecord]:
        """Give all keys, the oldest first."""
        async with self._database.transaction() as sql:
            rows = await sql.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.name))
            return [record_of(ApiKeyRecord, row) for row in rows]

    async def revoke(self, name: str, now: float) -> bool:
        """Revoke a key; false when there is no such key in force."""
        mine = (api_keys.c.name == name, api_keys.c.revoked_at.is_(None))
        async with self._database.transaction() as sql:
            done = await sql.execute(update(api_keys).where(*mine).values(revoked_at=now))
        return done.rowcount == 1
