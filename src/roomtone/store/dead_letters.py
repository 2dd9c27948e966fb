"""Webhooks that were given up, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from roomtone.store.records import DeadLetterRecord
from roomtone.store.rows import columns_of, record_of
from roomtone.store.tables import webhook_dead_letters as letters

if TYPE_CHECKING:
    from roomtone.store.sql import Database


class SqlDeadLetters:
    """The table of webhooks that were given up.

    Limit: ``most`` are kept; the oldest make way, and ``dropped`` counts them.
    """

    def __init__(self, database: Database, *, most: int = 10_000) -> None:
        self.dropped = 0
        self._database = database
        self._most = most

    async def add(self, letter: DeadLetterRecord) -> int:
        """Keep a webhook; its id."""
        async with self._database.transaction() as sql:
            done = await sql.execute(insert(letters).values(columns_of(letter)))
            key = done.inserted_primary_key
            id_ = int(key[0]) if key is not None else 0
            held = int((await sql.execute(select(func.count()).select_from(letters))).scalar_one())
            if held > self._most:
                oldest = select(letters.c.id).order_by(letters.c.id).limit(held - self._most)
                gone = [row.id for row in await sql.execute(oldest)]
                await sql.execute(delete(letters).where(letters.c.id.in_(gone)))
                self.dropped += len(gone)
        return id_

    async def list(self, limit: int, *, after: int = 0) -> list[DeadLetterRecord]:
        """Give webhooks by id, from the one after ``after``."""
        wanted = select(letters).where(letters.c.id > after).order_by(letters.c.id).limit(limit)
        async with self._database.transaction() as sql:
            return [record_of(DeadLetterRecord, row) for row in await sql.execute(wanted)]

    async def retry(self, id_: int) -> DeadLetterRecord | None:
        """Take a webhook out to be sent again; none when there is no such one, or another took it."""
        async with self._database.transaction() as sql:
            row = (await sql.execute(select(letters).where(letters.c.id == id_))).first()
            if row is None:
                return None
            done = await sql.execute(delete(letters).where(letters.c.id == id_))
        return record_of(DeadLetterRecord, row) if done.rowcount == 1 else None

    async def delete(self, id_: int) -> bool:
        """Forget a webhook; false when there is no such one."""
        async with self._database.transaction() as sql:
            done = await sql.execute(delete(letters).where(letters.c.id == id_))
        return done.rowcount == 1
