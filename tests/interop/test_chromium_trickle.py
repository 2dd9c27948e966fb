"""Chromium watches with an offer that names no candidate; they follow one by one, by PATCH, as it finds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Server, token, until, wait_for_statistic
from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
OpenPage = Callable[..., Page]
TESTCARD = "source=testcard&codec=VP8&width=640&height=360&fps=15&autostart=1"
# The answer is applied after the last candidate, so that every PATCH comes before the first check.
WATCH = """
async ({ endpoint, Authorization }) => {
  const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" }), found = [];
  const gathered = new Promise(end => {
    pc.onicecandidate = ({ candidate }) => candidate === null ? end() : candidate.candidate && found.push(candidate);
  });
  pc.addTransceiver("video", { direction: "recvonly" });
  pc.addTransceiver("audio", { direction: "recvonly" });
  const offer = await pc.createOffer();
  await pc.setLocalDescription(offer);
  const answer = await fetch(endpoint,
    { method: "POST", headers: { Authorization, "Content-Type": "application/sdp" }, body: offer.sdp });
  const url = new URL(answer.headers.get("Location"), endpoint), etag = answer.headers.get("ETag");
  const sdp = await answer.text(), statuses = [];
  await gathered;
  const credentials = offer.sdp.match(/a=ice-(ufrag|pwd):.*/g).slice(0, 2).join("\\r\\n");
  const patch = async (lines, headers) => {
    const body = `${credentials}\\r\\nm=video 9 UDP/TLS/RTP/SAVPF 0\\r\\na=mid:0\\r\\n${lines}\\r\\n`;
    const type = { Authorization, "Content-Type": "application/trickle-ice-sdpfrag" };
    return (await fetch(url, { method: "PATCH", headers: { ...type, ...headers }, body })).status;
  };
  for (const candidate of found) statuses.push(await patch(`a=${candidate.candidate}`, { "If-Match": etag }));
  statuses.push(await patch("a=end-of-candidates", { "If-Match": etag }));
  const unconditional = await patch("a=end-of-candidates", {});
  const stale = await patch("a=end-of-candidates", { "If-Match": '"of another day"' });
  const video = document.body.appendChild(document.createElement("video"));
  video.muted = video.autoplay = true;
  video.srcObject = new MediaStream();
  pc.ontrack = ({ track }) => video.srcObject.addTrack(track);
  await pc.setRemoteDescription({ type: "answer", sdp });
  return { named: (offer.sdp.match(/a=candidate/g) ?? []).length, found: found.length, statuses, unconditional, stale };
}
"""
ARRIVED = """
async () => {
  const reports = [...(await peers.at(-1).getStats()).values()].filter(report => report.type === "inbound-rtp");
  const of = kind => reports.find(report => report.kind === kind) ?? {};
  const { framesDecoded = 0, frameWidth, frameHeight } = of("video");
  return { decoded: framesDecoded, size: [frameWidth, frameHeight], sound: of("audio").packetsReceived ?? 0 };
}
"""


def test_candidates_that_follow_by_patch_are_taken_and_media_flows(server: Server, open_page: OpenPage) -> None:
    publisher = open_page(f"/publish/?room=trickle&{TESTCARD}")
    wait_for_statistic(publisher, "video frame rate", "parseFloat(value) > 1")
    viewer = open_page("/")
    told: dict[str, Any] = viewer.evaluate(
        WATCH, {"endpoint": f"{server.http}/whep/trickle", "Authorization": f"Bearer {token('trickle', 'viewer')}"}
    )
    assert told["named"] == 0
    assert told["found"] > 0
    assert told["statuses"] == [204] * (told["found"] + 1)
    assert (told["unconditional"], told["stale"]) == (428, 412)

    def arrived() -> dict[str, Any] | None:
        seen: dict[str, Any] = viewer.evaluate(ARRIVED)
        return seen if seen["decoded"] >= 20 and seen["sound"] > 20 else None

    width, height = until(arrived, "decoded pictures and sound")["size"]
    assert width * 9 == height * 16 > 0
