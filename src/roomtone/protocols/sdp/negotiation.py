"""Reading an offer: what of it this server agrees to, in the engine's values.

Inputs: a parsed offer, our role, what we support. Outputs: `Negotiated`, or `NegotiationError` when nothing
can be agreed. Limits: those of `Support`; an offer beyond them is refused whole, since half a publication
misleads its sender (RFC 9725 section 4.4.3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.media.values import (
    Candidate,
    DtlsRole,
    EncodingParameters,
    Fingerprint,
    HeaderExtension,
    MediaKind,
)
from roomtone.protocols.sdp.attributes import Direction, ExtMap, Setup
from roomtone.protocols.sdp.codecs import Codec, drop_orphans, read_codecs
from roomtone.protocols.sdp.errors import NegotiationCode, NegotiationError
from roomtone.protocols.sdp.support import DEPENDENCY_DESCRIPTOR, TRANSPORT_SEQUENCE, Support

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.protocols.sdp.model import MediaDescription, SessionDescription

_MAX_ONE_BYTE_ID = 14
_MAX_TWO_BYTE_ID = 255


class AnswerRole(StrEnum):
    """What we do with the media of the offer."""

    RECEIVE = "receive"
    SEND = "send"


@dataclass(frozen=True, slots=True)
class RemotePeer:
    """The peer's transport, as `WebRtcTransport.connect` takes it; ``dtls_role`` is ours.

    ``mixed_extensions``: it takes one- and two-byte header extensions in one stream, in all its media.
    """

    dtls_role: DtlsRole
    fingerprints: tuple[Fingerprint, ...]
    ice_ufrag: str
    ice_pwd: str
    ice_lite: bool = False
    candidates: tuple[Candidate, ...] = ()
    mixed_extensions: bool = False


@dataclass(frozen=True, slots=True)
class NegotiatedMedia:
    """An accepted media section; ``index`` is its place in the offer."""

    index: int
    kind: MediaKind
    mid: str | None
    codecs: tuple[Codec, ...]
    extensions: tuple[HeaderExtension, ...] = ()
    encodings: tuple[EncodingParameters, ...] = ()
    stream: str | None = None
    track: str | None = None
    reduced_size: bool = False


@dataclass(frozen=True, slots=True)
class Negotiated:
    """All that is agreed; sections of the offer that are not in ``media`` are rejected."""

    offer: SessionDescription
    role: AnswerRole
    peer: RemotePeer
    media: tuple[NegotiatedMedia, ...]


def negotiate(offer: SessionDescription, role: AnswerRole, support: Support | None = None) -> Negotiated:
    """Agree to as much of an offer as can be served; raise `NegotiationError` when it cannot be served at all."""
    support = support or Support()
    if len(offer.media) > support.max_media:
        raise NegotiationError(NegotiationCode.TOO_MANY_MEDIA, f"more than {support.max_media} media sections")
    wanted = [(index, section) for index, section in enumerate(offer.media) if _wanted(section)]
    if not wanted:
        raise NegotiationError(NegotiationCode.NO_MEDIA, "offers no audio or video")
    for _, section in wanted:
        _check_section(offer, section, role)
    _check_streams([section for _, section in wanted], role, support)
    bundled = _bundled(offer, wanted)
    mixed = all(allows_mixed(offer, section) for _, section in bundled)
    peer = replace(read_peer(offer, bundled[0][1], support), mixed_extensions=mixed)
    media: list[NegotiatedMedia] = []
    refused: list[str] = []
    for index, section in bundled:
        agreed = read_section(offer, index, section, role, support)
        if agreed.codecs:
            media.append(agreed)
        else:
            refused.append(section.kind)
    if refused and (role is AnswerRole.RECEIVE or not media):
        raise NegotiationError(NegotiationCode.NO_COMMON_CODEC, f"offers no codec known here for {', '.join(refused)}")
    return Negotiated(offer, role, peer, tuple(media))


def _wanted(section: MediaDescription) -> bool:
    return section.kind in set(MediaKind) and not section.rejected


def _check_section(offer: SessionDescription, section: MediaDescription, role: AnswerRole) -> None:
    name = section.mid or section.kind
    if not section.is_rtp or "SAVP" not in section.protocol:
        raise NegotiationError(
            NegotiationCode.PROTOCOL_UNSUPPORTED, f"{name}: {section.protocol} is not SRTP with DTLS"
        )
    if not section.has("rtcp-mux"):
        raise NegotiationError(NegotiationCode.NO_RTCP_MUX, f"{name}: offers no rtcp-mux")
    direction = section.direction or offer.direction or Direction.SENDRECV
    if role is AnswerRole.RECEIVE and not direction.sends:
        raise NegotiationError(NegotiationCode.DIRECTION_UNSUPPORTED, f"{name}: a publisher's offer must send")
    if role is AnswerRole.SEND and not direction.receives:
        raise NegotiationError(NegotiationCode.DIRECTION_UNSUPPORTED, f"{name}: a viewer's offer must receive")


def _check_streams(sections: Sequence[MediaDescription], role: AnswerRole, support: Support) -> None:
    for kind in MediaKind:
        count = sum(section.kind == kind.value for section in sections)
        if count > support.max_tracks_per_kind:
            raise NegotiationError(
                NegotiationCode.TOO_MANY_STREAMS,
                f"offers {count} {kind.value} tracks, not {support.max_tracks_per_kind}",
            )
    # RFC 9725 section 4.4.2 allows one MediaStream only; a track without one (aiortc, FFmpeg's "-") counts to any.
    streams = {msid.stream for section in sections for msid in section.msids} - {"-"}
    if role is AnswerRole.RECEIVE and support.max_tracks_per_kind == 1 and len(streams) > len(sections):
        raise NegotiationError(NegotiationCode.TOO_MANY_STREAMS, "offers more streams than tracks")


def _bundled(
    offer: SessionDescription, wanted: list[tuple[int, MediaDescription]]
) -> list[tuple[int, MediaDescription]]:
    if len(wanted) == 1:
        return wanted
    group = offer.bundle
    if any(section.mid is None or section.mid not in group for _, section in wanted):
        raise NegotiationError(NegotiationCode.NOT_BUNDLED, "several media sections need one BUNDLE group for all")
    return wanted


def read_peer(offer: SessionDescription, tagged: MediaDescription, support: Support) -> RemotePeer:
    """Read the peer's transport from the section that carries it for all (RFC 9143); raise `NegotiationError`."""
    ufrag, pwd = tagged.ice_ufrag or offer.ice_ufrag, tagged.ice_pwd or offer.ice_pwd
    if ufrag is None or pwd is None:
        # The tagged section of a bundle may be a rejected one (RFC 9143 section 7.2): look at the others.
        described = next((s for s in offer.media if s.ice_ufrag is not None and s.ice_pwd is not None), None)
        if described is None:
            raise NegotiationError(NegotiationCode.NO_ICE_CREDENTIALS, "offers no ice-ufrag and ice-pwd")
        ufrag, pwd = described.ice_ufrag, described.ice_pwd
    fingerprints = tagged.fingerprints or offer.fingerprints
    if not fingerprints:
        raise NegotiationError(NegotiationCode.NO_FINGERPRINT, "offers no certificate fingerprint")
    setup = tagged.setup or offer.setup or Setup.ACTPASS
    if setup is Setup.HOLDCONN:
        raise NegotiationError(NegotiationCode.SETUP_UNSUPPORTED, "offers setup:holdconn")
    lines = [*offer.candidates, *(line for section in offer.media for line in section.candidates)]
    reachable = dict.fromkeys(candidate for line in lines if (candidate := line.to_candidate()) and line.component == 1)
    return RemotePeer(
        dtls_role=DtlsRole.ACTIVE if setup is Setup.PASSIVE else DtlsRole.PASSIVE,
        fingerprints=fingerprints,
        ice_ufrag=ufrag or "",
        ice_pwd=pwd or "",
        ice_lite=offer.ice_lite,
        candidates=tuple(reachable)[: support.max_candidates],
    )


