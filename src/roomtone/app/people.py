"""What accounts, keys and everything kept in SQL need: opened before the server is ready, closed after it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import secrets
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.app.errors import StartError
from roomtone.config import MailSecurity
from roomtone.control.accounts import (
    SERVER,
    AccountParts,
    AccountRules,
    Accounts,
    ApiKeys,
    KeyRing,
    PasswordHasher,
    Tables,
    WithdrawnTokens,
)
from roomtone.control.calls import PhoneBook, RegistrarRules, open_book
from roomtone.control.live import IngressBook, StreamKeys
from roomtone.control.policy import KeyTable, OwnKeys, Role
from roomtone.control.policy.attempts import AttemptLimiter, Buckets, MemoryBuckets, Rate
from roomtone.control.rooms.chat import ChatMessage
from roomtone.observe import OK, AuditEvent, AuditLog, Verdict, get_logger
from roomtone.store import AccountRecord, AuditRecord, StoreError, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.clients.mail import SmtpMailer
    from roomtone.config import Settings
    from roomtone.control.accounts.ports import KeyStore
    from roomtone.store.audit import SqlAudit
    from roomtone.store.chat import SqlChat
    from roomtone.store.redis_buckets import RedisBuckets
    from roomtone.store.sealing import Sealer
    from roomtone.store.sql import Database
    from roomtone.store.webhooks import SqlWebhooks

_log = get_logger(__name__)

ADMIN = "admin"
DEV_PASSWORD = "secret"  # noqa: S105 - the published password of `--dev`, which listens on loopback only
PURGE_EVERY_S = 3_600.0
DAY_S = 86_400.0
_OVERLAP_S = 60.0
"""Changes are asked for again that long, in case clocks of servers differ."""


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What the first start made: shown once, and kept only hashed or sealed."""

    key: str = ""
    secret: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)

    def lines(self) -> list[str]:
        """Say it on the terminal."""
        lines = []
        if self.key:
            lines += [f"First start: API key     {self.key}", f"             API secret  {self.secret}"]
        if self.username:
            lines += [f"First start: log in as   {self.username}", f"             password    {self.password}"]
        return [*lines, "This is shown once: keep it now."] if lines else []


class KeptAudit:
    """Hands the audit trail to its table."""

    def __init__(self, table: SqlAudit) -> None:
        self._table = table

    async def write(self, events: Sequence[AuditEvent]) -> None:
        """Keep events."""
        await self._table.add(
            [
                AuditRecord(
                    at=event.at,
                    kind=event.kind.value,
                    outcome=event.outcome[:32],
                    account=event.account[:64],
                    actor=event.actor[:64],
                    address=event.address[:64],
                    detail=event.detail,
                )
                for event in events
            ]
        )


@dataclass(eq=False, slots=True)
class People:
    """Everything that `open_people` opened."""

    database: Database
    accounts: Accounts
    api_keys: ApiKeys
    keys: KeyTable
    audit: AuditLog
    audit_table: SqlAudit
    chat: SqlChat[ChatMessage]
    webhooks: SqlWebhooks
    stream_keys: StreamKeys
    ingresses: IngressBook
    phones: PhoneBook
    memory_buckets: MemoryBuckets
    redis_buckets: RedisBuckets | None
    mailer: SmtpMailer | None
    keep_audit_s: float
    keep_chat_s: float
    keep_calls_s: float
    first_start: FirstStart = field(default_factory=FirstStart)
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)
    _ending: asyncio.Event = field(default_factory=asyncio.Event)
    _synced_at: float = 0.0
    _purged_at: float = float("-inf")

    async def close(self) -> None:
        """Close everything, in the opposite order."""
        await self._open.aclose()

    def verdict(self) -> Verdict:
        """Whether the database answered the last time it was asked."""
        failure = self.database.last_failure
        return Verdict(ok=False, reason=failure) if failure else OK

    async def sync(self) -> None:
        """Learn what other processes changed: keys made and revoked, accounts changed, log-ins ended."""
        parts = self.accounts.parts
        now = parts.clock()
        await self.api_keys.load()
        since = self._synced_at - _OVERLAP_S
        for account_id, at in await parts.tables.accounts.changed_since(since):
            parts.gate.withdraw(account_id, at)
        for family, at in await parts.tables.refresh.revoked_since(since):
            parts.gate.withdraw(family, at)
        self._synced_at = now

    async def keep_in_step(self, every_s: float) -> None:
        """Sync now and then, and forget what expired."""
        reached = True
        while not await self._ends_within(every_s):
            failure = "" if self.redis_buckets is None else self.redis_buckets.last_failure
            if failure and reached:
                _log.warning("Redis does not answer: attempts are counted in memory", reason=failure)
            reached = not failure
            try:
                await self.sync()
                await self.purge()
            except StoreError as error:
                _log.warning("the database was not read", reason=error.message)

    async def fall_out_of_step(self, task: asyncio.Task[None]) -> None:
        """End `keep_in_step`, without cutting short what it asks of the database."""
        self._ending.set()
        await task

    async def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)
        return self._ending.is_set()

    async def purge(self) -> None:
        """Forget what expired or is too old; does nothing when it did so within the hour."""
        parts = self.accounts.parts
        if time.monotonic() - self._purged_at < PURGE_EVERY_S:
            return
        self._purged_at = time.monotonic()
        now = parts.clock()
        # Used and revoked tokens are kept as long as anything that came of them, so that their reuse is seen.
        await parts.tables.refresh.purge(now - parts.rules.longest_life_s)
        await parts.tables.reset.purge(now)
        await self.audit_table.purge(now - self.keep_audit_s)
        await self.chat.purge(now - self.keep_chat_s)
        await self.phones.records.table.purge(now - self.keep_calls_s)


