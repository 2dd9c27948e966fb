"""Accounts that phones register with: kept in SQL, served from memory."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import PhoneError, PhoneRefusal
from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.store import SipAccountRecord, StoreError, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.calls.ports import Secrets, SipAccountTable

MAX_PASSWORD = 128
MIN_PASSWORD = 4
"""Desk phones are set up by hand, some by digits only; strangers who guess are slowed down elsewhere."""
MAX_NAME = 128
ALGORITHMS = ("MD5", "SHA-256", "SHA-512-256")
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


@dataclass(frozen=True, slots=True)
class PhoneAccount:
    """An account with its password in the clear, in memory only."""

    username: str
    password: str = field(repr=False)
    name: str = ""
    security: MediaSecurity = MediaSecurity.OPTIONAL
    algorithm: str = ""
    """The only digest algorithm it may use; empty: all."""
    disabled: bool = False
    created_at: float = 0.0


class PhoneAccounts:
    """All accounts. ``load`` reads them; changes go to the table first, then into memory."""

    def __init__(self, table: SipAccountTable, secrets: Secrets, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._secrets = secrets
        self._clock = clock
        self._accounts: dict[str, PhoneAccount] = {}
        self._version = (0, 0.0)

    def __len__(self) -> int:
        return len(self._accounts)

    async def load(self) -> None:
        """Read what the table has; other processes may have changed it. Raise `StoreError`."""
        self._version = await self._table.version()
        self._accounts = {record.username: self._read(record) for record in await self._table.list()}

    async def sync(self) -> bool:
        """Read the table again if another process changed it; whether it did. Raise `StoreError`."""
        if await self._table.version() == self._version:
            return False
        await self.load()
        return True

    def find(self, username: str) -> PhoneAccount | None:
        """Find an account that may be used."""
        found = self._accounts.get(username)
        return None if found is None or found.disabled else found

    def list(self) -> list[PhoneAccount]:
        """Give all accounts by user name."""
        return [self._accounts[name] for name in sorted(self._accounts)]

    async def create(
        self,
        username: str,
        password: str,
        *,
        name: str = "",
        security: MediaSecurity = MediaSecurity.OPTIONAL,
        algorithm: str = "",
    ) -> PhoneAccount:
        """Make an account; raise `PhoneError`."""
        _check(username, password, name, algorithm)
        now = self._clock()
        record = SipAccountRecord(
            username=username,
            password_sealed=self._secrets.seal(password),
            name=name,
            media_security=security.value,
            algorithm=algorithm,
            created_at=now,
            updated_at=now,
        )
        try:
            await self._table.add(record)
        except StoreError as error:
            if error.failure is not StoreFailure.TAKEN:
                raise
            raise PhoneError(PhoneRefusal.ACCOUNT_EXISTS, f"there is an account {username!r} already") from error
        made = self._accounts[username] = self._read(record)
        return made

    async def delete(self, username: str) -> None:
        """Delete an account; its bindings are the registrar's to forget. Raise `PhoneError`."""
        if not await self._table.delete(username):
            raise PhoneError(PhoneRefusal.NO_SUCH_ACCOUNT, f"there is no account {username!r}")
        self._accounts.pop(username, None)

    def _read(self, record: SipAccountRecord) -> PhoneAccount:
        return PhoneAccount(
            username=record.username,
            password=self._secrets.unseal(record.password_sealed),
            name=record.name,
            security=MediaSecurity(record.media_security),
            algorithm=record.algorithm,
            disabled=record.disabled,
            created_at=record.created_at,
        )


def _check(username: str, password: str, name: str, algorithm: str) -> None:
    if _USERNAME.fullmatch(username) is None:
        detail = "a user name is 1 to 64 letters, digits, '.', '_', '+' or '-', and begins with a letter or digit"
        raise PhoneError(PhoneRefusal.BAD_USERNAME, detail)
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD or not password.isprintable():
        detail = f"a password is {MIN_PASSWORD} to {MAX_PASSWORD} printable characters"
        raise PhoneError(PhoneRefusal.BAD_PASSWORD, detail)
    if len(name) > MAX_NAME or not name.isprintable():
        raise PhoneError(PhoneRefusal.BAD_NAME, f"a name is at most {MAX_NAME} printable characters")
    if algorithm and algorithm not in ALGORITHMS:
        raise PhoneError(PhoneRefusal.BAD_NAME, f"no digest algorithm is called {algorithm!r}")
