"""Playlists of low-latency HLS as values (RFC 8216bis section 4); what cannot be read is a problem, not an error."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from roomtone.checks.hls.attributes import number, parse_attributes, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_LINES = 200_000
"""Lines that are read of one playlist; the rest is left, and a problem says so."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A piece of a resource; ``start`` None: it follows the one before."""

    length: int
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A partial segment (section 4.4.4.9); durations in seconds."""

    uri: str
    duration: float
    independent: bool = False
    gap: bool = False
    byte_range: ByteRange | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that is complete, or the open one, which has no ``uri``."""

    number: int
    discontinuities: int
    """Discontinuity sequence number: how many came before and with it."""
    uri: str | None = None
    duration: float = 0.0
    parts: tuple[Part, ...] = ()
    gap: bool = False
    discontinuity: bool = False
    map_uri: str | None = None
    """Of the header in force."""
    date_time: float | None = None
    """As its own tag says, in seconds since 1970."""
    key: Mapping[str, str] | None = None
    byte_range: ByteRange | None = None

    @property
    def listed_s(self) -> float:
        """How much of it is listed: its duration, or that of the parts there are."""
        return self.duration if self.uri is not None else sum(part.duration for part in self.parts)


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """One state of a media playlist."""

    text: str
    version: int = 1
    target_duration: float | None = None
    target_text: str = ""
    part_target: float | None = None
    control: Mapping[str, str] = field(default_factory=dict)
    """Attributes of `EXT-X-SERVER-CONTROL`."""
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    segments: tuple[Segment, ...] = ()
    open: Segment | None = None
    hints: tuple[Mapping[str, str], ...] = ()
    reports: tuple[Mapping[str, str], ...] = ()
    date_ranges: tuple[Mapping[str, str], ...] = ()
    """Attributes of each `EXT-X-DATERANGE`; several may be of one ``ID``."""
    skipped: int | None = None
    removed_date_ranges: bool = False
    ended: bool = False
    problems: tuple[str, ...] = ()

    @property
    def all_segments(self) -> tuple[Segment, ...]:
        """Complete segments and the open one."""
        return self.segments if self.open is None else (*self.segments, self.open)

    @property
    def has_parts(self) -> bool:
        """Whether any part is listed."""
        return any(segment.parts for segment in self.all_segments)

    @property
    def window_s(self) -> float:
        """How much is listed, the open segment's parts included."""
        return sum(segment.listed_s for segment in self.all_segments)

    @property
    def last(self) -> tuple[int, int]:
        """Number of the newest segment, and how many parts of it are listed."""
        newest = self.all_segments[-1] if self.all_segments else None
        return (self.media_sequence - 1, 0) if newest is None else (newest.number, len(newest.parts))

    @property
    def next(self) -> tuple[int, int]:
        """What a blocking request asks for next: a segment and a part of it."""
        if self.open is not None:
            return self.open.number, len(self.open.parts)
        return self.last[0] + 1, 0

    @property
    def end_uri(self) -> str | None:
        """Address of the newest part or segment, by which two states are told apart even where numbers are wrong."""
        if not self.all_segments:
            return None
        newest = self.all_segments[-1]
        return newest.uri or newest.parts[-1].uri

    def behind_s(self, segment: Segment) -> float:
        """How far the end of a segment is from the end of the playlist."""
        return sum(one.listed_s for one in self.all_segments if one.number > segment.number)


@dataclass(frozen=True, slots=True)
class Variant:
    """A line of a multivariant playlist that names a media playlist."""

    uri: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Multivariant:
    """A multivariant playlist (section 4.4.6)."""

    variants: tuple[Variant, ...]
    media: tuple[Variant, ...]
    """Alternative renditions that have a playlist."""

    @property
    def uris(self) -> tuple[str, ...]:
        """All media playlists, each once."""
        return tuple(dict.fromkeys(one.uri for one in (*self.variants, *self.media)))


