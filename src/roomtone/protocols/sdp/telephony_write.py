"""Offers and answers of phone legs, written (RFC 3264)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from roomtone.media.values import MediaKind
from roomtone.protocols.sdp.answer import codec_lines as browser_codec_lines
from roomtone.protocols.sdp.answer import payload_types
from roomtone.protocols.sdp.attributes import Direction, RtpMap, Setup
from roomtone.protocols.sdp.lines import Line, attribute
from roomtone.protocols.sdp.model import MediaDescription, SessionDescription, media_section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from roomtone.media.values import Fingerprint
    from roomtone.protocols.sdp.codecs import Codec
    from roomtone.protocols.sdp.crypto import CryptoLine
    from roomtone.protocols.sdp.telephony import PhoneDescription, PhoneMedia

_LOWER = frozenset({"OPUS", "TELEPHONE-EVENT", "SPEEX"})
_REPORTS = {MediaKind.AUDIO: "rcvr-rtt=all voip-metrics", MediaKind.VIDEO: "rcvr-rtt=all"}
"""Blocks of RTCP XR that are read here (RFC 3611 section 5.1)."""
_SPELLED = {"ILBC": "iLBC"}


@dataclass(frozen=True, slots=True)
class Origin:
    """Who describes: a number of the session, and a version that goes up with each change (RFC 3264 section 8)."""

    number: int
    version: int = 1

    def next(self) -> Origin:
        """Give the origin of a changed description."""
        return Origin(self.number, self.version + 1)


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """Our side of one media section: where we receive, what, and in which direction.

    ``rtcp_port`` equals ``port`` with rtcp-mux, of which nothing is said otherwise.
    """

    kind: MediaKind
    port: int
    rtcp_port: int
    codecs: tuple[Codec, ...]
    protocol: str = "RTP/AVP"
    direction: Direction = Direction.SENDRECV
    cryptos: tuple[CryptoLine, ...] = ()
    """Our keys: one for each suite that is offered, or that of the answer."""
    fingerprints: tuple[Fingerprint, ...] = ()
    """Of our certificate, with DTLS."""
    setup: Setup | None = None
    """Who begins to shake hands, with DTLS (RFC 4145)."""
    ptime_ms: int | None = None
    max_ptime_ms: int | None = None
    extended_reports: bool = False
    """Whether the peer is asked for RTCP XR: what it hears, and reference times (RFC 3611 section 5.1)."""


def write_phone_offer(origin: Origin, ip: str, media: Sequence[LocalMedia]) -> SessionDescription:
    """Write an offer, its sections in the order given."""
    return SessionDescription(session_lines(origin, ip), tuple(media_description(one) for one in media))


def write_phone_answer(
    offer: PhoneDescription, origin: Origin, ip: str, media: Mapping[int, LocalMedia]
) -> SessionDescription:
    """Answer an offer, section by section in its order; those not in ``media`` (by their place) get port zero."""
    sections = tuple(
        media_description(media[place]) if place in media else rejected_description(section)
        for place, section in enumerate(offer.session.media)
    )
    return SessionDescription(session_lines(origin, ip), sections)


def reverse(direction: Direction) -> Direction:
    """Give the direction of an answer that grants all an offer asks for (RFC 3264 section 6.1)."""
    match direction:
        case Direction.SENDONLY:
            return Direction.RECVONLY
        case Direction.RECVONLY:
            return Direction.SENDONLY
        case Direction.SENDRECV | Direction.INACTIVE:
            return direction


def directed(*, sends: bool, receives: bool) -> Direction:
    """Give the direction of who sends or receives."""
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


def answered_codecs(offered: PhoneMedia, wanted: Sequence[Codec]) -> tuple[Codec, ...]:
    """Keep what is wanted of an offer in the offer's order and with its payload types."""
    by_number = {codec.payload_type: codec for codec in wanted}
    return tuple(by_number[codec.payload_type] for codec in offered.codecs if codec.payload_type in by_number)


def connection_value(ip: str) -> str:
    """Write an address as ``c=`` and ``o=`` have it."""
    return f"IN {'IP6' if ':' in ip else 'IP4'} {ip}"


def session_lines(origin: Origin, ip: str) -> tuple[Line, ...]:
    """Write what stands before all sections."""
    place = connection_value(ip)
    return (
        Line("v", "0"),
        Line("o", f"- {origin.number} {origin.version} {place}"),
        Line("s", "-"),
        Line("c", place),
        Line("t", "0 0"),
    )


def media_description(media: LocalMedia) -> MediaDescription:
    """Write our side of a section."""
    lines: list[Line] = []
    lines += [attribute("crypto", one.serialize()) for one in media.cryptos]
    lines += [attribute("fingerprint", f"{one.algorithm} {one.value}") for one in media.fingerprints]
    if media.setup is not None:
        lines.append(attribute("setup", media.setup.value))
    lines += [line for codec in media.codecs for line in codec_lines(codec)]
    if media.kind is MediaKind.AUDIO and media.ptime_ms is not None:
        lines.append(attribute("ptime", media.ptime_ms))
    if media.kind is MediaKind.AUDIO and media.max_ptime_ms is not None:
        lines.append(attribute("maxptime", media.max_ptime_ms))
    if media.rtcp_port == media.port:
        lines.append(attribute("rtcp-mux"))
    elif media.rtcp_port != media.port + 1:
        lines.append(attribute("rtcp", media.rtcp_port))
    if media.extended_reports:
        lines.append(attribute("rtcp-xr", _REPORTS[media.kind]))
    lines.append(attribute(media.direction.value))
    formats = [str(number) for codec in media.codecs for number in payload_types(codec)]
    return media_section(media.kind.value, media.port, media.protocol, formats, lines)


@lru_cache(256)  # the same few in each call
def codec_lines(codec: Codec) -> tuple[Line, ...]:
    """Describe a codec, its name as phones spell it."""
    name = codec.name.lower() if codec.name in _LOWER else _SPELLED.get(codec.name, codec.name)
    rtp_map = RtpMap(codec.payload_type, name, codec.clock_rate, codec.channels)
    return (attribute("rtpmap", rtp_map.serialize()), *browser_codec_lines(codec)[1:])


def rejected_description(section: MediaDescription) -> MediaDescription:
    """Write the refusal of a section."""
    return media_section(section.kind, 0, section.protocol, section.formats, ())
