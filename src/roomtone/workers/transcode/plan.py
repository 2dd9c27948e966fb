"""What a job is to make: rungs of pictures, or sound of a codec. Pure; it comes as JSON from who starts the process."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

EVEN = 2
"""Sides of pictures with halved chroma are even."""
BITS_A_PIXEL = 0.07
"""Of a rung that nobody gave a rate."""
USUAL_FPS = 30
USUAL_ENCODERS = ("libx264",)
H264, HEVC, AV1 = "h264", "hevc", "av1"


@dataclass(frozen=True, slots=True)
class Rung:
    """One size of a ladder: ``lines`` is the shorter side; ``bps`` 0: by the size; ``fps`` 0: as the source.

    ``codec`` is ``h264``, ``hevc`` or ``av1``.
    """

    lines: int
    bps: int = 0
    fps: int = 0
    codec: str = H264

    @property
    def name(self) -> str:
        """Its folder."""
        return f"v{self.lines}" if self.codec == H264 else f"v{self.lines}{self.codec}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A job: of pictures where ``rungs`` are given or the sound is None."""

    rungs: tuple[Rung, ...] = ()
    keeps_source: bool = True
    """The source is in the lists too: keyframes are where its are, and no rung is as large."""
    encoders: tuple[str, ...] = USUAL_ENCODERS
    """Of H.264, tried in this order."""
    hevc_encoders: tuple[str, ...] = ("libx265",)
    av1_encoders: tuple[str, ...] = ("libsvtav1",)
    preset: str = "veryfast"
    profile: str = "high"
    """Of H.264."""
    keyframe_s: float = 2.0
    """Between keyframes where the source is not in the lists."""
    measure: bool = False
    """Compare what is made with its source."""
    canvas: tuple[int, int] = (0, 0)
    """Of a program: width and height of all its pictures, both even."""
    fps: int = 0
    """Of a program, which has pictures at this pace whatever comes of its sources; 0: it is none."""
    slate: str = "card"
    """What a program shows where nobody sends: a card of our own, or the path of a picture or a clip."""
    sound: str | None = None
    """``aac`` or ``opus``."""
    sound_bps: int = 0

    @property
    def is_video(self) -> bool:
        """Whether pictures are made."""
        return self.sound is None

    @property
    def is_program(self) -> bool:
        """Whether pictures are made at a pace and size of their own."""
        return self.fps > 0

    def encoders_of(self, codec: str) -> tuple[str, ...]:
        """Give what may encode a codec, in the order in which it is tried."""
        return {H264: self.encoders, HEVC: self.hevc_encoders, AV1: self.av1_encoders}[codec]

    @property
    def codecs(self) -> tuple[str, ...]:
        """Codecs of its rungs; H.264 where there is none."""
        return tuple(dict.fromkeys(rung.codec for rung in self.rungs)) or (H264,)


def read_plan(text: str) -> Plan:
    """Read a plan; raise `ValueError` or `TypeError` where it is none."""
    fields: dict[str, Any] = json.loads(text)
    rungs = tuple(Rung(**rung) for rung in fields.pop("rungs", ()))
    encoders = {name: tuple(value) for name, value in fields.items() if name.endswith("encoders")}
    plan = Plan(rungs=rungs, **(fields | encoders | {"canvas": tuple(fields.pop("canvas", (0, 0)))}))
    for codec in plan.codecs:
        if codec not in {H264, HEVC, AV1}:
            raise ValueError(f"there is no codec {codec}")
    return plan


def fitting(plan: Plan, width: int, height: int, *, source_codec: str | None) -> list[Rung]:
    """Give the rungs that a source of this size and codec has, the largest first, of one size the dearest codec first.

    None is larger than the source, and none as large that is in the lists beside it in the codec of the rungs. A source
    that is in no list has one rung at least, of its own size.
    """
    source = min(width, height)

    def fits(rung: Rung) -> bool:
        beside = plan.keeps_source and rung.codec == source_codec
        return rung.lines < source or (rung.lines == source and not beside)

    rungs = [rung for rung in plan.rungs if fits(rung)]
    if not rungs and not plan.keeps_source:
        rungs = [Rung(lines=source - source % EVEN, codec=plan.codecs[0])]
    return sorted(rungs, key=lambda rung: (-rung.lines, (AV1, HEVC, H264).index(rung.codec)))


def sized(rung: Rung, width: int, height: int) -> tuple[int, int]:
    """Give the width and height of a rung, in the proportion of the source."""
    lines = rung.lines - rung.lines % EVEN
    other = round(max(width, height) * lines / min(width, height) / EVEN) * EVEN
    return (lines, other) if height > width else (other, lines)


def rated(rung: Rung, width: int, height: int) -> Rung:
    """Give the rung with a rate."""
    if rung.bps:
        return rung
    return replace(rung, bps=int(width * height * (rung.fps or USUAL_FPS) * BITS_A_PIXEL))
