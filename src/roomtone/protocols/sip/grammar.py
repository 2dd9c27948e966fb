"""Small pieces of RFC 3261's grammar that messages, headers and URIs share: tokens, quoted strings, lists, parameters.

Text is ``str`` decoded by `decode`: UTF-8, and bytes that are none survive as surrogates and are written back as they
came. Every pattern is linear in its input.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import Fault, SipBuildError, SipSyntaxError

if TYPE_CHECKING:
    from collections.abc import Iterable

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"  # noqa: S105 - the grammar's word, no secret
QUOTED = r'"[^"\\]*(?:\\.[^"\\]*)*"'
IPV6 = r"\[[0-9A-Fa-f:.]+\]"
HOST = rf"(?:{IPV6}|[A-Za-z0-9](?:[A-Za-z0-9\-._]*))"

_is_token = re.compile(TOKEN).fullmatch
_is_quoted = re.compile(QUOTED, re.DOTALL).fullmatch
_LIST_ITEM = re.compile(rf'(?:[^,"<]+|{QUOTED}|<[^>]*>)*', re.DOTALL)
# gen-value is a token, a host (IPv6 without brackets is seen in `received`) or a quoted string (RFC 3261, 25.1)
# Values that are no token but hold no separator either (a tag with `:` or `@`, seen from phones) pass.
_PARAMETER = re.compile(rf'\s*;\s*({TOKEN})(?:\s*=\s*({QUOTED}|[^\s";,<>\x00-\x1f\x7f]+))?\s*', re.DOTALL)
PLAIN_PARAMS = r"(?:;[A-Za-z0-9\-.!%*_+`'~]+(?:=[^\s\";,<>\x00-\x1f\x7f]+)?)*"
"""Parameters without white space and quotes, as nearly all are: `plain_params` reads what this matches."""
_PLAIN = re.compile(PLAIN_PARAMS).fullmatch
_PAIRS = re.compile(r";([^=;]+)(?:=([^;]+))?").findall
_ESCAPED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_BREAKS = re.compile(r"[\r\n\x00]")


def decode(raw: bytes) -> str:
    """Read bytes of a message as text without losing any."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Write text that `decode` read, or any other text, as UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def is_token(text: str) -> bool:
    """Whether the text is a ``token``."""
    return _is_token(text) is not None


def unquote(text: str) -> str:
    """Take the quotes and backslashes off a quoted string; other text is returned as it is."""
    if not text.startswith('"') or _is_quoted(text) is None:
        return text
    inner = text[1:-1]
    return _ESCAPED_PAIR.sub(r"\1", inner) if "\\" in inner else inner


def quote(text: str) -> str:
    """Write text as a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\0", "\\\0") + '"'


def refuse_breaks(part: str, text: str) -> str:
    """Return the text when it fits on one line; a line break or NUL in it would write another header."""
    if _BREAKS.search(text):
        raise SipBuildError(part, "holds a line break or NUL")
    return text


def split_list(text: str) -> list[str]:
    """Split a header value at its commas, but not at those in quotes or angle brackets; items are stripped.

    Empty items are left out. Raises `SipSyntaxError` for an open quote or bracket.
    """
    if "," not in text:
        stripped = text.strip()
        return [stripped] if stripped else []
    items = []
    position = 0
    while position <= len(text):
        match = _LIST_ITEM.match(text, position)
        end = match.end() if match else position
        if end < len(text) and text[end] != ",":
            raise SipSyntaxError(Fault.HEADER_VALUE, end, "a quote or bracket is not closed")
        if item := text[position:end].strip():
            items.append(item)
        position = end + 1
    return items


class Params(tuple[tuple[str, str | None], ...]):
    """Parameters ``;name=value;flag`` in their order; names in lower case, values as written (quotes kept).

    A tuple of pairs, so it compares, hashes and iterates as one. `get` takes quotes off.
    """

    __slots__ = ()

    def get(self, name: str) -> str | None:
        """Value of the first parameter of this (lower case) name, unquoted; "" for a flag, None when absent."""
        for key, value in self:
            if key == name:
                return "" if value is None else (unquote(value) if value[:1] == '"' else value)
        return None

    def has(self, name: str) -> bool:
        """Whether a parameter of this (lower case) name is there."""
        return any(key == name for key, _ in self)

    def with_value(self, name: str, value: str | None) -> Params:
        """Return these parameters with one set, in its old place or at the end."""
        if not self.has(name):
            return Params((*self, (name, value)))
        return Params((key, value if key == name else old) for key, old in self)

    def without(self, *names: str) -> Params:
        """Return these parameters without some."""
        return Params(pair for pair in self if pair[0] not in names)

    def serialize(self) -> str:
        """Write ``;name=value;flag``; empty for none."""
        return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in self])


NO_PARAMS = Params()


def make_params(pairs: Iterable[tuple[str, str | None]]) -> Params:
    """Make parameters from plain values: what is no token is quoted. Raises `SipBuildError` for a bad name."""
    made = []
    for name, value in pairs:
        if not is_token(name):
            raise SipBuildError("parameter", f"{name!r} is no token")
        if value is not None and not is_token(value):
            value = quote(refuse_breaks(name, value))  # noqa: PLW2901 - the value in its written form
        made.append((name.lower(), value))
    return Params(made)


def parse_params(text: str, start: int = 0, header: str = "") -> Params:
    """Read ``;name=value`` from ``start`` to the end of the text; the `SipSyntaxError` names ``header``."""
    if _PLAIN(text, start):
        return plain_params(text[start:])
    found = []
    position, end = start, len(text)
    while position < end:
        match = _PARAMETER.match(text, position)
        if match is None:
            if not text[position:].strip():
                break
            raise SipSyntaxError(Fault.HEADER_VALUE, position, "not a parameter", header=header)
        found.append((match[1].lower(), match[2]))
        position = match.end()
    return Params(found)


class Parameterized:
    """A header value with parameters behind it, which are read when they are asked for.

    ``params`` may be given as text that `PLAIN_PARAMS` matches: nothing can be wrong with it later.
    """

    __slots__ = ("_params", "_text")

    def __init__(self, params: Params | str) -> None:
        if isinstance(params, str):
            self._text: str = params
            self._params: Params | None = None
        else:
            self._text = ""
            self._params = params

    @property
    def params(self) -> Params:
        """All parameters, in order."""
        params = self._params
        if params is None:
            params = self._params = plain_params(self._text)
        return params


def plain_params(text: str) -> Params:
    """Read parameters that `PLAIN_PARAMS` matches."""
    return Params([(name.lower(), value or None) for name, value in _PAIRS(text)]) if text else NO_PARAMS
