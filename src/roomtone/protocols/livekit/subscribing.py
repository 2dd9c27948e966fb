"""What a client is sent: the sections of the connection on which it receives, and which track each carries.

Two ways to negotiate them. `OfferedTracks`: we offer, on a connection of its own. `ReceivedTracks`: the client offers
sections on its only connection, and is asked for more where there are too few.

Inputs: tracks wanted and dropped, answers or offers. Outputs: offers or answers, `Accepted` tracks to begin with.
Order: one offer at a time; a section carries another track only after it was agreed to be idle, or clients do not
notice that the track is another. Limits: as many sections as were ever needed at once; ``limit`` tracks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.media.values import HeaderExtension, MediaKind
from roomtone.protocols.sdp import (
    Codec,
    Direction,
    LocalPeer,
    MediaAnswer,
    OfferedData,
    OfferedMedia,
    Sending,
    parse_session,
    read_answer,
    write_offer,
)
from roomtone.protocols.sdp.repertoire import offered_codecs, offered_extensions
from roomtone.protocols.sdp.support import DEPENDENCY_DESCRIPTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.protocols.sdp import PeerMedia, RemotePeer

DATA_MID = "0"
MAX_TRACKS = 500


@dataclass(frozen=True, slots=True)
class WantedTrack:
    """A track the client is to get."""

    sid: str
    kind: MediaKind
    stream: str
    """Names publisher and track, as clients take them apart."""
    codecs: tuple[Codec, ...]
    """What it may be, as published."""
    stereo: bool = False
    redundancy: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """How the client takes a track: what a subscription needs."""

    sid: str
    mid: str
    kind: MediaKind
    codecs: tuple[Codec, ...]
    extensions: tuple[HeaderExtension, ...]
    ssrc: int
    rtx_ssrc: int | None


@dataclass(frozen=True, slots=True)
class AnswerPlan:
    """What an answer brings; ``refused`` are tracks in codecs the client does not take."""

    peer: RemotePeer
    accepted: tuple[Accepted, ...]
    refused: tuple[str, ...]


@dataclass(slots=True)
class _Slot:
    mid: str
    kind: MediaKind
    track: WantedTrack | None = None
    offered: OfferedMedia | None = None
    """As it was offered last."""
    sending: Sending | None = None
    live: bool = False
    """The client takes the track."""
    idle: bool = False
    """Agreed to be idle: another track may have it."""


@dataclass(slots=True)
class OfferedTracks:
    """Sections that we offer; ``number`` draws a random number of 32 bits, ``cname`` is ours (RFC 7022)."""

    number: Callable[[], int]
    cname: str
    reuse: bool = True
    limit: int = MAX_TRACKS
    audio_nack: bool = True
    offer_id: int = 0
    awaiting: bool = False
    """An offer is on its way."""
    changed: bool = True
    """There is something to offer: at first the data channels."""
    session: int = field(init=False)
    _slots: list[_Slot] = field(default_factory=list)
    _sections: tuple[OfferedMedia | OfferedData, ...] = ()

    def __post_init__(self) -> None:
        """Draw the number of the session."""
        self.session = self.number()

    def holds(self, sid: str) -> bool:
        """Whether a track is wanted already."""
        return any(slot.track is not None and slot.track.sid == sid for slot in self._slots)

    def want(self, track: WantedTrack) -> bool:
        """Give a track a section in the next offer; False when no codec of it can be offered, or there are too many."""
        codecs = offered_codecs(
            track.codecs, stereo=track.stereo, redundancy=track.redundancy, audio_nack=self.audio_nack
        )
        taken = sum(slot.track is not None for slot in self._slots)
        if not codecs or taken >= self.limit:
            return False
        slot = next((s for s in self._slots if self.reuse and s.idle and s.kind is track.kind), None)
        if slot is None:
            slot = _Slot(str(len(self._slots) + 1), track.kind)
            self._slots.append(slot)
        repaired = any(codec.rtx_payload_type is not None for codec in codecs)
        slot.sending = Sending(self.number(), self.number() if repaired else None, self.cname, track.stream, track.sid)
        slot.track, slot.live, slot.idle = track, False, False
        slot.offered = OfferedMedia(
            slot.mid, track.kind, codecs, Direction.SENDONLY, offered_extensions(track.kind), slot.sending
        )
        self.changed = True
        return True

    def drop(self, sid: str) -> None:
        """Offer the section of a track as idle from now on."""
        for slot in self._slots:
            if slot.track is not None and slot.track.sid == sid and slot.offered is not None:
                old = slot.offered
                slot.offered = OfferedMedia(slot.mid, slot.kind, old.codecs, Direction.INACTIVE, old.extensions)
                slot.track, slot.sending, slot.live = None, None, False
                self.changed = True

    def mids(self) -> dict[str, str]:
        """Ids of the tracks, by mid."""
        return {slot.mid: slot.track.sid for slot in self._slots if slot.track is not None}

    def make_offer(self, local: LocalPeer) -> str:
        """Write the offer of now, which `offer_id` names; its answer is awaited."""
        self.offer_id += 1
        self.awaiting, self.changed = True, False
        media = [slot.offered for slot in self._slots if slot.offered is not None]
        self._sections = (OfferedData(DATA_MID), *media)
        return write_offer(self._sections, local, (self.session, self.offer_id)).serialize()

    def handle_answer(self, text: str, offer_id: int = 0) -> AnswerPlan | None:
        """Read the answer to the newest offer; None for one to an older offer. Raise `SdpError`, `NegotiationError`."""
        if not self.awaiting or offer_id not in {0, self.offer_id}:
            return None
        answer = read_answer(self._sections, parse_session(text))
        self.awaiting = False
        taken = {media.mid: media for media in answer.media}
        sections = {section.mid: section for section in self._sections if isinstance(section, OfferedMedia)}
        accepted: list[Accepted] = []
        refused: list[str] = []
        for slot in self._slots:
            offered = sections.get(slot.mid)
            if offered is None or offered is not slot.offered:
                continue  # dropped or changed since: the next offer says so
            if slot.track is None or slot.sending is None:
                slot.idle = True
            elif not slot.live:
                media = taken.get(slot.mid)
                if media is None or not media.codecs or not media.direction.receives:
                    refused.append(slot.track.sid)
                    continue
                slot.live = True
                extensions = media.extensions
                if not answer.peer.mixed_extensions:
                    # Its structure is longer than the form that is left carries.
                    extensions = tuple(known for known in extensions if known.uri != DEPENDENCY_DESCRIPTOR)
                accepted.append(_accepted(slot.track, slot.mid, media.codecs, extensions, slot.sending))
        return AnswerPlan(answer.peer, tuple(accepted), tuple(refused))

    def resume(self) -> None:
        """Await no answer any more: the way it would have come is gone."""
        self.awaiting = False
        self.changed = True


@dataclass(slots=True)
class ReceivedTracks:
    """Sections that the client offers to receive in."""

    number: Callable[[], int]
    cname: str
    limit: int = MAX_TRACKS
    changed: bool = False
    """An offer of the client is needed."""
    _wanted: dict[str, WantedTrack] = field(default_factory=dict)
    _slots: dict[str, _Slot] = field(default_factory=dict)
    _asked: Counter[MediaKind] = field(default_factory=Counter)

    def holds(self, sid: str) -> bool:
        """Whether a track is wanted already."""
        return sid in self._wanted

    def want(self, track: WantedTrack) -> bool:
        """Give a track a section at the next offer; False when there are too many."""
        if len(self._wanted) >= self.limit:
            return False
        self._wanted[track.sid] = track
        self.changed = True
        return True

    def drop(self, sid: str) -> None:
        """Free the section of a track at the next offer."""
        self.changed |= self._wanted.pop(sid, None) is not None
        for slot in self._slots.values():
            if slot.track is not None and slot.track.sid == sid:
                slot.track, slot.sending, slot.live = None, None, False

    def mids(self) -> dict[str, str]:
        """Ids of the tracks, by mid."""
        return {mid: slot.track.sid for mid, slot in self._slots.items() if slot.track is not None}

    def missing(self) -> tuple[int, int]:
        """Say how many more sections of audio and of video the client is to offer, beside those asked for already."""
        self.changed = False
        counts = []
        for kind in MediaKind:
            placed = sum(s.track is not None for s in self._slots.values() if s.kind is kind)
            free = sum(s.track is None for s in self._slots.values() if s.kind is kind)
            unplaced = sum(track.kind is kind for track in self._wanted.values()) - placed
            more = max(0, unplaced - free - self._asked[kind])
            self._asked[kind] += more
            counts.append(more)
        return counts[0], counts[1]

    def handle_offer(self, sections: Sequence[PeerMedia]) -> tuple[Accepted, ...]:
        """Place tracks in the sections of an offer; gives those that begin. `answers` follows."""
        self._asked.clear()
        self._slots = {
            media.mid: self._slots.get(media.mid) or _Slot(media.mid, media.kind, idle=True) for media in sections
        }
        placed = {slot.track.sid for slot in self._slots.values() if slot.track is not None}
        by_mid = {media.mid: media for media in sections}
        accepted = []
        for track in self._wanted.values():
            if track.sid in placed:
                continue
            slot = next((s for s in self._slots.values() if s.idle and s.track is None and s.kind is track.kind), None)
            if slot is None:
                continue
            outgoing = by_mid[slot.mid].outgoing
            repaired = any(codec.rtx_payload_type is not None for codec in outgoing.codecs)
            slot.sending = Sending(
                self.number(), self.number() if repaired else None, self.cname, track.stream, track.sid
            )
            slot.track, slot.live, slot.idle = track, True, False
            accepted.append(_accepted(track, slot.mid, outgoing.codecs, outgoing.extensions, slot.sending))
        return tuple(accepted)

    def answers(self, sections: Sequence[PeerMedia]) -> dict[str, MediaAnswer]:
        """Answer the sections of the offer that was handled last: those with a track; the others are idle then."""
        answers = {}
        for media in sections:
            slot = self._slots.get(media.mid)
            if slot is None:
                continue
            if slot.track is None or slot.sending is None:
                slot.idle = True
            else:
                answers[media.mid] = MediaAnswer(media.outgoing, Direction.SENDONLY, slot.sending)
        return answers

    @property
    def unplaced(self) -> bool:
        """Whether a track waits for a section."""
        return len(self._wanted) > sum(slot.track is not None for slot in self._slots.values())


def _accepted(
    track: WantedTrack,
    mid: str,
    codecs: tuple[Codec, ...],
    extensions: tuple[HeaderExtension, ...],
    sending: Sending,
) -> Accepted:
    return Accepted(track.sid, mid, track.kind, codecs, extensions, sending.ssrc, sending.rtx_ssrc)
