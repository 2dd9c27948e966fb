"""Answering a peer that both sends and receives on one connection, and offers again as its tracks come and go.

Inputs: each of its offers. Outputs: `PeerOffer`, and the answer to it. Whoever calls decides section by section what
becomes of it; a section it does not name is kept open, with nothing sent either way. Unlike `negotiate`, a section
that cannot be served is rejected alone: the peer's other tracks live on (RFC 9429 section 5.3).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.protocols.sdp.answer import (
    LocalPeer,
    SectionAnswer,
    Sending,
    accept_section,
    reject_section,
    session_lines,
    setup_line,
    transport_lines,
)
from roomtone.protocols.sdp.attributes import Direction
from roomtone.protocols.sdp.errors import NegotiationCode, NegotiationError
from roomtone.protocols.sdp.lines import Line, attribute
from roomtone.protocols.sdp.model import SessionDescription, media_section
from roomtone.protocols.sdp.negotiation import (
    AnswerRole,
    NegotiatedMedia,
    RemotePeer,
    allows_mixed,
    read_peer,
    read_section,
)
from roomtone.protocols.sdp.support import REPAIRED_RID, RID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomtone.media.values import MediaKind
    from roomtone.protocols.sdp.model import MediaDescription
    from roomtone.protocols.sdp.support import Support

DATA_PROTOCOLS = frozenset({"UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"})
DATA_FORMAT = "webrtc-datachannel"
SCTP_PORT = 5000
_KINDS = frozenset({"audio", "video"})
_DISCARD_PORT = 9


@dataclass(frozen=True, slots=True)
class PeerMedia:
    """A section of audio or video that can be served: what the peer would send us in it, and what it can receive."""

    index: int
    mid: str
    kind: MediaKind
    direction: Direction
    """The peer's own, as it offers."""
    incoming: NegotiatedMedia
    outgoing: NegotiatedMedia


@dataclass(frozen=True, slots=True)
class PeerOffer:
    """An offer as far as it can be served; sections in neither ``media`` nor ``data`` are rejected."""

    description: SessionDescription
    peer: RemotePeer
    media: tuple[PeerMedia, ...]
    data: int | None = None
    """Place of the section for data channels."""


@dataclass(frozen=True, slots=True)
class MediaAnswer:
    """What becomes of a section: we receive it, or send in it what is told."""

    media: NegotiatedMedia
    direction: Direction
    sending: Sending | None = None


def read_peer_offer(offer: SessionDescription, support: Support) -> PeerOffer:
    """Read an offer of any mixture of sections; raise `NegotiationError` when no connection can come of it."""
    if len(offer.media) > support.max_media:
        raise NegotiationError(NegotiationCode.TOO_MANY_MEDIA, f"more than {support.max_media} media sections")
    data = next((index for index, section in enumerate(offer.media) if _is_data(section)), None)
    live = [(index, section) for index, section in enumerate(offer.media) if _is_media(section)]
    tagged = _tagged(offer, data, live)
    _check_bundle(offer, data, live)
    mixed = all(allows_mixed(offer, section) for _, section in live)
    peer = replace(read_peer(offer, tagged, support), mixed_extensions=mixed)
    media = (_read_media(offer, index, section, support) for index, section in live)
    return PeerOffer(offer, peer, tuple(found for found in media if found is not None), data)


def write_peer_answer(
    offer: PeerOffer, local: LocalPeer, origin: tuple[int, int], answers: Mapping[str, MediaAnswer]
) -> SessionDescription:
    """Write the answer; ``answers`` are by mid, a served section without one is kept open and idle."""
    role = offer.peer.dtls_role
    known = {media.index: media for media in offer.media}
    sections: list[MediaDescription] = []
    accepted: list[str] = []
    for index, section in enumerate(offer.description.media):
        if index == offer.data:
            sections.append(data_section(section.mid or "data", local, setup_line(role), protocol=section.protocol))
        elif index in known:
            media = known[index]
            idle = MediaAnswer(media.incoming if media.incoming.codecs else media.outgoing, Direction.INACTIVE)
            answer = answers.get(media.mid, idle)
            how = SectionAnswer(answer.direction, role, answer.sending)
            sections.append(accept_section(offer.description, _with_rids(answer.media, media), local, how))
        else:
            sections.append(reject_section(section))
            continue
        if section.mid is not None:
            accepted.append(section.mid)
    bundle = tuple(accepted) if offer.description.bundle else ()
    lines = session_lines(local, origin, bundle, mixed=offer.description.has("extmap-allow-mixed"))
    return SessionDescription(tuple(lines), tuple(sections))


def _with_rids(answered: NegotiatedMedia, media: PeerMedia) -> NegotiatedMedia:
    """Agree to the extensions that name encodings also where we send, and write none there.

    Chromium starts every further section of a kind with what was agreed in the first of that kind: without them it
    could send no simulcast any more after it has received.
    """
    agreed = {extension.uri for extension in answered.extensions}
    missing = (one for one in media.incoming.extensions if one.uri in {RID, REPAIRED_RID} - agreed)
    return replace(answered, extensions=(*answered.extensions, *missing))


def data_section(
    mid: str, local: LocalPeer, setup: Line, *, protocol: str = "UDP/DTLS/SCTP", max_message_size: int | None = None
) -> MediaDescription:
    """Describe data channels over our transport (RFC 8841)."""
    size = local.max_message_size if max_message_size is None else max_message_size
    lines = [
        Line("c", "IN IP4 0.0.0.0"),
        *transport_lines(local),
        setup,
        attribute("mid", mid),
        attribute("sctp-port", SCTP_PORT),
        attribute("max-message-size", size),
    ]
    return media_section("application", _DISCARD_PORT, protocol, [DATA_FORMAT], lines)


def _is_data(section: MediaDescription) -> bool:
    return section.kind == "application" and section.protocol in DATA_PROTOCOLS and not section.rejected


def _is_media(section: MediaDescription) -> bool:
    return (
        section.kind in _KINDS
        and not section.rejected
        and section.mid is not None
        and "SAVP" in section.protocol
        and section.has("rtcp-mux")
    )


def _tagged(offer: SessionDescription, data: int | None, live: list[tuple[int, MediaDescription]]) -> MediaDescription:
    """Find the section whose transport all share: the first of the bundle, or the only one there is."""
    served = {index for index, _ in live} | ({data} if data is not None else set())
    if not served:
        raise NegotiationError(NegotiationCode.NO_MEDIA, "offers no audio, video or data channels")
    by_mid = {section.mid: index for index, section in enumerate(offer.media)}
    first = next((by_mid[mid] for mid in offer.bundle if by_mid.get(mid) in served), min(served))
    return offer.media[first]


def _check_bundle(offer: SessionDescription, data: int | None, live: list[tuple[int, MediaDescription]]) -> None:
    sections = [section for _, section in live] + ([offer.media[data]] if data is not None else [])
    group = offer.bundle
    if len(sections) > 1 and any(section.mid not in group for section in sections):
        raise NegotiationError(NegotiationCode.NOT_BUNDLED, "several sections need one BUNDLE group for all")


def _read_media(offer: SessionDescription, index: int, section: MediaDescription, support: Support) -> PeerMedia | None:
    incoming = read_section(offer, index, section, AnswerRole.RECEIVE, support)
    outgoing = read_section(offer, index, section, AnswerRole.SEND, support)
    if section.mid is None or not (incoming.codecs or outgoing.codecs):
        return None
    direction = section.direction or offer.direction or Direction.SENDRECV
    return PeerMedia(index, section.mid, incoming.kind, direction, incoming, outgoing)
