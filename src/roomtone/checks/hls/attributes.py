"""Attribute lists of playlist tags (RFC 8216bis section 4.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ATTRIBUTE = re.compile(r'\s*([A-Z0-9-]+)=("[^"]*"|[^,]*)(?:,|$)')


def parse_attributes(text: str) -> dict[str, str]:
    """Read ``NAME=value,NAME="value"``; quotes go, and a name that comes twice keeps its first value."""
    found: dict[str, str] = {}
    for name, value in _ATTRIBUTE.findall(text):
        found.setdefault(name, value.strip('"'))
    return found


def number(attributes: Mapping[str, str], name: str) -> float | None:
    """Give an attribute as a number of at least zero; None where it is absent or no number."""
    try:
        value = float(attributes[name])
    except (KeyError, ValueError):
        return None
    return value if 0 <= value < float("inf") else None


def whole(attributes: Mapping[str, str], name: str) -> int | None:
    """Give an attribute as a whole number; None where it is absent or none."""
    text = attributes.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else None
