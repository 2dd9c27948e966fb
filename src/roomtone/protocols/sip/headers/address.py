"""Addresses in headers (RFC 3261, 20.10): ``From``, ``To``, ``Contact``, ``Route``, ``Refer-To`` and their like."""

from __future__ import annotations

import re
from typing import NamedTuple

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import (
    NO_PARAMS,
    PLAIN_PARAMS,
    QUOTED,
    TOKEN,
    Parameterized,
    Params,
    parse_params,
    quote,
    unquote,
)
from roomtone.protocols.sip.uri import Uri, parse_uri

# display name (tokens or one quoted string), <URI>; parameters follow
_BRACKETED = re.compile(rf"(?:({QUOTED})\s*|((?:{TOKEN}\s+)*{TOKEN}\s*))?<([^<>\s]*)>", re.DOTALL).match
_USUAL = re.compile(rf"(?:\"([^\"\\]*)\" *|([A-Za-z0-9\-.!%*_+`'~ ]*))<([^<>\s]*)>({PLAIN_PARAMS})").fullmatch
# Without brackets parameters belong to the header, and the URI may hold neither `?`, `,` nor `;` (20.10).
_BARE = re.compile(r'[A-Za-z][A-Za-z0-9+\-.]*:[^\s<>;?,"]+').match
_TAG = re.compile(r";tag=([^;]+)").search
_SPACES = re.compile(r"\s+")


class Address(Parameterized):
    """``"Display name" <uri>;params``; not to be changed.

    ``uri_text`` is the URI as written (`uri` reads it), ``display`` the display name without quotes, "" for none.
    """

    __slots__ = ("display", "uri_text")

    def __init__(self, uri_text: str, params: Params | str = NO_PARAMS, display: str = "") -> None:
        # as `Parameterized.__init__` does it, without the call: this is made for every message
        if params.__class__ is str:
            self._text = params
            self._params = None
        else:
            self._text = ""
            self._params = params  # type: ignore[assignment]
        self.uri_text = uri_text
        self.display = display

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and self.serialize() == other.serialize()

    def __hash__(self) -> int:
        return hash(self.serialize())

    def __repr__(self) -> str:
        return f"<Address {self.serialize()}>"

    @property
    def uri(self) -> Uri:
        """The URI, parsed. Raises `SipSyntaxError`."""
        return parse_uri(self.uri_text)

    @property
    def tag(self) -> str | None:
        """The ``tag`` parameter of From and To."""
        params = self._params
        if params is None:
            if not self._text:
                return None
            if found := _TAG(self._text):
                return found[1]
            params = self.params
        return params.get("tag")

    def with_params(self, params: Params) -> Address:
        """Return the address with other parameters of the header."""
        return Address(self.uri_text, params, self.display)

    def with_tag(self, tag: str) -> Address:
        """Return the address with a tag."""
        return self.with_params(self.params.with_value("tag", tag))

    def without_params(self) -> Address:
        """Return the address without parameters of the header."""
        return self.with_params(NO_PARAMS)

    def serialize(self) -> str:
        """Write the address, always with brackets."""
        name = f"{quote(self.display)} " if self.display else ""
        return f"{name}<{self.uri_text}>{self.params.serialize()}"


class Wildcard(NamedTuple):
    """``Contact: *`` of a REGISTER that removes all bindings (RFC 3261, 10.2.2)."""

    def serialize(self) -> str:
        """Write the value."""
        return "*"


WILDCARD = Wildcard()


def parse_address(text: str, header: str = "") -> Address:
    """Read one address; ``header`` names it in errors. Raises `SipSyntaxError`; the URI itself is read when asked for.

    The value may not be a list: split it first (`Headers.items`).
    """
    match = _USUAL(text)
    if match is not None:
        quoted, words, uri, params = match.groups()
        return Address(uri, params, quoted or (words.strip() if words else ""))
    text = text.strip()
    match = _BRACKETED(text)
    if match is not None:
        quoted, words, uri = match.groups()
        display = unquote(quoted) if quoted else (_SPACES.sub(" ", words.strip()) if words else "")
        return Address(uri, parse_params(text, match.end(), header), display)
    match = _BARE(text)
    if match is None:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "no address", header=header)
    return Address(match[0], parse_params(text, match.end(), header))
