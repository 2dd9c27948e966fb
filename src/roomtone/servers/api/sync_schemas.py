"""Bodies about how sound and pictures of a live stream lie against each other."""

# ruff: noqa: TC001 - pydantic reads the annotations

from __future__ import annotations

from dataclasses import asdict

from pydantic import ConfigDict, Field

from roomtone.control.live import StreamSync
from roomtone.media.values import MediaKind
from roomtone.servers.api.schemas import Body


class _Sync(Body):
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class SyncChangeBody(_Sync):
    """How sound is to come."""

    audio_offset_ms: int = Field(ge=-500, le=1_000)
    """By so much later than its source says; below zero earlier."""


class AlignmentBody(_Sync):
    """How a track of a stream's source lies on its timeline; null: that is not known, or not yet."""

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


class SyncBody(_Sync):
    """How sound and pictures of a live stream lie against each other."""

    audio_offset_ms: int
    """What was asked for."""
    av_offset_ms: float | None
    """How much later sound lies than its source says that it belongs to the pictures."""
    arrival_skew_ms: float | None
    """How much later sound arrives than the pictures that belong to it."""
    tracks: list[AlignmentBody]
    raised: int
    """Units placed later, since the one before lies there."""
    refused_reports: int
    """Sender reports that contradict the arrivals by seconds."""
    discontinuities: int
    """Times the tracks did not go on from what came before."""


def sync_body(sync: StreamSync) -> SyncBody:
    """Describe how a stream lies."""
    return SyncBody(
        audio_offset_ms=sync.audio_offset_ms,
        av_offset_ms=sync.av_offset_ms,
        arrival_skew_ms=sync.arrival_skew_ms,
        tracks=[AlignmentBody(**asdict(track)) for track in sync.tracks],
        raised=sync.raised,
        refused_reports=sync.refused_reports,
        discontinuities=sync.discontinuities,
    )