def parse_multivariant(text: str) -> Multivariant | None:
    """Read a multivariant playlist; None where it is none."""
    variants, media = [], []
    pending: dict[str, str] | None = None
    for line in _lines(text):
        if line.startswith("#EXT-X-STREAM-INF:"):
            pending = parse_attributes(line.partition(":")[2])
        elif line.startswith("#EXT-X-MEDIA:"):
            attributes = parse_attributes(line.partition(":")[2])
            if "URI" in attributes:
                media.append(Variant(attributes["URI"], attributes))
        elif not line.startswith("#") and pending is not None:
            variants.append(Variant(line, pending))
            pending = None
    return Multivariant(tuple(variants), tuple(media)) if variants else None


def parse_media(text: str) -> MediaPlaylist:
    """Read a media playlist."""
    reader = _Reader(text)
    for line in _lines(text):
        reader.take(line)
    return reader.finish()


def merge_delta(before: MediaPlaylist, delta: MediaPlaylist) -> tuple[Segment, ...] | None:
    """Put back what a delta leaves out (section 6.2.5.1); None where the earlier playlist lacks some of it."""
    held = {segment.number: segment for segment in before.segments}
    wanted = range(delta.media_sequence, delta.media_sequence + (delta.skipped or 0))
    if any(number_ not in held for number_ in wanted):
        return None
    return (*(held[number_] for number_ in wanted), *delta.segments)


def _lines(text: str) -> Sequence[str]:
    return [line.strip() for line in text.splitlines()[:MAX_LINES] if line.strip()]


