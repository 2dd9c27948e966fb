"""Challenges and credentials of digest authentication, and their arithmetic (RFC 7616, RFC 8760; RFC 3261, 22)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import QUOTED, TOKEN, decode, encode, quote, unquote

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.protocols.sip.message.headers import Headers

_SCHEME = re.compile(rf"[\s,]*({TOKEN})[ \t]+(?=\S)").match
# Values of unquoted parameters are tokens; base64 with its slashes and equals signs is seen, too.
_PAIR = re.compile(rf"[\s,]*({TOKEN})\s*=\s*({QUOTED}|[^\s\",;]+)[ \t]*(?=,|$)", re.DOTALL).match
_COUNT = re.compile(r"[0-9a-fA-F]{8}").fullmatch
_HEX = re.compile(r"[0-9a-fA-F]{32,128}").fullmatch


class Algorithm(StrEnum):
    """Hash functions of digest."""

    MD5 = "MD5"
    SHA_256 = "SHA-256"
    SHA_512_256 = "SHA-512-256"


STRONGEST_FIRST = (Algorithm.SHA_512_256, Algorithm.SHA_256, Algorithm.MD5)
_ALGORITHMS = {algorithm.value.lower(): algorithm for algorithm in Algorithm}
_HASHES: dict[Algorithm, Callable[..., Any]] = {  # by their own functions: `new` looks its name up each time
    Algorithm.MD5: hashlib.md5,
    Algorithm.SHA_256: hashlib.sha256,
    Algorithm.SHA_512_256: partial(hashlib.new, "sha512_256"),
}
# Credentials as nearly all are written: one scheme, values quoted without backslashes or tokens.
_PLAIN = re.compile(rf"Digest +(?:{TOKEN}=(?:\"[^\"\\]*\"|[^\s\",;]+)(?:, *|$))+", re.ASCII).fullmatch
_PLAIN_PAIRS = re.compile(rf"({TOKEN})=(?:\"([^\"\\]*)\"|([^\s\",;]+))").findall


class Qop(StrEnum):
    """Quality of protection: the request's line, or its body too."""

    AUTH = "auth"
    AUTH_INT = "auth-int"


_QOPS: dict[str | None, Qop | None] = {None: None, **{qop.value: qop for qop in Qop}}


def digest(algorithm: Algorithm, data: str | bytes) -> str:
    """Hash text (UTF-8) or bytes: lower case hexadecimal."""
    raw = encode(data) if isinstance(data, str) else data
    hashed: str = _HASHES[algorithm](raw, usedforsecurity=False).hexdigest()
    return hashed


def secret_hash(algorithm: Algorithm, username: str, realm: str, password: str) -> str:
    """H(A1): what a server may keep instead of a password (RFC 7616, 3.4.2)."""
    return digest(algorithm, f"{username}:{realm}:{password}")


