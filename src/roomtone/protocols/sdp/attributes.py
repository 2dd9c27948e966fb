"""Typed values of the attributes this server acts on, each with its parser and its text.

A parser raises ``ValueError`` with a reason; `roomtone.protocols.sdp.model` adds the line number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]+\Z")
_MAX_PAYLOAD_TYPE = 127
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
