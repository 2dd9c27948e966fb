"""A server that listens on several addresses is reached by each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from aiortc_peer import Peer, assert_sees_and_hears, live, publish, watch
from conftest import Server, start_server, stop_server

pytestmark = pytest.mark.timeout(120)
ADDRESSES = ("127.0.0.1", "127.0.0.2")
CANDIDATE = re.compile(r"a=candidate:\S+ \d+ (?:udp|UDP) \d+ (\S+) \d+ .*\r\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("both"), ROOMTONE_WEBRTC__LISTEN_IPS=",".join(ADDRESSES))
    yield running
    stop_server(running)


def remote(peer: Peer) -> str:
    """The address that a connection's media goes to."""
    ice = peer.pc.getTransceivers()[0].receiver.transport.transport
    pair = ice._connection._nominated[1]
    address: str = pair.remote_candidate.host
    return address


def only(address: str) -> Callable[[str], str]:
    """Change an answer so that one address is all there is of it."""

    def edit(sdp: str) -> str:
        return CANDIDATE.sub(lambda line: line[0] if line[1] == address else "", sdp)

    return edit


@pytest.mark.parametrize(("publishes", "watches"), [ADDRESSES, ADDRESSES[::-1]])
async def test_media_passes_by_each_address_that_the_server_listens_on(
    server: Server, publishes: str, watches: str
) -> None:
    room = f"from-{publishes}"
    publisher = await publish(server, room, take=only(publishes))
    await live(server, room)
    viewer = await watch(server, room, take=only(watches))
    try:
        assert set(CANDIDATE.findall(viewer.answer)) == set(ADDRESSES)
        await assert_sees_and_hears(viewer)
        assert (remote(publisher), remote(viewer)) == (publishes, watches)
    finally:
        await viewer.close()
        await publisher.close()
