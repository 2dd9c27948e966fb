"""Temporary GRUUs (RFC 5627): names of one device that tell nobody whose it is, nor which others are its.

A name is a block of AES: the mark that a device's bindings carry as long as it is registered, and some chance. Nothing
is kept for a name, so that all of a device's lead to it for that long, over restarts of the server too.
"""

from __future__ import annotations

import secrets

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

PREFIX = "tgruu."
_MARK, _CHANCE, _CHECK = 8, 4, bytes(4)
_DIGITS = 2 * (_MARK + _CHANCE + len(_CHECK))


def new_mark() -> str:
    """Make the mark of a device that has registered: names with an older one lead nowhere from then on."""
    return secrets.token_hex(_MARK)


class Gruus:
    """The devices that have names, by their marks. ``key``: 32 bytes.

    Limits: marks are of bindings.
    """

    def __init__(self, key: bytes) -> None:
        # One block, of which each is another: that is what the bare cipher is for.
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        self._devices: dict[str, tuple[str, str]] = {}

    def __len__(self) -> int:
        return len(self._devices)

    def note(self, mark: str, account: str, instance: str) -> None:
        """Have names with a mark lead to a device."""
        self._devices[mark] = account, instance

    def make(self, mark: str) -> str:
        """Make a new name, with each registration (RFC 5627 section 5.4)."""
        block = bytes.fromhex(mark) + secrets.token_bytes(_CHANCE) + _CHECK
        return PREFIX + self._cipher.encryptor().update(block).hex()

    def find(self, name: str) -> tuple[str, str] | None:
        """Give whose name it is: account and instance."""
        text = name.removeprefix(PREFIX)
        if text == name or len(text) != _DIGITS:
            return None
        try:
            block = self._cipher.decryptor().update(bytes.fromhex(text))
        except ValueError:
            return None
        return self._devices.get(block[:_MARK].hex()) if block.endswith(_CHECK) else None

    def forget(self, mark: str) -> None:
        """Have names with a mark lead nowhere."""
        self._devices.pop(mark, None)
