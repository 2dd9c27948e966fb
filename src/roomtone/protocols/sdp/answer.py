"""Writing our answer to a negotiated offer (RFC 3264, RFC 9429 section 5.3, RFC 9725, the WHEP draft)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.media.values import Candidate, DtlsRole, Fingerprint
from roomtone.protocols.sdp.attributes import Direction, ExtMap, Fmtp, RtcpFeedback, RtpMap, Setup
from roomtone.protocols.sdp.attributes_ice import IceCandidate
from roomtone.protocols.sdp.attributes_streams import Group, Msid, Rid, Simulcast, SsrcAttribute, SsrcGroup
from roomtone.protocols.sdp.codecs import Codec, feedback_lines
from roomtone.protocols.sdp.lines import Line, attribute
from roomtone.protocols.sdp.model import MediaDescription, SessionDescription, media_section
from roomtone.protocols.sdp.negotiation import AnswerRole, Negotiated, NegotiatedMedia, allows_mixed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DISCARD_PORT = 9


@dataclass(frozen=True, slots=True)
class LocalPeer:
    """Our transport, as the engine opened it."""

    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[Fingerprint, ...]
    candidates: tuple[Candidate, ...]
    ice_lite: bool = True
    max_message_size: int = 262_144
    """Of data channels, where there are any."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What we send in one media section."""

    ssrc: int
    rtx_ssrc: int | None
    cname: str
    stream: str
    track: str


@dataclass(frozen=True, slots=True)
class AnswerDetails:
    """What an answer needs beside the negotiation: our transport, a session number, what we send by section."""

    local: LocalPeer
    session_number: int
    sending: Mapping[int, Sending] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SectionAnswer:
    """How one media section is answered: the direction and DTLS role that are ours, and what we send in it."""

    direction: Direction
    dtls_role: DtlsRole
    sending: Sending | None = None


def order_candidates(candidates: Sequence[Candidate]) -> list[Candidate]:
    """UDP first, then IPv4, then by priority: simple clients (FFmpeg) try only the first one they read."""
    return sorted(candidates, key=lambda c: (c.protocol != "udp", ":" in c.ip, -c.priority))


def write_answer(agreed: Negotiated, details: AnswerDetails) -> SessionDescription:
    """Write the answer: accepted sections with all candidates, the others with port zero."""
    accepted = {media.index: media for media in agreed.media}
    direction = Direction.RECVONLY if agreed.role is AnswerRole.RECEIVE else Direction.SENDONLY
    sections = tuple(
        accept_section(
            agreed.offer,
            accepted[index],
            details.local,
            SectionAnswer(direction, agreed.peer.dtls_role, details.sending.get(index)),
        )
        if index in accepted
        else reject_section(section)
        for index, section in enumerate(agreed.offer.media)
    )
    mids = tuple(media.mid for media in agreed.media if media.mid is not None)
    lines = session_lines(
        details.local,
        (details.session_number, 1),
        mids if agreed.offer.bundle else (),
        mixed=agreed.offer.has("extmap-allow-mixed"),
    )
    return SessionDescription(tuple(lines), sections)


def session_lines(local: LocalPeer, origin: tuple[int, int], bundle: tuple[str, ...], *, mixed: bool) -> list[Line]:
    """Write the lines above all media sections; ``origin`` is the session's number and version."""
    lines = [
        Line("v", "0"),
        Line("o", f"- {origin[0]} {origin[1]} IN IP4 127.0.0.1"),
        Line("s", "-"),
        Line("t", "0 0"),
    ]
    if bundle:
        lines.append(attribute("group", Group("BUNDLE", bundle).serialize()))
    if mixed:
        lines.append(attribute("extmap-allow-mixed"))
    if local.ice_lite:
        lines.append(attribute("ice-lite"))
    return [*lines, attribute("ice-options", "trickle ice2"), attribute("msid-semantic", " WMS *")]


def reject_section(section: MediaDescription) -> MediaDescription:
    """Answer a section with port zero."""
    lines = [Line("c", "IN IP4 0.0.0.0")]
    if section.mid is not None:
        lines.append(attribute("mid", section.mid))
    return media_section(section.kind, 0, section.protocol, section.formats, [*lines, attribute("inactive")])


