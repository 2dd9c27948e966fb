"""Log-ins: an access token that is short-lived and a refresh token that is used once.

A refresh token is exchanged for its successor. One that comes a second time has been copied, by its owner or a thief:
everything that came of that log-in ends, access tokens too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.control.accounts.errors import AccountError, AccountRefusal
from roomtone.control.accounts.names import MAX_LOGIN
from roomtone.control.accounts.parts import AccountParts, new_id
from roomtone.control.policy.attempts import AttemptKind, AttemptsError
from roomtone.control.policy.grants import VideoGrants
from roomtone.control.policy.tokens import ACCOUNT_ISSUER
from roomtone.observe import AuditKind
from roomtone.store import AccountRecord, RefreshTokenRecord

if TYPE_CHECKING:
    from roomtone.control.accounts.second_factor import SecondFactor

_PREFIX = "rt_"
MAX_REFRESH_TOKEN = 128


@dataclass(frozen=True, slots=True)
class LogIn:
    """What somebody who has logged in gets."""

    account: AccountRecord
    access_token: str = field(repr=False)
    access_expires_at: float
    refresh_token: str = field(repr=False)
    refresh_expires_at: float


class LogIns:
    """Opens, continues and ends log-ins."""

    def __init__(self, parts: AccountParts, second_factor: SecondFactor) -> None:
        self._parts = parts
        self._second_factor = second_factor

    async def log_in(self, login: str, password: str, code: str | None, address: str) -> LogIn:
        """Give tokens for a user name or mail address with its password; see `check`."""
        return await self.open(await self.check(login, password, code, address))

    async def check(self, login: str, password: str, code: str | None, address: str) -> AccountRecord:
        """Check a user name or mail address with its password, and a one-time password where one is set up.

        Whether the account exists or not, one password is hashed: the time says nothing.
        """
        parts, login = self._parts, login.strip().lower()[:MAX_LOGIN]
        await self._take(login, address)
        account = await parts.tables.accounts.find(login)
        matches = await parts.hasher.verify(password, None if account is None else account.password_hash)
        if account is None or not matches or account.disabled:
            raise self._refused(AccountRefusal.BAD_CREDENTIALS, login, address)
        if account.totp_active:
            if not code:
                raise self._refused(AccountRefusal.TOTP_REQUIRED, login, address)
            if not await self._second_factor.check(account, code, address):
                raise self._refused(AccountRefusal.BAD_TOTP, login, address)
        if parts.hasher.is_stale(account.password_hash):
            await parts.tables.accounts.update(account.id, password_hash=await parts.hasher.hash(password))
        parts.note(AuditKind.LOGIN, account=account.username, address=address)
        return account

    async def refresh(self, token: str, address: str) -> LogIn:
        """Exchange a refresh token for its successor."""
        parts = self._parts
        await parts.limiter.take(
            AttemptKind.LOGIN, [(f"address:{address}", parts.rules.logins_of_address)], parts.clock()
        )
        now = parts.clock()
        used = None if len(token) > MAX_REFRESH_TOKEN else await parts.tables.refresh.use(self._digest(token), now)
        if used is None:
            raise AccountError(AccountRefusal.BAD_REFRESH_TOKEN, "the refresh token is unknown: log in again")
        record, first = used
        account = await parts.tables.accounts.get(record.account_id)
        if not first:
            await self.end(record.family)
            name = "" if account is None else account.username
            parts.note(AuditKind.REFRESH, AccountRefusal.REFRESH_TOKEN_REUSED.value, account=name, address=address)
            detail = "the refresh token was used before: everything that came of that log-in has ended"
            raise AccountError(AccountRefusal.REFRESH_TOKEN_REUSED, detail)
        if record.revoked_at is not None or record.expires_at <= now or account is None or account.disabled:
            raise AccountError(AccountRefusal.BAD_REFRESH_TOKEN, "the refresh token is good no more: log in again")
        parts.note(AuditKind.REFRESH, account=account.username, address=address)
        return await self.open(account, record.family)

    async def log_out(self, token: str, address: str) -> None:
        """End the log-in that a refresh token belongs to; an unknown token has none."""
        parts = self._parts
        record = None if len(token) > MAX_REFRESH_TOKEN else await parts.tables.refresh.family_of(self._digest(token))
        if record is None:
            raise AccountError(AccountRefusal.BAD_REFRESH_TOKEN, "the refresh token is unknown")
        await self.end(record.family)
        account = await parts.tables.accounts.get(record.account_id)
        parts.note(AuditKind.LOGOUT, account="" if account is None else account.username, address=address)

    async def open(self, account: AccountRecord, family: str | None = None) -> LogIn:
        """Give tokens to an account, of a new log-in or one that goes on."""
        parts, now = self._parts, self._parts.clock()
        family = family or new_id("f")
        refresh = _PREFIX + secrets.token_urlsafe(32)
        record = RefreshTokenRecord(
            digest=self._digest(refresh),
            family=family,
            account_id=account.id,
            created_at=now,
            expires_at=now + parts.rules.refresh_ttl_s,
        )
        await parts.tables.refresh.add(record)
        access = parts.keys.sign(
            ACCOUNT_ISSUER,
            account.id,
            VideoGrants(),
            now,
            parts.rules.access_ttl_s,
            iat=now,
            account=account.id,
            family=family,
            role=account.role,
            name=account.name or account.username,
        )
        return LogIn(account, access, int(now) + parts.rules.access_ttl_s, refresh, record.expires_at)

    async def end(self, family: str) -> None:
        """End a log-in: neither its refresh tokens nor its access tokens are good any more."""
        now = self._parts.clock()
        self._parts.gate.withdraw(family, now)
        await self._parts.tables.refresh.revoke_family(family, now)

    async def end_all(self, account_id: str) -> None:
        """End all log-ins of an account."""
        now = self._parts.clock()
        self._parts.gate.withdraw(account_id, now)
        await self._parts.tables.refresh.revoke_account(account_id, now)

    async def require_password(self, account: AccountRecord, password: str, address: str) -> None:
        """Check the password of somebody who has logged in, before something grave."""
        await self._take(account.username, address)
        if not await self._parts.hasher.verify(password, account.password_hash):
            raise self._refused(AccountRefusal.BAD_CREDENTIALS, account.username, address)

    async def count_attempt(self, account: AccountRecord, address: str) -> None:
        """Count something that is guessed at as an attempt to log in."""
        await self._take(account.username, address)

    async def _take(self, login: str, address: str) -> None:
        rules = self._parts.rules
        subjects = [(f"account:{login}", rules.logins), (f"address:{address}", rules.logins_of_address)]
        try:
            await self._parts.limiter.take(AttemptKind.LOGIN, subjects, self._parts.clock())
        except AttemptsError:
            self._parts.note(AuditKind.LOGIN, "too_many_attempts", account=login, address=address)
            raise

    def _refused(self, refusal: AccountRefusal, login: str, address: str) -> AccountError:
        self._parts.note(AuditKind.LOGIN, refusal.value, account=login, address=address)
        message = {
            AccountRefusal.TOTP_REQUIRED: "a one-time password is needed: give it as totp",
            AccountRefusal.BAD_TOTP: "the one-time password is wrong, or was used before",
        }.get(refusal, "the name or the password is wrong")
        return AccountError(refusal, message)

    def _digest(self, token: str) -> str:
        return self._parts.sealer.digest(f"refresh:{token}")
