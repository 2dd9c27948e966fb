"""Chromium publishes layers to a Chromium viewer whose line is narrowed and widened: the picture follows the line.

A run in which a publisher's encoder says that the machine is too slow (``qualityLimitationReason: cpu``) is void: it
is repeated with half the picture rate, and skipped with that reason when it is void again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import Server, until, wait_for_statistic
from playwright.sync_api import Page
from shaped_line import REWRITE, WATCHER, Line, Seen, line_to

pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(300)]
OpenPage = Callable[..., Page]
WIDE_BPS = 2_500_000
SETTLED_MS = 5_000
"""From here on nothing may freeze."""
DOWN_MS, UP_MS = 3_000, 10_000
FREEZE_MS = 500
HOLD_MS = 12_000
LIMITATIONS = """
async () => [...(await peers.at(-1).getStats()).values()]
  .filter(report => report.type === "outbound-rtp" && report.kind === "video")
  .map(report => [report.qualityLimitationReason, report.qualityLimitationDurations?.cpu ?? 0])
"""


@dataclass(frozen=True)
class Case:
    """What is published, how narrow the line becomes, and what of the picture shows that."""

    name: str
    query: str
    narrow_bps: int
    measure: str = "width"
    """Of a sample: ``width`` in pixels, or ``fps`` where there are temporal layers only."""


CASES = [
    Case("VP8-simulcast", "codec=VP8&simulcast=1&kbps=1700", 220_000),
    Case("VP9-L3T3", "codec=VP9&svc=L3T3&kbps=1000", 300_000),
    Case("VP9-L3T3_KEY", "codec=VP9&svc=L3T3_KEY&kbps=1000", 300_000),
    Case("AV1-L1T3", "codec=AV1&svc=L1T3&kbps=600", 350_000, "fps"),
    Case("AV1-L3T3", "codec=AV1&svc=L3T3&kbps=1000", 300_000),
]


@dataclass
class Run:
    """A publisher, its viewer, and what the viewer saw."""

    publisher: Page
    viewer: Page
    line: Line
    case: Case

    def is_void(self) -> bool:
        """Whether the encoder had too little processor."""
        return any(reason == "cpu" or seconds > 0 for reason, seconds in self.publisher.evaluate(LIMITATIONS))

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


@pytest.fixture
def running(server: Server, open_page: OpenPage) -> Iterator[Callable[[Case, int], Run]]:
    open_lines = []

    def start(case: Case, fps: int) -> Run:
        room = f"{case.name}-{fps}"
        publisher = open_page(
            f"/publish/?room={room}&source=testcard&width=640&height=360&fps={fps}&autostart=1&{case.query}"
        )
        until(lambda: server.identities(room), "the publisher")
        wait_for_statistic(publisher, "audio bitrate", "parseFloat(value) > 1", 40)
        opened = line_to(server, room)
        line = opened.__enter__()
        open_lines.append(opened)
        line.shape(rate_bps=WIDE_BPS)
        viewer = open_page(f"/watch/?room={room}&relay={line.address}", None, REWRITE)
        wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 5", 40)
        viewer.evaluate(WATCHER)
        return Run(publisher, viewer, line, case)

    yield start
    for opened in open_lines:
        opened.__exit__(None, None, None)


SHORT = {"VP9-L3T3_KEY"}


def marked(case: Case) -> object:
    """One case in `make test`, all in `make test-all`: each takes most of a minute."""
    return pytest.param(case, id=case.name, marks=() if case.name in SHORT else pytest.mark.long)


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_the_picture_follows_the_line_down_and_up(case: Case, running: Callable[[Case, int], Run]) -> None:
    for fps in (30, 15):
        run = running(case, fps)
        told = follow(run)
        if not run.is_void():
            break
    else:
        pytest.skip("the machine is too slow to encode this: qualityLimitationReason was cpu in both runs")
    assert told["problems"] == [], told


def follow(run: Run) -> dict[str, Any]:
    """Narrow and widen the line; what was seen, and what of it should not have been."""
    begun: float = run.viewer.evaluate("performance.now()")
    run.viewer.wait_for_timeout(HOLD_MS)
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
        f"down within {DOWN_MS} ms": down_ms is not None and down_ms <= DOWN_MS,
        f"up within {UP_MS} ms": up_ms is not None and up_ms <= UP_MS,
        f"no gap over {FREEZE_MS} ms": gap <= FREEZE_MS,
        "freezeCount grows by two at most, one a change": freezes <= 2,
        "frozen less than a second in all": frozen < 1.0,
        "seven pictures a second decoded at least": decoded > 7 * seconds,
    }
    return {
        "problems": [name for name, holds in checks.items() if not holds],
        "best": best,
        "down_ms": down_ms,
        "up_ms": up_ms,
        "gap_ms": gap,
        "freezes": freezes,
        "frozen_s": frozen,
        "decoded_per_s": decoded / seconds,
        "lost": settled[-1]["lost"],
        "course": [
            (round((sample["at"] - begun) / 1_000), sample["width"], sample["fps"]) for sample in seen.samples[::10]
        ],
        "line": run.line.counters(),
    }
