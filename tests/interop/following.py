"""A viewer's picture must follow its line: what is published, how the line changes, and what of it was seen.

A run in which a publisher's encoder says that the machine is too slow (``qualityLimitationReason: cpu``) is void: it
is repeated with half the picture rate, and skipped with that reason when it is void again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page
from shaped_line import Line, Seen

WIDE_BPS = 2_500_000
SETTLED_MS = 5_000
"""From here on nothing may freeze."""
DOWN_MS, UP_MS = 3_000, 10_000
FREEZE_MS = 500
ENCODINGS_S = 20
HOLD_MS = 12_000
SENT = """
async () => [...(await peers.at(-1).getStats()).values()]
  .filter(report => report.type === "outbound-rtp" && report.kind === "video")
  .map(report => [report.qualityLimitationReason, report.qualityLimitationDurations?.cpu ?? 0, report.frameWidth ?? 0])
"""
"""Of each encoding why its quality is limited, for how many seconds by the processor, and how wide it is."""


@dataclass(frozen=True)
class Case:
    """What is published, how narrow the line becomes, and what of the picture shows that."""

    name: str
    query: str
    narrow_bps: int
    measure: str = "width"
    """Of a sample: ``width`` in pixels, or ``fps`` where there are temporal layers only."""
    width: int = 640
    height: int = 360
    encodings: int = 0
    """So many the publisher must send before the line is narrowed; 0: it is not looked at."""

    def path(self, room: str, fps: int) -> str:
        """The page that publishes it."""
        size = f"width={self.width}&height={self.height}&fps={fps}"
        return f"/publish/?room={room}&source=testcard&{size}&autostart=1&{self.query}"


@dataclass
class Run:
    """A publisher, its viewer, and what the viewer saw."""

    publisher: Page
    viewer: Page
    line: Line
    case: Case

    def is_void(self) -> bool:
        """Whether the encoder had too little processor."""
        return any(reason == "cpu" or seconds > 0 for reason, seconds, _ in self.publisher.evaluate(SENT))

    def sent(self) -> list[tuple[int, str]]:
        """Of the encodings that are sent the width, and what limits them."""
        return sorted((width, reason) for reason, _, width in self.publisher.evaluate(SENT) if width)

    def await_encodings(self) -> None:
        """Give the publisher time for all its encodings: it sends what is wanted, and tries its own line first."""
        for _ in range(ENCODINGS_S):
            if len(self.sent()) >= self.case.encodings:
                return
            self.viewer.wait_for_timeout(1_000)

    def change(self, bps: int) -> float:
        """Change the line's rate; gives the viewer's time of it."""
        self.line.shape(rate_bps=bps)
        now: float = self.viewer.evaluate("performance.now()")
        return now

    def smooth(self, since: float) -> list[tuple[float, float]]:
        """The measure over time, pictures a second as a mean over one second."""
        samples = Seen.of(self.viewer).since(since - 1_000)
        if self.case.measure == "width":
            return [(sample["at"], sample["width"]) for sample in samples if sample["at"] >= since]
        pairs = zip(samples, samples[10:], strict=False)
        rates = [
            (now["at"], 1_000 * (now["decoded"] - then["decoded"]) / (now["at"] - then["at"])) for then, now in pairs
        ]
        return [(at, rate) for at, rate in rates if at >= since]


def first(run: Run, since: float, holds: Callable[[float], bool]) -> float | None:
    """Milliseconds until the measure first holds."""
    return next((at - since for at, value in run.smooth(since) if holds(value)), None)


def repeated(case: Case, start: Callable[[Case, int], Run]) -> dict[str, Any]:
    """Follow one case, with half the pictures where the machine is too slow; what was seen of it."""
    for fps in (30, 15):
        run = start(case, fps)
        told = follow(run)
        if not run.is_void():
            return told
    pytest.skip("the machine is too slow to encode this: qualityLimitationReason was cpu in both runs")


def follow(run: Run) -> dict[str, Any]:
    """Narrow and widen the line; what was seen, and what of it should not have been."""
    run.await_encodings()
    begun: float = run.viewer.evaluate("performance.now()")
    run.viewer.wait_for_timeout(HOLD_MS)
    sent = run.sent()
    best = max((value for at, value in run.smooth(begun + SETTLED_MS)), default=0.0)
    narrowed = run.change(run.case.narrow_bps)
    run.viewer.wait_for_timeout(HOLD_MS)
    down_ms = first(run, narrowed, lambda value: 0 < value < best * 0.8)
    widened = run.change(WIDE_BPS)
    run.viewer.wait_for_timeout(UP_MS + 2_000)
    up_ms = first(run, widened, lambda value: value > best * 0.9)
    seen = Seen.of(run.viewer)
    settled = seen.since(begun + SETTLED_MS)
    gap = seen.longest_gap(begun + SETTLED_MS)
    frozen = settled[-1]["frozen"] - settled[0]["frozen"]
    freezes = settled[-1]["freezes"] - settled[0]["freezes"]
    decoded = settled[-1]["decoded"] - settled[0]["decoded"]
    seconds = (settled[-1]["at"] - settled[0]["at"]) / 1_000
    checks = {
        "a picture before the line narrows": best > 0,
        "as many encodings as are to be sent": run.case.encodings in (0, len(sent)),
        f"down within {DOWN_MS} ms": down_ms is not None and down_ms <= DOWN_MS,
        f"up within {UP_MS} ms": up_ms is not None and up_ms <= UP_MS,
        f"no gap over {FREEZE_MS} ms": gap <= FREEZE_MS,
        "freezeCount grows by two at most, one a change": freezes <= 2,
        "frozen less than a second in all": frozen < 1.0,
        "seven pictures a second decoded at least": decoded > 7 * seconds,
    }
    return {
        "problems": [name for name, holds in checks.items() if not holds],
        "sent": sent,
        "best": best,
        "down_ms": down_ms,
        "up_ms": up_ms,
        "gap_ms": gap,
        "longest": [
            (round(at - narrowed), round(at - widened), round(length))
            for at, length in sorted(seen.gaps, key=lambda one: -one[1])[:4]
        ],
        "freezes": freezes,
        "frozen_s": frozen,
        "decoded_per_s": decoded / seconds,
        "lost": settled[-1]["lost"],
        "course": [
            (round((sample["at"] - begun) / 1_000), sample["width"], sample["fps"]) for sample in seen.samples[::10]
        ],
        "line": run.line.counters(),
    }
