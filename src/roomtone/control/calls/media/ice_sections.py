"""Sections of a browser's descriptions: their places, and what ours says in each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.protocols.sdp.attributes import Direction
from roomtone.protocols.sdp.telephony_ice import IceSection
from roomtone.protocols.sdp.telephony_write import reverse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roomtone.control.calls.media.streams import Stream
    from roomtone.protocols.sdp import Codec
    from roomtone.protocols.sdp.telephony import PhoneDescription


@dataclass(frozen=True, slots=True)
class IcePlace:
    """What stands, or stood, at one place of the descriptions; a place stays for good (RFC 3264 section 8)."""

    kind: str
    mid: str
    protocol: str
    formats: tuple[str, ...]


def ice_places(phone: PhoneDescription) -> list[IcePlace]:
    """Give the places of a description."""
    return [IcePlace(one.kind, one.mid or "", one.protocol, one.formats) for one in phone.session.media]


def ice_place(stream: Stream) -> IcePlace:
    """Give the place of a stream of ours."""
    return IcePlace(stream.kind.value, stream.mid or "", stream.protocol, ())


def free_mid(places: Iterable[IcePlace]) -> str:
    """Give an identification that no section has or had."""
    taken = {place.mid for place in places}
    return next(name for at in range(len(taken) + 1) if (name := str(at)) not in taken)


def section_of(place: IcePlace, stream: Stream | None, offered: Direction | None) -> IceSection:
    """Give our side of a section; ``offered`` is its direction in an offer of ours, None: it is an answer."""
    if stream is None or not stream.ours:
        return IceSection(place.kind, place.mid, place.protocol, formats=place.formats)
    direction = offered
    if direction is None:
        direction = Direction.SENDRECV if stream.remote is None else reverse(stream.remote.direction)
    return IceSection(
        place.kind,
        place.mid,
        place.protocol,
        _with_feedback_of(stream.ours, stream.takes),
        direction,
        stream.extensions,
        ptime_ms=stream.ptime_ms,
    )


def _with_feedback_of(ours: Sequence[Codec], theirs: Sequence[Codec]) -> tuple[Codec, ...]:
    """Say the feedback that is agreed with this peer; what ours were made from may be of another leg."""
    agreed = {codec.payload_type: codec.feedback for codec in theirs}
    return tuple(
        replace(codec, feedback=agreed.get(codec.payload_type, codec.feedback), rtx_payload_type=None) for codec in ours
    )
