"""Chromium publishes layers to a Chromium viewer whose line is narrowed and widened: the picture follows the line.

At 640x360 it sends two simulcast encodings, at 960x540 three; the line of these falls as in the table of bad lines, to
0.6 Mbit/s, where the middle one fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from conftest import Server, until, wait_for_statistic
from following import WIDE_BPS, Case, Run, repeated
from playwright.sync_api import Page
from shaped_line import REWRITE, WATCHER, line_to

pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(300)]
OpenPage = Callable[..., Page]
CASES = [
    Case("VP8-simulcast", "codec=VP8&simulcast=1&kbps=1700", 220_000),
    Case("VP8-simulcast-3", "codec=VP8&simulcast=1&kbps=1700", 600_000, width=960, height=540, encodings=3),
    Case("VP9-L3T3", "codec=VP9&svc=L3T3&kbps=1000", 300_000),
    Case("VP9-L3T3_KEY", "codec=VP9&svc=L3T3_KEY&kbps=1000", 300_000),
    Case("AV1-L1T3", "codec=AV1&svc=L1T3&kbps=600", 350_000, "fps"),
    Case("AV1-L3T3", "codec=AV1&svc=L3T3&kbps=1000", 300_000),
]


@pytest.fixture
def running(server: Server, open_page: OpenPage) -> Iterator[Callable[[Case, int], Run]]:
    open_lines = []

    def start(case: Case, fps: int) -> Run:
        room = f"{case.name}-{fps}"
        publisher = open_page(case.path(room, fps))
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
    told = repeated(case, running)
    assert told["problems"] == [], told
