"""mediasoup-client in Chromium: layers, codecs, pauses, data channels, ICE restart; LiveKit's and WHIP's tracks too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from conftest import PATIENCE_S, Server, sign, start_server, stop_server, until
from livekit_page import LiveKitPage
from mediasoup_pages import MediasoupPage, OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(300)]
SIMULCAST = [
    {"scaleResolutionDownBy": 4, "maxBitrate": 150_000},
    {"scaleResolutionDownBy": 2, "maxBitrate": 400_000},
    {"scaleResolutionDownBy": 1, "maxBitrate": 1_200_000},
]
RAMP_S = 90


@pytest.fixture
def pair(server: Server, open_page: OpenPage, request: pytest.FixtureRequest) -> tuple[MediasoupPage, MediasoupPage]:
    room = f"r{abs(hash(request.node.name)) % 100_000}"
    pages = [MediasoupPage(open_page("/"), server, room, identity) for identity in ("alice", "bob")]
    for page in pages:
        page.join()
    return pages[0], pages[1]


def consumed(page: MediasoupPage, consumer: str) -> dict[str, Any]:
    """Parameters the server gave a consumer."""
    return page.run("id => ({ ...peer.consumers.get(id).rtpParameters, kind: peer.consumers.get(id).kind })", consumer)


@pytest.mark.parametrize("codec", ["H264", "VP9", "AV1"])
def test_each_codec_is_decoded(pair: tuple[MediasoupPage, MediasoupPage], codec: str) -> None:
    alice, bob = pair
    (video,) = alice.publish(codec=codec, audio=False)
    consumer = bob.consume(video)
    assert bob.wait_frames(consumer, size=(320, 180))["mimeType"] == f"video/{codec}"


def test_simulcast_layers_arrive_and_the_preferred_one_is_decoded(
    server: Server, pair: tuple[MediasoupPage, MediasoupPage]
) -> None:
    alice, bob = pair
    (video,) = alice.publish(width=960, height=540, encodings=SIMULCAST, audio=False)
    (track,) = server.room(alice.room, "/tracks")
    assert track["rids"] == ["r0", "r1", "r2"]
    consumer = bob.consume(video)
    (encoding,) = consumed(bob, consumer)["encodings"]
    assert encoding["scalabilityMode"].startswith("L3T")
    for layer, size in ((0, (240, 135)), (2, (960, 540)), (1, (480, 270))):
        bob.ask("set-preferred-layers", consumerId=consumer, spatialLayer=layer, temporalLayer=2)
        until(lambda size=size: bob.wait_frames(consumer, 5, size), f"layer {layer}", RAMP_S)


def test_svc_layers_are_chosen_within_one_stream(pair: tuple[MediasoupPage, MediasoupPage]) -> None:
    alice, bob = pair
    encodings = [{"scalabilityMode": "L3T3_KEY", "maxBitrate": 1_500_000}]
    (video,) = alice.publish(width=960, height=540, codec="VP9", encodings=encodings, audio=False)
    consumer = bob.consume(video)
    assert consumed(bob, consumer)["encodings"][0]["scalabilityMode"] == "L3T3_KEY"
    for layer, size in ((0, (240, 136)), (2, (960, 540))):  # the encoder makes heights even
        bob.ask("set-preferred-layers", consumerId=consumer, spatialLayer=layer, temporalLayer=2)
        until(lambda size=size: bob.wait_frames(consumer, 5, size), f"layer {layer}", RAMP_S)


def test_a_paused_consumer_gets_nothing_and_goes_on_when_resumed(pair: tuple[MediasoupPage, MediasoupPage]) -> None:
    alice, bob = pair
    video, _ = alice.publish()
    consumer = bob.consume(video)
    bob.wait_frames(consumer)
    bob.ask("pause-consumer", consumerId=consumer)
    still(bob, consumer)
    bob.ask("resume-consumer", consumerId=consumer)
    bob.wait_frames(consumer)
    assert alice.ask("pause-producer", producerId=video) == {"producerId": video, "paused": True}
    assert bob.wait_heard("producer-paused")[0]["producerId"] == video
    still(bob, consumer)
    alice.ask("resume-producer", producerId=video)
    bob.wait_frames(consumer)
    alice.ask("close-producer", producerId=video)
    assert bob.wait_heard("consumer-closed")[0]["consumerId"] == consumer


def still(page: MediasoupPage, consumer: str) -> None:
    """Wait until two looks in a row see the same number of packets."""
    seen: list[int] = []

    def quiet() -> bool:
        page.page.wait_for_timeout(700)
        seen.append(page.received(consumer)["packetsReceived"])
        return len(seen) > 1 and seen[-1] == seen[-2]

    until(quiet, "silence", PATIENCE_S)


def test_messages_on_data_channels_arrive_in_order_text_as_text(pair: tuple[MediasoupPage, MediasoupPage]) -> None:
    alice, bob = pair
    producer = alice.run("() => peer.produceData('game')")
    told = bob.wait_heard("newDataProducer")[0]
    assert (told["dataProducerId"], told["label"], told["protocol"]) == (producer, "game", "test")
    bob.run("id => peer.consumeData(id)", producer)
    alice.run("() => { peer.sendMessage('hello'); peer.sendMessage([1, 2, 255]); peer.sendMessage('Grüße'); }")
    until(lambda: len(bob.run("() => peer.messages")) == 3, "three messages")
    assert bob.run("() => peer.messages") == ["hello", [1, 2, 255], "Grüße"]
    alice.ask("close-producer", producerId=producer)
    assert bob.wait_heard("data-consumer-closed")[0]["dataProducerId"] == producer


def test_ice_restarts_and_media_goes_on(pair: tuple[MediasoupPage, MediasoupPage]) -> None:
    alice, bob = pair
    (video,) = alice.publish(audio=False)
    consumer = bob.consume(video)
    bob.wait_frames(consumer)
    alice.run("() => peer.restartIce()")
    bob.wait_frames(consumer, 30)


def test_who_is_moved_joins_the_other_room_and_is_seen_there(
    server: Server, open_page: OpenPage, pair: tuple[MediasoupPage, MediasoupPage]
) -> None:
    alice, bob = pair
    other = f"{alice.room}-other"
    carol = MediasoupPage(open_page("/"), server, other, "carol")
    carol.join()
    (video,) = alice.publish(audio=False)
    bob.wait_frames(bob.consume(video))
    headers = {
        "Authorization": f"Bearer {sign('op', {'roomAdmin': True, 'room': alice.room, 'destinationRoom': other})}"
    }
    url = f"{server.http}/api/v1/rooms/{alice.room}/participants/alice/move"
    moved = httpx.post(url, headers=headers, json={"room": other}, timeout=PATIENCE_S)
    assert moved.status_code == httpx.codes.OK, moved.text
    assert bob.wait_heard("participant-left")[0]["reason"] == "moved"
    alice.wait_heard("moved")
    assert alice.run("() => peer.follow()")["peers"] == ["carol"]
    (video,) = alice.publish(audio=False)
    assert carol.wait_heard("newProducer")[0]["producerId"] == video
    carol.wait_frames(carol.consume(video), size=(320, 180))
    assert server.identities(alice.room) == ["bob"]


def test_who_speaks_is_told(pair: tuple[MediasoupPage, MediasoupPage]) -> None:
    alice, bob = pair
    alice.publish()
    spoken = bob.wait_heard("active-speakers")[0]["speakers"]
    assert [(one["peerId"], one["active"]) for one in spoken] == [("alice", True)]


def test_a_whip_publisher_is_consumed_like_any_other(
    server: Server, open_page: OpenPage, pair: tuple[MediasoupPage, MediasoupPage]
) -> None:
    alice, _ = pair
    open_page(f"/publish/?room={alice.room}&source=testcard&codec=VP8&width=320&height=180&fps=15&autostart=1")
    video, audio = sorted(alice.wait_heard("newProducer", 2), key=lambda one: one["kind"], reverse=True)
    seen, heard = alice.consume(video["producerId"]), alice.consume(audio["producerId"])
    alice.wait_frames(seen, size=(320, 180))
    alice.wait_sound(heard)
    assert server.room(alice.room)["publishers"] == 1


@pytest.fixture(scope="module")
def with_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("sfu"), ROOMTONE_SFU_API__LISTEN="127.0.0.1:0")
    yield running
    stop_server(running)


@pytest.mark.parametrize("own_port", [True, False])
def test_signalled_over_http_two_clients_see_and_hear_each_other(
    with_port: Server, open_page: OpenPage, own_port: bool
) -> None:
    room = f"http-{own_port}"
    url = f"http://{with_port.ready['sfu'][0]}" if own_port else f"{with_port.http}/sfu"
    assert httpx.get(f"{url}/health", timeout=PATIENCE_S).json()["status"] == "ok"
    alice, bob = [
        MediasoupPage(open_page("/", with_port), with_port, room, identity, http=url) for identity in ("alice", "bob")
    ]
    alice.join()
    video, audio = alice.publish()
    (there,) = bob.join()["peers"]
    assert [one["producerId"] for one in there["producers"]] == [video, audio]
    seen, heard = bob.consume(video, paused=False), bob.consume(audio, paused=False)
    bob.wait_frames(seen, size=(320, 180))
    bob.wait_sound(heard)
    carol = MediasoupPage(open_page("/", with_port), with_port, room, "carol")
    assert [one["peerId"] for one in carol.join()["mediasoup"]["peers"]] == ["alice", "bob"]
    carol.wait_frames(carol.consume(video))
    if own_port:
        alice.page.close()  # nothing tells of it but that no packets come any more
    else:
        alice.ask("peers/alice/leave")
    gone = {one["producerId"] for one in carol.wait_heard("producer-closed", 2)}
    assert gone == {video, audio}


def test_signalled_over_http_simulcast_and_h264_arrive_and_producers_pause_and_close(
    with_port: Server, open_page: OpenPage
) -> None:
    url = f"{with_port.http}/sfu"
    alice, bob = [
        MediasoupPage(open_page("/", with_port), with_port, "http-media", identity, http=url)
        for identity in ("alice", "bob")
    ]
    alice.join()
    bob.join()
    (simulcast,) = alice.publish(width=960, height=540, encodings=SIMULCAST, audio=False)
    (track,) = with_port.room("http-media", "/tracks")
    assert track["rids"] == ["r0", "r1", "r2"]
    seen = bob.consume(simulcast, paused=False)
    bob.wait_frames(seen)
    assert consumed(bob, seen)["encodings"][0]["scalabilityMode"].startswith("L3T")
    assert alice.ask("pause-producer", producerId=simulcast) == {"producerId": simulcast, "paused": True}
    still(bob, seen)
    alice.ask("resume-producer", producerId=simulcast)
    bob.wait_frames(seen)
    (h264,) = alice.publish(codec="H264", audio=False)
    assert bob.wait_frames(bob.consume(h264, paused=False), size=(320, 180))["mimeType"] == "video/H264"
    alice.ask("close-producer", producerId=simulcast)
    until(lambda: [one["id"] for one in with_port.room("http-media", "/tracks")] == [h264], "the one track left")


def test_livekit_clients_and_mediasoup_clients_see_and_hear_each_other(server: Server, open_page: OpenPage) -> None:
    livekit = LiveKitPage(open_page("/"), server, "both", "lk")
    theirs = livekit.show(640, 360, "red")
    mediasoup = MediasoupPage(open_page("/"), server, "both", "ms")
    (there,) = mediasoup.join()["mediasoup"]["peers"]
    assert (there["peerId"], there["producers"][0]["producerId"]) == ("lk", theirs)
    mediasoup.wait_frames(mediasoup.consume(theirs))
    video, audio = mediasoup.publish()
    livekit.wait_frames(video, width=320)
    livekit.wait_sound(audio)
    tone = livekit.sound()
    mediasoup.wait_heard("newProducer")
    mediasoup.wait_sound(mediasoup.consume(tone))
    mediasoup.ask("close-producer", producerId=video)
    livekit.wait_heard("trackUnsubscribed")
