"""Session descriptions as values: every line kept in its order, known attributes typed.

Inputs: text by `parse_session`. Outputs: text by `SessionDescription.serialize`. Order: lines never move.
Limits: ``MAX_MEDIA``, and those of `roomtone.protocols.sdp.lines`; beyond them the text is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from roomtone.media.values import Fingerprint
from roomtone.protocols.sdp import attributes as a
from roomtone.protocols.sdp import attributes_ice as ice
from roomtone.protocols.sdp import attributes_streams as streams
from roomtone.protocols.sdp.errors import SdpError
from roomtone.protocols.sdp.lines import Line, parse_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_MEDIA = 512
_Typed = TypeVar("_Typed")
_MAX_PORT = 65535
_DIRECTIONS: dict[str | None, a.Direction] = {direction.value: direction for direction in a.Direction}


class _Section:
    """What session and media sections have in common."""

    __slots__ = ()
    lines: tuple[Line, ...]

    def has(self, name: str) -> bool:
        """Whether an attribute is there."""
        return any(line.attribute == name for line in self.lines)

    def first(self, name: str) -> str | None:
        """Text of the first attribute of this name."""
        return next((line.attribute_value for line in self.lines if line.attribute == name), None)

    def typed(self, type_: type[_Typed]) -> tuple[_Typed, ...]:
        """All attributes of a typed value, in order."""
        return tuple(line.typed for line in self.lines if isinstance(line.typed, type_))

    @property
    def direction(self) -> a.Direction | None:
        """The last direction attribute; None when there is none."""
        found = None
        for line in self.lines:
            if line.attribute in _DIRECTIONS and line.attribute_value is None:
                found = _DIRECTIONS[line.attribute]
        return found

    @property
    def ice_ufrag(self) -> str | None:
        """ICE user fragment."""
        return self.first("ice-ufrag")

    @property
    def ice_pwd(self) -> str | None:
        """ICE password."""
        return self.first("ice-pwd")

    @property
    def ice_options(self) -> tuple[str, ...]:
        """Words of ``a=ice-options``."""
        return tuple((self.first("ice-options") or "").split())

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """Certificate fingerprints."""
        return self.typed(Fingerprint)

    @property
    def candidates(self) -> tuple[ice.IceCandidate, ...]:
        """ICE candidates."""
        return self.typed(ice.IceCandidate)

    @property
    def setup(self) -> a.Setup | None:
        """DTLS role."""
        return next(iter(self.typed(a.Setup)), None)


@dataclass(frozen=True, slots=True)
class MediaDescription(_Section):
    """A media section; ``lines`` begins with its ``m=`` line."""

    lines: tuple[Line, ...]
    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    number: int = 0

    @property
    def mid(self) -> str | None:
        """Identification of the section (RFC 5888)."""
        return self.first("mid")

    @property
    def rtp_maps(self) -> tuple[a.RtpMap, ...]:
        """``a=rtpmap`` lines."""
        return self.typed(a.RtpMap)

    @property
    def format_parameters(self) -> tuple[a.Fmtp, ...]:
        """``a=fmtp`` lines."""
        return self.typed(a.Fmtp)

    @property
    def feedback(self) -> tuple[a.RtcpFeedback, ...]:
        """``a=rtcp-fb`` lines."""
        return self.typed(a.RtcpFeedback)

    @property
    def extensions(self) -> tuple[a.ExtMap, ...]:
        """``a=extmap`` lines."""
        return self.typed(a.ExtMap)

    @property
    def ssrcs(self) -> tuple[streams.SsrcAttribute, ...]:
        """``a=ssrc`` lines."""
        return self.typed(streams.SsrcAttribute)

    @property
    def ssrc_groups(self) -> tuple[streams.SsrcGroup, ...]:
        """``a=ssrc-group`` lines."""
        return self.typed(streams.SsrcGroup)

    @property
    def rids(self) -> tuple[streams.Rid, ...]:
        """``a=rid`` lines."""
        return self.typed(streams.Rid)

    @property
    def simulcast(self) -> streams.Simulcast | None:
        """``a=simulcast`` line."""
        return next(iter(self.typed(streams.Simulcast)), None)

    @property
    def msids(self) -> tuple[streams.Msid, ...]:
        """``a=msid`` lines."""
        return self.typed(streams.Msid)

    @property
    def sctp_port(self) -> int | None:
        """SCTP port of a data channel section (RFC 8841)."""
        text = self.first("sctp-port")
        return None if text is None else int(text)

    @property
    def is_rtp(self) -> bool:
        """Whether the section carries RTP."""
        return "RTP/" in self.protocol

    @property
    def rejected(self) -> bool:
        """Port zero and not held in a bundle by ``bundle-only`` (RFC 9143 section 6)."""
        return self.port == 0 and not self.has("bundle-only")


@dataclass(frozen=True, slots=True)
class SessionDescription(_Section):
    """A whole description: session lines, then media sections."""

    lines: tuple[Line, ...]
    media: tuple[MediaDescription, ...] = ()

    @property
    def bundle(self) -> tuple[str, ...]:
        """Identifications in the first BUNDLE group; empty when there is none."""
        return next((group.mids for group in self.typed(streams.Group) if group.semantics == "BUNDLE"), ())

    @property
    def ice_lite(self) -> bool:
        """Whether who wrote it is an ICE lite agent."""
        return self.has("ice-lite")

    def serialize(self) -> str:
        """Write the text, each line ended by CRLF."""
        lines = [*self.lines, *(line for section in self.media for line in section.lines)]
        return "".join(f"{line.serialize()}\r\n" for line in lines)


def parse_session(text: str | bytes) -> SessionDescription:
    """Parse a session description (RFC 8866); raise `SdpError` with the number of the first bad line."""
    numbered = parse_lines(text)
    if numbered[0][1] != Line("v", "0"):
        raise SdpError(1, "is not v=0")
    starts = [index for index, (_, line) in enumerate(numbered) if line.kind == "m"]
    if len(starts) > MAX_MEDIA:
        raise SdpError(numbered[starts[MAX_MEDIA]][0], f"is beyond the limit of {MAX_MEDIA} media sections")
    session = numbered[: starts[0]] if starts else numbered
    for kind in ("o", "s"):
        if not any(line.kind == kind for _, line in session):
            raise SdpError(session[-1][0], f"ends the session section, which has no {kind}= line")
    bounds = pairwise([*starts, len(numbered)])
    media = tuple(_parse_media(numbered[begin:end]) for begin, end in bounds)
    _check_mids(numbered, media)
    return SessionDescription(tuple(line for _, line in session), media)


def media_section(
    kind: str, port: int, protocol: str, formats: Iterable[str], lines: Iterable[Line]
) -> MediaDescription:
    """Make a media section; ``lines`` follow its ``m=`` line."""
    listed = tuple(formats)
    head = Line("m", " ".join([kind, str(port), protocol, *listed]))
    return MediaDescription((head, *lines), kind, port, protocol, listed)


def _parse_media(numbered: list[tuple[int, Line]]) -> MediaDescription:
    number, head = numbered[0]
    words = head.value.split()
    if len(words) < 4:  # noqa: PLR2004 (kind, port, protocol, at least one format)
        raise SdpError(number, "is not m=KIND PORT PROTOCOL FORMAT")
    try:
        port = a.parse_number(words[1].partition("/")[0], _MAX_PORT, "port")
        kind = a.parse_token(words[0], "media kind")
    except ValueError as error:
        raise SdpError(number, str(error)) from error
    return MediaDescription(tuple(line for _, line in numbered), kind, port, words[2], tuple(words[3:]), number)


def _check_mids(numbered: list[tuple[int, Line]], media: tuple[MediaDescription, ...]) -> None:
    mids = [section.mid for section in media if section.mid is not None]
    if len(set(mids)) == len(mids):
        return
    seen: set[str] = set()
    for number, line in numbered:
        if line.attribute == "mid":
            if line.attribute_value in seen:
                raise SdpError(number, "repeats a mid")
            seen.add(line.attribute_value or "")
