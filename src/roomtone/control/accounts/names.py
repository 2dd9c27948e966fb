"""What people may call themselves."""

from __future__ import annotations

import re

from roomtone.control.accounts.errors import AccountError, AccountRefusal

MAX_EMAIL = 254
"""RFC 5321 section 4.5.3.1.3, the angle brackets off."""
MAX_DISPLAY_NAME = 128
MAX_LOGIN = MAX_EMAIL
_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")
_EMAIL = re.compile(r"[^\s@<>\"(),:;\\\[\]\x00-\x1f]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)+")


def read_username(text: str) -> str:
    """Check a user name; letters become lower case."""
    name = text.strip().lower()
    if _USERNAME.fullmatch(name) is None:
        detail = "a user name is 2 to 64 letters a-z, digits, '.', '_' or '-', and begins with a letter or digit"
        raise AccountError(AccountRefusal.BAD_USERNAME, detail)
    return name


def read_email(text: str | None) -> str | None:
    """Check a mail address, roughly, as only a mail can tell; letters become lower case. Empty is none."""
    address = (text or "").strip().lower()
    if not address:
        return None
    if len(address) > MAX_EMAIL or _EMAIL.fullmatch(address) is None:
        raise AccountError(AccountRefusal.BAD_EMAIL, "that is no mail address")
    return address


def read_display_name(text: str) -> str:
    """Check a name as others see it."""
    name = " ".join(text.split())
    if len(name) > MAX_DISPLAY_NAME or not name.isprintable():
        raise AccountError(
            AccountRefusal.BAD_DISPLAY_NAME, f"a name is at most {MAX_DISPLAY_NAME} printable characters"
        )
    return name
