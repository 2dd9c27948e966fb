"""The line panel of the watch page behind a line that is narrowed and widened: its figures follow."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from conftest import Server, until, wait_for_statistic
from playwright.sync_api import Page
from shaped_line import REWRITE, line_to

pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(240)]
OpenPage = Callable[..., Page]
WIDE_BPS, NARROW_BPS = 2_500_000, 220_000
PUBLISH = "/publish/?source=testcard&width=640&height=360&fps=15&codec=VP8&simulcast=1&kbps=1200&autostart=1"
SHOWN = """
() => {
  const all = (name, value) =>
    Object.fromEntries([...document.querySelectorAll(`[data-${name}]`)].map(one => [one.dataset[name], value(one)]));
  const tiles = all("line", one => one.textContent.trim());
  const ends = all("series", one => one.dataset.last);
  return { tiles, ends, width: document.querySelector("video").videoWidth };
}
"""
UNITS = {"kbit/s": 1_000, "Mbit/s": 1_000_000}


@dataclass(frozen=True)
class Panel:
    """What a page shows at a moment."""

    estimate_bps: float
    layer: str
    target: str
    """Of the tile; as the layer's, a RID and where that is limited the temporal layer."""
    current_end: int
    target_end: int
    estimate_end: float
    """Where the lines of the charts end: layers by number, bits per second."""
    width: int
    """Of the picture, in pixels."""

    @classmethod
    def of(cls, viewer: Page) -> Panel | None:
        """None: not all of it is known yet."""
        shown = viewer.evaluate(SHOWN)
        tiles, ends = shown["tiles"], shown["ends"]
        number, _, unit = tiles.get("estimate", "").partition(" ")
        if unit not in UNITS or not (ends["current layer"] and ends["target layer"]):
            return None
        return cls(
            estimate_bps=float(number) * UNITS[unit],
            layer=tiles["layer"],
            target=tiles["layer-note"].removeprefix("target "),
            current_end=int(ends["current layer"]),
            target_end=int(ends["target layer"]),
            estimate_end=float(ends["estimate"]),
            width=shown["width"],
        )

    def is_settled(self) -> bool:
        """Whether tiles and charts say the same, and the layer aimed at is there."""
        same = abs(self.estimate_bps - self.estimate_end) <= 0.01 * self.estimate_bps + 500
        return same and self.layer == self.target and self.current_end == self.target_end


def settled(viewer: Page, holds: Callable[[Panel], bool], what: str) -> Panel:
    """Wait until the panel shows something and stands still; the failure says what it showed."""
    seen: list[Panel] = []

    def look() -> Panel | None:
        panel = Panel.of(viewer)
        seen.extend([panel] if panel and panel not in seen[-1:] else [])
        return panel if panel and panel.is_settled() and holds(panel) else None

    try:
        return until(look, what)
    except AssertionError as error:
        raise AssertionError(f"{what}: {json.dumps([vars(panel) for panel in seen[-20:]])}") from error


def test_estimate_target_and_layer_follow_the_line_down_and_up(server: Server, open_page: OpenPage) -> None:
    publisher = open_page(f"{PUBLISH}&room=panel")
    until(lambda: server.identities("panel"), "the publisher")
    wait_for_statistic(publisher, "audio bitrate", "parseFloat(value) > 1", 40)
    with line_to(server, "panel") as line:
        line.shape(rate_bps=WIDE_BPS)
        viewer = open_page(f"/watch/?room=panel&relay={line.address}", None, REWRITE)
        wide = settled(viewer, lambda now: now.estimate_bps > 600_000 and now.width >= 320, "the wide line")
        line.shape(rate_bps=NARROW_BPS)

        def is_narrow(now: Panel) -> bool:
            # Pictures are smaller before the panel tells why.
            return now.estimate_bps < 2 * NARROW_BPS and now.width < wide.width and now.layer != wide.layer

        narrow = settled(viewer, is_narrow, "the narrow line")
        assert narrow.current_end < wide.current_end
        line.shape(rate_bps=WIDE_BPS)
        again = settled(
            viewer, lambda now: now.estimate_bps > 600_000 and now.width >= wide.width, "the line as wide again"
        )
        assert again.current_end >= wide.current_end
