"""Headers that say why: ``Reason`` (RFC 3326), ``Warning`` and ``Retry-After`` (RFC 3261, 20.33, 20.43)."""

from __future__ import annotations

import re
from typing import NamedTuple

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import QUOTED, Params, make_params, parse_params, quote, refuse_breaks, unquote
from roomtone.protocols.sip.headers.valued import parse_seconds, parse_valued

_WARNING = re.compile(rf"\s*([0-9]{{3}})\s+(\S+)\s+({QUOTED})\s*", re.DOTALL).fullmatch
_RETRY = re.compile(r"\s*([0-9]{1,10})\s*(?:\(((?:[^()\\]|\\.)*)\))?\s*", re.DOTALL).match
_NUMBER = re.compile(r"[0-9]{1,5}").fullmatch


class Reason(NamedTuple):
    """One item of ``Reason``: ``SIP;cause=200;text="Call completed elsewhere"``, ``Q.850;cause=16``."""

    protocol: str
    """As written; ``SIP`` and ``Q.850`` are compared without case."""
    cause: int | None = None
    text: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether a CANCEL says that somebody else answered, so that no missed call is shown."""
        return self.protocol.upper() == "SIP" and self.cause == 200  # noqa: PLR2004

    def serialize(self) -> str:
        """Write the item. Raises `SipBuildError` for a line break in the text."""
        cause = "" if self.cause is None else f";cause={self.cause}"
        text = f";text={quote(refuse_breaks('Reason', self.text))}" if self.text else ""
        return f"{self.protocol}{cause}{text}"


def parse_reasons(items: list[str]) -> list[Reason]:
    """Read a ``Reason`` header (its `Headers.items`). Raises `SipSyntaxError`."""
    found = []
    for item in items:
        word = parse_valued(item, "Reason")
        cause = word.params.get("cause")
        if cause is not None and _NUMBER(cause) is None:
            raise SipSyntaxError(Fault.HEADER_VALUE, 0, f"no cause: {cause[:20]!r}", header="Reason")
        found.append(Reason(word.value, None if cause is None else int(cause), word.params.get("text") or ""))
    return found


class SipWarning(NamedTuple):
    """``Warning``: a code (3xx), who warns, and text for people."""

    code: int
    agent: str
    text: str

    def serialize(self) -> str:
        """Write the value. Raises `SipBuildError` for a line break in the text."""
        return f"{self.code} {self.agent} {quote(refuse_breaks('Warning', self.text))}"


def parse_warning(text: str) -> SipWarning:
    """Read one ``Warning``. Raises `SipSyntaxError`."""
    match = _WARNING(text)
    if match is None:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "no warning", header="Warning")
    return SipWarning(int(match[1]), match[2], unquote(match[3]))


class RetryAfter(NamedTuple):
    """``Retry-After``: seconds to wait, a comment, and how long the peer will be there then."""

    seconds: int
    comment: str = ""
    duration: int | None = None

    def serialize(self) -> str:
        """Write the value. Raises `SipBuildError` for a line break in the comment."""
        comment = self.comment.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        written = f" ({refuse_breaks('Retry-After', comment)})" if comment else ""
        params = Params() if self.duration is None else make_params([("duration", str(self.duration))])
        return f"{self.seconds}{written}{params.serialize()}"


def parse_retry_after(text: str) -> RetryAfter:
    """Read a ``Retry-After``. Raises `SipSyntaxError`."""
    match = _RETRY(text)
    if match is None:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "no seconds", header="Retry-After")
    params = parse_params(text, match.end(), "Retry-After")
    comment = re.sub(r"\\(.)", r"\1", match[2] or "", flags=re.DOTALL)
    seconds = parse_seconds(match[1], "Retry-After") or 0
    return RetryAfter(seconds, comment, parse_seconds(params.get("duration"), "Retry-After"))