async def open_people(settings: Settings, *, serving: bool = True, clock: Callable[[], float] = time.time) -> People:
    """Open the database, migrated, and what stands on it; raise `StartError` with the way out.

    ``serving`` is false for the command line, which reads and writes, and ends.
    """
    # SQLAlchemy takes a while to load; the engine opens meanwhile.
    await asyncio.to_thread(importlib.import_module, "roomtone.app.people_sql")
    stack = AsyncExitStack()
    try:
        people = await _open(settings, stack, clock, serving=serving)
    except StoreError as error:
        await stack.aclose()
        raise StartError(error.message) from error
    except BaseException:
        await stack.aclose()
        raise
    people._open = stack  # noqa: SLF001 - this is its constructor
    return people


async def _open(settings: Settings, stack: AsyncExitStack, clock: Callable[[], float], *, serving: bool) -> People:
    from roomtone.app import people_sql  # noqa: PLC0415 - see `open_people`

    sealer = await asyncio.to_thread(people_sql.open_sealer, settings)
    database = people_sql.make_database(settings)
    await database.open()
    stack.push_async_callback(database.close)
    tables = people_sql.tables(database)
    audit_table = people_sql.SqlAudit(database)
    audit = AuditLog(KeptAudit(audit_table))
    stack.push_async_callback(audit.close)
    memory, redis = MemoryBuckets(), None
    if serving and (url := settings.redis.url.get_secret_value()):
        redis = people_sql.redis_buckets(url, memory, settings.redis.timeout_s)
        await redis.open()
        stack.push_async_callback(redis.close)
    mailer = _mailer(settings, stack) if serving and settings.mail.host else None
    buckets: Buckets = memory if redis is None else redis
    accounts, api_keys = _assemble(settings, sealer, tables, buckets=buckets, audit=audit, mailer=mailer, clock=clock)
    stack.callback(accounts.parts.hasher.close)
    made = People(
        database=database,
        accounts=accounts,
        api_keys=api_keys,
        keys=accounts.parts.keys,
        audit=audit,
        audit_table=audit_table,
        chat=people_sql.SqlChat(database, ChatMessage),
        webhooks=people_sql.SqlWebhooks(database),
        stream_keys=StreamKeys(people_sql.SqlStreamKeys(database), clock),
        ingresses=IngressBook(people_sql.SqlIngresses(database), sealer, clock),
        phones=open_book(
            people_sql.phone_tables(database), sealer, RegistrarRules(**settings.sip.registrar.model_dump()), clock
        ),
        memory_buckets=memory,
        redis_buckets=redis,
        mailer=mailer,
        keep_audit_s=settings.database.keep_audit_days * DAY_S,
        keep_chat_s=settings.database.keep_chat_days * DAY_S,
        keep_calls_s=settings.database.keep_calls_days * DAY_S,
    )
    made._synced_at = clock() - accounts.parts.rules.longest_life_s  # noqa: SLF001 - this is its constructor
    if serving:
        audit.start()
        made.first_start = await _first_start(settings, made)
    await made.sync()
    await made.phones.load()
    await made.ingresses.load()
    if serving:
        task = asyncio.create_task(made.keep_in_step(settings.accounts.refresh_cache_s), name="people")
        stack.push_async_callback(made.fall_out_of_step, task)
    return made


