"""Chromium restarts ICE by PATCH with `If-Match: *` (RFC 9725 section 4.3.3): media goes on in the new generation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Server, until, wait_for_statistic
from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
OpenPage = Callable[..., Page]
TESTCARD = "source=testcard&codec=VP8&width=640&height=360&fps=15&autostart=1"
RESTART = """
async ifMatch => {
  const pc = peers.at(-1), { url, Authorization } = resources.at(-1);
  const offer = await pc.createOffer({ iceRestart: true });
  await pc.setLocalDescription(offer);
  const lines = offer.sdp.split("\\r\\n").filter(line => /^a=(ice-|group:|mid:)|^m=/.test(line));
  const headers = { Authorization, "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": ifMatch };
  const answer = await fetch(url, { method: "PATCH", headers, body: lines.join("\\r\\n") + "\\r\\n" });
  const fresh = await answer.text();
  if (answer.status !== 200) return { status: answer.status };
  const value = name => fresh.match(new RegExp(`^a=${name}:(.*)$`, "m"))[1].trim();
  const candidates = fresh.split(/\\r?\\n/).filter(line => line.startsWith("a=candidate:"));
  const before = pc.remoteDescription.sdp;
  const sdp = before.replace(/a=candidate:.*\\r\\n/g, "")
    .replace(/a=ice-ufrag:.*/g, `a=ice-ufrag:${value("ice-ufrag")}`)
    .replace(/a=ice-pwd:.*/g, `a=ice-pwd:${value("ice-pwd")}`)
    .replace(/(a=mid:.*\\r\\n)/g, (_, mid) => mid + candidates.map(line => line + "\\r\\n").join(""));
  await pc.setRemoteDescription({ type: "answer", sdp });
  return { status: 200, etag: answer.headers.get("ETag"), candidates: candidates.length,
    was: before.match(/a=ice-ufrag:(.*)/)[1].trim(), remote: value("ice-ufrag"),
    local: offer.sdp.match(/a=ice-ufrag:(.*)/)[1].trim() };
}
"""
SELECTED = """
async () => {
  const reports = [...(await peers.at(-1).getStats()).values()];
  const transport = reports.find(report => report.type === "transport");
  const pair = reports.find(report => report.id === transport?.selectedCandidatePairId);
  const fragment = id => reports.find(report => report.id === id)?.usernameFragment;
  return pair && { local: fragment(pair.localCandidateId), state: pair.state };
}
"""


def decoded(page: Page) -> int:
    return int(page.evaluate("document.querySelector('[data-stat=\"video frames decoded\"]').textContent"))


def restart(page: Page) -> None:
    """Restart ICE and wait until the pair in use is of the new generation."""
    etag = page.evaluate("resources.at(-1).etag")
    done: dict[str, Any] = page.evaluate(RESTART, "*")
    assert done["status"] == 200
    assert done["etag"] not in {None, etag}
    assert done["remote"] != done["was"]
    assert done["candidates"] > 0

    def settled() -> bool:
        pair = page.evaluate(SELECTED)
        return pair is not None and pair["local"] == done["local"] and pair["state"] == "succeeded"

    until(settled, "a pair of the new generation")


def publish_and_watch(open_page: OpenPage, room: str) -> tuple[Page, Page]:
    publisher = open_page(f"/publish/?room={room}&{TESTCARD}")
    wait_for_statistic(publisher, "video frame rate", "parseFloat(value) > 1")
    viewer = open_page(f"/watch/?room={room}")
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 15", 40)
    return publisher, viewer


def test_a_viewer_restarts_ice_and_goes_on_watching(open_page: OpenPage) -> None:
    _, viewer = publish_and_watch(open_page, "restart-viewer")
    for _ in range(2):
        restart(viewer)
        wait_for_statistic(viewer, "video frames decoded", f"Number(value) >= {decoded(viewer) + 30}", 40)


def test_a_publisher_restarts_ice_and_goes_on_being_seen(open_page: OpenPage, server: Server) -> None:
    publisher, viewer = publish_and_watch(open_page, "restart-publisher")
    for _ in range(2):
        restart(publisher)
        wait_for_statistic(viewer, "video frames decoded", f"Number(value) >= {decoded(viewer) + 30}", 40)
    assert len(server.identities("restart-publisher")) == 1


def test_a_stale_restart_is_refused_and_the_old_generation_carries_on(open_page: OpenPage) -> None:
    _, viewer = publish_and_watch(open_page, "restart-stale")
    stale = viewer.evaluate("resources.at(-1).etag")
    restart(viewer)
    refused = viewer.evaluate(
        """async etag => {
          const { url, Authorization } = resources.at(-1);
          const headers = { Authorization, "Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag };
          const body = "a=ice-ufrag:abcd\\r\\na=ice-pwd:abcdabcdabcdabcdabcdabcd\\r\\n";
          return (await fetch(url, { method: "PATCH", headers, body })).status;
        }""",
        stale,
    )
    assert refused == 412
    wait_for_statistic(viewer, "video frames decoded", f"Number(value) >= {decoded(viewer) + 30}", 40)
