"""Secrets at rest: sealed with a key that lies in a file of its own, beside the database or elsewhere."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken

from roomtone.store.errors import StoreError, StoreFailure

if TYPE_CHECKING:
    from pathlib import Path

_OTHERS = 0o077


class Sealer:
    """Seals and opens secrets, and derives further ones. Nothing of the key shows in a representation."""

    def __init__(self, key: bytes) -> None:
        try:
            self._fernet = Fernet(key)
        except ValueError as error:
            raise StoreError(StoreFailure.BAD_KEY_FILE, "the key file holds no key (32 bytes in base64)") from error
        self._key = key

    def seal(self, secret: str) -> str:
        """Encrypt and authenticate a secret."""
        return self._fernet.encrypt(secret.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """Give the secret back; raise `StoreError` when it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            detail = "a secret of the database was sealed with another key file: bring back the one it was made with"
            raise StoreError(StoreFailure.UNREADABLE, detail) from error

    def derive(self, purpose: str) -> str:
        """Make a secret that only this key gives, another one for each purpose: 64 hexadecimal digits."""
        return hmac.new(self._key, purpose.encode(), hashlib.sha256).hexdigest()

    def digest(self, text: str) -> str:
        """Fingerprint a random token, so that the database holds none that could be used: 64 hexadecimal digits."""
        return hmac.new(self._key, b"digest:" + text.encode(), hashlib.sha256).hexdigest()


def open_key_file(path: Path) -> Sealer:
    """Read the key file, made with mode 0600 when there is none; raise `StoreError` for one that others may read."""
    try:
        _make_key_file(path)
        if path.stat().st_mode & _OTHERS:
            detail = f"the key file {path} can be read by others: chmod 600 it"
            raise StoreError(StoreFailure.BAD_KEY_FILE, detail)
        return Sealer(path.read_bytes().strip())
    except OSError as error:
        detail = f"the key file {path} cannot be used ({error.strerror})"
        raise StoreError(StoreFailure.BAD_KEY_FILE, detail) from error


def _make_key_file(path: Path) -> None:
    """Make it whole or not at all: written beside its place and linked there, so that the first of several wins."""
    if path.exists():
        return
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink()
