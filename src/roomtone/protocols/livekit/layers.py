"""Qualities of a track: what its encodings are called, which are wanted, what a subscriber asks for.

The names are those of LiveKit's clients: ``q`` is low, ``h`` medium, ``f`` high. A track of one encoding, simulcast or
not, is on while anything of it is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

if TYPE_CHECKING:
    from collections.abc import Sequence

LOW, MEDIUM, HIGH = models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH
QUALITIES = (LOW, MEDIUM, HIGH)
_BY_RID = {"q": LOW, "h": MEDIUM, "f": HIGH}
_RIDS = {quality: rid for rid, quality in _BY_RID.items()}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a subscriber asks for: a size it can show, or one of the encodings, or nothing."""

    paused: bool = False
    spatial: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    max_fps: int | None = None


def quality_of(rids: Sequence[str], index: int) -> models.VideoQuality:
    """Name the quality of an encoding by its RID, or else by its place, lowest first."""
    rid = rids[index] if index < len(rids) else ""
    return _BY_RID.get(rid, QUALITIES[min(index, len(QUALITIES) - 1)])


def wanted_qualities(rids: Sequence[str], wanted: Sequence[int | None]) -> list[rtc.SubscribedQuality]:
    """Say which qualities of a track anybody wants, from which encodings of it are wanted."""
    if len(wanted) <= 1:
        enabled = bool(wanted) and wanted[0] is not None
        return [rtc.SubscribedQuality(quality=quality, enabled=enabled) for quality in QUALITIES]
    on = {quality_of(rids, index) for index, highest in enumerate(wanted) if highest is not None}
    return [rtc.SubscribedQuality(quality=quality, enabled=quality in on) for quality in QUALITIES]


def read_wish(settings: rtc.UpdateTrackSettings, rids: Sequence[str], spatial_layers: int = 1) -> Wish:
    """Say what a subscriber asks for of a track; a size comes before a quality, which is the older way.

    ``spatial_layers`` are those of one encoding, where it has several (SVC).
    """
    width, height, fps = settings.width or None, settings.height or None, settings.fps or None
    if settings.disabled or settings.quality == models.VideoQuality.OFF:
        return Wish(paused=True)
    if width or height:
        return Wish(max_width=width, max_height=height, max_fps=fps)
    count = len(rids) if len(rids) > 1 else spatial_layers
    if count <= 1:
        return Wish(max_fps=fps)
    named = rids if len(rids) > 1 else ()
    best = [index for index in range(count) if quality_of(named, index) <= settings.quality]
    return Wish(spatial=max(best, default=0), max_fps=fps)


def describe_layers(announced: Sequence[models.VideoLayer], rids: Sequence[str]) -> list[models.VideoLayer]:
    """Complete the layers a publisher announced by the RIDs it sends, where it said none."""
    layers = []
    for layer in announced:
        made = models.VideoLayer()
        made.CopyFrom(layer)
        rid = _RIDS.get(layer.quality, "")
        if not made.rid and rid in rids:
            made.rid = rid
        layers.append(made)
    return layers
