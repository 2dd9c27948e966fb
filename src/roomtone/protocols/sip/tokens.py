"""Words nobody can guess: branches, tags, Call-IDs."""

from __future__ import annotations

from hashlib import blake2b

_LENGTH = 16
"""Hexadecimal digits: 64 bits; RFC 3261 section 19.3 asks for 32."""


class Tokens:
    """Words made of a secret and a count.

    Inputs: the secret, 16 bytes or more of the system's randomness (a fixed one in simulations). Outputs: `next`, never
    the same word twice; `stable`, the same word for the same text. Neither tells anything about the secret or the
    words to come.
    """

    __slots__ = ("_count", "_left", "_secret")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret[:64]
        self._count = 0
        self._left: list[str] = []

    def next(self) -> str:
        """Take a new word."""
        left = self._left
        if not left:
            self._count += 1
            digits = blake2b(self._count.to_bytes(8, "big"), key=self._secret).hexdigest()
            left.extend([digits[at : at + _LENGTH] for at in range(0, len(digits), _LENGTH)])
        return left.pop()

    def stable(self, text: str) -> str:
        """Make the word for a text: a tag of an answer that is not remembered (RFC 3261 section 8.2.7)."""
        return blake2b(text.encode("utf-8", "surrogateescape"), key=self._secret, digest_size=_LENGTH // 2).hexdigest()