@dataclass(frozen=True, slots=True)
class Challenge:
    """``Digest ...`` of ``WWW-Authenticate`` or ``Proxy-Authenticate``."""

    realm: str
    nonce: str
    algorithm: Algorithm = Algorithm.MD5
    session: bool = False
    """``-sess``: the hash of the secret is bound to the nonces (RFC 7616, 3.4.2)."""
    qop: tuple[Qop, ...] = ()
    opaque: str | None = None
    stale: bool = False

    def serialize(self) -> str:
        """Write the value."""
        parts = [f"realm={quote(self.realm)}", f"nonce={quote(self.nonce)}"]
        if self.qop:
            parts.append(f'qop="{",".join(self.qop)}"')
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        if self.stale:
            parts.append("stale=true")
        parts.append(f"algorithm={self.algorithm}{'-sess' if self.session else ''}")
        return "Digest " + ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Credentials:
    """``Digest ...`` of ``Authorization`` or ``Proxy-Authorization``."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: Algorithm = Algorithm.MD5
    session: bool = False
    qop: Qop | None = None
    count: int = 0
    """``nc``; 0 without qop."""
    cnonce: str = ""
    opaque: str | None = None

    def serialize(self) -> str:
        """Write the value."""
        parts = [
            f"username={quote(self.username)}",
            f"realm={quote(self.realm)}",
            f"nonce={quote(self.nonce)}",
            f"uri={quote(self.uri)}",
            f'response="{self.response}"',
            f"algorithm={self.algorithm}{'-sess' if self.session else ''}",
        ]
        if self.qop is not None:
            parts += [f"qop={self.qop}", f"nc={self.count:08x}", f"cnonce={quote(self.cnonce)}"]
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        return "Digest " + ", ".join(parts)

    def expected(self, secret: str, method: str, body: bytes) -> str:
        """Compute the response that is right for these values; ``secret`` is H(A1) of the account."""
        algorithm = self.algorithm
        if self.session:
            secret = digest(algorithm, f"{secret}:{self.nonce}:{self.cnonce}")
        asked = f"{method}:{self.uri}"
        if self.qop is Qop.AUTH_INT:
            asked = f"{asked}:{digest(algorithm, body)}"
        hashed = digest(algorithm, asked)
        if self.qop is None:
            return digest(algorithm, f"{secret}:{self.nonce}:{hashed}")
        return digest(algorithm, f"{secret}:{self.nonce}:{self.count:08x}:{self.cnonce}:{self.qop}:{hashed}")


def _schemes(text: str) -> list[tuple[str, dict[str, str]]]:
    """Read ``Scheme a=b, c="d", Scheme e=f``: each scheme (lower case) and its parameters (names in lower case)."""
    found: list[tuple[str, dict[str, str]]] = []
    position = 0
    while text[position:].strip(" \t,"):
        pair = _PAIR(text, position)
        if pair is not None and found:
            found[-1][1].setdefault(pair[1].lower(), unquote(pair[2]))
            position = pair.end()
            continue
        scheme = _SCHEME(text, position)
        if scheme is None:
            raise SipSyntaxError(Fault.HEADER_VALUE, position, "no authentication parameter")
        found.append((scheme[1].lower(), {}))
        position = scheme.end()
    return found


def _plain_params(text: str) -> dict[str, str] | None:
    """Read the parameters of one scheme in one go; None for what needs a closer look, or names one twice."""
    if _PLAIN(text) is None:
        return None
    pairs = _PLAIN_PAIRS(text, text.index(" "))
    params = {name.lower(): quoted or bare for name, quoted, bare in pairs}
    return params if len(params) == len(pairs) else None


def _algorithm(params: dict[str, str]) -> tuple[Algorithm, bool] | None:
    name = params.get("algorithm", "MD5").lower()
    session = name.endswith("-sess")
    known = _ALGORITHMS.get(name.removesuffix("-sess"))
    return None if known is None else (known, session)


def parse_challenges(headers: Headers, header: str) -> list[Challenge]:
    """Read all digest challenges of ``WWW-Authenticate`` or ``Proxy-Authenticate``, in order.

    Other schemes, algorithms nobody here knows, and challenges that cannot be read are left out.
    """
    found = []
    for value in headers.get_all(header):
        try:
            schemes = _schemes(decode(value))
        except SipSyntaxError:
            continue
        for scheme, params in schemes:
            known = _algorithm(params)
            if scheme != "digest" or known is None or "nonce" not in params or "realm" not in params:
                continue
            offered = {word.strip().lower() for word in params.get("qop", "").split(",")}
            qop = tuple(kind for kind in Qop if kind in offered)
            if "qop" in params and not qop:
                continue  # only kinds nobody here knows
            stale = params.get("stale", "").lower() == "true"
            found.append(Challenge(params["realm"], params["nonce"], *known, qop, params.get("opaque"), stale))
    return found


def parse_credentials(headers: Headers, header: str, realm: str) -> Credentials | None:
    """Read the digest credentials for a realm; None when there are none, or only for other schemes or realms.

    Raises `SipSyntaxError` for some that are for this realm and cannot be read.
    """
    for value in headers.get_all(header):
        text = decode(value)
        if text[:7].lower() != "digest ":
            continue
        params = _plain_params(text) or _schemes(text)[0][1]
        if params.get("realm") == realm:
            return _credentials(params, header)
    return None


def _credentials(params: dict[str, str], header: str) -> Credentials:
    known = _algorithm(params)
    qop = params.get("qop")
    missing = [name for name in ("username", "nonce", "uri", "response") if not params.get(name)]
    if missing or known is None or not _HEX(params["response"]) or qop not in _QOPS:
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "credentials that cannot be read", header=header)
    count = params.get("nc", "")
    if qop is not None and (not _COUNT(count) or not params.get("cnonce")):
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, "qop without nc and cnonce", header=header)
    return Credentials(
        username=params["username"],
        realm=params["realm"],
        nonce=params["nonce"],
        uri=params["uri"],
        response=params["response"].lower(),
        algorithm=known[0],
        session=known[1],
        qop=_QOPS[qop],
        count=int(count, 16) if qop is not None else 0,
        cnonce=params.get("cnonce", ""),
        opaque=params.get("opaque"),
    )
