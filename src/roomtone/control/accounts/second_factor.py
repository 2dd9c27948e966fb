"""The second factor: one-time passwords of an app, and backup codes for the day the telephone is lost."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.control.accounts import totp
from roomtone.control.accounts.errors import AccountError, AccountRefusal
from roomtone.observe import AuditKind

if TYPE_CHECKING:
    from roomtone.control.accounts.parts import AccountParts
    from roomtone.store import AccountRecord

BACKUP_CODES = 10
_CODE_BYTES = 10
"""80 bits a code: too many to guess, so a keyed digest keeps them."""


@dataclass(frozen=True, slots=True)
class TotpSetup:
    """What an authenticator app needs."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


class SecondFactor:
    """Sets up, checks and removes one-time passwords."""

    def __init__(self, parts: AccountParts) -> None:
        self._parts = parts

    async def set_up(self, account: AccountRecord, address: str) -> TotpSetup:
        """Make a secret; it is asked for once `confirm` has seen a password made with it."""
        if account.totp_active:
            raise AccountError(AccountRefusal.TOTP_ACTIVE, "one-time passwords are in use: remove them first")
        secret = secrets.token_bytes(totp.SECRET_BYTES)
        text = totp.secret_text(secret)
        await self._parts.tables.accounts.update(account.id, totp_sealed=self._parts.sealer.seal(text))
        self._parts.note(AuditKind.TOTP_SET_UP, account=account.username, address=address)
        uri = totp.provisioning_uri(secret, account.email or account.username, self._parts.rules.totp_issuer)
        return TotpSetup(text, uri)

    async def confirm(self, account: AccountRecord, code: str, address: str) -> list[str]:
        """Take a first password and ask for one from then on; give the backup codes, which are shown only now."""
        if account.totp_active:
            raise AccountError(AccountRefusal.TOTP_ACTIVE, "one-time passwords are in use already")
        if account.totp_sealed is None:
            raise AccountError(AccountRefusal.TOTP_NOT_SET_UP, "no one-time passwords were set up")
        if not await self._check_totp(account, code):
            self._parts.note(
                AuditKind.TOTP_CONFIRMED, AccountRefusal.BAD_TOTP.value, account=account.username, address=address
            )
            raise AccountError(AccountRefusal.BAD_TOTP, "the one-time password is wrong, or was used before")
        codes = [_new_code() for _ in range(BACKUP_CODES)]
        await self._parts.tables.backup.replace(account.id, [self._digest(account.id, code) for code in codes])
        await self._parts.tables.accounts.update(account.id, totp_active=True)
        self._parts.note(AuditKind.TOTP_CONFIRMED, account=account.username, address=address)
        return codes

    async def remove(self, account: AccountRecord, address: str, actor: str = "") -> None:
        """Ask for no one-time passwords any more."""
        await self._parts.tables.accounts.update(account.id, totp_sealed=None, totp_active=False)
        await self._parts.tables.backup.replace(account.id, [])
        self._parts.note(AuditKind.TOTP_REMOVED, account=account.username, actor=actor, address=address)

    async def check(self, account: AccountRecord, code: str, address: str) -> bool:
        """Check a one-time password or a backup code; each is good once."""
        if await self._check_totp(account, code):
            return True
        digest = self._digest(account.id, code)
        used = await self._parts.tables.backup.use(account.id, digest, self._parts.clock())
        if used:
            left = await self._parts.tables.backup.left(account.id)
            detail = f"backup code, {left} left"
            self._parts.note(AuditKind.LOGIN, "backup_code", account=account.username, address=address, detail=detail)
        return used

    async def _check_totp(self, account: AccountRecord, code: str) -> bool:
        if account.totp_sealed is None:
            return False
        secret = totp.secret_bytes(self._parts.sealer.unseal(account.totp_sealed))
        step = totp.matching_step(secret, code, self._parts.clock())
        return step is not None and await self._parts.tables.accounts.claim_totp_step(account.id, step)

    def _digest(self, account_id: str, code: str) -> str:
        plain = code.replace("-", "").replace(" ", "").lower()
        return self._parts.sealer.digest(f"backup:{account_id}:{plain}")


def _new_code() -> str:
    text = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode().lower()
    return "-".join(text[place : place + 4] for place in range(0, len(text), 4))
