"""An account that may be in others' hands, or whose password is lost: ends of all its log-ins, links for a new one."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.control.accounts.errors import AccountError, AccountRefusal
from roomtone.observe import AuditKind
from roomtone.store import ResetTokenRecord

if TYPE_CHECKING:
    from roomtone.control.accounts.log_ins import LogIns
    from roomtone.control.accounts.parts import AccountParts
    from roomtone.store import AccountRecord

RESET_PATH = "/account/reset/#token="
"""Of the page that takes a new password; what follows # is sent to no server and stands in no log."""


@dataclass(frozen=True, slots=True)
class ResetLink:
    """A link that sets a new password, once."""

    url: str = field(repr=False)
    expires_at: float
    """Seconds since the epoch."""


class Recovery:
    """Ends what an account holds, and makes links that set a new password."""

    def __init__(self, parts: AccountParts, log_ins: LogIns) -> None:
        self._parts = parts
        self._log_ins = log_ins

    async def end_log_ins(self, account: AccountRecord, actor: str, address: str) -> None:
        """End all log-ins of an account: neither refresh nor access nor room tokens are good any more."""
        now = self._parts.clock()
        if await self._parts.tables.accounts.update(account.id, tokens_valid_after=now, updated_at=now) is None:
            raise AccountError(AccountRefusal.NO_SUCH_ACCOUNT, "there is no such account")
        await self._log_ins.end_all(account.id)
        self._parts.note(AuditKind.LOG_INS_ENDED, account=account.username, actor=actor, address=address)

    async def link_for(self, account: AccountRecord, base_url: str, actor: str, address: str) -> ResetLink:
        """Make a link for an administrator to hand on; the password stays as it is until somebody uses it."""
        if account.disabled:
            raise AccountError(AccountRefusal.LOCKED_OUT, "the account is locked out: a link would open nothing")
        link = await self.new_link(account, base_url)
        self._parts.note(AuditKind.RESET_LINK_MADE, account=account.username, actor=actor, address=address)
        return link

    async def new_link(self, account: AccountRecord, base_url: str) -> ResetLink:
        """Make a link that sets a new password of an account."""
        rules, now = self._parts.rules, self._parts.clock()
        token = secrets.token_urlsafe(32)
        record = ResetTokenRecord(reset_digest(self._parts, token), account.id, now, now + rules.reset_ttl_s)
        await self._parts.tables.reset.add(record)
        return ResetLink(f"{(rules.public_url or base_url).rstrip('/')}{RESET_PATH}{token}", record.expires_at)


def reset_digest(parts: AccountParts, token: str) -> str:
    """Give what the database keeps of the token of a link."""
    return parts.sealer.digest(f"reset:{token}")
