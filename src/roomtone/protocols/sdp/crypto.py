"""Security descriptions: SRTP keys in a session description (RFC 4568, suites of RFC 6188 and RFC 7714)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.media.values import SrtpKeys
from roomtone.protocols.sdp.attributes import parse_number

if TYPE_CHECKING:
    from collections.abc import Iterable

SUITES: dict[str, int] = {
    "AEAD_AES_256_GCM": 32 + 12,
    "AEAD_AES_128_GCM": 16 + 12,
    "AES_256_CM_HMAC_SHA1_80": 32 + 14,
    "AES_192_CM_HMAC_SHA1_80": 24 + 14,
    "AES_CM_128_HMAC_SHA1_80": 16 + 14,
    "F8_128_HMAC_SHA1_80": 16 + 14,
    "AES_256_CM_HMAC_SHA1_32": 32 + 14,
    "AES_192_CM_HMAC_SHA1_32": 24 + 14,
    "AES_CM_128_HMAC_SHA1_32": 16 + 14,
}
"""Suites the engine has, the preferred first, with the bytes of master key and salt together."""
OFFERED = (
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_128_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_CM_128_HMAC_SHA1_32",
)
"""Suites that are offered unless others are asked for: with all, an INVITE by UDP would come in fragments."""
_SPELLED = {
    f"AES_CM_{bits}_HMAC_SHA1_{tag}": f"AES_{bits}_CM_HMAC_SHA1_{tag}" for bits in (192, 256) for tag in (80, 32)
}
"""Wrong but common names (RFC 6188 has the number first)."""
_MAX_TAG = 999_999_999
# Parameters that change what is on the wire (RFC 4568 section 6.3): the engine has none of them, WSH alone is harmless.
_HARMLESS = "WSH="


@dataclass(frozen=True, slots=True)
class CryptoLine:
    """One ``a=crypto`` line. ``suite`` is as written; ``key`` is master key and salt."""

    tag: int
    suite: str
    key: bytes = field(repr=False)
    parameters: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> CryptoLine:
        """Parse what stands behind ``a=crypto:``; raise ``ValueError``."""
        words = text.split()
        if len(words) < 3:  # noqa: PLR2004 (tag, suite, key)
            raise ValueError("crypto is not TAG SUITE inline:KEY")
        if ";" in words[2]:
            raise ValueError("crypto has several master keys, which are not supported")
        method, colon, rest = words[2].partition(":")
        if method.lower() != "inline" or not colon:
            raise ValueError("crypto has no inline key")
        key, *extras = rest.split("|")
        if any(":" in extra for extra in extras):
            raise ValueError("crypto has a master key identifier, which is not supported")
        try:
            raw = base64.b64decode(key + "=" * (-len(key) % 4), validate=True)
        except binascii.Error as error:
            raise ValueError("the key of crypto is no base64") from error
        return cls(parse_number(words[0], _MAX_TAG, "crypto tag"), words[1], raw, tuple(words[3:]))

    def serialize(self) -> str:
        """Write what stands behind ``a=crypto:``."""
        key = base64.b64encode(self.key).decode()
        return " ".join([str(self.tag), self.suite, f"inline:{key}", *self.parameters])

    @property
    def known_suite(self) -> str | None:
        """The suite by its name in `SUITES`; None when nothing here can do it, or the key is not its length."""
        suite = _SPELLED.get(self.suite, self.suite)
        if SUITES.get(suite) != len(self.key):
            return None
        return suite if all(one.startswith(_HARMLESS) for one in self.parameters) else None

    @property
    def keys(self) -> SrtpKeys:
        """The engine's value."""
        return SrtpKeys(suite=_SPELLED.get(self.suite, self.suite), key=self.key)


def read_crypto(lines: Iterable[str | None]) -> tuple[CryptoLine, ...]:
    """Read the lines that can be used, in order; those of unknown form are passed over (RFC 4568 section 7.1.2)."""
    found: list[CryptoLine] = []
    for text in lines:
        try:
            line = CryptoLine.parse(text or "")
        except ValueError:
            continue
        if line.known_suite is not None:
            found.append(line)
    return tuple(found)
