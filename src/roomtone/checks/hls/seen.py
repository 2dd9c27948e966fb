"""What a check has seen of an origin: exchanges, states of playlists, probes. Plain values, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from roomtone.checks.hls.boxes import BoxError, Media, Track, read_media, read_tracks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roomtone.checks.hls.playlist import MediaPlaylist, Multivariant, Part, Segment, Variant


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what came; times in seconds of one steady clock. ``status`` 0: nothing came, ``body`` says why."""

    url: str
    asked_at: float
    answered_at: float
    ended_at: float
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    http_version: str = "HTTP/1.1"
    raw_length: int = 0
    """Bytes of the body as sent."""

    @property
    def took_s(self) -> float:
        """From the question to the end of the answer."""
        return self.ended_at - self.asked_at

    @property
    def max_age_s(self) -> int | None:
        """How long a cache may keep it."""
        for item in self.headers.get("cache-control", "").split(","):
            name, _, value = item.strip().partition("=")
            if name.lower() == "max-age" and value.isdigit():
                return int(value)
        return None


@dataclass(frozen=True, slots=True)
class State:
    """A media playlist as it came; ``wanted`` is what the request waited for."""

    exchange: Exchange
    playlist: MediaPlaylist
    wanted: tuple[int, int | None] | None = None


class Probe(StrEnum):
    """Requests made to see how an origin answers them."""

    SEGMENT_ALONE = "segment_alone"
    """`_HLS_msn` of the open segment without a part."""
    SATISFIED = "satisfied"
    LEFT_WINDOW = "left_window"
    PART_ALONE = "part_alone"
    TOO_FAR = "too_far"
    PART_TOO_FAR = "part_too_far"
    PAST_LAST_PART = "past_last_part"
    NOT_A_NUMBER = "not_a_number"
    NEGATIVE = "negative"
    CROWD = "crowd"
    WHEN_ENDED = "when_ended"
    HEAD = "head"
    RANGE = "range"
    RANGE_BEYOND = "range_beyond"
    NOT_MODIFIED = "not_modified"
    PREFLIGHT = "preflight"
    GZIP = "gzip"
    MEDIA_GZIP = "media_gzip"
    PLAYLIST_RANGE = "playlist_range"
    MISSING = "missing"
    REMOVED_SEGMENT = "removed_segment"
    REMOVED_PART = "removed_part"
    OPEN_RANGE = "open_range"
    """`bytes=N-` of a part that is a piece of something."""
    PLAIN = "plain"
    """A playlist without directives."""
    BESIDE_MEDIA = "beside_media"
    """A playlist while old segments are on their way over the same connection."""