class _Reader:
    """Gathers tags until the URI they belong to has come."""

    def __init__(self, text: str) -> None:
        self.made = MediaPlaylist(text)
        self.problems: list[str] = []
        self.segments: list[Segment] = []
        self.hints: list[Mapping[str, str]] = []
        self.reports: list[Mapping[str, str]] = []
        self.date_ranges: list[Mapping[str, str]] = []
        self.parts: list[Part] = []
        self.duration: float | None = None
        self.map_uri: str | None = None
        self.key: Mapping[str, str] | None = None
        self.pending = Segment(0, 0)
        self.discontinuities = 0
        if not text.lstrip("\ufeff").startswith("#EXTM3U"):
            self.problems.append("it does not begin with #EXTM3U")

    def take(self, line: str) -> None:
        if not line.startswith("#"):
            self._end_segment(line)
            return
        name, _, value = line.partition(":")
        if name in _HEADS:
            self._take_head(name, value)
        elif name in _LISTS:
            self._take_list(name, parse_attributes(value))
        else:
            self._take_of_segment(name, value)

    def finish(self) -> MediaPlaylist:
        made = self.made
        first = made.media_sequence + (made.skipped or 0)
        done = [
            replace(one, number=first + at, discontinuities=one.discontinuities + made.discontinuity_sequence)
            for at, one in enumerate(self.segments)
        ]
        open_ = None
        if self.parts:
            open_ = replace(
                self._segment(),
                number=first + len(done),
                discontinuities=self.discontinuities + made.discontinuity_sequence,
            )
        return replace(
            made,
            segments=tuple(done),
            open=open_,
            hints=tuple(self.hints),
            reports=tuple(self.reports),
            date_ranges=tuple(self.date_ranges),
            problems=tuple(self.problems),
        )

    def _take_head(self, name: str, value: str) -> None:
        match name:
            case "#EXT-X-TARGETDURATION":
                self.made = replace(self.made, target_duration=_float(value), target_text=value)
            case "#EXT-X-VERSION":
                self.made = replace(self.made, version=self._whole(name, value))
            case "#EXT-X-MEDIA-SEQUENCE":
                self.made = replace(self.made, media_sequence=self._whole(name, value))
            case "#EXT-X-DISCONTINUITY-SEQUENCE":
                self.made = replace(self.made, discontinuity_sequence=self._whole(name, value))
            case _:
                self.made = replace(self.made, ended=True)

    def _take_list(self, name: str, attributes: Mapping[str, str]) -> None:
        match name:
            case "#EXT-X-SERVER-CONTROL":
                self.made = replace(self.made, control=attributes)
            case "#EXT-X-PART-INF":
                self.made = replace(self.made, part_target=number(attributes, "PART-TARGET"))
            case "#EXT-X-SKIP":
                removed = "RECENTLY-REMOVED-DATERANGES" in attributes
                skipped = whole(attributes, "SKIPPED-SEGMENTS")
                self.made = replace(self.made, skipped=skipped, removed_date_ranges=removed)
                if skipped is None:
                    self.problems.append("EXT-X-SKIP has no SKIPPED-SEGMENTS")
            case "#EXT-X-PRELOAD-HINT":
                self.hints.append(attributes)
            case "#EXT-X-RENDITION-REPORT":
                self.reports.append(attributes)
            case "#EXT-X-DATERANGE":
                self.date_ranges.append(attributes)
            case "#EXT-X-PART":
                self._take_part(attributes)
            case "#EXT-X-MAP":
                self.map_uri = attributes.get("URI")
            case _:
                self.key = None if attributes.get("METHOD") == "NONE" else attributes

    def _take_part(self, attributes: Mapping[str, str]) -> None:
        duration, uri = number(attributes, "DURATION"), attributes.get("URI")
        if duration is None or uri is None:
            self.problems.append("an EXT-X-PART lacks DURATION or URI")
            return
        yes = {name for name, value in attributes.items() if value == "YES"}
        byte_range = _byte_range(attributes.get("BYTERANGE"))
        self.parts.append(Part(uri, duration, "INDEPENDENT" in yes, "GAP" in yes, byte_range))

    def _take_of_segment(self, name: str, value: str) -> None:
        match name:
            case "#EXTINF":
                self.duration = _float(value.partition(",")[0])
                if self.duration is None:
                    self.problems.append(f"EXTINF is no number: {value[:40]}")
            case "#EXT-X-DISCONTINUITY":
                self.discontinuities += 1
                self.pending = replace(self.pending, discontinuity=True)
            case "#EXT-X-GAP":
                self.pending = replace(self.pending, gap=True)
            case "#EXT-X-BYTERANGE":
                self.pending = replace(self.pending, byte_range=_byte_range(value))
            case "#EXT-X-PROGRAM-DATE-TIME":
                try:
                    at = datetime.fromisoformat(value).timestamp()
                except ValueError:
                    self.problems.append(f"EXT-X-PROGRAM-DATE-TIME is no date: {value[:40]}")
                else:
                    self.pending = replace(self.pending, date_time=at)
            case _:
                pass

    def _end_segment(self, uri: str) -> None:
        if self.duration is None:
            self.problems.append(f"a segment has no EXTINF: {uri[:80]}")
        self.segments.append(replace(self._segment(), uri=uri, duration=self.duration or 0.0))
        self.pending, self.parts, self.duration = Segment(0, 0), [], None

    def _segment(self) -> Segment:
        return replace(
            self.pending,
            discontinuities=self.discontinuities,
            parts=tuple(self.parts),
            map_uri=self.map_uri,
            key=self.key,
        )

    def _whole(self, name: str, value: str) -> int:
        if value.isascii() and value.isdigit():
            return int(value)
        self.problems.append(f"{name[1:]} is no whole number: {value[:40]}")
        return 0


_HEADS = frozenset(
    {
        "#EXT-X-TARGETDURATION",
        "#EXT-X-VERSION",
        "#EXT-X-MEDIA-SEQUENCE",
        "#EXT-X-DISCONTINUITY-SEQUENCE",
        "#EXT-X-ENDLIST",
    }
)
_LISTS = frozenset(
    {
        "#EXT-X-SERVER-CONTROL",
        "#EXT-X-PART-INF",
        "#EXT-X-SKIP",
        "#EXT-X-PRELOAD-HINT",
        "#EXT-X-RENDITION-REPORT",
        "#EXT-X-DATERANGE",
        "#EXT-X-PART",
        "#EXT-X-MAP",
        "#EXT-X-KEY",
    }
)


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _byte_range(text: str | None) -> ByteRange | None:
    length, _, start = (text or "").partition("@")
    if not length.isdigit():
        return None
    return ByteRange(int(length), int(start) if start.isdigit() else None)