def accept_section(
    offer: SessionDescription, media: NegotiatedMedia, local: LocalPeer, answer: SectionAnswer
) -> MediaDescription:
    """Answer one media section with what was agreed about it."""
    section = offer.media[media.index]
    formats = [str(number) for codec in media.codecs for number in payload_types(codec)]
    lines = [Line("c", "IN IP4 0.0.0.0"), attribute("rtcp", "9 IN IP4 0.0.0.0")]
    lines += transport_lines(local)
    lines.append(setup_line(answer.dtls_role))
    if media.mid is not None:
        lines.append(attribute("mid", media.mid))
    if section.has("extmap-allow-mixed") and allows_mixed(offer, section):
        lines.append(attribute("extmap-allow-mixed"))
    lines += [attribute("extmap", ExtMap(ext.id, ext.uri).serialize()) for ext in media.extensions]
    lines.append(attribute(answer.direction.value))
    lines.append(attribute("rtcp-mux"))
    if section.has("rtcp-mux-only"):
        lines.append(attribute("rtcp-mux-only"))
    if media.reduced_size:
        lines.append(attribute("rtcp-rsize"))
    lines += [line for codec in media.codecs for line in codec_lines(codec)]
    lines += _simulcast_lines(media)
    if answer.sending is not None:
        lines += sending_lines(answer.sending)
    return media_section(section.kind, _DISCARD_PORT, section.protocol, formats, lines)


def setup_line(role: DtlsRole) -> Line:
    """Say our DTLS role in an answer."""
    return attribute("setup", (Setup.ACTIVE if role is DtlsRole.ACTIVE else Setup.PASSIVE).value)


def transport_lines(local: LocalPeer) -> list[Line]:
    """ICE credentials, fingerprints and all candidates of ours."""
    lines = [attribute("ice-ufrag", local.ice_ufrag), attribute("ice-pwd", local.ice_pwd)]
    lines += [attribute("fingerprint", f"{print_.algorithm} {print_.value}") for print_ in local.fingerprints]
    lines += [
        attribute("candidate", IceCandidate.of(candidate).serialize())
        for candidate in order_candidates(local.candidates)
    ]
    return [*lines, attribute("end-of-candidates")]


def payload_types(codec: Codec) -> list[int]:
    """Payload types of a codec: its own, and that of its repair."""
    return [codec.payload_type] if codec.rtx_payload_type is None else [codec.payload_type, codec.rtx_payload_type]


def codec_lines(codec: Codec) -> list[Line]:
    """Describe a codec: its map, feedback, parameters and repair."""
    number = codec.payload_type
    spelled = codec.name.lower() if codec.name in {"OPUS", "RED"} else codec.name
    lines = [attribute("rtpmap", RtpMap(number, spelled, codec.clock_rate, codec.channels).serialize())]
    lines += [
        attribute("rtcp-fb", RtcpFeedback(number, feedback).serialize()) for feedback in feedback_lines(codec.feedback)
    ]
    if codec.parameters:
        lines.append(attribute("fmtp", Fmtp(number, codec.parameters).serialize()))
    if (rtx := codec.rtx_payload_type) is not None:
        lines.append(attribute("rtpmap", RtpMap(rtx, "rtx", codec.clock_rate).serialize()))
        lines.append(attribute("fmtp", Fmtp(rtx, (("apt", str(number)),)).serialize()))
    return lines


def _simulcast_lines(media: NegotiatedMedia) -> list[Line]:
    rids = [encoding.rid for encoding in media.encodings if encoding.rid is not None]
    if not rids:
        return []
    lines = [attribute("rid", Rid(rid, "recv").serialize()) for rid in rids]
    return [*lines, attribute("simulcast", Simulcast(recv=tuple((rid,) for rid in rids)).serialize())]


def sending_lines(sending: Sending) -> list[Line]:
    """Describe what we send."""
    lines = [attribute("msid", Msid(sending.stream, sending.track).serialize())]
    ssrcs = [sending.ssrc] if sending.rtx_ssrc is None else [sending.ssrc, sending.rtx_ssrc]
    if len(ssrcs) > 1:
        lines.append(attribute("ssrc-group", SsrcGroup("FID", tuple(ssrcs)).serialize()))
    return lines + [attribute("ssrc", SsrcAttribute(ssrc, "cname", sending.cname).serialize()) for ssrc in ssrcs]