@dataclass(frozen=True, slots=True)
class Probed:
    """A probe's exchange, the playlist known before it, and the one it brought."""

    exchange: Exchange
    before: MediaPlaylist
    after: MediaPlaylist | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A delta update, the playlist that was held, and the whole of the same state."""

    exchange: Exchange
    held: MediaPlaylist
    delta: MediaPlaylist
    whole: MediaPlaylist


class Rendition:
    """All that was seen of one media playlist."""

    def __init__(self, url: str, variant: Variant | None = None, *, is_video: bool = True) -> None:
        self.url = url
        self.variant = variant
        self.is_video = is_video
        self.states: list[State] = []
        self.media: dict[str, Exchange] = {}
        """Parts, segments and headers, by URL and piece."""
        self.hinted: dict[str, Exchange] = {}
        """Parts asked for when they were hinted at."""
        self._tracks: dict[str, tuple[Track, ...]] = {}
        self._read: dict[str, Media | None] = {}

    @property
    def name(self) -> str:
        """How evidence calls it."""
        return "/".join(self.url.partition("?")[0].rsplit("/", 2)[-2:])

    @property
    def playlists(self) -> list[MediaPlaylist]:
        """Its states, the oldest first."""
        return [state.playlist for state in self.states]

    @property
    def newest(self) -> MediaPlaylist:
        """The last state."""
        return self.states[-1].playlist

    def resolve(self, uri: str) -> str:
        """Give the absolute form of a URI in its playlist."""
        return urljoin(self.url, uri)

    @staticmethod
    def key(url: str, part: Part | Segment) -> str:
        """Name what was fetched for a part or segment."""
        piece = part.byte_range
        return url if piece is None else f"{url}#{piece.start}+{piece.length}"

    def segments(self) -> list[Segment]:
        """All segments there have been, as they were last listed, complete ones with all parts ever listed of them."""
        newest: dict[int, Segment] = {}
        parts: dict[int, Segment] = {}
        for playlist in self.playlists:
            for segment in playlist.all_segments:
                newest[segment.number] = segment
                if len(segment.parts) >= len(parts.get(segment.number, segment).parts):
                    parts[segment.number] = segment
        return [_with_parts(newest[number], parts[number]) for number in sorted(newest)]

    def fetched(self, item: Part | Segment) -> Exchange | None:
        """Give the exchange of a part or segment."""
        if item.uri is None:
            return None
        return self.media.get(self.key(self.resolve(item.uri), item))

    def tracks(self, segment: Segment) -> tuple[Track, ...]:
        """Give the tracks of a segment's header; none where it has none that can be read."""
        if segment.map_uri is None:
            return ()
        url = self.resolve(segment.map_uri)
        if url not in self._tracks:
            exchange = self.media.get(url)
            if exchange is None:
                return ()
            try:
                self._tracks[url] = read_tracks(exchange.body)
            except BoxError:
                self._tracks[url] = ()
        return self._tracks[url]

    def read(self, item: Part | Segment, segment: Segment) -> Media | None:
        """Give what a part or segment holds; None where it was not fetched or is no fragmented MP4."""
        exchange = self.fetched(item)
        if exchange is None or exchange.status not in {200, 206} or segment.map_uri is None:
            return None
        key = self.key(exchange.url, item)
        if key not in self._read:
            try:
                self._read[key] = read_media(exchange.body, self.tracks(segment))
            except BoxError:
                self._read[key] = None
        return self._read[key]

    def parts(self) -> Iterator[tuple[Segment, Part]]:
        """All parts there have been, in order."""
        for segment in self.segments():
            for part in segment.parts:
                yield segment, part


@dataclass
class Seen:
    """All that a check has seen; ``slack_s`` is what the network and this machine may add to any time."""

    url: str
    slack_s: float = 0.15
    multivariant: list[tuple[Exchange, Multivariant]] = field(default_factory=list)
    """As it was at the beginning and at the end."""
    renditions: list[Rendition] = field(default_factory=list)
    probes: dict[Probe, list[Probed]] = field(default_factory=dict)
    deltas: list[Delta] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    """All of them, in the order of their ends."""

    @cached_property
    def low_latency(self) -> bool:
        """Whether any rendition lists parts."""
        return any(playlist.has_parts for rendition in self.renditions for playlist in rendition.playlists)

    @property
    def videos(self) -> list[Rendition]:
        """Renditions of video."""
        return [rendition for rendition in self.renditions if rendition.is_video]

    @property
    def target_s(self) -> float:
        """The target duration of the first rendition."""
        playlists = self.renditions[0].playlists if self.renditions else []
        return next((one.target_duration for one in playlists if one.target_duration), 6.0)

    def note(self, probe: Probe, probed: Probed) -> None:
        """Keep what a probe brought."""
        self.probes.setdefault(probe, []).append(probed)

    def probed(self, *probes: Probe) -> list[Probed]:
        """Give what these probes brought."""
        return [one for probe in probes for one in self.probes.get(probe, [])]

    def states(self) -> Iterator[tuple[Rendition, State]]:
        """All states of all renditions."""
        for rendition in self.renditions:
            for state in rendition.states:
                yield rendition, state


def _with_parts(segment: Segment, richest: Segment) -> Segment:
    return segment if len(segment.parts) >= len(richest.parts) else replace(segment, parts=richest.parts)
