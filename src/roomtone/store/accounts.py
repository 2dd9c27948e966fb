"""Accounts, their refresh and reset tokens and backup codes, in SQL.

What must happen only once is one conditional UPDATE: whoever changes the row has it, on every database.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, or_, select, update

from roomtone.store.records import AccountRecord, RefreshTokenRecord, ResetTokenRecord
from roomtone.store.rows import columns_of, record_of
from roomtone.store.tables import accounts, backup_codes, refresh_tokens, reset_tokens

if TYPE_CHECKING:
    from collections.abc import Collection

    from roomtone.store.sql import Database


class SqlAccounts:
    """The table of accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, account: AccountRecord) -> None:
        """Add an account; raise `StoreError` ``taken`` for a user name or mail address in use."""
        async with self._database.transaction() as sql:
            await sql.execute(insert(accounts).values(columns_of(account)))

    async def get(self, account_id: str) -> AccountRecord | None:
        """Find an account by its id."""
        async with self._database.transaction() as sql:
            row = (await sql.execute(select(accounts).where(accounts.c.id == account_id))).first()
        return None if row is None else record_of(AccountRecord, row)

    async def find(self, login: str) -> AccountRecord | None:
        """Find an account by user name or mail address, given in lower case."""
        wanted = select(accounts).where(or_(accounts.c.username == login, accounts.c.email == login))
        async with self._database.transaction() as sql:
            row = (await sql.execute(wanted)).first()
        return None if row is None else record_of(AccountRecord, row)

    async def page(self, offset: int, limit: int) -> list[AccountRecord]:
        """Give accounts by user name."""
        wanted = select(accounts).order_by(accounts.c.username).offset(offset).limit(limit)
        async with self._database.transaction() as sql:
            return [record_of(AccountRecord, row) for row in await sql.execute(wanted)]

    async def count(self, role: str | None = None) -> int:
        """Count accounts, or those of a role that may log in."""
        wanted = select(func.count()).select_from(accounts)
        if role is not None:
            wanted = wanted.where(accounts.c.role == role, accounts.c.disabled.is_(False))
        async with self._database.transaction() as sql:
            return int((await sql.execute(wanted)).scalar_one())

    async def update(self, account_id: str, **values: Any) -> AccountRecord | None:
        """Change columns and give the account as it then is; none where there is no such account."""
        async with self._database.transaction() as sql:
            await sql.execute(update(accounts).where(accounts.c.id == account_id).values(values))
            row = (await sql.execute(select(accounts).where(accounts.c.id == account_id))).first()
        return None if row is None else record_of(AccountRecord, row)

    async def update_unless_last(self, account_id: str, held: str, **values: Any) -> bool:
        """Change columns of an account; false, and nothing, where it alone holds this role and may log in.

        All of the role are locked first: of two that are changed at once, the second is judged after the first.
        """
        of_role = (accounts.c.role == held) & accounts.c.disabled.is_(False)
        async with self._database.transaction() as sql:
            # An UPDATE of what is there already: SQLite knows no SELECT FOR UPDATE, and locks its file with this.
            await sql.execute(update(accounts).where(of_role).values(updated_at=accounts.c.updated_at))
            holders = set((await sql.execute(select(accounts.c.id).where(of_role))).scalars())
            if holders == {account_id}:
                return False
            await sql.execute(update(accounts).where(accounts.c.id == account_id).values(values))
        return True

    async def claim_totp_step(self, account_id: str, step: int) -> bool:
        """Take a time step for one log-in; false when it, or a later one, was taken already."""
        mine = accounts.c.id == account_id
        async with self._database.transaction() as sql:
            done = await sql.execute(
                update(accounts).where(mine, accounts.c.totp_last_step < step).values(totp_last_step=step)
            )
        return done.rowcount == 1

    async def changed_since(self, at: float) -> list[tuple[str, float]]:
        """Give accounts whose older access tokens are refused since then: id and time."""
        wanted = select(accounts.c.id, accounts.c.tokens_valid_after).where(accounts.c.tokens_valid_after >= at)
        async with self._database.transaction() as sql:
            return [(row.id, row.tokens_valid_after) for row in await sql.execute(wanted)]


