"""One live stream: the packager of a room, what feeds it, and what has happened to it."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import TYPE_CHECKING

from roomtone.control.live.values import LiveEvent, LivePicture, LiveSound, LiveState, LiveTerms
from roomtone.media.values import PressureLevel

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.live.mixing import StreamMix
    from roomtone.control.live.spotlight import Spotlight
    from roomtone.control.live.transcoding import Transcoding
    from roomtone.control.live.values import LiveEnd, LiveEventKind, LiveTrack
    from roomtone.control.rooms import Publication, Room, TrackId
    from roomtone.media import Packager
    from roomtone.media.values import MediaKind, PackagerTrackId, PackagerWarning

MAX_EVENTS = 200
"""Events that a stream remembers; the oldest go."""


class Feed:
    """A track of the packager, and which publication feeds it."""

    __slots__ = ("kind", "publication", "track")

    def __init__(self, track: PackagerTrackId, kind: MediaKind, publication: Publication) -> None:
        self.track = track
        self.kind = kind
        self.publication: Publication | None = publication


class LiveStream:
    """What viewers read under `/live/NAME/`."""

    def __init__(
        self,
        room: Room,
        packager: Packager,
        clock: Callable[[], float],
        *,
        sources: tuple[str, ...] = (),
        spotlight: Spotlight | None = None,
        program: bool = False,
        mix: StreamMix | None = None,
        terms: LiveTerms | None = None,
    ) -> None:
        self.name = room.name
        self.room = room
        self.packager = packager
        self.sources = sources
        """Identities of those who may be shown, the first that is there; none: who began first."""
        self.spotlight = spotlight
        """Whom it shows where ``sources`` are none: who speaks; None: who began first."""
        self.program = program
        """It is one program: its pictures are made whatever is there."""
        self.looks_again: asyncio.TimerHandle | None = None
        """When another may be shown who speaks already."""
        self.mix = mix
        """All sound of the room as one track; None: the sound of one."""
        self.terms = terms or LiveTerms()
        self.audio_offset_ms = 0
        """How much later than its source says sound is to be, as an operator wants it."""
        self.state = LiveState.STARTING
        self.created_at = clock()
        self.started_at: float | None = None
        self.ended: LiveEnd | None = None
        self.tracks: tuple[LiveTrack, ...] = ()
        self.feeds: list[Feed] = []
        self.decodes = False
        """Its video is made anew, and need not be what lists can have."""
        self.transcoding: Transcoding | None = None
        """What is made anew of it."""
        self.left_out: set[TrackId] = set()
        """Tracks that it cannot carry, so that each is told of once."""
        self.warnings: Counter[PackagerWarning] = Counter()
        self.pressure = PressureLevel.NORMAL
        """Of its fullest queue."""
        self.events: deque[LiveEvent] = deque(maxlen=MAX_EVENTS)
        self.paused = False
        self.mix_track: PackagerTrackId | None = None
        """What carries the mix."""
        self.grace: asyncio.TimerHandle | None = None
        self.watching: asyncio.Task[None] | None = None
        self.busy = False
        self.again = False
        self.in_step = asyncio.Event()
        """Nothing is being taken on or off."""
        self._clock = clock
        self._seq = 0

    @property
    def master(self) -> str:
        """Where its multivariant playlist is."""
        return f"/live/{self.name}/index.m3u8"

    @property
    def is_fed(self) -> bool:
        """Whether anybody feeds it."""
        mixed = self.mix is not None and self.mix_track is not None and self.mix.hears > 0
        return mixed or any(feed.publication is not None for feed in self.feeds)

    @property
    def sound(self) -> LiveSound:
        """What is heard of the room."""
        return LiveSound.ONE if self.mix is None else LiveSound.MIX

    @property
    def picture(self) -> LivePicture:
        """Whom it shows where nobody is pinned."""
        if self.program:
            return LivePicture.PROGRAM
        return LivePicture.FIRST if self.spotlight is None else LivePicture.SPEAKER

    @property
    def shown_sources(self) -> tuple[str, ...]:
        """Identities of those who may be shown now, the first that is there; none: who began first."""
        speaks = None if self.spotlight is None else self.spotlight.shown
        return self.sources or (() if speaks is None else (speaks,))

    @property
    def publishers(self) -> list[str]:
        """Identities of those whose tracks it carries."""
        fed = (feed.publication for feed in self.feeds if feed.publication is not None)
        return list(dict.fromkeys(publication.participant.identity for publication in fed))

    def feed_of(self, kind: MediaKind) -> Feed | None:
        """Give the track of a kind."""
        return next((feed for feed in self.feeds if feed.kind is kind), None)

    def emit(self, kind: LiveEventKind, detail: str = "") -> None:
        """Note what happened."""
        self._seq += 1
        self.events.append(LiveEvent(self._seq, self._clock(), kind, detail))

    def start(self, tracks: tuple[LiveTrack, ...]) -> None:
        """Note that its playlist can be read."""
        self.tracks = tracks
        self.started_at = self._clock()
        if self.state is LiveState.STARTING:
            self.state = LiveState.LIVE
