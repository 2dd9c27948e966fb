"""The audit trail in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from roomtone.store.records import AuditRecord
from roomtone.store.rows import columns_of, record_of
from roomtone.store.tables import audit_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.store.sql import Database


class SqlAudit:
    """The table of audited events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, events: Sequence[AuditRecord]) -> None:
        """Add events."""
        if events:
            async with self._database.transaction() as sql:
                await sql.execute(insert(audit_events), [columns_of(event) for event in events])

    async def list(self, limit: int, *, before: int | None = None, account: str | None = None) -> list[AuditRecord]:
        """Give events, the newest first; ``before`` an id, of one account."""
        wanted = select(audit_events).order_by(audit_events.c.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(audit_events.c.id < before)
        if account is not None:
            wanted = wanted.where(audit_events.c.account == account)
        async with self._database.transaction() as sql:
            return [record_of(AuditRecord, row) for row in await sql.execute(wanted)]

    async def purge(self, before: float) -> int:
        """Forget events older than that; how many."""
        async with self._database.transaction() as sql:
            done = await sql.execute(delete(audit_events).where(audit_events.c.at < before))
        return int(done.rowcount)
