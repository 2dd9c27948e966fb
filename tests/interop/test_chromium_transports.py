"""Chromium publishes and watches over TCP only and over IPv6 only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from conftest import Server, selected_pair, start_server, stop_server, wait_for_statistic
from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
OpenPage = Callable[..., Page]
TESTCARD = "source=testcard&codec=VP8&width=640&height=360&fps=15&autostart=1"


# A network that lets through one port of TCP and nothing else: other candidates are not there.
ONE_PORT = """
const apply = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
  const passes = line => !line.startsWith("a=candidate:") || / tcp \\d+ \\S+ PORT /i.test(line);
  return apply.call(this, { type, sdp: sdp.split("\\r\\n").filter(passes).join("\\r\\n") });
};
"""


@pytest.fixture(scope="module")
def sharing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("sharing"), ROOMTONE_WEBRTC__SHARE_HTTPS_PORT="true")
    yield running
    stop_server(running)


def publish_and_watch(open_page: OpenPage, at: Server, room: str, *scripts: str) -> tuple[Page, Page]:
    """Two pages, of which the second has decoded what the first sends."""
    publisher = open_page(f"/publish/?room={room}&{TESTCARD}", at, *scripts)
    wait_for_statistic(publisher, "video frame rate", "parseFloat(value) > 1")
    viewer = open_page(f"/watch/?room={room}", at, *scripts)
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 30", 60)
    wait_for_statistic(viewer, "video size", "value === '640x360'")
    wait_for_statistic(viewer, "audio bitrate", "parseFloat(value) > 5")
    return publisher, viewer


def test_chromium_publishes_and_watches_over_tcp_alone(open_page: OpenPage, tcp_only: Server) -> None:
    pages = publish_and_watch(open_page, tcp_only, "tcp")
    assert [selected_pair(page)["remote"]["protocol"] for page in pages] == ["tcp", "tcp"]
    counted = tcp_only.metrics()
    assert counted["roomtone_engine_tcp_accepted_total"] >= 2
    assert counted["roomtone_engine_tcp_dropped_total"] == 0


def test_chromium_publishes_and_watches_over_ipv6_alone(open_page: OpenPage, ipv6_only: Server) -> None:
    pages = publish_and_watch(open_page, ipv6_only, "ipv6")
    pairs = [selected_pair(page)["remote"] for page in pages]
    assert [(pair["address"].strip("[]"), pair["protocol"]) for pair in pairs] == [("::1", "udp")] * 2


def test_chromium_publishes_and_watches_by_the_https_port_where_nothing_else_gets_through(
    open_page: OpenPage, sharing: Server
) -> None:
    port = int(sharing.ready["https"][0].rpartition(":")[2])
    pages = publish_and_watch(open_page, sharing, "shared", ONE_PORT.replace("PORT", str(port)))
    pairs = [selected_pair(page)["remote"] for page in pages]
    assert [(pair["protocol"], pair["port"]) for pair in pairs] == [("tcp", port)] * 2
