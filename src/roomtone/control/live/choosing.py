"""Which tracks of a room are its live stream. Pure: a room in, a choice or a refusal out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.live.values import LiveError, LiveRefusal, LiveSound
from roomtone.media.values import MediaKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from roomtone.control.rooms import Participant, Publication, TrackId

CARRIED = {MediaKind.VIDEO: frozenset({"H264"}), MediaKind.AUDIO: frozenset({"OPUS"})}
"""Codecs that go from RTP into fragments as they are."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The tracks of a stream; at least one is there, or all sound is mixed."""

    video: Publication | None
    audio: Publication | None

    def tracks(self) -> list[Publication]:
        """Give them, video first: it leads."""
        return [track for track in (self.video, self.audio) if track is not None]


DECODED = {MediaKind.VIDEO: frozenset({"VP8"}), MediaKind.AUDIO: frozenset[str]()}
"""Codecs that lists cannot have and processes of ours decode."""


def carried(publication: Publication, *, decodes: bool = False) -> bool:
    """Whether a track can be packaged as it is, or, where ``decodes``, made anew."""
    name, kind = publication.offer.codecs[0].name, publication.offer.kind
    return name in CARRIED[kind] or (decodes and name in DECODED[kind])


def choose(
    participants: Sequence[Participant],
    pinned: str | None = None,
    sound: LiveSound = LiveSound.ONE,
    *,
    decodes: bool = False,
) -> Choice:
    """Choose the pinned participant's tracks, or else who began to publish first; raise `LiveError`.

    Sound is that of whose video it is, where there is any that can be carried; otherwise the first of the room. No
    sound is chosen where all is mixed. Where ``decodes``, video that is to be made anew is chosen if there is no other.
    """
    people = [person for person in participants if pinned is None or person.identity == pinned]
    people = sorted(people, key=lambda person: person.published_since)
    videos = list(_tracks(people, MediaKind.VIDEO))
    video = _first(videos) or (_first(videos, decodes=True) if decodes else None)
    if video is not None:
        people = sorted(people, key=lambda person: person is not video.participant)
    mixed = sound is LiveSound.MIX
    sounds = list(_tracks(participants if mixed else people, MediaKind.AUDIO))
    audio = None if mixed else _first(sounds)
    if videos and video is None:
        raise LiveError(LiveRefusal.NEEDS_TRANSCODING, _sentence("video", videos, "H.264"))
    if video is None and audio is None and not (mixed and sounds):
        if sounds:
            raise LiveError(LiveRefusal.NEEDS_TRANSCODING, _sentence("sound", sounds, "Opus"))
        who = "nobody publishes" if pinned is None else f"{pinned!r} does not publish"
        raise LiveError(LiveRefusal.NOTHING_PUBLISHED, f"{who} video or sound in this room yet")
    return Choice(video, audio)


def shown_of(
    participants: Sequence[Participant],
    sources: Sequence[str],
    *,
    decodes: bool = False,
    barred: Collection[TrackId] = (),
) -> str | None:
    """Give who of these identities is to be shown: the first whose video, or without one sound, is published and comes.

    What is made on demand would come. Where nothing comes of anybody it is the first who publishes, and then the first
    of all; None where none are given. Tracks that are ``barred`` do not count.
    """
    published: str | None = None
    for identity in sources:
        person = next((one for one in participants if one.identity == identity), None)
        if person is None:
            continue
        fit = [track for track in person.publications.values() if carried(track, decodes=decodes)]
        leading = [track for track in fit if track.offer.kind is MediaKind.VIDEO] or fit
        leading = [track for track in leading if track.id not in barred]
        if any(track.started_encodings or track.offer.on_demand for track in leading):
            return identity
        if leading and published is None:
            published = identity
    return published or next(iter(sources), None)


def showable(
    participants: Sequence[Participant], *, decodes: bool = False, barred: Collection[TrackId] = ()
) -> list[str]:
    """Give who has video that can be carried and comes, those first who began first to publish."""
    people = sorted(participants, key=lambda person: person.published_since)
    return [person.identity for person in people if any(_comes(one, decodes, barred) for one in _videos_of(person))]


def _comes(track: Publication, decodes: bool, barred: Collection[TrackId]) -> bool:
    fit = carried(track, decodes=decodes) and track.id not in barred and not track.muted
    return fit and bool(track.started_encodings or track.offer.on_demand)


def _videos_of(person: Participant) -> Iterable[Publication]:
    return _tracks([person], MediaKind.VIDEO)


def _tracks(people: Iterable[Participant], kind: MediaKind) -> Iterable[Publication]:
    for person in people:
        for publication in person.publications.values():
            if publication.offer.kind is kind:
                yield publication


def _first(tracks: Sequence[Publication], *, decodes: bool = False) -> Publication | None:
    """Give the first that can be carried; one that is not muted before one that is."""
    fit = [track for track in tracks if carried(track, decodes=decodes)]
    return next((track for track in fit if not track.muted), fit[0] if fit else None)


def _sentence(what: str, tracks: Sequence[Publication], carried_as: str) -> str:
    names = " and ".join(dict.fromkeys(track.offer.codecs[0].name for track in tracks))
    return f"the room's {what} is {names}, which needs transcoding; publish {carried_as} to go live"
