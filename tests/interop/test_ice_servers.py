"""Pages ask the STUN servers that the settings name: what the server says of them is what their browser uses."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from conftest import Server, start_server, stop_server, until, wait_for_statistic
from meeting_page import OpenPage
from phone_page import phone_page
from test_desk_phone import api

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
MAGIC_COOKIE = bytes.fromhex("2112a442")
BINDING_REQUEST = b"\x00\x01"
TESTCARD = "source=testcard&codec=VP8&width=320&height=180&fps=10&autostart=1"


@pytest.fixture(scope="module")
def stun() -> Iterator[socket.socket]:
    """Where a STUN server would be; it answers nobody."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as found:
        found.bind(("127.0.0.1", 0))
        found.setblocking(False)
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, stun: socket.socket) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ice")
    config = folder / "roomtone.toml"
    config.write_text(f'[[ice.servers]]\nurls = ["stun:127.0.0.1:{stun.getsockname()[1]}"]\n')
    running = start_server(folder / "data", "--config", str(config))
    yield running
    stop_server(running)


def asked(stun: socket.socket) -> int:
    """How many Binding requests (RFC 8489) have come since the last look."""
    found = 0
    while True:
        try:
            packet = stun.recv(2048)
        except BlockingIOError:
            return found
        found += packet[:2] == BINDING_REQUEST and packet[4:8] == MAGIC_COOKIE


def test_a_publisher_and_a_viewer_ask_the_server_they_are_told(open_page: OpenPage, stun: socket.socket) -> None:
    publisher = open_page(f"/publish/?room=told&{TESTCARD}")
    wait_for_statistic(publisher, "video frame rate", "parseFloat(value) > 1")
    until(lambda: asked(stun), "the publisher's request")
    publisher.wait_for_function("peers.at(-1).iceGatheringState === 'complete'", timeout=40_000)
    asked(stun)
    viewer = open_page("/watch/?room=told")
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 15", 40)
    until(lambda: asked(stun), "the viewer's request")


def test_a_phone_asks_the_server_it_is_told(open_page: OpenPage, server: Server, stun: socket.socket) -> None:
    api(server, "sip-accounts", "POST", {"username": "ada", "password": "secret of ada"})
    ada = phone_page(open_page, server, "ada")
    asked(stun)
    ada.dial("nobody")
    until(lambda: asked(stun), "the phone's request")
