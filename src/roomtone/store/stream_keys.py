"""Stream keys in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from roomtone.store.records import StreamKeyRecord
from roomtone.store.rows import columns_of, record_of
from roomtone.store.tables import stream_keys

if TYPE_CHECKING:
    from roomtone.store.sql import Database


class SqlStreamKeys:
    """The table of stream keys, by their digests; a revoked one is gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: StreamKeyRecord) -> None:
        """Add a key."""
        async with self._database.transaction() as sql:
            await sql.execute(insert(stream_keys).values(columns_of(key)))

    async def find(self, digest: str) -> StreamKeyRecord | None:
        """Give the key of a digest."""
        async with self._database.transaction() as sql:
            row = (await sql.execute(select(stream_keys).where(stream_keys.c.digest == digest))).first()
        return None if row is None else record_of(StreamKeyRecord, row)

    async def list(self, stream: str) -> list[StreamKeyRecord]:
        """Give the keys of a stream, the oldest first."""
        mine = select(stream_keys).where(stream_keys.c.stream == stream)
        async with self._database.transaction() as sql:
            rows = await sql.execute(mine.order_by(stream_keys.c.created_at, stream_keys.c.id))
            return [record_of(StreamKeyRecord, row) for row in rows]

    async def count(self, stream: str) -> int:
        """Give how many keys a stream has."""
        asked = select(func.count()).select_from(stream_keys).where(stream_keys.c.stream == stream)
        async with self._database.transaction() as sql:
            return int((await sql.execute(asked)).scalar_one())

    async def remove(self, stream: str, id_: str) -> bool:
        """Forget a key; false where the stream has no such."""
        mine = (stream_keys.c.stream == stream, stream_keys.c.id == id_)
        async with self._database.transaction() as sql:
            done = await sql.execute(delete(stream_keys).where(*mine))
        return done.rowcount == 1
