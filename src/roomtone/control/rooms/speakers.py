"""Who speaks in a room, as the engine hears it (RFC 6464 levels)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.rooms.events import RoomEventKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.rooms.model import Room
    from roomtone.control.rooms.tracks import Publication
    from roomtone.media.values import ActiveSpeakers, ProducerId

STEPS = 8
"""Levels are told anew when they move by about one part in so many of full scale."""


@dataclass(frozen=True, slots=True)
class SpeakerRules:
    """When somebody is taken to speak; see the settings for what each means. ``top_n`` 0: nobody looks."""

    interval_ms: int = 400
    threshold_dbov: int = -50
    percentile: int = 40
    smoothing: float = 0.3
    hold_ms: int = 1000
    top_n: int = 3


@dataclass(frozen=True, slots=True)
class Speaker:
    """A participant that speaks, or has just stopped; ``level`` is from 0 to 1 (full scale)."""

    identity: str
    level: float
    active: bool = True


def level_of(dbov: int) -> float:
    """Turn a level in dBov (0 is full scale, -127 silence) into an amplitude from 0 to 1."""
    return round(min(1.0, 10 ** (dbov / 20)), 4)


def note_speakers(room: Room, heard: ActiveSpeakers, find: Callable[[ProducerId], Publication | None]) -> None:
    """Take what the engine heard; tell the room when that is news."""
    loudest: dict[str, Speaker] = {}
    for level in heard.speakers:
        track = find(level.producer)
        if track is None or track.participant.room is not room or track.muted or track.participant.permissions.hidden:
            continue
        identity = track.participant.identity
        loudest.setdefault(identity, Speaker(identity, level_of(level.level_dbov)))
    dominant = None if heard.dominant is None else find(heard.dominant)
    if dominant is not None and dominant.participant.room is not room:
        dominant = None  # it was moved, and is still on the router of its old room
    tell_speakers(room, tuple(loudest.values()), None if dominant is None else dominant.participant.identity)


def silence(room: Room, identity: str) -> None:
    """Note that a participant speaks no longer, since it has left."""
    speaking = tuple(speaker for speaker in room.speakers if speaker.identity != identity)
    if speaking != room.speakers:
        tell_speakers(room, speaking, None if room.dominant == identity else room.dominant)


def tell_speakers(room: Room, speaking: tuple[Speaker, ...], dominant: str | None) -> None:
    """Note who speaks now, and tell the room when others do, or louder or softer."""
    before, was_dominant = room.speakers, room.dominant
    room.speakers, room.dominant = speaking, dominant
    if _coarse(before) == _coarse(speaking) and was_dominant == dominant:
        return
    now = {speaker.identity for speaker in speaking}
    stopped = tuple(Speaker(old.identity, 0.0, active=False) for old in before if old.identity not in now)
    room.events.emit(RoomEventKind.SPEAKERS_CHANGED, participant=dominant, speakers=speaking + stopped)


def _coarse(speakers: tuple[Speaker, ...]) -> set[tuple[str, int]]:
    return {(speaker.identity, round(speaker.level * STEPS)) for speaker in speakers}
