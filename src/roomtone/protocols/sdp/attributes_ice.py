"""Typed values of attributes of ICE and DTLS: candidates, credentials, fingerprints; see `attributes`."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from roomtone.media.values import Candidate, Fingerprint
from roomtone.protocols.sdp.attributes import parse_number, parse_token

_ICE_CHARS = re.compile(r"[0-9A-Za-z+/]+\Z")
# Chromium and libnice stay inside the RFC's ice-char; some stacks add these, and nothing is gained by refusing them.
_ICE_CHARS_SEEN = re.compile(r"[0-9A-Za-z+/=_\-]+\Z")
_HEX_PAIRS = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+\Z")
_FINGERPRINT_BYTES = {"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64, "md5": 16, "md2": 16}
_MAX_PORT = 65535
_MAX_U32 = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class IceCandidate:
    """``a=candidate`` (RFC 8839 section 5.1, RFC 6544 for TCP); ``address`` may be a host name."""

    foundation: str
    component: int
    transport: str
    priority: int
    address: str
    port: int
    kind: str
    related_address: str | None = None
    related_port: int | None = None
    tcp_type: str | None = None
    extensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> IceCandidate:
        """Parse what stands behind ``a=candidate:``."""
        words = text.split(" ")
        words = [word for word in words if word]
        if len(words) < 8 or words[6] != "typ" or len(words) % 2:  # noqa: PLR2004 (the eight fixed fields)
            raise ValueError("candidate has not the fields of RFC 8839")
        if not 1 <= len(words[0]) <= 32:  # noqa: PLR2004
            raise ValueError("candidate foundation is not 1 to 32 characters")
        pairs = list(zip(words[8::2], words[9::2], strict=True))
        known = dict(pairs)
        related_port = known.get("rport")
        return cls(
            foundation=words[0],
            component=parse_number(words[1], 256, "candidate component"),
            transport=parse_token(words[2], "candidate transport").lower(),
            priority=parse_number(words[3], _MAX_U32, "candidate priority"),
            address=words[4],
            port=parse_number(words[5], _MAX_PORT, "candidate port"),
            kind=parse_token(words[7], "candidate type"),
            related_address=known.get("raddr"),
            related_port=None if related_port is None else parse_number(related_port, _MAX_PORT, "candidate rport"),
            tcp_type=known.get("tcptype"),
            extensions=tuple(pair for pair in pairs if pair[0] not in {"raddr", "rport", "tcptype"}),
        )

    @classmethod
    def of(cls, candidate: Candidate) -> IceCandidate:
        """Write one of our own candidates."""
        return cls(
            foundation=candidate.foundation,
            component=candidate.component,
            transport=candidate.protocol,
            priority=candidate.priority,
            address=candidate.ip,
            port=candidate.port,
            kind=candidate.kind,
            tcp_type=candidate.tcp_type,
        )

    def to_candidate(self) -> Candidate | None:
        """Give the engine's value; None for what the engine cannot reach (host names, other transports)."""
        try:
            ipaddress.ip_address(self.address)
        except ValueError:
            return None
        if self.transport not in {"udp", "tcp"} or self.kind not in {"host", "srflx", "prflx", "relay"}:
            return None
        return Candidate(
            foundation=self.foundation,
            component=self.component,
            protocol=self.transport,
            priority=self.priority,
            ip=self.address,
            port=self.port,
            kind=self.kind,
            tcp_type=self.tcp_type,
        )

    def serialize(self) -> str:
        """Write what stands behind ``a=candidate:``."""
        words = [
            self.foundation,
            str(self.component),
            self.transport,
            str(self.priority),
            self.address,
            str(self.port),
            "typ",
            self.kind,
        ]
        if self.related_address is not None:
            words += ["raddr", self.related_address]
        if self.related_port is not None:
            words += ["rport", str(self.related_port)]
        if self.tcp_type is not None:
            words += ["tcptype", self.tcp_type]
        return " ".join([*words, *(word for pair in self.extensions for word in pair)])


def parse_fingerprint(text: str) -> Fingerprint:
    """Parse ``a=fingerprint`` (RFC 8122 section 5)."""
    algorithm, _, value = text.strip().partition(" ")
    algorithm = algorithm.lower()
    value = value.strip()
    if not _HEX_PAIRS.match(value):
        raise ValueError("fingerprint is not pairs of hex digits")
    expected = _FINGERPRINT_BYTES.get(algorithm)
    if expected is not None and value.count(":") + 1 != expected:
        raise ValueError(f"fingerprint of {algorithm} has not {expected} bytes")
    return Fingerprint(algorithm=parse_token(algorithm, "fingerprint algorithm"), value=value.upper())


def parse_ice_ufrag(text: str) -> str:
    """Check an ICE user fragment (RFC 8839 section 5.4: 4 to 256 characters)."""
    return _parse_ice_text(text, 4, "ice-ufrag")


def parse_ice_pwd(text: str) -> str:
    """Check an ICE password (RFC 8839 section 5.4: 22 to 256 characters)."""
    return _parse_ice_text(text, 22, "ice-pwd")


def _parse_ice_text(text: str, shortest: int, what: str) -> str:
    if not shortest <= len(text) <= 256 or not (_ICE_CHARS.match(text) or _ICE_CHARS_SEEN.match(text)):  # noqa: PLR2004
        raise ValueError(f"{what} is not {shortest} to 256 ice-chars")
    return text
