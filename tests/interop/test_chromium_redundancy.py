"""Chromium publishes Opus with and without redundancy to viewers that prefer it, know it, or do not take it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import Server, until, wait_for_statistic
from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

OpenPage = Callable[..., Page]
TESTCARD = "source=testcard&codec=VP8&width=320&height=180&fps=10&autostart=1"
# Offers audio in this order of codecs, and none beside.
PREFER = """
(() => {
  const names = %s;
  const offer = RTCPeerConnection.prototype.createOffer;
  RTCPeerConnection.prototype.createOffer = function (...given) {
    for (const transceiver of this.getTransceivers()) {
      if (transceiver.receiver.track.kind !== "audio") continue;
      const side = transceiver.direction === "sendonly" ? RTCRtpSender : RTCRtpReceiver;
      const all = side.getCapabilities("audio").codecs;
      const of = (name) => all.filter((codec) => codec.mimeType.toLowerCase() === `audio/${name}`);
      transceiver.setCodecPreferences(names.flatMap(of));
    }
    return offer.apply(this, given);
  };
})();
"""
RED_FIRST, RED_LAST, NO_RED = (PREFER % names for names in ('["red", "opus"]', '["opus", "red"]', '["opus"]'))


def publish(open_page: OpenPage, room: str, preferences: str) -> Page:
    publisher = open_page(f"/publish/?room={room}&{TESTCARD}", None, preferences)
    wait_for_statistic(publisher, "video frame rate", "parseFloat(value) > 1")
    return publisher


def watch(open_page: OpenPage, room: str, preferences: str) -> Page:
    viewer = open_page(f"/watch/?room={room}", None, preferences)
    wait_for_statistic(viewer, "audio bitrate", "parseFloat(value) > 5")
    return viewer


def heard(page: Page, packets: int = 150) -> dict[str, Any]:
    """What arrives as audio, once so many packets have."""

    def look() -> dict[str, Any] | None:
        found = page.evaluate(
            """async () => {
              const reports = [...(await peers.at(-1).getStats()).values()];
              return reports.find((report) => report.type === "inbound-rtp" && report.kind === "audio");
            }"""
        )
        return found if found is not None and found["packetsReceived"] >= packets else None

    return until(look, "audio")


def sent(server: Server, room: str, page: Page) -> dict[str, Any]:
    """What the server says of the audio it sends to a viewer."""
    ssrc = heard(page)["ssrc"]
    reports = [
        report
        for viewer in server.room(room, "/statistics")["viewers"]
        for subscription in viewer["subscriptions"].values()
        for report in subscription
    ]
    return next(report for report in reports if report["type"] == "outbound-rtp" and report["ssrc"] == ssrc)


def bytes_of_a_packet(audio: dict[str, Any]) -> float:
    """Mean length of what arrives as one packet."""
    return audio["bytesReceived"] / audio["packetsReceived"]


def is_clean(audio: dict[str, Any]) -> bool:
    """Whether next to nothing of what is heard is invented; the machine may be busy."""
    return audio["packetsLost"] == 0 and audio["concealedSamples"] < 0.2 * audio["totalSamplesReceived"]


def is_redundant(audio: dict[str, Any]) -> bool:
    """Whether each packet brought another one along, which was there already and counts as discarded."""
    return audio["packetsDiscarded"] >= 0.9 * audio["packetsReceived"]


def test_a_publishers_redundancy_is_kept_and_unpacked(open_page: OpenPage, server: Server) -> None:
    publish(open_page, "red", RED_FIRST)
    keeping, plain = watch(open_page, "red", RED_LAST), watch(open_page, "red", NO_RED)
    kept, unpacked = heard(keeping), heard(plain)
    assert is_clean(kept)
    assert is_redundant(kept)
    assert is_clean(unpacked)
    assert not is_redundant(unpacked)
    assert bytes_of_a_packet(kept) > 1.6 * bytes_of_a_packet(unpacked), "each packet comes with the one before"
    assert sent(server, "red", keeping)["packetsUnpacked"] == 0
    assert sent(server, "red", plain)["packetsUnpacked"] >= 150
    assert sent(server, "red", keeping)["packetsMadeRedundant"] == 0


def test_redundancy_is_made_for_a_viewer_that_prefers_it(open_page: OpenPage, server: Server) -> None:
    publish(open_page, "plain", NO_RED)
    asking, knowing = watch(open_page, "plain", RED_FIRST), watch(open_page, "plain", RED_LAST)
    made, given = heard(asking), heard(knowing)
    assert is_clean(made)
    assert is_redundant(made)
    assert is_clean(given)
    assert not is_redundant(given)
    assert bytes_of_a_packet(made) > 1.6 * bytes_of_a_packet(given), "each packet comes with the one before"
    assert sent(server, "plain", asking)["packetsMadeRedundant"] >= 150
    assert sent(server, "plain", knowing)["packetsMadeRedundant"] == 0
