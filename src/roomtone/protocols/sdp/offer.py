"""Writing our own offers, and reading the answers to them (RFC 3264, RFC 9429 sections 5.2 and 5.11).

An offer is a list of sections that only grows: a section keeps its place, its mid and its kind for good, and what is
over is offered as inactive until something else takes its place. Inputs: sections, and the peer's answer. Outputs: the
description, and per section what the peer takes. Order: an answer belongs to the newest offer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.media.values import DtlsRole, HeaderExtension, MediaKind
from roomtone.protocols.sdp.answer import (
    LocalPeer,
    Sending,
    codec_lines,
    payload_types,
    sending_lines,
    session_lines,
    transport_lines,
)
from roomtone.protocols.sdp.attributes import Direction, ExtMap, Setup
from roomtone.protocols.sdp.codecs import Codec, read_codecs
from roomtone.protocols.sdp.errors import NegotiationCode, NegotiationError
from roomtone.protocols.sdp.lines import Line, attribute
from roomtone.protocols.sdp.mixed import data_section
from roomtone.protocols.sdp.model import MediaDescription, SessionDescription, media_section
from roomtone.protocols.sdp.negotiation import RemotePeer, read_peer
from roomtone.protocols.sdp.support import Support

if TYPE_CHECKING:
    from collections.abc import Sequence

_DISCARD_PORT = 9
_ACTPASS = attribute("setup", Setup.ACTPASS.value)


@dataclass(frozen=True, slots=True)
class OfferedMedia:
    """A section of audio or video as we offer it."""

    mid: str
    kind: MediaKind
    codecs: tuple[Codec, ...]
    direction: Direction = Direction.SENDONLY
    extensions: tuple[HeaderExtension, ...] = ()
    sending: Sending | None = None


@dataclass(frozen=True, slots=True)
class OfferedData:
    """The section for data channels."""

    mid: str


@dataclass(frozen=True, slots=True)
class AnsweredMedia:
    """What the peer takes of a section, in the payload types of the offer."""

    mid: str
    direction: Direction
    """The peer's own, as it answers."""
    codecs: tuple[Codec, ...]
    extensions: tuple[HeaderExtension, ...]


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """An answer: the peer's transport, the sections it did not reject."""

    peer: RemotePeer
    media: tuple[AnsweredMedia, ...]
    data: bool = False


def write_offer(
    sections: Sequence[OfferedMedia | OfferedData], local: LocalPeer, origin: tuple[int, int]
) -> SessionDescription:
    """Write an offer, all sections in one bundle; ``origin`` is the session's number and its growing version."""
    written = tuple(
        data_section(section.mid, local, _ACTPASS)
        if isinstance(section, OfferedData)
        else _media_section(section, local)
        for section in sections
    )
    lines = session_lines(local, origin, tuple(section.mid for section in sections), mixed=True)
    return SessionDescription(tuple(lines), written)


def read_answer(
    sections: Sequence[OfferedMedia | OfferedData], answer: SessionDescription, support: Support | None = None
) -> PeerAnswer:
    """Read the answer to an offer of these sections; raise `NegotiationError` when it is none."""
    if len(answer.media) != len(sections):
        raise NegotiationError(
            NegotiationCode.ANSWER_MISMATCH, f"answers {len(answer.media)} sections of {len(sections)}"
        )
    pairs = list(zip(sections, answer.media, strict=True))
    for ours, theirs in pairs:
        kind = "application" if isinstance(ours, OfferedData) else ours.kind.value
        if theirs.kind != kind or theirs.mid not in {None, ours.mid}:
            raise NegotiationError(
                NegotiationCode.ANSWER_MISMATCH, f"answers {theirs.kind} {theirs.mid} where {kind} {ours.mid} was asked"
            )
    taken = [(ours, theirs) for ours, theirs in pairs if not theirs.rejected]
    if not taken:
        raise NegotiationError(NegotiationCode.NO_MEDIA, "rejects every section")
    peer = _read_peer(answer, taken[0][1], support or Support())
    media = tuple(_read_media(ours, theirs) for ours, theirs in taken if isinstance(ours, OfferedMedia))
    return PeerAnswer(peer, media, any(isinstance(ours, OfferedData) for ours, _ in taken))


def _media_section(section: OfferedMedia, local: LocalPeer) -> MediaDescription:
    formats = [str(number) for codec in section.codecs for number in payload_types(codec)]
    lines = [
        Line("c", "IN IP4 0.0.0.0"),
        attribute("rtcp", f"{_DISCARD_PORT} IN IP4 0.0.0.0"),
        *transport_lines(local),
        _ACTPASS,
        attribute("mid", section.mid),
        *(attribute("extmap", ExtMap(ext.id, ext.uri).serialize()) for ext in section.extensions),
        attribute(section.direction.value),
        attribute("rtcp-mux"),
        attribute("rtcp-rsize"),
        *(line for codec in section.codecs for line in codec_lines(codec)),
    ]
    if section.sending is not None and section.direction.sends:
        lines += sending_lines(section.sending)
    return media_section(section.kind.value, _DISCARD_PORT, "UDP/TLS/RTP/SAVPF", formats, lines)


def _read_peer(answer: SessionDescription, tagged: MediaDescription, support: Support) -> RemotePeer:
    setup = tagged.setup or answer.setup
    if setup not in {Setup.ACTIVE, Setup.PASSIVE}:
        # RFC 8842 section 5.3: an answer decides.
        raise NegotiationError(NegotiationCode.SETUP_UNSUPPORTED, "answers neither setup:active nor setup:passive")
    peer = read_peer(answer, tagged, support)
    role = DtlsRole.PASSIVE if setup is Setup.ACTIVE else DtlsRole.ACTIVE
    return replace(peer, dtls_role=role, mixed_extensions=answer.has("extmap-allow-mixed"))


def _read_media(ours: OfferedMedia, theirs: MediaDescription) -> AnsweredMedia:
    offered = {codec.payload_type: codec for codec in ours.codecs}
    answered = [codec for codec in read_codecs(theirs, ours.kind) if codec.payload_type in offered]
    codecs = tuple(
        replace(
            offered[codec.payload_type],
            feedback=codec.feedback,
            rtx_payload_type=codec.rtx_payload_type,
        )
        for codec in answered
    )
    known = {(extension.id, extension.uri) for extension in ours.extensions}
    extensions = tuple(
        HeaderExtension(id=line.id, uri=line.uri) for line in theirs.extensions if (line.id, line.uri) in known
    )
    return AnsweredMedia(ours.mid, theirs.direction or Direction.SENDRECV, codecs, extensions)
