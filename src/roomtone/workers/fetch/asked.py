"""What a demuxer of HLS asks for: an address, a piece of what is there, and a key where it is encrypted (RFC 8216).

FFmpeg's says it by the scheme, ``crypto+https://...`` for AES-128, and by options: ``key`` and ``iv`` in hexadecimal
digits, ``offset`` and ``end_offset`` in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

if TYPE_CHECKING:
    from collections.abc import Mapping

ENCRYPTED = "crypto+"
BLOCK = 16
"""Bytes of a block of AES, of a key of AES-128 and of an initialization vector."""


class Body(Protocol):
    """What is read from the beginning to the end."""

    def read(self, size: int) -> bytes:
        """Give at most ``size`` bytes of what comes next; nothing at the end."""

    def close(self) -> None:
        """Let it go."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a demuxer."""

    url: str
    piece: tuple[int, int] | None = None
    """First byte, and the one behind the last."""
    key: bytes | None = None
    iv: bytes = bytes(BLOCK)

    @classmethod
    def read(cls, url: str, options: Mapping[str, object]) -> Asked:
        """Take a request apart; raise ``ValueError`` where it is to be decrypted and key or vector are none."""
        piece = None
        if "end_offset" in options:
            piece = int(str(options.get("offset", 0))), int(str(options["end_offset"]))
        if not url.startswith(ENCRYPTED):
            return cls(url, piece)
        key, iv = (bytes.fromhex(str(options.get(name, ""))) for name in ("key", "iv"))
        if len(key) != BLOCK or len(iv) != BLOCK:
            message = "a key of AES-128 and its initialization vector are 16 bytes each"
            raise ValueError(message)
        return cls(url.removeprefix(ENCRYPTED), piece, key, iv)

    @property
    def headers(self) -> dict[str, str]:
        """Give what asks for the piece."""
        return {} if self.piece is None else {"Range": f"bytes={self.piece[0]}-{self.piece[1] - 1}"}


class Decrypted:
    """A body as it was before AES-128 in CBC mode with padding (RFC 8216 section 4.3.2.4)."""

    def __init__(self, body: Body, key: bytes, iv: bytes) -> None:
        self._body = body
        self._decryptor = Cipher(algorithms.AES128(key), modes.CBC(iv)).decryptor()
        self._unpadder = PKCS7(8 * BLOCK).unpadder()
        self._ready = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """Give what comes next; nothing at the end. Raise ``OSError`` where the key is not that of this body."""
        while not self._ready and not self._ended:
            part = self._body.read(max(size, BLOCK))
            self._ready = self._unpadder.update(self._decryptor.update(part)) if part else self._end()
        given, self._ready = self._ready[:size], self._ready[size:]
        return given

    def close(self) -> None:
        """Let it go."""
        self._body.close()

    def _end(self) -> bytes:
        self._ended = True
        try:
            return self._unpadder.update(self._decryptor.finalize()) + self._unpadder.finalize()
        except ValueError as error:  # cut short, or padding that is none
            message = "what was fetched cannot be decrypted by its key"
            raise OSError(message) from error
