"""The lines of a session description: read, with the values of known attributes typed, and written.

Limits: ``MAX_LINES``, ``MAX_LINE_LENGTH``; beyond them the text is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from roomtone.protocols.sdp import attributes as a
from roomtone.protocols.sdp import attributes_ice as ice
from roomtone.protocols.sdp import attributes_streams as streams
from roomtone.protocols.sdp.errors import SdpError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LINES = 32_768
MAX_LINE_LENGTH = 8192

_KINDS = frozenset("vosiuepcbtrzkam")
_MAX_PORT = 65535

_PARSERS: dict[str, Callable[[str], object]] = {
    "candidate": ice.IceCandidate.parse,
    "extmap": a.ExtMap.parse,
    "fingerprint": ice.parse_fingerprint,
    "fmtp": a.Fmtp.parse,
    "group": streams.Group.parse,
    "ice-pwd": ice.parse_ice_pwd,
    "ice-ufrag": ice.parse_ice_ufrag,
    "max-message-size": lambda text: a.parse_number(text, 2**63, "max-message-size"),
    "mid": lambda text: a.parse_token(text, "mid"),
    "msid": streams.Msid.parse,
    "rid": streams.Rid.parse,
    "rtcp-fb": a.RtcpFeedback.parse,
    "rtpmap": a.RtpMap.parse,
    "sctp-port": lambda text: a.parse_number(text, _MAX_PORT, "sctp-port"),
    "setup": a.Setup,
    "simulcast": streams.Simulcast.parse,
    "ssrc": streams.SsrcAttribute.parse,
    "ssrc-group": streams.SsrcGroup.parse,
}

# fmtp of formats that are no payload types (application sections of old data channels) stay text.
_RTP_ONLY = frozenset({"fmtp", "rtpmap", "rtcp-fb"})


# Attributes that many descriptions have alike: their lines are read and written once.
_REPEATED = frozenset(
    {"fmtp", "inactive", "maxptime", "ptime", "recvonly", "rtcp-fb", "rtcp-mux", "rtpmap", "sendonly", "sendrecv"}
)
_REMEMBERED = 1_024
_LONGEST_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its letter and what stands behind the equals sign, and for attributes the typed value."""

    kind: str
    value: str
    typed: object = None
    attribute: str | None = field(init=False, repr=False, compare=False)
    """Name of the attribute; None for other lines."""
    attribute_value: str | None = field(init=False, repr=False, compare=False)
    """Text behind the attribute's colon; None for flags and other lines."""

    def __post_init__(self) -> None:
        """Take an attribute apart, once."""
        name = value = None
        if self.kind == "a":
            name, colon, rest = self.value.partition(":")
            value = rest if colon else None
        object.__setattr__(self, "attribute", name)
        object.__setattr__(self, "attribute_value", value)

    def __hash__(self) -> int:
        """Hash the text, which the typed value follows from."""
        return hash(self.value)

    def serialize(self) -> str:
        """Write the line without its end."""
        return f"{self.kind}={self.value}"


def attribute(name: str, value: str | int | None = None) -> Line:
    """Make an attribute line."""
    return _attribute_line(name if value is None else f"{name}:{value}", rtp=True)


def _attribute_line(value: str, *, rtp: bool) -> Line:
    """Read an attribute; raise `ValueError`. Those that come again and again are read once."""
    name, colon, rest = value.partition(":")
    if name in _REPEATED and len(value) <= _LONGEST_REMEMBERED:
        return _known_line(value, rtp=rtp)
    return Line("a", value, _typed_value(name, rest if colon else None, rtp=rtp))


@lru_cache(_REMEMBERED)
def _known_line(value: str, *, rtp: bool) -> Line:
    name, colon, rest = value.partition(":")
    return Line("a", value, _typed_value(name, rest if colon else None, rtp=rtp))


def parse_lines(text: str | bytes) -> list[tuple[int, Line]]:
    """Split a text into numbered lines, known attributes typed; raise `SdpError` with the line number."""
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            raise SdpError(error.object.count(b"\n", 0, error.start) + 1, "is not UTF-8") from error
    rows = text.split("\n")
    while rows and not rows[-1].strip():
        rows.pop()
    if not rows:
        raise SdpError(1, "is empty")
    if len(rows) > MAX_LINES:
        raise SdpError(MAX_LINES + 1, f"is beyond the limit of {MAX_LINES} lines")
    section = ""
    parsed: list[tuple[int, Line]] = []
    for number, row in enumerate(rows, start=1):
        line = _parse_line(number, row.removesuffix("\r"), section)
        if line.kind == "m":
            section = line.value
        parsed.append((number, line))
    return parsed


def _parse_line(number: int, row: str, section: str) -> Line:
    if len(row) > MAX_LINE_LENGTH:
        raise SdpError(number, f"is longer than {MAX_LINE_LENGTH} characters")
    if len(row) < 2 or row[1] != "=" or row[0] not in _KINDS:  # noqa: PLR2004
        raise SdpError(number, "is not LETTER=VALUE")
    if "\0" in row or "\r" in row:
        raise SdpError(number, "holds a control character")
    kind, value = row[0], row[2:]
    if kind != "a":
        return Line(kind, value)
    if not value or value[0] == ":":
        raise SdpError(number, "names no attribute")
    try:
        return _attribute_line(value, rtp=not section.startswith("application"))
    except ValueError as error:
        raise SdpError(number, str(error)) from error


def _typed_value(name: str, value: str | None, *, rtp: bool) -> object:
    parser = _PARSERS.get(name)
    if parser is None or (name in _RTP_ONLY and not rtp):
        return None
    if value is None:
        raise ValueError(f"{name} has no value")
    return parser(value)
