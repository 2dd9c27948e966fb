"""URIs of SIP: ``sip:``, ``sips:`` (RFC 3261, 19.1), ``tel:`` (RFC 3966), and any other scheme kept as it is.

Parts stay as they are on the wire, escapes included, so that a URI that goes through is not changed; `username` and
`make_sip_uri` speak in plain text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address, ip_address
from typing import Literal, TypeAlias
from urllib.parse import quote, unquote

from roomtone.protocols.sip.errors import Fault, SipBuildError, SipSyntaxError
from roomtone.protocols.sip.grammar import HOST, NO_PARAMS, Params

MAX_PORT = 65_535
MAX_URI_LENGTH = 4_096
CACHED_URIS = 4_096
"""URIs remembered as parsed; the least recently used is forgotten. Longer ones than this many characters never are:"""
CACHED_LENGTH = 200

# unreserved, user-unreserved and escapes; `#` is seen unescaped from phones that dial feature codes
_USER = r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#]|%[0-9A-Fa-f]{2})+"
_PASSWORD = r"(?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-Fa-f]{2})*"  # noqa: S105 - a pattern
_PARAM_CHAR = r"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$]|%[0-9A-Fa-f]{2})"
_HEADER_CHAR = r"(?:[A-Za-z0-9\-_.!~*'()\[\]/?:+$]|%[0-9A-Fa-f]{2})"
_SIP = re.compile(
    rf"(sips?):(?:({_USER})(?::({_PASSWORD}))?@)?({HOST})(?::([0-9]{{1,5}}))?"
    rf"((?:;{_PARAM_CHAR}+(?:={_PARAM_CHAR}*)?)*)"
    rf"(?:\?({_HEADER_CHAR}+={_HEADER_CHAR}*(?:&{_HEADER_CHAR}+={_HEADER_CHAR}*)*))?",
    re.IGNORECASE,
)
_TEL = re.compile(
    rf"tel:(\+[\-.()]*[0-9][0-9\-.()]*|[0-9A-Fa-f*#\-.()]+)((?:;{_PARAM_CHAR}+(?:={_PARAM_CHAR}*)?)*)", re.IGNORECASE
)
_OTHER = re.compile(r"([A-Za-z][A-Za-z0-9+\-.]*):([!-~\u0080-\U0010ffff]+)")
_VISUAL = re.compile(r"[-.()]")
# these must be equal when either side has them (RFC 3261, 19.1.4)
_COMPARED = ("user", "ttl", "method", "maddr", "transport")


@dataclass(frozen=True, slots=True)
class SipUri:
    """``sip:user:password@host:port;params?headers``; ``user`` and ``headers`` are as written, escapes included."""

    scheme: Literal["sip", "sips"]
    host: str
    """Lower case is not forced; an IPv6 address stands in brackets."""
    user: str | None = None
    password: str | None = None
    port: int | None = None
    params: Params = NO_PARAMS
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def username(self) -> str:
        """The user part with its escapes taken out; "" when there is none."""
        return unquote(self.user) if self.user and "%" in self.user else self.user or ""

    @property
    def address(self) -> str:
        """The host without the brackets of IPv6, in lower case: what is resolved or connected to."""
        return self.host.strip("[]").lower()

    @property
    def secure(self) -> bool:
        """Whether TLS is asked for on every hop (``sips``)."""
        return self.scheme == "sips"

    @property
    def transport(self) -> str | None:
        """The ``transport`` parameter in lower case."""
        value = self.params.get("transport")
        return value.lower() if value else None

    @property
    def loose_router(self) -> bool:
        """Whether ``lr`` is there (RFC 3261, 16.12)."""
        return self.params.has("lr")

    def address_of_record(self) -> SipUri:
        """Return scheme, user and host only, the host in lower case: the key of a registration (RFC 3261, 10.3)."""
        return SipUri(self.scheme, self.host.lower(), self.user)

    def for_request_line(self) -> SipUri:
        """Return what may stand in a request line: no headers, no ``method`` (RFC 3261, table 1)."""
        return replace(self, headers=(), params=self.params.without("method"))

    def serialize(self) -> str:
        """Write the URI."""
        parts = [self.scheme, ":"]
        if self.user is not None:
            parts += [self.user, "@"] if self.password is None else [self.user, ":", self.password, "@"]
        parts.append(self.host)
        if self.port is not None:
            parts.append(f":{self.port}")
        if self.params:
            parts.append(self.params.serialize())
        if self.headers:
            parts += ["?", "&".join([f"{name}={value}" for name, value in self.headers])]
        return "".join(parts)

    __str__ = serialize


@dataclass(frozen=True, slots=True)
class TelUri:
    """``tel:number;params``; the number as written."""

    number: str
    params: Params = NO_PARAMS

    @property
    def digits(self) -> str:
        """The number without visual separators; a leading ``+`` stays."""
        return _VISUAL.sub("", self.number)

    @property
    def is_global(self) -> bool:
        """Whether the number is an E.164 number with its ``+``."""
        return self.number.startswith("+")

    def serialize(self) -> str:
        """Write the URI."""
        return f"tel:{self.number}{self.params.serialize()}"

    __str__ = serialize


@dataclass(frozen=True, slots=True)
class OtherUri:
    """A URI of another scheme: ``scheme`` in lower case, the rest as written."""

    scheme: str
    rest: str

    def serialize(self) -> str:
        """Write the URI."""
        return f"{self.scheme}:{self.rest}"

    __str__ = serialize


Uri: TypeAlias = SipUri | TelUri | OtherUri


def parse_uri(text: str) -> Uri:
    """Read a URI. Raises `SipSyntaxError` (``URI``) for what is none, and for a broken ``sip``, ``sips`` or ``tel``."""
    return _parse_cached(text) if len(text) <= CACHED_LENGTH else _parse(text)


def _parse(text: str) -> Uri:
    if len(text) > MAX_URI_LENGTH:
        raise SipSyntaxError(Fault.URI, MAX_URI_LENGTH, "longer than a URI may be")
    if match := _SIP.fullmatch(text):
        return _sip_uri(match)
    if match := _TEL.fullmatch(text):
        return TelUri(match[1], _uri_params(match[2]))
    match = _OTHER.fullmatch(text)
    if match is None or match[1].lower() in {"sip", "sips", "tel"}:
        raise SipSyntaxError(Fault.URI, 0, f"no URI: {text[:80]!r}")
    return OtherUri(match[1].lower(), match[2])


_parse_cached = lru_cache(CACHED_URIS)(_parse)


def _sip_uri(match: re.Match[str]) -> SipUri:
    scheme, user, password, host, port, params, headers = match.groups()
    if host[0] == "[":
        _check_ipv6(host, match.start(4))
    if port is not None and int(port) > MAX_PORT:
        raise SipSyntaxError(Fault.URI, match.start(5), "no port")
    pairs = []
    for item in headers.split("&") if headers else ():
        name, _, value = item.partition("=")
        pairs.append((name, value))
    return SipUri(
        "sips" if len(scheme) == len("sips") else "sip",
        host,
        user,
        password,
        None if port is None else int(port),
        _uri_params(params) if params else NO_PARAMS,
        tuple(pairs),
    )


def _check_ipv6(host: str, position: int) -> None:
    try:
        IPv6Address(host[1:-1])
    except AddressValueError:
        raise SipSyntaxError(Fault.URI, position, f"no IPv6 address: {host}") from None


def _uri_params(text: str) -> Params:
    found = []
    for part in text[1:].split(";") if text else ():
        name, equals, value = part.partition("=")
        found.append((name.lower(), value if equals else None))
    return Params(found)


def make_sip_uri(  # one keyword a part of the URI
    host: str,
    *,
    user: str | None = None,
    port: int | None = None,
    secure: bool = False,
    params: Params = NO_PARAMS,
) -> SipUri:
    """Make a URI from plain text: the user is escaped, an IPv6 address gets its brackets. Raises `SipBuildError`."""
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    escaped = None if user is None else quote(user, safe="-_.!~*'()&=+$,;?/")
    made = SipUri("sips" if secure else "sip", host, escaped, None, port, params)
    try:
        if parse_uri(made.serialize()) != made:
            raise SipBuildError("uri", f"{made.serialize()!r} reads as another URI")
    except SipSyntaxError as error:
        raise SipBuildError("uri", error.message) from error
    return made


def same_uri(one: Uri, other: Uri) -> bool:
    """Whether two URIs are equivalent (RFC 3261, 19.1.4; RFC 3966, 4)."""
    match one, other:
        case SipUri(), SipUri():
            return _same_sip(one, other)
        case TelUri(), TelUri():
            return one.digits.lower() == other.digits.lower() and _tel_params(one) == _tel_params(other)
        case _:
            return one == other


def _same_sip(one: SipUri, other: SipUri) -> bool:
    if one.scheme != other.scheme or one.port != other.port or not _same_host(one, other):
        return False
    if one.username != other.username or unquote(one.password or "") != unquote(other.password or ""):
        return False
    mine, theirs = _folded(one.params), _folded(other.params)
    if any(mine.get(name) != theirs.get(name) for name in _COMPARED):
        return False
    if any(mine[name] != theirs[name] for name in mine.keys() & theirs.keys()):
        return False
    return _header_set(one) == _header_set(other)


def _same_host(one: SipUri, other: SipUri) -> bool:
    # literals of IPv6 are the same address however they are written (RFC 5954, 4.2)
    if one.host[0] == other.host[0] == "[":
        return ip_address(one.address) == ip_address(other.address)
    return one.host.lower() == other.host.lower()


def _folded(params: Params) -> dict[str, str]:
    return {unquote(name): unquote(value or "").lower() for name, value in params}


def _header_set(uri: SipUri) -> list[tuple[str, str]]:
    return sorted((unquote(name).lower(), unquote(value)) for name, value in uri.headers)


def _tel_params(uri: TelUri) -> dict[str, str]:
    return {name: _VISUAL.sub("", value or "").lower() for name, value in uri.params}
