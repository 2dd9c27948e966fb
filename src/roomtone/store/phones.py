"""Accounts of phones, their bindings, dispatch rules and call records, in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, or_, select, update

from roomtone.store.records import CallRecord, DispatchRuleRecord, SipAccountRecord, SipBindingRecord, SipTrunkRecord
from roomtone.store.rows import columns_of, record_of
from roomtone.store.tables import call_records, sip_accounts, sip_bindings, sip_dispatch_rules, sip_trunks

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from roomtone.store.sql import Database


class SqlSipAccounts:
    """The table of phone accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, account: SipAccountRecord) -> None:
        """Add an account; raise `StoreError` ``taken`` for a user name in use."""
        async with self._database.transaction() as sql:
            await sql.execute(insert(sip_accounts).values(columns_of(account)))

    async def list(self) -> list[SipAccountRecord]:
        """Give all accounts by user name."""
        async with self._database.transaction() as sql:
            rows = await sql.execute(select(sip_accounts).order_by(sip_accounts.c.username))
            return [record_of(SipAccountRecord, row) for row in rows]

    async def version(self) -> tuple[int, float]:
        """Give what changes when any account does: how many, and when the newest was changed."""
        wanted = select(func.count(), func.coalesce(func.max(sip_accounts.c.updated_at), 0.0))
        async with self._database.transaction() as sql:
            count, newest = (await sql.execute(wanted)).one()
        return int(count), float(newest)

    async def update(self, username: str, **values: Any) -> bool:
        """Change columns; false when there is no such account."""
        async with self._database.transaction() as sql:
            done = await sql.execute(update(sip_accounts).where(sip_accounts.c.username == username).values(values))
        return done.rowcount == 1

    async def delete(self, username: str) -> bool:
        """Delete an account and its bindings; false when there is no such account."""
        async with self._database.transaction() as sql:
            await sql.execute(delete(sip_bindings).where(sip_bindings.c.account == username))
            done = await sql.execute(delete(sip_accounts).where(sip_accounts.c.username == username))
        return done.rowcount == 1


class SqlSipBindings:
    """The table of bindings; served from memory, written in batches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, kept: Sequence[SipBindingRecord], gone: Collection[str]) -> None:
        """Write bindings and take out others (by key), as one."""
        replaced = [*gone, *(record.key for record in kept)]
        async with self._database.transaction() as sql:
            await sql.execute(delete(sip_bindings).where(sip_bindings.c.key.in_(replaced)))
            if kept:
                await sql.execute(insert(sip_bindings), [columns_of(record) for record in kept])

    async def load(self, now: float) -> list[SipBindingRecord]:
        """Give what has not expired, and forget the rest."""
        async with self._database.transaction() as sql:
            await sql.execute(delete(sip_bindings).where(sip_bindings.c.expires_at <= now))
            rows = await sql.execute(select(sip_bindings).order_by(sip_bindings.c.registered_at))
            return [record_of(SipBindingRecord, row) for row in rows]


class SqlDispatchRules:
    """The table of dispatch rules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, rule: DispatchRuleRecord) -> None:
        """Add a rule; raise `StoreError` ``taken`` for a name in use."""
        async with self._database.transaction() as sql:
            await sql.execute(insert(sip_dispatch_rules).values(columns_of(rule)))

    async def replace(self, rule: DispatchRuleRecord) -> None:
        """Put a rule in the place of that of its name; there is nothing to do where that has gone."""
        values = {name: value for name, value in columns_of(rule).items() if name != "name"}
        async with self._database.transaction() as sql:
            await sql.execute(update(sip_dispatch_rules).where(sip_dispatch_rules.c.name == rule.name).values(values))

    async def list(self) -> list[DispatchRuleRecord]:
        """Give all rules, the oldest first."""
        order = (sip_dispatch_rules.c.created_at, sip_dispatch_rules.c.name)
        async with self._database.transaction() as sql:
            rows = await sql.execute(select(sip_dispatch_rules).order_by(*order))
            return [record_of(DispatchRuleRecord, row) for row in rows]

    async def delete(self, name: str) -> bool:
        """Delete a rule; false when there is no such one."""
        async with self._database.transaction() as sql:
            done = await sql.execute(delete(sip_dispatch_rules).where(sip_dispatch_rules.c.name == name))
        return done.rowcount == 1


class SqlSipTrunks:
    """The table of trunks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, trunk: SipTrunkRecord) -> None:
        """Add a trunk; raise `StoreError` ``taken`` for a name in use."""
        async with self._database.transaction() as sql:
            await sql.execute(insert(sip_trunks).values(columns_of(trunk)))

    async def replace(self, trunk: SipTrunkRecord) -> None:
        """Put a trunk in the place of that of its name; there is nothing to do where that has gone."""
        values = {name: value for name, value in columns_of(trunk).items() if name != "name"}
        async with self._database.transaction() as sql:
            await sql.execute(update(sip_trunks).where(sip_trunks.c.name == trunk.name).values(values))

    async def list(self) -> list[SipTrunkRecord]:
        """Give all trunks by name."""
        async with self._database.transaction() as sql:
            rows = await sql.execute(select(sip_trunks).order_by(sip_trunks.c.name))
            return [record_of(SipTrunkRecord, row) for row in rows]

    async def delete(self, name: str) -> bool:
        """Delete a trunk; false when there is no such one."""
        async with self._database.transaction() as sql:
            done = await sql.execute(delete(sip_trunks).where(sip_trunks.c.name == name))
        return done.rowcount == 1


class SqlCallRecords:
    """The table of calls that have ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, records: Sequence[CallRecord]) -> None:
        """Keep records."""
        async with self._database.transaction() as sql:
            await sql.execute(insert(call_records), [columns_of(record) for record in records])

    async def page(self, limit: int, *, before: float | None = None, account: str | None = None) -> list[CallRecord]:
        """Give calls that began before some time, the newest first; of one account, whichever side."""
        wanted = select(call_records).order_by(call_records.c.begun_at.desc(), call_records.c.id).limit(limit)
        if before is not None:
            wanted = wanted.where(call_records.c.begun_at < before)
        if account is not None:
            mine = (call_records.c.caller_account == account, call_records.c.callee_account == account)
            wanted = wanted.where(or_(*mine))
        async with self._database.transaction() as sql:
            return [record_of(CallRecord, row) for row in await sql.execute(wanted)]

    async def purge(self, before: float) -> int:
        """Forget calls that began before; how many."""
        async with self._database.transaction() as sql:
            done = await sql.execute(delete(call_records).where(call_records.c.begun_at < before))
        return done.rowcount