def read_section(
    offer: SessionDescription, index: int, section: MediaDescription, role: AnswerRole, support: Support
) -> NegotiatedMedia:
    """Agree to what can be served of one media section; without codecs when that is nothing."""
    kind = MediaKind(section.kind)
    extensions = _agree_extensions(offer, section, kind, role, support)
    has_sequence = any(extension.uri == TRANSPORT_SEQUENCE for extension in extensions)
    codecs = tuple(
        replace(
            codec,
            feedback=support.agree_feedback(codec.feedback, kind, transport_sequence=has_sequence),
        )
        for codec in read_codecs(section, kind)
        if support.takes(codec)
    )
    msid = next(iter(section.msids), None)
    return NegotiatedMedia(
        index=index,
        kind=kind,
        mid=section.mid,
        codecs=drop_orphans(codecs),
        extensions=extensions,
        encodings=_read_encodings(section, support) if role is AnswerRole.RECEIVE else (),
        stream=None if msid is None else msid.stream,
        track=None if msid is None else msid.track,
        reduced_size=section.has("rtcp-rsize"),
    )


def _agree_extensions(
    offer: SessionDescription, section: MediaDescription, kind: MediaKind, role: AnswerRole, support: Support
) -> tuple[HeaderExtension, ...]:
    known = support.extensions(kind, sending=role is AnswerRole.SEND)
    if role is AnswerRole.SEND and not allows_mixed(offer, section):
        # Its structure is longer than the one-byte form carries, and a descriptor without structure says nothing.
        known -= {DEPENDENCY_DESCRIPTOR}
    highest = _MAX_TWO_BYTE_ID if allows_mixed(offer, section) else _MAX_ONE_BYTE_ID
    agreed: dict[str, HeaderExtension] = {}
    for line in section.extensions or offer.typed(ExtMap):
        usable = line.direction is None or (
            line.direction.sends if role is AnswerRole.RECEIVE else line.direction.receives
        )
        if line.uri in known and line.id <= highest and usable:
            agreed.setdefault(line.uri, HeaderExtension(id=line.id, uri=line.uri))
    return tuple(agreed.values())


