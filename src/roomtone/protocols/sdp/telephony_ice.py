"""Descriptions of phone legs over ICE and DTLS-SRTP, as browsers have them (RFC 8829, RFC 5764, RFC 8839, RFC 9143).

`roomtone.protocols.sdp.telephony` reads them like any other leg's; here is what is theirs alone: the peer behind all
sections of a bundle, and the writing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.media.values import CodecFeedback, HeaderExtension, MediaKind
from roomtone.protocols.sdp.answer import LocalPeer, order_candidates, payload_types, transport_lines
from roomtone.protocols.sdp.attributes import Direction, ExtMap, Setup
from roomtone.protocols.sdp.attributes_streams import Group, Msid
from roomtone.protocols.sdp.codecs import RED, Codec
from roomtone.protocols.sdp.lines import Line, attribute
from roomtone.protocols.sdp.model import MediaDescription, SessionDescription, media_section
from roomtone.protocols.sdp.negotiation import read_peer
from roomtone.protocols.sdp.support import MID, TRANSPORT_SEQUENCE, Support
from roomtone.protocols.sdp.telephony import Keying, PhoneDescription, PhoneMedia
from roomtone.protocols.sdp.telephony_write import codec_lines, connection_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.protocols.sdp.negotiation import RemotePeer
    from roomtone.protocols.sdp.telephony_write import Origin

PROTOCOL = "UDP/TLS/RTP/SAVPF"
_DISCARD_PORT = 9
_MAX_ONE_BYTE_ID = 14
_EXTENSIONS = {MediaKind.AUDIO: (MID,), MediaKind.VIDEO: (MID, TRANSPORT_SEQUENCE)}
"""What is agreed to. The line of a call without pictures is never estimated, so that no sound is held back."""
_OWN_NUMBERS = {MID: 1, TRANSPORT_SEQUENCE: 3}
# A wrapping of another codec or of repairs: phones have none of them, and what passes to one must be what it says.
_WRAPPINGS = frozenset({RED, "ULPFEC", "FLEXFEC-03"})
_OWN_FEEDBACK = {
    MediaKind.AUDIO: CodecFeedback(),
    MediaKind.VIDEO: CodecFeedback(nack=True, pli=True, fir=True, transport_cc=True),
}


@dataclass(frozen=True, slots=True)
class IceSection:
    """Our side of one media section; one without codecs is not there, and only keeps its place."""

    kind: str
    mid: str
    protocol: str = PROTOCOL
    codecs: tuple[Codec, ...] = ()
    direction: Direction = Direction.SENDRECV
    extensions: tuple[HeaderExtension, ...] = ()
    formats: tuple[str, ...] = ()
    """Of a section that is not there."""
    ptime_ms: int | None = None


def read_ice_peer(phone: PhoneDescription, media: PhoneMedia) -> RemotePeer:
    """Read the peer's transport from one of its sections; raise `NegotiationError`. The DTLS role is ours."""
    peer = read_peer(phone.session, phone.session.media[media.index], Support())
    return replace(peer, mixed_extensions=False)


def bundled_with(phone: PhoneDescription, audio: PhoneMedia, kind: MediaKind) -> PhoneMedia | None:
    """Give the first section of a kind that shares the transport of the audio section."""
    group = phone.session.bundle
    if mid_of(phone, audio) not in group:
        return None
    return next(
        (
            one
            for one in phone.media
            if one.kind is kind and one.is_usable and one.keying is Keying.DTLS and mid_of(phone, one) in group
        ),
        None,
    )


def mid_of(phone: PhoneDescription, media: PhoneMedia) -> str | None:
    """Give the identification of a section."""
    return phone.session.media[media.index].mid


