"""Secrets that everybody knows, or can guess."""

from __future__ import annotations

MIN_SECRET = 32
_MAX_PERIOD = 8
_PUBLISHED = frozenset(
    {
        "secret",
        "devsecret",
        "a secret of 32 characters or more, such as `openssl rand -hex 32` gives",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "thisisasecretkeythatis32charslong",
        "this-is-a-secret-of-32-characters",
        "your-secret-key-must-be-at-least-32-characters",
        "replace-this-with-a-real-secret-of-32-characters",
    }
)
_WORDS = ("changeme", "change-me", "change_me", "replaceme", "replace-me", "your-secret", "your_secret", "example")


def weakness(secret: str) -> str | None:
    """Say why a secret must not sign tokens, in words that follow "the secret"; none when nothing speaks against it."""
    if len(secret) < MIN_SECRET:
        return f"is shorter than {MIN_SECRET} characters"
    low = secret.lower()
    if low in _PUBLISHED:
        return "is a published one: make one with `openssl rand -hex 32`"
    if any(low.startswith(word) for word in _WORDS):
        return "is a placeholder: make one with `openssl rand -hex 32`"
    if any(_repeats(secret, period) for period in range(1, _MAX_PERIOD + 1)):
        return "repeats itself: make one with `openssl rand -hex 32`"
    return None


def _repeats(secret: str, period: int) -> bool:
    return all(secret[place] == secret[place % period] for place in range(len(secret)))
