"""One-time passwords by time (RFC 6238) over HOTP (RFC 4226): SHA-1, six digits, thirty seconds.

Those are what authenticator apps take without being told. Pure: the time is an argument.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
SECRET_BYTES = 20
WINDOW = 1
"""Steps before and after that are taken too, for clocks that are off (RFC 6238 section 5.2)."""


def hotp(secret: bytes, counter: int, digits: int = DIGITS) -> str:
    """Make the password of a counter (RFC 4226 section 5.3)."""
    digest = hmac.new(secret, counter.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def step_at(now: float) -> int:
    """Give the time step of a moment in seconds since the epoch."""
    return int(now) // STEP_S


def matching_step(secret: bytes, code: str, now: float) -> int | None:
    """Give the time step that a code belongs to; none when it is of no step near now. Every step is tried."""
    given = code.replace(" ", "").encode()
    middle = step_at(now)
    found = None
    for step in range(max(0, middle - WINDOW), middle + WINDOW + 1):
        if hmac.compare_digest(hotp(secret, step).encode(), given):
            found = step
    return found


def secret_text(secret: bytes) -> str:
    """Write a secret as apps take it: base32 without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def secret_bytes(text: str) -> bytes:
    """Read what `secret_text` wrote."""
    return base64.b32decode(text + "=" * (-len(text) % 8))


def provisioning_uri(secret: bytes, account: str, issuer: str) -> str:
    """Make the address that a QR code for an authenticator app holds (Google's key URI format)."""
    parameters = {
        "secret": secret_text(secret),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": STEP_S,
    }
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?{urlencode(parameters, quote_via=quote)}"
