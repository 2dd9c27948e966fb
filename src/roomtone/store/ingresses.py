"""Ingresses in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from roomtone.store.records import IngressRecord
from roomtone.store.rows import columns_of, record_of
from roomtone.store.tables import ingresses

if TYPE_CHECKING:
    from roomtone.store.sql import Database


class SqlIngresses:
    """The table of ingresses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, ingress: IngressRecord) -> None:
        """Add one; raise `StoreError` ``taken`` for an id in use."""
        async with self._database.transaction() as sql:
            await sql.execute(insert(ingresses).values(columns_of(ingress)))

    async def replace(self, ingress: IngressRecord) -> None:
        """Put one in the place of that of its id; there is nothing to do where that has gone."""
        values = {name: value for name, value in columns_of(ingress).items() if name != "id"}
        async with self._database.transaction() as sql:
            await sql.execute(update(ingresses).where(ingresses.c.id == ingress.id).values(values))

    async def list(self) -> list[IngressRecord]:
        """Give all of them, the oldest first."""
        async with self._database.transaction() as sql:
            rows = await sql.execute(select(ingresses).order_by(ingresses.c.created_at, ingresses.c.id))
            return [record_of(IngressRecord, row) for row in rows]

    async def delete(self, id_: str) -> bool:
        """Forget one; false where there is no such."""
        async with self._database.transaction() as sql:
            done = await sql.execute(delete(ingresses).where(ingresses.c.id == id_))
        return done.rowcount == 1