def allows_mixed(offer: SessionDescription, section: MediaDescription) -> bool:
    """Whether one- and two-byte header extensions may be mixed (RFC 8285 section 6)."""
    return offer.has("extmap-allow-mixed") or section.has("extmap-allow-mixed")


def _read_encodings(section: MediaDescription, support: Support) -> tuple[EncodingParameters, ...]:
    simulcast = section.simulcast
    if simulcast is not None and simulcast.send:
        sendable = {rid.id for rid in section.rids if rid.direction == "send"}
        rids = [rid for stream in simulcast.send for rid in stream[:1] if rid in sendable]
        encodings = [EncodingParameters(rid=rid) for rid in dict.fromkeys(rids)]
    else:
        encodings = _encodings_by_ssrc(section)
    if len(encodings) > support.max_encodings:
        raise NegotiationError(
            NegotiationCode.TOO_MANY_ENCODINGS,
            f"offers {len(encodings)} encodings, the limit is {support.max_encodings}",
        )
    return tuple(encodings)


def _encodings_by_ssrc(section: MediaDescription) -> list[EncodingParameters]:
    pairs = [group.ssrcs for group in section.ssrc_groups if group.semantics == "FID" and len(group.ssrcs) > 1]
    repair = {ssrcs[0]: ssrcs[1] for ssrcs in pairs}
    repairs = {ssrc for ssrcs in pairs for ssrc in ssrcs[1:]}
    simulcast = next((group.ssrcs for group in section.ssrc_groups if group.semantics == "SIM"), None)
    listed = simulcast or tuple(dict.fromkeys(line.ssrc for line in section.ssrcs if line.ssrc not in repairs))[:1]
    return [EncodingParameters(ssrc=ssrc, rtx_ssrc=repair.get(ssrc)) for ssrc in dict.fromkeys(listed)]
