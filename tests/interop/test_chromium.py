"""Chromium publishes through the publish page and watches through the watch page; decoded pictures are counted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import wait_for_statistic
from phone_page import hears
from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

OpenPage = Callable[[str], Page]
TONE_HZ = 440
"""Of the page's test card."""
# The only connection there was, and both its descriptions.
AGREED = "() => [peers.length, peers[0].localDescription.sdp, peers[0].remoteDescription.sdp]"
SIZE = "width=640&height=360&fps=15"


@pytest.mark.parametrize("codec", ["VP8", "VP9", "AV1", "H264"])
def test_what_is_published_is_decoded_at_its_size(open_page: OpenPage, codec: str) -> None:
    room = f"room-{codec}"
    publisher = open_page(f"/publish/?room={room}&source=testcard&codec={codec}&{SIZE}&autostart=1")
    wait_for_statistic(publisher, "video frame rate", "parseFloat(value) > 1")
    viewer = open_page(f"/watch/?room={room}")
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 30")
    wait_for_statistic(viewer, "video size", "value === '640x360'")
    assert wait_for_statistic(viewer, "video codec", "value !== '-' && value !== ''") == codec
    assert wait_for_statistic(viewer, "audio codec", "value !== '-' && value !== ''") == "opus"
    wait_for_statistic(viewer, "audio bitrate", "parseFloat(value) > 5")
    hears(viewer, TONE_HZ)


def test_the_camera_page_works_with_the_browsers_own_choice(open_page: OpenPage) -> None:
    publisher = open_page(f"/publish/?room=camera&{SIZE}")
    publisher.get_by_role("button", name="Publish").click()
    wait_for_statistic(publisher, "video frame rate", "parseFloat(value) > 1")
    viewer = open_page("/watch/?room=camera")
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 15")
    publisher.get_by_role("button", name="Stop").click()


def test_a_viewer_who_comes_first_sees_the_publisher_who_comes_later(open_page: OpenPage) -> None:
    viewer = open_page("/watch/?room=early")
    viewer.get_by_text("Waiting").wait_for(timeout=10_000)
    open_page(f"/publish/?room=early&source=testcard&codec=VP8&{SIZE}&autostart=1")
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 15")


@pytest.mark.parametrize("codec", ["VP8", pytest.param("VP9", marks=pytest.mark.long), "H264"])
def test_a_second_publisher_replaces_the_picture_without_a_new_offer(open_page: OpenPage, codec: str) -> None:
    room = f"relay-{codec}"
    open_page(f"/publish/?room={room}&source=testcard&codec=VP8&width=640&height=360&fps=15&autostart=1")
    viewer = open_page(f"/watch/?room={room}")
    wait_for_statistic(viewer, "video size", "value === '640x360'")
    assert wait_for_statistic(viewer, "video codec", "value !== '-' && value !== ''") == "VP8"
    agreed = viewer.evaluate(AGREED)
    open_page(f"/publish/?room={room}&source=testcard&codec={codec}&width=320&height=180&fps=15&autostart=1")
    wait_for_statistic(viewer, "video size", "value === '320x180'")
    wait_for_statistic(viewer, "video codec", f"value === '{codec}'")
    shown = int(viewer.evaluate("document.querySelector('[data-stat=\"video frames decoded\"]').textContent"))
    wait_for_statistic(viewer, "video frames decoded", f"Number(value) >= {shown + 30}", 40)
    assert viewer.evaluate(AGREED) == agreed
