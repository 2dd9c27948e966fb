"""Who is forwarded into another room, with clients of LiveKit and of mediasoup in Chromium on either side."""

from __future__ import annotations

import httpx
import pytest
from conftest import PATIENCE_S, Server, sign, until
from livekit_page import LiveKitPage
from mediasoup_pages import MediasoupPage, OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
RED = (200, 30, 30)


def forward(server: Server, room: str, identity: str, to: str) -> None:
    """Forward somebody as an operator does."""
    bearer = sign("test", {"roomAdmin": True, "room": room, "destinationRoom": to})
    url = f"{server.http}/api/v1/rooms/{room}/participants/{identity}/forward"
    answer = httpx.post(url, json={"to": to}, headers={"Authorization": f"Bearer {bearer}"}, timeout=PATIENCE_S)
    assert answer.is_success, answer.text


def test_a_mediasoup_client_is_forwarded_to_clients_of_both_kinds(server: Server, open_page: OpenPage) -> None:
    alice = MediasoupPage(open_page("/"), server, "ms-home", "alice")
    alice.join()
    alice.publish(width=480, height=270)
    bob = LiveKitPage(open_page("/"), server, "ms-away", "bob")
    carol = MediasoupPage(open_page("/"), server, "ms-away", "carol")
    carol.join()
    forward(server, "ms-home", "alice", "ms-away")
    told = {one["kind"]: one["producerId"] for one in carol.wait_heard("newProducer", 2)}
    assert carol.wait_heard("participant-joined")[0]["peerId"] == "alice"
    assert carol.wait_frames(carol.consume(told["video"]), size=(480, 270))["mimeType"] == "video/VP8"
    carol.wait_sound(carol.consume(told["audio"]))
    bob.wait_frames(told["video"], width=480)
    bob.wait_sound(told["audio"])
    assert server.identities("ms-home") == ["alice"]
    alice.page.close()
    assert {one["producerId"] for one in carol.wait_heard("producer-closed", 2)} == set(told.values())
    assert until(lambda: bob.heard("participantDisconnected"), "that Alice is gone")[0]["what"][0] == "alice"


@pytest.mark.long
def test_a_livekit_client_is_forwarded_to_mediasoup_clients(server: Server, open_page: OpenPage) -> None:
    alice = LiveKitPage(open_page("/"), server, "lk-home", "alice")
    at_home = alice.show(320, 180, f"rgb{RED}", simulcast=False)
    alice.sound()
    carol = MediasoupPage(open_page("/"), server, "lk-away", "carol")
    carol.join()
    forward(server, "lk-home", "alice", "lk-away")
    told = {one["kind"]: one for one in carol.wait_heard("newProducer", 2)}
    assert told["video"]["producerId"] != at_home
    assert told["video"]["appData"]["source"] == "camera"
    seen = carol.consume(told["video"]["producerId"])
    carol.wait_frames(seen, size=(320, 180))
    carol.wait_sound(carol.consume(told["audio"]["producerId"]))
    dave = MediasoupPage(open_page("/"), server, "lk-home", "dave")
    dave.join()
    dave.wait_frames(dave.consume(at_home), size=(320, 180))
    server.room("lk-away", "/participants/alice", "DELETE")
    assert {one["producerId"] for one in carol.wait_heard("producer-closed", 2)} == {
        one["producerId"] for one in told.values()
    }
    dave.wait_frames(next(iter(dave.run("() => [...peer.consumers.keys()]"))))
