"""Reading what clients send: JSON objects whose fields are named in camelCase or snake_case.

Inputs: a decoded JSON value. Outputs: typed values, or `PayloadError` naming the field. Limits: the lengths each call
names; unknown fields are ignored, so that newer clients work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from roomtone.protocols.mediasoup.errors import PayloadCode, PayloadError

if TYPE_CHECKING:
    from enum import StrEnum

E = TypeVar("E", bound="StrEnum")

MAX_TEXT = 256
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@lru_cache(maxsize=256)
def snake_case(name: str) -> str:
    """Give the snake_case form of a name in camelCase."""
    return _HUMP.sub("_", name).lower()


class Payload:
    """One JSON object of a client, and where in the payload it was found."""

    __slots__ = ("_fields", "_where")

    def __init__(self, value: object, where: str = "") -> None:
        if not isinstance(value, Mapping):
            what = where or "the payload"
            raise PayloadError(PayloadCode.MALFORMED, f"{what} is no object")
        self._fields: Mapping[str, Any] = value
        self._where = where

    def path(self, name: str) -> str:
        """Name a field for a message."""
        return f"{self._where}.{name}" if self._where else name

    def raw(self, name: str) -> Any:
        """Give a field as it came; None when it is absent or null."""
        value = self._fields.get(name)
        return value if value is not None else self._fields.get(snake_case(name))

    def needed(self, name: str) -> Any:
        """Give a field that must be there."""
        value = self.raw(name)
        if value is None:
            raise PayloadError(PayloadCode.MISSING_FIELD, f"{self.path(name)} is missing")
        return value

    def text(self, name: str, limit: int = MAX_TEXT) -> str:
        """Read a text that must be there and say something."""
        value = self.optional_text(name, limit)
        if not value:
            raise PayloadError(PayloadCode.MISSING_FIELD, f"{self.path(name)} is missing")
        return value

    def optional_text(self, name: str, limit: int = MAX_TEXT) -> str | None:
        """Read a text."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.bad(name, "is no text")
        if len(value) > limit:
            raise PayloadError(PayloadCode.TOO_LARGE, f"{self.path(name)} is longer than {limit} characters")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        """Read a whole number that must be there."""
        value = self.optional_integer(name, low, high)
        if value is None:
            raise PayloadError(PayloadCode.MISSING_FIELD, f"{self.path(name)} is missing")
        return value

    def optional_integer(self, name: str, low: int, high: int) -> int | None:
        """Read a whole number."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.bad(name, "is no whole number")
        if not low <= value <= high:
            raise self.bad(name, f"is not from {low} to {high}")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Read true or false."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.bad(name, "is neither true nor false")
        return value

    def choice(self, name: str, kind: type[E]) -> E:
        """Read one of a set of words."""
        text = self.text(name)
        try:
            return kind(text)
        except ValueError:
            words = ", ".join(member.value for member in kind)
            raise self.bad(name, f"is none of {words}") from None

    def part(self, name: str) -> Payload:
        """Read an object that must be there."""
        return Payload(self.needed(name), self.path(name))

    def optional_part(self, name: str) -> Payload | None:
        """Read an object."""
        value = self.raw(name)
        return None if value is None else Payload(value, self.path(name))

    def parts(self, name: str, limit: int, *, needed: bool = False) -> list[Payload]:
        """Read a list of objects; an absent one is empty."""
        value = self.needed(name) if needed else self.raw(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.bad(name, "is no list")
        if len(value) > limit:
            raise PayloadError(PayloadCode.TOO_LARGE, f"{self.path(name)} has more than {limit} entries")
        return [Payload(item, f"{self.path(name)}[{index}]") for index, item in enumerate(value)]

    def texts(self, name: str, limit: int, text_limit: int = MAX_TEXT) -> tuple[str, ...]:
        """Read a list of texts; an absent one is empty."""
        value = self.raw(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.bad(name, "is no list of texts")
        if len(value) > limit or any(len(item) > text_limit for item in value):
            what = f"has more than {limit} entries, or one longer than {text_limit} characters"
            raise PayloadError(PayloadCode.TOO_LARGE, f"{self.path(name)} {what}")
        return tuple(dict.fromkeys(value))

    def bad(self, name: str, what: str) -> PayloadError:
        """Make the error of a field that cannot be taken."""
        return PayloadError(PayloadCode.BAD_FIELD, f"{self.path(name)} {what}")
