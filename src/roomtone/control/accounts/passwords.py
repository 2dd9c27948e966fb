"""Passwords: hashed with bcrypt in threads of their own, and refused where they are easy to guess."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import bcrypt

from roomtone.control.accounts.errors import AccountError, AccountRefusal

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
MAX_PASSWORD = 1024
MAX_WAITING = 64
_COST = re.compile(r"\$2[aby]\$(\d\d)\$")
_GUESSED_FIRST = frozenset(
    {
        "password",
        "password1",
        "password12",
        "password123",
        "passw0rd",
        "12345678",
        "123456789",
        "1234567890",
        "0123456789",
        "qwertyuiop",
        "qwerty123",
        "qwerty1234",
        "iloveyou",
        "changeme",
        "changeme123",
        "letmein123",
        "welcome123",
        "administrator",
        "admin12345",
        "roomtone",
        "roomtone123",
    }
)


class PasswordHasher:
    """Hashes and checks passwords off the loop.

    bcrypt reads 72 bytes and stops at a zero, so it is given a digest of the password instead: every byte counts.
    Limit: ``max_waiting`` requests are under way; one more is refused. ``hashed`` counts the runs of bcrypt, of which
    each `hash` and each `verify` is exactly one, whoever is asked about.
    """

    def __init__(self, cost: int, *, threads: int | None = None, max_waiting: int = MAX_WAITING) -> None:
        self.hashed = 0
        self.refused = 0
        self._cost = cost
        self._max_waiting = max_waiting
        self._under_way = 0
        workers = threads or max(1, (os.cpu_count() or 1) // 2)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="password")
        # Of no password anybody knows; it is only there to be compared with.
        self._nobody = f"$2b${cost:02d}${'.' * 53}"

    async def hash(self, password: str) -> str:
        """Hash a new password."""
        return await self._run(lambda: bcrypt.hashpw(_digest(password), bcrypt.gensalt(self._cost)).decode())

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Check a password; without a hash to compare it takes as long and is false."""
        known = hashed or self._nobody
        matches = await self._run(lambda: bcrypt.checkpw(_digest(password), known.encode()))
        return matches and hashed is not None

    def is_stale(self, hashed: str) -> bool:
        """Whether a hash was made with another cost than is asked for now."""
        found = _COST.match(hashed)
        return found is None or int(found[1]) != self._cost

    def close(self) -> None:
        """End the threads; what is under way is finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._under_way >= self._max_waiting:
            self.refused += 1
            raise AccountError(AccountRefusal.BUSY, "too many passwords are being checked: try again")
        self._under_way += 1
        self.hashed += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1


def require_strength(password: str, least: int, *about: str) -> None:
    """Refuse a password that is too short, too long, among the first to be guessed or made of ``about`` its owner."""
    if len(password) < least:
        raise AccountError(AccountRefusal.WEAK_PASSWORD, f"the password has fewer than {least} characters")
    if len(password) > MAX_PASSWORD:
        raise AccountError(AccountRefusal.WEAK_PASSWORD, f"the password has more than {MAX_PASSWORD} characters")
    low = password.lower()
    if low in _GUESSED_FIRST or len(set(low)) <= 2:  # noqa: PLR2004 - two letters make no password
        raise AccountError(AccountRefusal.WEAK_PASSWORD, "the password is among the first that are guessed")
    if low in {text.lower() for text in about if text}:
        raise AccountError(AccountRefusal.WEAK_PASSWORD, "the password is the name of its owner")


def _digest(password: str) -> bytes:
    # Keyed with a label, so that no list of plain SHA-256 digests stands in for passwords; base64 has no zero byte.
    return base64.b64encode(hmac.new(b"roomtone password", password.encode(), hashlib.sha256).digest())