class SqlRefreshTokens:
    """The table of refresh tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token: RefreshTokenRecord) -> None:
        """Add a token."""
        async with self._database.transaction() as sql:
            await sql.execute(insert(refresh_tokens).values(columns_of(token)))

    async def use(self, digest: str, now: float) -> tuple[RefreshTokenRecord, bool] | None:
        """Use a token up: the token, and whether it was this call that did it; none for an unknown one."""
        mine = refresh_tokens.c.digest == digest
        async with self._database.transaction() as sql:
            done = await sql.execute(
                update(refresh_tokens).where(mine, refresh_tokens.c.used_at.is_(None)).values(used_at=now)
            )
            row = (await sql.execute(select(refresh_tokens).where(mine))).first()
        return None if row is None else (record_of(RefreshTokenRecord, row), done.rowcount == 1)

    async def family_of(self, digest: str) -> RefreshTokenRecord | None:
        """Find a token without using it."""
        async with self._database.transaction() as sql:
            row = (await sql.execute(select(refresh_tokens).where(refresh_tokens.c.digest == digest))).first()
        return None if row is None else record_of(RefreshTokenRecord, row)

    async def revoke_family(self, family: str, now: float) -> None:
        """Let nothing that came of a log-in be used any more."""
        await self._revoke(refresh_tokens.c.family == family, now)

    async def revoke_account(self, account_id: str, now: float) -> None:
        """Let no token of an account be used any more."""
        await self._revoke(refresh_tokens.c.account_id == account_id, now)

    async def revoked_since(self, at: float) -> list[tuple[str, float]]:
        """Give families revoked since then: name and time."""
        when = func.max(refresh_tokens.c.revoked_at)
        wanted = (
            select(refresh_tokens.c.family, when.label("at"))
            .where(refresh_tokens.c.revoked_at >= at)
            .group_by(refresh_tokens.c.family)
        )
        async with self._database.transaction() as sql:
            return [(row.family, row.at) for row in await sql.execute(wanted)]

    async def purge(self, before: float) -> int:
        """Forget tokens that expired before then; how many."""
        async with self._database.transaction() as sql:
            done = await sql.execute(delete(refresh_tokens).where(refresh_tokens.c.expires_at < before))
        return int(done.rowcount)

    async def _revoke(self, which: Any, now: float) -> None:
        async with self._database.transaction() as sql:
            await sql.execute(
                update(refresh_tokens).where(which, refresh_tokens.c.revoked_at.is_(None)).values(revoked_at=now)
            )


class SqlResetTokens:
    """The table of links that set a new password."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token: ResetTokenRecord) -> None:
        """Add a link; older ones of the account end."""
        async with self._database.transaction() as sql:
            await sql.execute(delete(reset_tokens).where(reset_tokens.c.account_id == token.account_id))
            await sql.execute(insert(reset_tokens).values(columns_of(token)))

    async def get(self, digest: str) -> ResetTokenRecord | None:
        """Find a link without using it."""
        async with self._database.transaction() as sql:
            row = (await sql.execute(select(reset_tokens).where(reset_tokens.c.digest == digest))).first()
        return None if row is None else record_of(ResetTokenRecord, row)

    async def use(self, digest: str, now: float) -> ResetTokenRecord | None:
        """Use a link up; none when it is unknown, used or expired."""
        mine = reset_tokens.c.digest == digest
        usable = (reset_tokens.c.used_at.is_(None), reset_tokens.c.expires_at > now)
        async with self._database.transaction() as sql:
            done = await sql.execute(update(reset_tokens).where(mine, *usable).values(used_at=now))
            if done.rowcount != 1:
                return None
            row = (await sql.execute(select(reset_tokens).where(mine))).one()
        return replace(record_of(ResetTokenRecord, row), used_at=now)

    async def purge(self, before: float) -> int:
        """Forget links that expired before then; how many."""
        async with self._database.transaction() as sql:
            done = await sql.execute(delete(reset_tokens).where(reset_tokens.c.expires_at < before))
        return int(done.rowcount)


class SqlBackupCodes:
    """The table of backup codes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace(self, account_id: str, digests: Collection[str]) -> None:
        """Give an account new codes; those it had end."""
        rows = [{"digest": digest, "account_id": account_id, "used_at": None} for digest in digests]
        async with self._database.transaction() as sql:
            await sql.execute(delete(backup_codes).where(backup_codes.c.account_id == account_id))
            if rows:
                await sql.execute(insert(backup_codes), rows)

    async def use(self, account_id: str, digest: str, now: float) -> bool:
        """Use a code up; false when the account has no such code left."""
        mine = (backup_codes.c.account_id == account_id, backup_codes.c.digest == digest)
        async with self._database.transaction() as sql:
            done = await sql.execute(
                update(backup_codes).where(*mine, backup_codes.c.used_at.is_(None)).values(used_at=now)
            )
        return done.rowcount == 1

    async def left(self, account_id: str) -> int:
        """Count the codes that can still be used."""
        mine = (backup_codes.c.account_id == account_id, backup_codes.c.used_at.is_(None))
        async with self._database.transaction() as sql:
            return int((await sql.execute(select(func.count()).select_from(backup_codes).where(*mine))).scalar_one())
