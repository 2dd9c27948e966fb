"""The parts of `people` that load SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.accounts import Tables
from roomtone.control.calls import PhoneTables
from roomtone.store.accounts import SqlAccounts, SqlBackupCodes, SqlRefreshTokens, SqlResetTokens
from roomtone.store.audit import SqlAudit
from roomtone.store.chat import SqlChat
from roomtone.store.ingresses import SqlIngresses
from roomtone.store.keys import SqlApiKeys
from roomtone.store.phones import SqlCallRecords, SqlDispatchRules, SqlSipAccounts, SqlSipBindings, SqlSipTrunks
from roomtone.store.sealing import Sealer, open_key_file
from roomtone.store.sql import Database
from roomtone.store.stream_keys import SqlStreamKeys
from roomtone.store.urls import database_url
from roomtone.store.webhooks import SqlWebhooks

if TYPE_CHECKING:
    from roomtone.config import Settings
    from roomtone.control.policy.attempts import MemoryBuckets
    from roomtone.store.redis_buckets import RedisBuckets

__all__ = [
    "SqlAudit",
    "SqlChat",
    "SqlIngresses",
    "SqlStreamKeys",
    "SqlWebhooks",
    "make_database",
    "open_sealer",
    "phone_tables",
    "redis_buckets",
    "tables",
]

KEY_FILE = "secrets.key"


def open_sealer(settings: Settings) -> Sealer:
    """Open the key file of the settings; made when there is none."""
    path = settings.accounts.key_file
    return open_key_file(settings.server.data_path / KEY_FILE if path is None else path.expanduser())


def make_database(settings: Settings) -> Database:
    """Give the database of the settings, not opened yet."""
    file = settings.server.data_path / ("dev.db" if settings.server.dev else "roomtone.db")
    url = database_url(settings.database.url.get_secret_value(), file)
    return Database(url, pool_size=settings.database.pool_size, timeout_s=settings.database.timeout_s)


def tables(database: Database) -> tuple[Tables, SqlApiKeys]:
    """Give the tables of accounts and of keys."""
    of_accounts = Tables(
        accounts=SqlAccounts(database),
        refresh=SqlRefreshTokens(database),
        reset=SqlResetTokens(database),
        backup=SqlBackupCodes(database),
    )
    return of_accounts, SqlApiKeys(database)


def phone_tables(database: Database) -> PhoneTables:
    """Give the tables of phones."""
    return PhoneTables(
        accounts=SqlSipAccounts(database),
        bindings=SqlSipBindings(database),
        rules=SqlDispatchRules(database),
        records=SqlCallRecords(database),
        trunks=SqlSipTrunks(database),
    )


def redis_buckets(url: str, instead: MemoryBuckets, timeout_s: float) -> RedisBuckets:
    """Give attempts counted in Redis, or in memory while it cannot be asked."""
    from roomtone.store.redis_buckets import RedisBuckets  # noqa: PLC0415 - most servers have none

    return RedisBuckets(url, instead.take, timeout_s=timeout_s)
