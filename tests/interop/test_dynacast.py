"""Chromium stops the sizes that nobody watches, when told to, and starts them again for who comes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import until, wait_for_statistic
from playwright.sync_api import Page

pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(240)]
OpenPage = Callable[..., Page]
SENT = """
() => (peers.at(-1)?.getSenders() ?? []).filter(sender => sender.track?.kind === "video")
  .flatMap(sender => sender.getParameters().encodings)
  .filter(encoding => encoding.active).map(encoding => encoding.rid)
"""


def sends(publisher: Page, *rids: str) -> None:
    until(lambda: publisher.evaluate(SENT) == list(rids), f"the encodings {rids}", 60)


def choose(viewer: Page, body: str) -> None:
    status = viewer.evaluate(
        """async body => {
          const { url, Authorization } = resources.at(-1);
          const headers = { Authorization, "Content-Type": "application/json" };
          return (await fetch(url + "/layer", { method: "POST", headers, body })).status;
        }""",
        body,
    )
    assert status == 200


def test_what_nobody_watches_is_not_sent(open_page: OpenPage) -> None:
    publisher = open_page(
        "/publish/?room=dynacast&source=testcard&codec=VP8&simulcast=1&dynacast=1&width=960&height=540&fps=15&kbps=1200"
        "&autostart=1"
    )
    sends(publisher, "q")
    viewer = open_page("/watch/?room=dynacast")
    sends(publisher, "q", "h", "f")
    wait_for_statistic(viewer, "video size", "value === '960x540'", 60)
    choose(viewer, '{"spatialLayerId": 0}')
    sends(publisher, "q")
    wait_for_statistic(viewer, "video size", "value === '240x135'", 60)
    assert (
        publisher.evaluate("document.querySelector('[data-wanted]').textContent") == "q: wanted, h: nobody, f: nobody"
    )
    choose(viewer, "{}")
    sends(publisher, "q", "h", "f")
    wait_for_statistic(viewer, "video size", "value === '960x540'", 60)
