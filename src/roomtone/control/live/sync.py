"""How sound and pictures of a live stream lie against each other: as placed, and as an operator wants it. Pure.

These values are what the API answers, and their sentences are those of its description: they are written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from roomtone.media.values import MediaKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from roomtone.media import Report

_DESCRIBED = {"use_attribute_docstrings": True, "extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a track of a stream's source lies on its timeline; null: that is not known, or not yet."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DESCRIBED

    name: str
    kind: MediaKind
    error_ms: float | None
    """How much later it lies than the clock or the reports of its source say; its shift is not counted."""
    late_ms: float | None
    """How long after its place on the timeline its newest unit came; only differences between tracks say something."""
    shift_ms: float
    """How much later it is placed now since an operator wants it so."""
    drift_ppm: float | None
    """How much faster the clock of its source goes than the server's, in parts per million."""
    drift_over_s: float | None
    """Over how long that was looked at: it is as good as 1,000 ppm divided by this."""
    shared_clock: bool
    """Whether all tracks of the source are stamped by one clock, as in SRT and RTMP."""
    tied: bool
    """Whether it is known how its clock belongs to those of the others."""


@dataclass(frozen=True, slots=True)
class StreamSync:
    """How sound and pictures of a live stream lie against each other."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DESCRIBED

    audio_offset_ms: int
    """What was asked for; sound goes there by a fiftieth of its time."""
    av_offset_ms: float | None
    """How much later sound lies than its source says that it belongs to the pictures."""
    arrival_skew_ms: float | None
    """How much later sound arrives than the pictures that belong to it."""
    tracks: tuple[Alignment, ...]
    raised: int
    """Units placed later, since the one before lies there."""
    refused_reports: int
    """Sender reports that contradict the arrivals by seconds."""
    discontinuities: int
    """Times the tracks did not go on from what came before."""


def read_sync(reports: Iterable[Report], audio_offset_ms: int) -> StreamSync:
    """Read what the engine says of a timeline and its tracks."""
    timeline: Report = {}
    tracks = []
    for report in reports:
        if report["type"] == "packager-timeline":
            timeline = report
        elif report["type"] == "packager-alignment":
            tracks.append(
                Alignment(
                    name=str(report["name"]),
                    kind=MediaKind.VIDEO if report["video"] else MediaKind.AUDIO,
                    error_ms=_number(report, "errorMs"),
                    late_ms=_number(report, "lateMs"),
                    shift_ms=_number(report, "shiftMs") or 0.0,
                    drift_ppm=_number(report, "driftPpm"),
                    drift_over_s=_number(report, "driftOverS"),
                    shared_clock=bool(report["sharedClock"]),
                    tied=bool(report["clockTied"]),
                )
            )
    return StreamSync(
        audio_offset_ms,
        av_offset_ms=_apart(tracks, lambda one: None if one.error_ms is None else one.error_ms + one.shift_ms),
        arrival_skew_ms=_apart(tracks, lambda one: one.late_ms),
        tracks=tuple(tracks),
        raised=int(_number(timeline, "raised") or 0),
        refused_reports=int(_number(timeline, "refusedReports") or 0),
        discontinuities=int(_number(timeline, "discontinuities") or 0),
    )


def _apart(tracks: Sequence[Alignment], of: Callable[[Alignment], float | None]) -> float | None:
    """How much more of something the first track of sound has than the first of pictures, of those that have any."""
    found = {one.kind: value for one in reversed(tracks) if (value := of(one)) is not None}
    if len(found) < len(MediaKind):
        return None
    return found[MediaKind.AUDIO] - found[MediaKind.VIDEO]


def _number(report: Report, name: str) -> float | None:
    value = report.get(name)
    return float(value) if isinstance(value, int | float) else None
