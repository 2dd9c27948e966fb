"""Writing our answer to a negotiated offer (RFC 3264, RFC 9429 section 5.3, RFC 9725, the WHEP draft)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.media.values import Candidate, DtlsRole, Fingerprint
from roomtone.protocols.sdp.attributes import (
    ExtMap,
    Fmtp,
    Group,
    IceCandidate,
    Msid,
    Rid,
    RtcpFeedback,
    RtpMap,
    Setup,
    Simulcast,
    SsrcAttribute,
    SsrcGroup,
)
from roomtone.protocols.sdp.codecs import Codec, feedback_lines
from roomtone.protocols.sdp.model import (
    Line,
    MediaDescription,
    SessionDescription,
    attribute,
    media_section,
)
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


def order_candidates(candidates: Sequence[Candidate]) -> list[Candidate]:
    """UDP first, then IPv4, then by priority: simple clients (FFmpeg) try only the first one they read."""
    return sorted(candidates, key=lambda c: (c.protocol != "udp", ":" in c.ip, -c.priority))


def write_answer(agreed: Negotiated, details: AnswerDetails) -> SessionDescription:
    """Write the answer: accepted sections with all candidates, the others with port zero."""
    accepted = {media.index: media for media in agreed.media}
    sections = tuple(
        _accept(agreed, section, accepted[index], details) if index in accepted else _reject(section)
        for index, section in enumerate(agreed.offer.media)
    )
    mids = tuple(media.mid for media in agreed.media if media.mid is not None)
    lines = [
        Line("v", "0"),
        Line("o", f"- {details.session_number} 1 IN IP4 127.0.0.1"),
        Line("s", "-"),
        Line("t", "0 0"),
    ]
    if mids and agreed.offer.bundle:
        lines.append(attribute("group", Group("BUNDLE", mids).serialize()))
    if agreed.offer.has("extmap-allow-mixed"):
        lines.append(attribute("extmap-allow-mixed"))
    if details.local.ice_lite:
        lines.append(attribute("ice-lite"))
    lines += [attribute("ice-options", "trickle ice2"), attribute("msid-semantic", " WMS *")]
    return SessionDescription(tuple(lines), sections)


def _reject(section: MediaDescription) -> MediaDescription:
    lines = [Line("c", "IN IP4 0.0.0.0")]
    if section.mid is not None:
        lines.append(attribute("mid", section.mid))
    return media_section(section.kind, 0, section.protocol, section.formats, [*lines, attribute("inactive")])


def _accept(
    agreed: Negotiated, section: MediaDescription, media: NegotiatedMedia, details: AnswerDetails
) -> MediaDescription:
    payload_types = [str(number) for codec in media.codecs for number in _payload_types(codec)]
    lines = [Line("c", "IN IP4 0.0.0.0"), attribute("rtcp", "9 IN IP4 0.0.0.0")]
    lines += transport_lines(details.local)
    setup = Setup.ACTIVE if agreed.peer.dtls_role is DtlsRole.ACTIVE else Setup.PASSIVE
    lines.append(attribute("setup", setup.value))
    if media.mid is not None:
        lines.append(attribute("mid", media.mid))
    if section.has("extmap-allow-mixed") and allows_mixed(agreed.offer, section):
        lines.append(attribute("extmap-allow-mixed"))
    lines += [attribute("extmap", ExtMap(ext.id, ext.uri).serialize()) for ext in media.extensions]
    lines.append(attribute("recvonly" if agreed.role is AnswerRole.RECEIVE else "sendonly"))
    lines.append(attribute("rtcp-mux"))
    if section.has("rtcp-mux-only"):
        lines.append(attribute("rtcp-mux-only"))
    if media.reduced_size:
        lines.append(attribute("rtcp-rsize"))
    lines += [line for codec in media.codecs for line in _codec_lines(codec)]
    lines += _simulcast_lines(media)
    if (sending := details.sending.get(media.index)) is not None:
        lines += _sending_lines(sending)
    return media_section(section.kind, _DISCARD_PORT, section.protocol, payload_types, lines)


def transport_lines(local: LocalPeer) -> list[Line]:
    """ICE credentials, fingerprints and all candidates of ours."""
    lines = [attribute("ice-ufrag", local.ice_ufrag), attribute("ice-pwd", local.ice_pwd)]
    lines += [attribute("fingerprint", f"{print_.algorithm} {print_.value}") for print_ in local.fingerprints]
    lines += [
        attribute("candidate", IceCandidate.of(candidate).serialize())
        for candidate in order_candidates(local.candidates)
    ]
    return [*lines, attribute("end-of-candidates")]


def _payload_types(codec: Codec) -> list[int]:
    return [codec.payload_type] if codec.rtx_payload_type is None else [codec.payload_type, codec.rtx_payload_type]


def _codec_lines(codec: Codec) -> list[Line]:
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


def _sending_lines(sending: Sending) -> list[Line]:
    lines = [attribute("msid", Msid(sending.stream, sending.track).serialize())]
    ssrcs = [sending.ssrc] if sending.rtx_ssrc is None else [sending.ssrc, sending.rtx_ssrc]
    if len(ssrcs) > 1:
        lines.append(attribute("ssrc-group", SsrcGroup("FID", tuple(ssrcs)).serialize()))
    return lines + [attribute("ssrc", SsrcAttribute(ssrc, "cname", sending.cname).serialize()) for ssrc in ssrcs]
