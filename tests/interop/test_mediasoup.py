"""mediasoup-client in Chromium over Socket.IO: pictures and tones go both ways, decoded."""

from __future__ import annotations

import pytest
from conftest import Server, wait_for_statistic
from mediasoup_pages import MediasoupPage, OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def test_two_clients_see_and_hear_each_other_and_whip_and_whep_see_them_too(
    server: Server, open_page: OpenPage
) -> None:
    room = "meeting"
    alice = MediasoupPage(open_page("/"), server, room, "alice")
    assert alice.join()["peers"] == []
    video, audio = alice.publish()
    bob = MediasoupPage(open_page("/"), server, room, "bob")
    (there,) = bob.join()["mediasoup"]["peers"]
    assert (there["peerId"], there["isProducer"]) == ("alice", True)
    assert {one["producerId"]: one["kind"] for one in there["producers"]} == {video: "video", audio: "audio"}
    assert alice.wait_heard("participant-joined")[0]["peerId"] == "bob"
    bobs_video, bobs_audio = bob.publish(width=480, height=270)
    told = alice.wait_heard("newProducer", 2)
    assert [(one["producerId"], one["peerId"]) for one in told] == [(bobs_video, "bob"), (bobs_audio, "bob")]
    assert told[0]["appData"] == {"source": "camera"}
    seen = {
        alice: [alice.consume(producer) for producer in (bobs_video, bobs_audio)],
        bob: [bob.consume(producer) for producer in (video, audio)],
    }
    for peer, size in ((alice, (480, 270)), (bob, (320, 180))):
        assert peer.wait_frames(seen[peer][0], size=size)["mimeType"] == "video/VP8"
        assert peer.wait_sound(seen[peer][1])["mimeType"] == "audio/opus"
    viewer = open_page(f"/watch/?room={room}")
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 10")
    bob.page.close()
    left = alice.wait_heard("participant-left")
    assert left[0]["peerId"] == "bob"
    assert {one["producerId"] for one in alice.wait_heard("producer-closed", 2)} == {bobs_video, bobs_audio}
    assert len(alice.wait_heard("consumer-closed", 2)) == 2
    assert server.identities(room) == ["alice"]
