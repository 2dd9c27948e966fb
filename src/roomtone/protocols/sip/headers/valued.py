"""Headers that are one word and parameters: ``Event``, ``Reason``, ``Content-Type``, ``Accept`` and others."""

from __future__ import annotations

import re
from typing import NamedTuple

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import NO_PARAMS, TOKEN, Params, parse_params

_WORD = re.compile(r"\s*([^\s;,\"<>]+)\s*").match
_TYPE = re.compile(rf"\s*({TOKEN})\s*/\s*({TOKEN})\s*").match
_NUMBER = re.compile(r"[0-9]{1,10}").fullmatch
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?").fullmatch
MAX_SECONDS = 2**32 - 1
"""Highest delta-seconds (RFC 3261, 20.19)."""


class Valued(NamedTuple):
    """``value;name=value``; the value as written."""

    value: str
    params: Params = NO_PARAMS

    def serialize(self) -> str:
        """Write it."""
        return self.value + self.params.serialize()


def parse_valued(text: str, header: str) -> Valued:
    """Read a word with parameters; ``header`` names it in the `SipSyntaxError`."""
    match = _WORD(text)
    if match is None:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "no value", header=header)
    return Valued(match[1], parse_params(text, match.end(), header))


def parse_seconds(text: str | None, header: str) -> int | None:
    """Read delta-seconds; None for None. Raises `SipSyntaxError`."""
    if text is None:
        return None
    if _NUMBER(text) is None or int(text) > MAX_SECONDS:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, f"no number of seconds: {text[:20]!r}", header=header)
    return int(text)


def parse_quality(text: str | None, header: str) -> float:
    """Read a ``q`` value from 0 to 1; 1 for None. Raises `SipSyntaxError`."""
    if text is None:
        return 1.0
    if _QUALITY(text) is None:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, f"no quality: {text[:20]!r}", header=header)
    return float(text)


class MediaType(NamedTuple):
    """``Content-Type`` or an item of ``Accept``: type and subtype in lower case."""

    type: str
    subtype: str
    params: Params = NO_PARAMS

    @property
    def name(self) -> str:
        """``type/subtype``."""
        return f"{self.type}/{self.subtype}"

    @property
    def boundary(self) -> str | None:
        """What separates the parts of a multipart body (RFC 2046, 5.1.1)."""
        return self.params.get("boundary")

    def serialize(self) -> str:
        """Write it."""
        return self.name + self.params.serialize()


def parse_media_type(text: str, header: str = "Content-Type") -> MediaType:
    """Read a media type. Raises `SipSyntaxError`."""
    match = _TYPE(text)
    if match is None:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, f"no media type: {text[:40]!r}", header=header)
    return MediaType(match[1].lower(), match[2].lower(), parse_params(text, match.end(), header))


class Accepted(NamedTuple):
    """An item of ``Accept``, ``Accept-Encoding``, ``Accept-Language`` and how much it is wanted."""

    value: str
    quality: float
    params: Params = NO_PARAMS


def parse_accepted(items: list[str], header: str) -> list[Accepted]:
    """Read an ``Accept...`` header (its `Headers.items`), the most wanted first. Raises `SipSyntaxError`."""
    found = []
    for item in items:
        word = parse_valued(item, header)
        quality = parse_quality(word.params.get("q"), header)
        found.append(Accepted("".join(word.value.split()).lower(), quality, word.params.without("q")))
    return sorted(found, key=lambda item: -item.quality)


class Disposition(NamedTuple):
    """``Content-Disposition`` (RFC 3261, 20.11): what a body is for."""

    kind: str = "session"
    optional: bool = False
    """Whether a receiver that does not understand the body may ignore it."""

    def serialize(self) -> str:
        """Write it."""
        return f"{self.kind};handling={'optional' if self.optional else 'required'}"


def parse_disposition(text: str) -> Disposition:
    """Read a ``Content-Disposition``. Raises `SipSyntaxError`."""
    word = parse_valued(text, "Content-Disposition")
    return Disposition(word.value.lower(), (word.params.get("handling") or "").lower() == "optional")
