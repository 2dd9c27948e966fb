"""Descriptions of phones as text. Those that differ in their origin and port only are read and written once.

A phone describes the same in each of its calls, but for numbers of the session and a port of its own; so do we.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from roomtone.protocols.sdp.errors import NegotiationError, SdpError
from roomtone.protocols.sdp.model import parse_session
from roomtone.protocols.sdp.telephony import Keying, PhoneDescription, read_phone
from roomtone.protocols.sdp.telephony_write import (
    LocalMedia,
    connection_value,
    media_description,
    rejected_description,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from roomtone.media.values import MediaKind
    from roomtone.protocols.sdp.attributes import Direction
    from roomtone.protocols.sdp.codecs import Codec
    from roomtone.protocols.sdp.lines import Line
    from roomtone.protocols.sdp.model import MediaDescription
    from roomtone.protocols.sdp.telephony_write import Origin

REMEMBERED = 256
"""Descriptions that are remembered, of each sort; the one not used longest is forgotten for another."""
_LONGEST = 2_048
_HIGHEST_PORT = 65_535
_PORT = 5_004
"""Stands for the port in what is remembered."""
# One section, of sound: what comes before its port but the origin, the port, and what follows.
_ONE_SECTION = re.compile(
    r"v=0\r?\no=[ -~]{1,200}(\r?\n(?:[^m\n].*\n)*m=audio )([1-9][0-9]{0,4})( .*\n(?:[^m\n].*\n)*)"
).fullmatch


def read_phone_text(text: str) -> PhoneDescription:
    """Read a description of a phone; raise `SdpError`, or `NegotiationError` where it has no media section at all.

    The lines of its ``session`` are those of a like one: their origin and port say nothing.
    """
    found = _ONE_SECTION(text) if len(text) <= _LONGEST else None
    if found is not None:
        port = int(found[2])
        like = _like(found[1], found[3])
        if like is not None and port <= _HIGHEST_PORT:
            media = like.media[0]
            rtcp_port = port if media.rtcp_mux else min(port + 1, _HIGHEST_PORT)
            return PhoneDescription(like.session, (media.at_ports(port, rtcp_port),))
    return read_phone(parse_session(text))


@lru_cache(REMEMBERED)
def _like(before: str, behind: str) -> PhoneDescription | None:
    """Read what such descriptions have in common; None for one of which more than the port is its own."""
    try:
        phone = read_phone(parse_session(f"v=0\r\no=- 0 0 IN IP4 0.0.0.0{before}{_PORT}{behind}"))
    except (SdpError, NegotiationError):
        return None  # the error names a line of the whole one
    media, section = phone.media[0], phone.session.media[0]
    return phone if media.is_usable and media.keying is Keying.NONE and not section.has("rtcp") else None


def write_offer_text(origin: Origin, ip: str, media: Sequence[LocalMedia | MediaDescription]) -> str:
    """Write what `write_phone_offer` gives, as text; sections that are descriptions already stay as they are."""
    sections = [_section(one) if isinstance(one, LocalMedia) else _text(one.lines) for one in media]
    return _session_text(origin, ip) + "".join(sections)


def write_answer_text(offer: PhoneDescription, origin: Origin, ip: str, media: Mapping[int, LocalMedia]) -> str:
    """Write what `write_phone_answer` gives, as text."""
    sections = [
        _section(media[place]) if place in media else _text(rejected_description(section).lines)
        for place, section in enumerate(offer.session.media)
    ]
    return _session_text(origin, ip) + "".join(sections)


def _session_text(origin: Origin, ip: str) -> str:
    """Write what `session_lines` gives, as text."""
    place = connection_value(ip)
    return f"v=0\r\no=- {origin.number} {origin.version} {place}\r\ns=-\r\nc={place}\r\nt=0 0\r\n"


def _section(media: LocalMedia) -> str:
    step = media.rtcp_port - media.port
    if media.cryptos or media.fingerprints or media.setup is not None or step not in {0, 1}:
        return _text(media_description(media).lines)
    more = media.ptime_ms, media.max_ptime_ms, media.extended_reports
    behind = _behind_port(media.kind, step, media.codecs, media.protocol, media.direction, more)
    return f"m={media.kind.value} {media.port}{behind}"


@lru_cache(REMEMBERED)
def _behind_port(  # noqa: PLR0917 - all that is said of a plain section
    kind: MediaKind,
    step: int,
    codecs: tuple[Codec, ...],
    protocol: str,
    direction: Direction,
    more: tuple[int | None, int | None, bool],
) -> str:
    media = LocalMedia(
        *(kind, _PORT, _PORT + step, codecs, protocol, direction),
        ptime_ms=more[0],
        max_ptime_ms=more[1],
        extended_reports=more[2],
    )
    return _text(media_description(media).lines).removeprefix(f"m={kind.value} {_PORT}")


def _text(lines: Iterable[Line]) -> str:
    return "".join([f"{line.serialize()}\r\n" for line in lines])
