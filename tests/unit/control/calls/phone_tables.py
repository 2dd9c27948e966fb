"""Tables of phones in memory, with the errors of the real ones."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from roomtone.store import (
    CallRecord,
    DispatchRuleRecord,
    SipAccountRecord,
    SipBindingRecord,
    SipTrunkRecord,
    StoreError,
    StoreFailure,
)


@dataclass
class MemoryAccounts:
    rows: dict[str, SipAccountRecord] = field(default_factory=dict)

    async def add(self, account: SipAccountRecord) -> None:
        if account.username in self.rows:
            raise StoreError(StoreFailure.TAKEN, "taken")
        self.rows[account.username] = account

    async def list(self) -> list[SipAccountRecord]:
        return list(self.rows.values())

    async def version(self) -> tuple[int, float]:
        return len(self.rows), max((row.updated_at for row in self.rows.values()), default=0.0)

    async def update(self, username: str, **values: Any) -> bool:
        if username not in self.rows:
            return False
        self.rows[username] = replace(self.rows[username], **values)
        return True

    async def delete(self, username: str) -> bool:
        return self.rows.pop(username, None) is not None


@dataclass
class MemoryBindings:
    rows: dict[str, SipBindingRecord] = field(default_factory=dict)
    writes: int = 0
    fails: bool = False

    async def write(self, kept: Sequence[SipBindingRecord], gone: Collection[str]) -> None:
        if self.fails:
            raise StoreError(StoreFailure.UNREACHABLE, "away")
        self.writes += 1
        for key in gone:
            self.rows.pop(key, None)
        self.rows.update({record.key: record for record in kept})

    async def load(self, now: float) -> list[SipBindingRecord]:
        return [record for record in self.rows.values() if record.expires_at > now]


@dataclass
class MemoryRules:
    rows: dict[str, DispatchRuleRecord] = field(default_factory=dict)

    async def add(self, rule: DispatchRuleRecord) -> None:
        if rule.name in self.rows:
            raise StoreError(StoreFailure.TAKEN, "taken")
        self.rows[rule.name] = rule

    async def replace(self, rule: DispatchRuleRecord) -> None:
        if rule.name in self.rows:
            self.rows[rule.name] = rule

    async def list(self) -> list[DispatchRuleRecord]:
        return list(self.rows.values())

    async def delete(self, name: str) -> bool:
        return self.rows.pop(name, None) is not None


@dataclass
class MemoryTrunks:
    rows: dict[str, SipTrunkRecord] = field(default_factory=dict)

    async def add(self, trunk: SipTrunkRecord) -> None:
        if trunk.name in self.rows:
            raise StoreError(StoreFailure.TAKEN, "taken")
        self.rows[trunk.name] = trunk

    async def replace(self, trunk: SipTrunkRecord) -> None:
        if trunk.name in self.rows:
            self.rows[trunk.name] = trunk

    async def list(self) -> list[SipTrunkRecord]:
        return list(self.rows.values())

    async def delete(self, name: str) -> bool:
        return self.rows.pop(name, None) is not None


@dataclass
class MemoryRecords:
    rows: list[CallRecord] = field(default_factory=list)
    fails: bool = False
    answers: asyncio.Event | None = None
    """Where there is one, what is written is told only when it is set."""

    async def add(self, records: Sequence[CallRecord]) -> None:
        if self.fails:
            raise StoreError(StoreFailure.UNREACHABLE, "away")
        self.rows += records
        if self.answers is not None:
            await self.answers.wait()

    async def page(self, limit: int, *, before: float | None = None, account: str | None = None) -> list[CallRecord]:
        del before, account
        return self.rows[:limit]

    async def purge(self, before: float) -> int:
        del before
        return 0


class PlainSecrets:
    """Seals by turning around."""

    def seal(self, secret: str) -> str:
        return secret[::-1]

    def unseal(self, sealed: str) -> str:
        return sealed[::-1]

    def derive(self, purpose: str) -> str:
        return hashlib.sha256(purpose.encode()).hexdigest()
