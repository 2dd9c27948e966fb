"""A viewer is sent no layer larger than its window shows; the page tells its size by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import Server, until, wait_for_statistic
from playwright.sync_api import Page

pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(240)]
OpenPage = Callable[..., Page]


def limits(server: Server, room: str) -> list[tuple[int | None, int | None]]:
    """What the room's viewers said of the size they show."""
    viewers = server.room(room, "/viewers")
    subscriptions = [one for viewer in viewers for one in viewer["subscriptions"] if one["kind"] == "video"]
    return [(one["wanted"]["max_width"], one["wanted"]["max_height"]) for one in subscriptions]


def test_a_small_window_gets_a_smaller_layer_and_a_large_one_the_largest(server: Server, open_page: OpenPage) -> None:
    publisher = open_page(
        "/publish/?room=window&source=testcard&codec=VP9&svc=L3T3_KEY&width=1280&height=720&fps=15&kbps=1500&autostart=1"
    )
    wait_for_statistic(publisher, "video size", "value.startsWith('1280x')", 60)
    viewer = open_page("/watch/?room=window")
    wait_for_statistic(viewer, "video size", "value === '1280x720'", 60)
    assert limits(server, "window") == [(None, None)]
    viewer.set_viewport_size({"width": 360, "height": 640})
    told = until(lambda: [size for size in limits(server, "window") if size[0]], "the size of the window")
    assert 250 < (told[0][0] or 0) <= 360
    wait_for_statistic(viewer, "video size", "value === '320x180' || value === '640x360'", 40)
    viewer.set_viewport_size({"width": 1400, "height": 900})
    wait_for_statistic(viewer, "video size", "value === '1280x720'", 60)