def agreed_extensions(phone: PhoneDescription, media: PhoneMedia) -> tuple[HeaderExtension, ...]:
    """Agree to the header extensions of an offer that are used here."""
    known = _EXTENSIONS[media.kind or MediaKind.AUDIO]
    found: dict[str, HeaderExtension] = {}
    for line in phone.session.media[media.index].extensions:
        if line.uri in known and line.id <= _MAX_ONE_BYTE_ID and line.direction is None:
            found.setdefault(line.uri, HeaderExtension(id=line.id, uri=line.uri))
    return tuple(found.values())


def own_extensions(kind: MediaKind) -> tuple[HeaderExtension, ...]:
    """Give the header extensions of our own offers."""
    return tuple(HeaderExtension(id=_OWN_NUMBERS[uri], uri=uri) for uri in _EXTENSIONS[kind])


def own_feedback(codecs: Sequence[Codec]) -> tuple[Codec, ...]:
    """Give codecs with the feedback of our own offers, and without repairs."""
    return tuple(replace(one, feedback=_OWN_FEEDBACK[one.kind], rtx_payload_type=None) for one in codecs)


def without_wrappings(media: PhoneMedia, extensions: Sequence[HeaderExtension]) -> PhoneMedia:
    """Leave of a browser's codecs what a phone can have too, with the feedback that is agreed to."""
    has_sequence = any(one.uri == TRANSPORT_SEQUENCE for one in extensions)

    def agreed(codec: Codec) -> Codec:
        said, ours = codec.feedback, _OWN_FEEDBACK[codec.kind]
        feedback = CodecFeedback(
            nack=said.nack and ours.nack,
            pli=said.pli and ours.pli,
            fir=said.fir and ours.fir,
            transport_cc=said.transport_cc and ours.transport_cc and has_sequence,
        )
        return replace(codec, feedback=feedback, rtx_payload_type=None)

    return replace(media, codecs=tuple(agreed(one) for one in media.codecs if one.name not in _WRAPPINGS))


def write_ice_description(
    sections: Sequence[IceSection],
    local: LocalPeer,
    origin: Origin,
    setup: Setup,
    *,
    bundle: bool = True,
) -> SessionDescription:
    """Write an offer or an answer, its sections in the order given.

    ``c=`` and ``m=`` name our default candidate, and not zeros, which phones without ICE in their hold logic take for
    a hold.
    """
    default = next((one for one in order_candidates(local.candidates) if one.protocol == "udp"), None)
    place = connection_value("0.0.0.0" if default is None else default.ip)  # noqa: S104 - nothing listens there
    lines = [
        Line("v", "0"),
        Line("o", f"- {origin.number} {origin.version} {place}"),
        Line("s", "-"),
        Line("c", place),
        Line("t", "0 0"),
    ]
    mids = tuple(one.mid for one in sections if one.codecs)
    if bundle and mids:
        lines.append(attribute("group", Group("BUNDLE", mids).serialize()))
    if local.ice_lite:
        lines.append(attribute("ice-lite"))
    lines.append(attribute("ice-options", "ice2"))
    port = _DISCARD_PORT if default is None else default.port
    return SessionDescription(tuple(lines), tuple(_section(one, local, port, setup) for one in sections))


def _section(media: IceSection, local: LocalPeer, port: int, setup: Setup) -> MediaDescription:
    named = [attribute("mid", media.mid)] if media.mid else []
    if not media.codecs:
        return media_section(media.kind, 0, media.protocol, media.formats or ("0",), [*named, attribute("inactive")])
    lines = [
        *transport_lines(local),
        attribute("setup", setup.value),
        *named,
        *(attribute("extmap", ExtMap(ext.id, ext.uri).serialize()) for ext in media.extensions),
        attribute(media.direction.value),
        attribute("rtcp-mux"),
        attribute("rtcp-rsize"),
        *(line for codec in media.codecs for line in codec_lines(codec)),
    ]
    if media.ptime_ms is not None:
        lines.append(attribute("ptime", media.ptime_ms))
    lines.append(attribute("msid", Msid("phone", media.kind).serialize()))
    formats = [str(number) for codec in media.codecs for number in payload_types(codec)]
    return media_section(media.kind, port, media.protocol, formats, lines)
