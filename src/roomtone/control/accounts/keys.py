"""API keys of servers, as LiveKit has them: a name and a secret that signs tokens."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.control.accounts.errors import AccountError, AccountRefusal
from roomtone.observe import AuditEvent, AuditKind, get_logger
from roomtone.store import ApiKeyRecord, StoreError, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.accounts.ports import KeyStore, SecretSealer
    from roomtone.observe import AuditLog

_log = get_logger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,63}")
_SECRET_BYTES = 32
MAX_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only time its secret is shown."""

    name: str
    secret: str = field(repr=False)


class KeyRing(Mapping[str, str]):
    """Secrets by name: those of the settings, then those of the database as they were last read.

    A key revoked here is gone at once; one revoked by another process with the next `ApiKeys.load`.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = dict(settings)
        self._stored: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        found = self._settings.get(name)
        return self._stored[name] if found is None else found

    def __iter__(self) -> Iterator[str]:
        yield from self._settings
        yield from (name for name in self._stored if name not in self._settings)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def is_of_settings(self, name: str) -> bool:
        """Whether a key stands in the settings, where only an operator can take it away."""
        return name in self._settings

    def hold(self, stored: Mapping[str, str]) -> None:
        """Take over what the database holds."""
        self._stored = dict(stored)

    def add(self, name: str, secret: str) -> None:
        """Let a key sign from now on."""
        self._stored[name] = secret

    def drop(self, name: str) -> None:
        """Let a key sign no more."""
        self._stored.pop(name, None)


class ApiKeys:
    """Makes, lists and revokes the keys of the database. Limit: `MAX_KEYS`, revoked ones counted."""

    def __init__(
        self, store: KeyStore, sealer: SecretSealer, ring: KeyRing, audit: AuditLog, clock: Callable[[], float]
    ) -> None:
        self.ring = ring
        self._store = store
        self._sealer = sealer
        self._audit = audit
        self._clock = clock
        self._opened: dict[str, tuple[str, str]] = {}
        """By name: the sealed secret and what was in it, so that a load opens only what is new."""

    async def load(self) -> None:
        """Read the keys in force; raise `StoreError` when they were sealed with another key file."""
        opened: dict[str, tuple[str, str]] = {}
        for key in await self._store.list():
            if key.revoked_at is None:
                known = self._opened.get(key.name)
                same = known is not None and known[0] == key.secret_sealed
                opened[key.name] = (
                    known if known is not None and same else (key.secret_sealed, self._sealer.unseal(key.secret_sealed))
                )
        self._opened = opened
        self.ring.hold({name: secret for name, (_, secret) in opened.items()})

    async def list(self) -> list[ApiKeyRecord]:
        """Give all keys of the database, revoked ones too."""
        return await self._store.list()

    async def create(self, label: str, actor: str, name: str | None = None, address: str = "") -> NewKey:
        """Make a key; its secret is given this once."""
        made = NewKey(name or f"RT{secrets.token_hex(8)}", secrets.token_urlsafe(_SECRET_BYTES))
        if _NAME.fullmatch(made.name) is None:
            detail = "a key's name is 3 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit"
            raise AccountError(AccountRefusal.BAD_KEY, detail)
        if self.ring.is_of_settings(made.name):
            raise AccountError(AccountRefusal.KEY_TAKEN, f"the key {made.name} stands in the settings")
        if len(await self._store.list()) >= MAX_KEYS:
            raise AccountError(AccountRefusal.BAD_KEY, f"there are {MAX_KEYS} keys already")
        sealed = self._sealer.seal(made.secret)
        record = ApiKeyRecord(made.name, sealed, label.strip()[:128], self._clock(), actor[:64])
        try:
            await self._store.add(record)
        except StoreError as error:
            if error.failure is not StoreFailure.TAKEN:
                raise
            raise AccountError(AccountRefusal.KEY_TAKEN, f"there is or was a key {made.name}") from error
        self._opened[made.name] = (sealed, made.secret)
        self.ring.add(made.name, made.secret)
        self._note(AuditKind.KEY_CREATED, made.name, actor, address)
        return made

    async def revoke(self, name: str, actor: str, address: str = "") -> None:
        """Let a key open nothing from now on."""
        if not await self._store.revoke(name, self._clock()):
            where = "it stands in the settings: take it out there" if self.ring.is_of_settings(name) else "no such key"
            raise AccountError(AccountRefusal.NO_SUCH_KEY, f"the key {name} cannot be revoked: {where}")
        self._opened.pop(name, None)
        self.ring.drop(name)
        self._note(AuditKind.KEY_REVOKED, name, actor, address)

    def _note(self, kind: AuditKind, name: str, actor: str, address: str) -> None:
        self._audit.record(AuditEvent(kind, "ok", self._clock(), "", actor, address, name))