def _assemble(
    settings: Settings,
    sealer: Sealer,
    tables: tuple[Tables, KeyStore],
    *,
    buckets: Buckets,
    audit: AuditLog,
    mailer: SmtpMailer | None,
    clock: Callable[[], float],
) -> tuple[Accounts, ApiKeys]:
    rules = account_rules(settings)
    gate = WithdrawnTokens(rules.longest_life_s)
    ring = KeyRing(settings.api_keys)
    own = OwnKeys(sealer.derive("account tokens"), sealer.derive("room tokens"), gate)
    parts = AccountParts(
        tables=tables[0],
        hasher=PasswordHasher(settings.accounts.bcrypt_cost),
        sealer=sealer,
        keys=KeyTable(ring, settings.limits.max_token_ttl_s, own),
        gate=gate,
        limiter=AttemptLimiter(buckets),
        audit=audit,
        rules=rules,
        mailer=mailer,
        clock=clock,
    )
    return Accounts(parts), ApiKeys(tables[1], sealer, ring, audit, clock)


def account_rules(settings: Settings) -> AccountRules:
    """Rules of accounts, from the settings."""
    of, rates = settings.accounts, settings.accounts.rates
    return AccountRules(
        registration=of.registration,
        min_password_length=of.min_password_length,
        access_ttl_s=of.access_ttl_s,
        refresh_ttl_s=of.refresh_ttl_s,
        reset_ttl_s=of.reset_ttl_s,
        room_token_ttl_s=of.room_token_ttl_s,
        totp_issuer=of.totp_issuer,
        public_url=settings.mail.public_url,
        log_links=settings.server.dev,
        logins=Rate(rates.logins_per_minute, 60),
        logins_of_address=Rate(rates.logins_per_minute_of_address, 60),
        resets=Rate(rates.resets_per_hour, 3600),
        registrations=Rate(rates.registrations_per_hour, 3600),
        room_tokens=Rate(rates.room_tokens_per_minute, 60),
        room_tokens_of_address=Rate(rates.room_tokens_per_minute_of_address, 60),
    )


async def _first_start(settings: Settings, people: People) -> FirstStart:
    """Make what is missing to get in: an administrator, and a key unless the settings have one."""
    parts = people.accounts.parts
    username = password = ""
    if not await parts.tables.accounts.count():
        username, password = ADMIN, secrets.token_urlsafe(15)
        if settings.server.dev and not settings.database.url.get_secret_value():
            # The database of a development server is a file of its own, which no other start reads.
            quick = PasswordHasher(4)
            hashed, username = await quick.hash(DEV_PASSWORD), ""
            quick.close()
        else:
            hashed = await parts.hasher.hash(password)
        now = parts.clock()
        admin = AccountRecord("a_first", ADMIN, Role.ADMIN.value, hashed, created_at=now, updated_at=now)
        try:
            await parts.tables.accounts.add(admin)
        except StoreError as error:
            if error.failure is not StoreFailure.TAKEN:
                raise
            username = ""  # another server that started at the same time was first, and shows its password
    if settings.api_keys or await people.api_keys.list():
        return FirstStart(username=username, password=password)
    key = await people.api_keys.create("first start", SERVER)
    return FirstStart(key.name, key.secret, username, password)


def _mailer(settings: Settings, stack: AsyncExitStack) -> SmtpMailer:
    from roomtone.clients.mail import SmtpMailer, SmtpServer  # noqa: PLC0415 - most servers send none

    mail = settings.mail
    mailer = SmtpMailer(
        SmtpServer(
            host=mail.host,
            sender=mail.sender,
            port=mail.port,
            starttls=mail.security is MailSecurity.STARTTLS,
            tls=mail.security is MailSecurity.TLS,
            username=mail.username,
            password=mail.password.get_secret_value(),
            timeout_s=mail.timeout_s,
        ),
        most_waiting=mail.queue,
    )
    mailer.start()
    stack.push_async_callback(mailer.close)
    return mailer
