"""Typed values of the attributes this server acts on, each with its parser and its text.

A parser raises ``ValueError`` with a reason; `roomtone.protocols.sdp.model` adds the line number.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum

from roomtone.media.values import Candidate, Fingerprint

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+\Z")
_ICE_CHARS = re.compile(r"[0-9A-Za-z+/]+\Z")
# Chromium and libnice stay inside the RFC's ice-char; some stacks add these, and nothing is gained by refusing them.
_ICE_CHARS_SEEN = re.compile(r"[0-9A-Za-z+/=_\-]+\Z")
_HEX_PAIRS = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+\Z")
_RID = re.compile(r"[0-9A-Za-z_\-]{1,255}\Z")
_FINGERPRINT_BYTES = {"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64, "md5": 16, "md2": 16}
_MAX_PAYLOAD_TYPE = 127
_MAX_PORT = 65535
_MAX_U32 = 0xFFFF_FFFF
_MAX_DIGITS = 20
_MAX_CHANNELS = 255


class Direction(StrEnum):
    """Direction of a media section, seen from who wrote the description (RFC 8866 section 6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whoever wrote it sends."""
        return self in {Direction.SENDRECV, Direction.SENDONLY}

    @property
    def receives(self) -> bool:
        """Whoever wrote it receives."""
        return self in {Direction.SENDRECV, Direction.RECVONLY}


class Setup(StrEnum):
    """DTLS role offered (RFC 4145, RFC 8842)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"


def parse_number(text: str, highest: int, what: str) -> int:
    """Parse a non-negative decimal number with an upper bound."""
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        raise ValueError(f"{what} is not a number")
    value = int(text)
    if value > highest:
        raise ValueError(f"{what} is above {highest}")
    return value


def parse_token(text: str, what: str) -> str:
    """Check a token of RFC 8866."""
    if not _TOKEN.match(text):
        raise ValueError(f"{what} is not a token")
    return text


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


@dataclass(frozen=True, slots=True)
class RtpMap:
    """``a=rtpmap`` (RFC 8866 section 6.6)."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1

    @classmethod
    def parse(cls, text: str) -> RtpMap:
        """Parse what stands behind ``a=rtpmap:``."""
        number, _, encoding = text.partition(" ")
        parts = encoding.strip().split("/")
        if len(parts) not in {2, 3}:
            raise ValueError("rtpmap is not NAME/CLOCK[/CHANNELS]")
        channels = parse_number(parts[2], _MAX_CHANNELS, "channel count") if len(parts) > 2 else 1  # noqa: PLR2004
        clock = parse_number(parts[1], _MAX_U32, "clock rate")
        if not clock:
            raise ValueError("clock rate is zero")
        return cls(
            payload_type=parse_number(number, _MAX_PAYLOAD_TYPE, "payload type"),
            name=parse_token(parts[0], "encoding name"),
            clock_rate=clock,
            channels=max(channels, 1),
        )

    def serialize(self) -> str:
        """Write what stands behind ``a=rtpmap:``."""
        tail = f"/{self.channels}" if self.channels > 1 else ""
        return f"{self.payload_type} {self.name}/{self.clock_rate}{tail}"


@dataclass(frozen=True, slots=True)
class Fmtp:
    """``a=fmtp``: format parameters, names in lower case, in order."""

    payload_type: int
    parameters: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: str) -> Fmtp:
        """Parse what stands behind ``a=fmtp:``."""
        number, _, rest = text.partition(" ")
        parameters: list[tuple[str, str | None]] = []
        for part in rest.split(";"):
            name, equals, value = part.strip().partition("=")
            if name:
                parameters.append((name.strip().lower(), value.strip() if equals else None))
        return cls(parse_number(number, _MAX_PAYLOAD_TYPE, "payload type"), tuple(parameters))

    def serialize(self) -> str:
        """Write what stands behind ``a=fmtp:``."""
        parts = [name if value is None else f"{name}={value}" for name, value in self.parameters]
        return f"{self.payload_type} {';'.join(parts)}"


@dataclass(frozen=True, slots=True)
class RtcpFeedback:
    """``a=rtcp-fb`` (RFC 4585 section 4.2); ``payload_type`` None means all (``*``)."""

    payload_type: int | None
    feedback: str

    @classmethod
    def parse(cls, text: str) -> RtcpFeedback:
        """Parse what stands behind ``a=rtcp-fb:``."""
        number, _, rest = text.partition(" ")
        if not rest.strip():
            raise ValueError("rtcp-fb names no feedback")
        payload_type = None if number == "*" else parse_number(number, _MAX_PAYLOAD_TYPE, "payload type")
        return cls(payload_type, " ".join(rest.split()))

    def serialize(self) -> str:
        """Write what stands behind ``a=rtcp-fb:``."""
        return f"{'*' if self.payload_type is None else self.payload_type} {self.feedback}"


@dataclass(frozen=True, slots=True)
class ExtMap:
    """``a=extmap`` (RFC 8285 section 5)."""

    id: int
    uri: str
    direction: Direction | None = None
    settings: str | None = None

    @classmethod
    def parse(cls, text: str) -> ExtMap:
        """Parse what stands behind ``a=extmap:``."""
        words = text.split(None, 2)
        if len(words) < 2:  # noqa: PLR2004
            raise ValueError("extmap names no extension")
        number, slash, direction = words[0].partition("/")
        id_ = parse_number(number, 4351, "extmap id")
        if not id_:
            raise ValueError("extmap id is zero")
        if slash and direction not in set(Direction):
            raise ValueError("extmap direction is unknown")
        return cls(id_, words[1], Direction(direction) if slash else None, words[2] if len(words) > 2 else None)  # noqa: PLR2004

    def serialize(self) -> str:
        """Write what stands behind ``a=extmap:``."""
        direction = "" if self.direction is None else f"/{self.direction.value}"
        settings = "" if self.settings is None else f" {self.settings}"
        return f"{self.id}{direction} {self.uri}{settings}"


@dataclass(frozen=True, slots=True)
class SsrcAttribute:
    """``a=ssrc`` (RFC 5576 section 4.1)."""

    ssrc: int
    name: str
    value: str | None = None

    @classmethod
    def parse(cls, text: str) -> SsrcAttribute:
        """Parse what stands behind ``a=ssrc:``."""
        number, _, rest = text.partition(" ")
        name, colon, value = rest.strip().partition(":")
        return cls(parse_number(number, _MAX_U32, "SSRC"), name, value if colon else None)

    def serialize(self) -> str:
        """Write what stands behind ``a=ssrc:``."""
        return f"{self.ssrc} {self.name}" + ("" if self.value is None else f":{self.value}")


@dataclass(frozen=True, slots=True)
class SsrcGroup:
    """``a=ssrc-group`` (RFC 5576 section 4.2)."""

    semantics: str
    ssrcs: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> SsrcGroup:
        """Parse what stands behind ``a=ssrc-group:``."""
        words = text.split()
        if not words:
            raise ValueError("ssrc-group has no semantics")
        ssrcs = tuple(parse_number(word, _MAX_U32, "SSRC") for word in words[1:])
        return cls(parse_token(words[0], "ssrc-group semantics"), ssrcs)

    def serialize(self) -> str:
        """Write what stands behind ``a=ssrc-group:``."""
        return " ".join([self.semantics, *map(str, self.ssrcs)])


@dataclass(frozen=True, slots=True)
class Rid:
    """``a=rid`` (RFC 8851 section 10)."""

    id: str
    direction: str
    restrictions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Rid:
        """Parse what stands behind ``a=rid:``."""
        words = text.split(None, 2)
        if len(words) < 2 or words[1] not in {"send", "recv"}:  # noqa: PLR2004
            raise ValueError("rid is not ID send|recv")
        restrictions: list[tuple[str, str]] = []
        for part in words[2].split(";") if len(words) > 2 else ():  # noqa: PLR2004
            name, _, value = part.strip().partition("=")
            if name:
                restrictions.append((name, value))
        return cls(_parse_rid(words[0]), words[1], tuple(restrictions))

    def serialize(self) -> str:
        """Write what stands behind ``a=rid:``."""
        rest = ";".join(f"{name}={value}" if value else name for name, value in self.restrictions)
        return f"{self.id} {self.direction}" + (f" {rest}" if rest else "")


def _parse_rid(text: str) -> str:
    if not _RID.match(text):
        raise ValueError("RID is not letters, digits, '-' or '_'")
    return text


@dataclass(frozen=True, slots=True)
class Simulcast:
    """``a=simulcast`` (RFC 8853 section 5.1): streams by direction, each a list of alternatives; ``~`` is kept off."""

    send: tuple[tuple[str, ...], ...] = ()
    recv: tuple[tuple[str, ...], ...] = ()
    paused: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Simulcast:
        """Parse what stands behind ``a=simulcast:``."""
        words = text.split()
        if len(words) not in {2, 4}:
            raise ValueError("simulcast is not DIRECTION LIST")
        lists: dict[str, tuple[tuple[str, ...], ...]] = {}
        paused: set[str] = set()
        for direction, listed in zip(words[::2], words[1::2], strict=True):
            if direction not in {"send", "recv"} or direction in lists:
                raise ValueError("simulcast direction is not send or recv, once each")
            streams = [[word for word in stream.split(",") if word] for stream in listed.split(";")]
            paused |= {_parse_rid(word[1:]) for stream in streams for word in stream if word.startswith("~")}
            lists[direction] = tuple(
                tuple(_parse_rid(word.removeprefix("~")) for word in stream) for stream in streams if stream
            )
        return cls(lists.get("send", ()), lists.get("recv", ()), frozenset(paused))

    def serialize(self) -> str:
        """Write what stands behind ``a=simulcast:``."""
        parts: list[str] = []
        for direction, streams in (("send", self.send), ("recv", self.recv)):
            if streams:
                texts = (",".join(("~" if rid in self.paused else "") + rid for rid in stream) for stream in streams)
                parts += [direction, ";".join(texts)]
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Group:
    """``a=group`` (RFC 5888)."""

    semantics: str
    mids: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Group:
        """Parse what stands behind ``a=group:``."""
        words = text.split()
        if not words:
            raise ValueError("group has no semantics")
        return cls(parse_token(words[0], "group semantics"), tuple(parse_token(word, "mid") for word in words[1:]))

    def serialize(self) -> str:
        """Write what stands behind ``a=group:``."""
        return " ".join([self.semantics, *self.mids])


@dataclass(frozen=True, slots=True)
class Msid:
    """``a=msid`` (RFC 8830); ``stream`` is ``-`` for none."""

    stream: str
    track: str | None = None

    @classmethod
    def parse(cls, text: str) -> Msid:
        """Parse what stands behind ``a=msid:``."""
        words = text.split()
        if not words:
            raise ValueError("msid is empty")
        return cls(words[0], words[1] if len(words) > 1 else None)

    def serialize(self) -> str:
        """Write what stands behind ``a=msid:``."""
        return self.stream if self.track is None else f"{self.stream} {self.track}"


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
