"""Webhooks that wait to arrive, and those that were given up, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from roomtone.store.records import DeadLetterRecord, WaitingWebhookRecord
from roomtone.store.rows import columns_of, record_of
from roomtone.store.tables import webhook_dead_letters as letters
from roomtone.store.tables import webhooks_waiting as waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from roomtone.store.sql import Database


class SqlWebhooks:
    """Both tables. A webhook moves between them in one transaction: it is always in one of them.

    Limit: ``most`` that were given up are kept; the oldest make way, and ``dropped`` counts them. How many wait is
    limited by who sends them.
    """

    def __init__(self, database: Database, *, most: int = 10_000) -> None:
        self.dropped = 0
        self._database = database
        self._most = most

    # --- that wait ---

    async def add(self, webhooks: Sequence[WaitingWebhookRecord]) -> list[int]:
        """Keep webhooks; their ids."""
        async with self._database.transaction() as sql:
            return [await _insert(sql, waiting, webhook) for webhook in webhooks]

    async def delivered(self, ids: Sequence[int]) -> None:
        """Forget webhooks that have arrived."""
        async with self._database.transaction() as sql:
            await sql.execute(delete(waiting).where(waiting.c.id.in_(ids)))

    async def renew(self, owner: str, lease_until: float) -> None:
        """Go on owning what one owns; a lease of zero leaves it to others."""
        async with self._database.transaction() as sql:
            await sql.execute(update(waiting).where(waiting.c.owner == owner).values(lease_until=lease_until))

    async def claim(self, owner: str, now: float, lease_until: float, limit: int) -> list[WaitingWebhookRecord]:
        """Take over webhooks whose lease has ended, by id."""
        free = select(waiting.c.id).where(waiting.c.lease_until < now).order_by(waiting.c.id).limit(limit)
        taken = []
        async with self._database.transaction() as sql:
            for id_ in [row.id for row in await sql.execute(free)]:
                mine = update(waiting).where(waiting.c.id == id_, waiting.c.lease_until < now)
                done = await sql.execute(mine.values(owner=owner, lease_until=lease_until))
                if done.rowcount == 1:  # another server may have been faster
                    taken.append(id_)
            rows = await sql.execute(select(waiting).where(waiting.c.id.in_(taken)).order_by(waiting.c.id))
            return [record_of(WaitingWebhookRecord, row) for row in rows]

    # --- that were given up ---

    async def give_up(self, id_: int | None, letter: DeadLetterRecord) -> None:
        """Keep a webhook among those given up, instead of among those that wait."""
        async with self._database.transaction() as sql:
            if id_ is not None:
                await sql.execute(delete(waiting).where(waiting.c.id == id_))
            await _insert(sql, letters, letter)
            held = int((await sql.execute(select(func.count()).select_from(letters))).scalar_one())
            if held > self._most:
                oldest = select(letters.c.id).order_by(letters.c.id).limit(held - self._most)
                gone = [row.id for row in await sql.execute(oldest)]
                await sql.execute(delete(letters).where(letters.c.id.in_(gone)))
                self.dropped += len(gone)

    async def letter(self, id_: int) -> DeadLetterRecord | None:
        """Give one that was given up."""
        async with self._database.transaction() as sql:
            row = (await sql.execute(select(letters).where(letters.c.id == id_))).first()
        return None if row is None else record_of(DeadLetterRecord, row)

    async def letters(self, limit: int, *, after: int = 0) -> list[DeadLetterRecord]:
        """Give those that were given up, by id, from the one after ``after``."""
        wanted = select(letters).where(letters.c.id > after).order_by(letters.c.id).limit(limit)
        async with self._database.transaction() as sql:
            return [record_of(DeadLetterRecord, row) for row in await sql.execute(wanted)]

    async def revive(self, id_: int, owner: str, lease_until: float) -> WaitingWebhookRecord | None:
        """Have one that was given up wait again; none when there is no such one, or another took it."""
        async with self._database.transaction() as sql:
            row = (await sql.execute(select(letters).where(letters.c.id == id_))).first()
            if row is None:
                return None
            done = await sql.execute(delete(letters).where(letters.c.id == id_))
            if done.rowcount != 1:
                return None
            made = WaitingWebhookRecord(
                owner=owner,
                lease_until=lease_until,
                url=row.url,
                event_id=row.event_id,
                event=row.event,
                room="",
                body=row.body,
                created_at=row.created_at,
            )
            key = await _insert(sql, waiting, made)
            again = (await sql.execute(select(waiting).where(waiting.c.id == key))).one()
            return record_of(WaitingWebhookRecord, again)

    async def forget(self, id_: int) -> bool:
        """Forget one that was given up; false when there is no such one."""
        async with self._database.transaction() as sql:
            done = await sql.execute(delete(letters).where(letters.c.id == id_))
        return done.rowcount == 1


async def _insert(sql: AsyncConnection, table: Any, record: object) -> int:
    done = await sql.execute(insert(table).values(columns_of(record)))
    key = done.inserted_primary_key
    return int(key[0]) if key is not None else 0
