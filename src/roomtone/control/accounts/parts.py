"""What the parts of `roomtone.control.accounts` share."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.control.policy.attempts import Rate
from roomtone.observe import AuditEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.accounts.gate import WithdrawnTokens
    from roomtone.control.accounts.passwords import PasswordHasher
    from roomtone.control.accounts.ports import (
        AccountTable,
        BackupCodeTable,
        Mailer,
        RefreshTable,
        ResetTable,
        SecretSealer,
    )
    from roomtone.control.policy.attempts import AttemptLimiter
    from roomtone.control.policy.tokens import KeyTable
    from roomtone.observe import AuditKind, AuditLog

OK = "ok"
SERVER = "server"
COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class AccountRules:
    """Lives, limits and switches; `roomtone.config` fills them."""

    registration: bool = True
    min_password_length: int = 10
    access_ttl_s: int = 86_400
    refresh_ttl_s: int = 604_800
    reset_ttl_s: int = 3_600
    room_token_ttl_s: int = 21_600
    totp_issuer: str = "Roomtone"
    public_url: str = ""
    """Where links in mail begin; empty: with the address that a request came to, in development only."""
    log_links: bool = False
    """Without mail, log the link that resets a password: development only."""
    logins: Rate = field(default_factory=lambda: Rate(10, 60))
    logins_of_address: Rate = field(default_factory=lambda: Rate(30, 60))
    resets: Rate = field(default_factory=lambda: Rate(5, 3600))
    registrations: Rate = field(default_factory=lambda: Rate(20, 3600))
    room_tokens: Rate = field(default_factory=lambda: Rate(120, 60))
    room_tokens_of_address: Rate = field(default_factory=lambda: Rate(600, 60))

    @property
    def longest_life_s(self) -> float:
        """How long anything an account was given may be good."""
        return float(max(self.access_ttl_s, self.room_token_ttl_s))


@dataclass(frozen=True, slots=True)
class Tables:
    """Where accounts are kept."""

    accounts: AccountTable
    refresh: RefreshTable
    reset: ResetTable
    backup: BackupCodeTable


@dataclass(frozen=True, slots=True)
class AccountParts:
    """Everything an operation on accounts needs."""

    tables: Tables
    hasher: PasswordHasher
    sealer: SecretSealer
    keys: KeyTable
    gate: WithdrawnTokens
    limiter: AttemptLimiter
    audit: AuditLog
    rules: AccountRules = field(default_factory=AccountRules)
    mailer: Mailer | None = None
    clock: Callable[[], float] = time.time

    def note(
        self,
        kind: AuditKind,
        outcome: str = OK,
        *,
        account: str = "",
        actor: str = "",
        address: str = "",
        detail: str = "",
    ) -> None:
        """Write to the audit trail."""
        self.audit.record(AuditEvent(kind, outcome, self.clock(), account, actor or account, address, detail))


def new_id(prefix: str) -> str:
    """Make an id nobody else has: the prefix and 22 characters of chance."""
    return f"{prefix}_{secrets.token_urlsafe(16)}"
