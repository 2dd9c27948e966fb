"""Chromium sends simulcast by WHIP: all its layers arrive, and a viewer gets the one asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import Server, until, wait_for_statistic
from playwright.sync_api import Page

pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(240)]
OpenPage = Callable[..., Page]
RAMP_S = 60
"""How long the sender's bandwidth estimate may take to allow all layers."""


def simulcast(open_page: OpenPage, room: str, size: str) -> Page:
    return open_page(f"/publish/?room={room}&source=testcard&codec=VP8&{size}&fps=15&simulcast=1&kbps=900&autostart=1")


def packets_by_layer(server: Server, room: str) -> list[int]:
    """Packets received of each encoding of the video track, lowest layer first."""
    (publisher,) = server.room(room, "/statistics")["participants"]
    reports = [report for track in publisher["tracks"].values() for report in track]
    layers = [r for r in reports if r["kind"] == "video" and "encoding" in r]
    return [r["packetsReceived"] for r in sorted(layers, key=lambda r: r["encoding"])]


def choose(viewer: Page, **wish: object) -> None:
    """Ask for a layer at the viewer's resource, as a player with the WHEP extension does."""
    status = viewer.evaluate(
        """async wish => {
          const { url, Authorization } = resources.at(-1);
          const headers = { Authorization, "Content-Type": "application/json" };
          return (await fetch(url + "/layer", { method: "POST", headers, body: JSON.stringify(wish) })).status;
        }""",
        wish,
    )
    assert status == 200


def test_three_layers_arrive_and_the_viewer_gets_the_one_asked_for(server: Server, open_page: OpenPage) -> None:
    simulcast(open_page, "three", "width=960&height=540")
    until(lambda: server.identities("three"), "the publisher")
    until(lambda: len(n := packets_by_layer(server, "three")) == 3 and min(n) > 20 and n, "three layers", RAMP_S)
    (track,) = (track for track in server.room("three", "/tracks") if track["kind"] == "video")
    assert track["rids"] == ["q", "h", "f"]
    viewer = open_page("/watch/?room=three")
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 5", 40)
    for wish, size in (
        ({"rid": "q"}, "240x135"),
        ({"rid": "f"}, "960x540"),
        ({"rid": "h"}, "480x270"),
        ({"spatialLayerId": 0}, "240x135"),
        ({"encodingId": "f"}, "960x540"),
    ):
        choose(viewer, **wish)
        wait_for_statistic(viewer, "video size", f"value === '{size}'", RAMP_S)
        decoded = int(viewer.evaluate("document.querySelector('[data-stat=\"video frames decoded\"]').textContent"))
        wait_for_statistic(viewer, "video frames decoded", f"Number(value) >= {decoded + 10}", 40)
        wait_for_statistic(viewer, "video size", f"value === '{size}'", RAMP_S)


def test_a_small_picture_comes_in_two_layers(server: Server, open_page: OpenPage) -> None:
    # Below 960x540 Chromium sends the lower two of three encodings; who asks for the third gets the next best.
    simulcast(open_page, "two", "width=640&height=360")
    until(lambda: server.identities("two"), "the publisher")
    until(lambda: sorted(packets_by_layer(server, "two"))[-2:][0] > 20, "two layers", RAMP_S)
    viewer = open_page("/watch/?room=two")
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 5", 40)
    for rid, size in (("h", "320x180"), ("q", "160x90"), ("f", "320x180")):
        choose(viewer, rid=rid)
        wait_for_statistic(viewer, "video size", f"value === '{size}'", RAMP_S)


def test_two_viewers_hold_different_layers_at_once(server: Server, open_page: OpenPage) -> None:
    simulcast(open_page, "both", "width=960&height=540")
    until(lambda: server.identities("both"), "the publisher")
    until(lambda: len(n := packets_by_layer(server, "both")) == 3 and min(n) > 20 and n, "three layers", RAMP_S)
    small, large = open_page("/watch/?room=both"), open_page("/watch/?room=both")
    for viewer, rid, size in ((small, "q", "240x135"), (large, "f", "960x540")):
        wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 5", 40)
        choose(viewer, rid=rid)
        wait_for_statistic(viewer, "video size", f"value === '{size}'", RAMP_S)
    wait_for_statistic(small, "video size", "value === '240x135'")
