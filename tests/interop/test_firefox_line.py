"""Firefox watches what Chromium publishes, on a line that is narrowed and widened: the picture follows the line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import OBSERVE, Server, start_server, stop_server, until, wait_for_statistic
from firefox import PROGRAM, Firefox, launched, own_address
from following import WIDE_BPS, Case, Run, repeated
from playwright.sync_api import Page
from shaped_line import REWRITE, WATCHER, line_to

pytestmark = [
    pytest.mark.alone,
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path(PROGRAM).exists(), reason="firefox-esr is not installed"),
]
CASE = Case("firefox", "codec=VP8&simulcast=1&kbps=1700", 220_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("data"), ROOMTONE_WEBRTC__LISTEN_IPS=own_address())
    yield running
    stop_server(running)


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with launched(tmp_path_factory.mktemp("firefox") / "profile") as browser:
        yield browser
        assert browser.errors == []


def test_firefoxs_picture_follows_its_line_down_and_up(
    server: Server, firefox: Firefox, open_page: Callable[..., Page]
) -> None:
    with ExitStack() as lines:

        def start(case: Case, fps: int) -> Run:
            room = f"{case.name}-{fps}"
            publisher = open_page(case.path(room, fps))
            until(lambda: server.identities(room), "the publisher")
            wait_for_statistic(publisher, "audio bitrate", "parseFloat(value) > 1", 40)
            line = lines.enter_context(line_to(server, room))
            line.shape(rate_bps=WIDE_BPS)
            viewer = firefox.open(f"{server.http}/watch/?room={room}&relay={line.address}", REWRITE, OBSERVE)
            wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 5", 40)
            viewer.evaluate(WATCHER)
            return Run(publisher, viewer, line, case)

        told = repeated(CASE, start)
    assert told["problems"] == [], told
