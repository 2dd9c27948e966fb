"""`livekit-client` in Chromium: two participants see, hear and mute each other, change layers, resume, come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PATIENCE_S, Server, start_server, stop_server, until, wait_for_statistic
from livekit_page import LiveKitPage, move_participant
from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
OpenPage = Callable[..., Page]
RED, BLUE, GREEN = (200, 30, 30), (30, 30, 200), (30, 200, 30)
ONE = {"simulcast": False}
GOODBYE = """async () => {
  const { url, Authorization } = resources.at(-1);
  await fetch(url, { method: "DELETE", headers: { Authorization } });
}"""
"""What a page with a resource of WHIP says at its end."""
TOPOLOGIES = pytest.mark.parametrize("single", [True, False], ids=["single", "dual"])


def css(colour: tuple[int, int, int]) -> str:
    return f"rgb{colour}"


def meet(open_page: OpenPage, server: Server, room: str, **options: object) -> tuple[LiveKitPage, LiveKitPage]:
    """Two pages in a room."""
    alice = LiveKitPage(open_page("/"), server, room, "alice", **options)
    return alice, LiveKitPage(open_page("/"), server, room, "bob", **options)


def test_two_pages_share_pictures_sound_screen_and_data_until_one_is_sent_out(
    server: Server, open_page: OpenPage
) -> None:
    alice, bob = meet(open_page, server, "lk-pages")
    camera = alice.show(320, 180, css(RED), **ONE)
    bob.wait_frames(camera, width=320)
    bob.wait_colour(camera, RED)
    back = bob.show(320, 180, css(BLUE), **ONE)
    alice.wait_colour(back, BLUE)
    bob.wait_sound(alice.sound())
    screen = alice.show(400, 224, css(GREEN), source="screen_share", **ONE)
    bob.wait_frames(screen, width=400)
    assert bob.run("sid => publicationOf(sid).source", screen) == "screen_share"
    beside = alice.sound(880, "screen_share_audio")
    bob.wait_sound(beside)
    assert bob.run("sid => publicationOf(sid).source", beside) == "screen_share_audio"

    alice.say("hello", topic="news")
    assert bob.wait_heard("data", text="hello", topic="news")["from"] == "alice"
    bob.say("quick", reliable=False)
    alice.wait_heard("data", text="quick")

    alice.run("sid => room.localParticipant.getTrackPublications().find(t => t.trackSid === sid).mute()", camera)
    bob.wait_heard("trackMuted", what=[camera, "alice"])
    server.room("lk-pages", f"/tracks/{back}/muted", "PUT", {"muted": True})
    bob.wait_heard("trackMuted", what=[back, "bob"])  # the publisher is told, and mutes itself
    alice.wait_heard("trackMuted", what=[back, "bob"])

    server.room("lk-pages", "/participants/bob", "DELETE")
    participant_removed = 4
    bob.wait_heard("disconnected", what=[participant_removed])
    alice.wait_heard("participantDisconnected", what=["bob", participant_removed])


@TOPOLOGIES
def test_who_is_moved_stays_connected_and_both_rooms_see_it(
    server: Server, open_page: OpenPage, *, single: bool
) -> None:
    here, there = f"lk-here-{single}", f"lk-there-{single}"
    options = {"singlePeerConnection": single}
    alice = LiveKitPage(open_page("/"), server, here, "alice", **options)
    carol = LiveKitPage(open_page("/"), server, here, "carol", **options)
    bob = LiveKitPage(open_page("/"), server, there, "bob", **options)
    red, green, blue = (
        page.show(320, 180, css(colour)) for page, colour in ((alice, RED), (carol, GREEN), (bob, BLUE))
    )
    carol.wait_colour(red, RED)
    alice.wait_colour(green, GREEN)
    move_participant(server, here, "alice", there)
    alice.wait_heard("moved", what=[there])
    assert until(lambda: carol.heard("participantDisconnected"), "that Alice is gone")[0]["what"][0] == "alice"
    bob.wait_colour(red, RED)
    alice.wait_colour(blue, BLUE)
    bob.wait_sound(alice.sound())
    alice.say("still here", topic="news")
    assert bob.wait_heard("data", text="still here")["from"] == "alice"
    assert alice.heard("reconnecting") == alice.heard("signalReconnecting") == alice.heard("disconnected") == []
    assert alice.run("() => sockets.length") == 1
    move_participant(server, there, "alice", here)
    carol.wait_colour(red, RED)
    alice.wait_colour(green, GREEN)
    assert sorted(server.identities(here)) == ["alice", "carol"]


def test_whip_publishers_and_whep_viewers_share_the_room(server: Server, open_page: OpenPage) -> None:
    alice = LiveKitPage(open_page("/"), server, "lk-mixed", "alice")
    whip = open_page("/publish/?room=lk-mixed&source=testcard&codec=VP8&width=640&height=360&fps=15&autostart=1")
    alice.wait_heard("trackSubscribed")
    tracks = "[...room.remoteParticipants.values()].flatMap(one => one.getTrackPublications())"
    until(lambda: alice.run(f"() => {tracks}.length === 2"), "both tracks")
    sources = alice.run(f"() => Object.fromEntries({tracks}.map(t => [t.source, t.trackSid]))")
    alice.wait_frames(sources["camera"], width=640)
    alice.wait_sound(sources["microphone"])
    # With a goodbye: what closes without one is there for half a minute more.
    whip.evaluate(GOODBYE)
    alice.wait_heard("participantDisconnected")

    alice.show(320, 180, css(RED), **ONE)
    viewer = open_page("/watch/?room=lk-mixed")
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 10")
    wait_for_statistic(viewer, "video size", "value === '320x180'")


@pytest.mark.long
def test_five_pages_see_and_hear_all_others(server: Server, open_page: OpenPage) -> None:
    colours = {"a": RED, "b": BLUE, "c": GREEN, "d": (200, 200, 30), "e": (200, 30, 200)}
    pages = {name: LiveKitPage(open_page("/"), server, "lk-five-pages", name) for name in colours}
    shown = {name: page.show(160, 90, css(colours[name]), **ONE) for name, page in pages.items()}
    heard = {name: page.sound(300) for name, page in pages.items()}
    for name, page in pages.items():
        for other in colours.keys() - {name}:
            page.wait_colour(shown[other], colours[other])
            page.wait_sound(heard[other])
    pages["a"].page.close()
    for name in ("b", "c", "d", "e"):
        until(lambda name=name: pages[name].run("() => room.remoteParticipants.size") == 3, "three others")


@pytest.mark.long
def test_a_subscriber_chooses_layers_and_what_nobody_wants_is_not_sent(server: Server, open_page: OpenPage) -> None:
    alice = LiveKitPage(open_page("/"), server, "lk-layers", "alice", dynacast=True)
    bob = LiveKitPage(open_page("/"), server, "lk-layers", "bob")
    encoding = {"maxBitrate": 900_000, "maxFramerate": 15}
    camera = alice.show(960, 540, css(RED), simulcast=True, videoEncoding=encoding)
    bob.wait_frames(camera, width=960)
    bob.run("sid => publicationOf(sid).setVideoQuality(0)", camera)
    bob.wait_frames(camera, width=320)

    def active() -> list[str]:
        return sorted(rid for rid, layer in alice.sent(camera).items() if layer["active"])

    until(lambda: active() == ["q"], "only the low layer is sent")
    bob.run("sid => publicationOf(sid).setVideoDimensions({ width: 960, height: 540 })", camera)
    until(lambda: "f" in active(), "the high layer is sent again")
    bob.wait_frames(camera, width=960)
    bob.run("sid => publicationOf(sid).setEnabled(false)", camera)
    until(lambda: active() in ([], ["q"]), "hardly anything is sent to nobody")
    bob.run("sid => publicationOf(sid).setEnabled(true)", camera)
    bob.wait_frames(camera)


@pytest.mark.long
@pytest.mark.parametrize("codec", ["vp9", "av1", "h264"])
def test_other_codecs_are_published_and_their_layers_chosen(server: Server, open_page: OpenPage, codec: str) -> None:
    alice = LiveKitPage(open_page("/"), server, f"lk-{codec}", "alice", dynacast=True)
    bob = LiveKitPage(open_page("/"), server, f"lk-{codec}", "bob")
    encoding = {"maxBitrate": 900_000, "maxFramerate": 15}
    camera = alice.show(640, 360, css(RED), videoCodec=codec, videoEncoding=encoding)
    bob.wait_frames(camera, width=640)
    assert bob.run("sid => publicationOf(sid).mimeType", camera).lower() == f"video/{codec}"
    bob.run("sid => publicationOf(sid).setVideoQuality(0)", camera)
    small = until(lambda: 0 < bob.received(camera)["frameWidth"] < 640 and bob.received(camera), "a lower layer")
    bob.wait_frames(camera, width=small["frameWidth"])


@pytest.mark.long
@TOPOLOGIES
def test_tracks_come_and_go_and_sections_are_used_again(server: Server, open_page: OpenPage, *, single: bool) -> None:
    room = f"lk-again-{single}"
    alice, bob = meet(open_page, server, room, singlePeerConnection=single)
    for colour in (RED, GREEN, BLUE):
        camera = alice.show(320, 180, css(colour), **ONE)
        sound = alice.sound()
        bob.wait_colour(camera, colour)
        bob.wait_sound(sound)
        mine = "[...room.localParticipant.getTrackPublications()].find(one => one.trackSid === sid)"
        withdraw = f"sid => room.localParticipant.unpublishTrack({mine}.track)"
        for sid in (camera, sound):
            alice.run(withdraw, sid)
            bob.wait_heard("trackUnsubscribed", what=[sid, sid, "alice"])
    cameras = [alice.show(320, 180, css(colour), **ONE) for colour in (RED, GREEN, BLUE, RED, GREEN)]
    for sid, colour in zip(cameras, (RED, GREEN, BLUE, RED, GREEN), strict=True):
        bob.wait_colour(sid, colour)


@pytest.mark.long
def test_the_size_of_an_element_decides_which_layer_comes(server: Server, open_page: OpenPage) -> None:
    alice = LiveKitPage(open_page("/"), server, "lk-adaptive", "alice")
    bob = LiveKitPage(open_page("/"), server, "lk-adaptive", "bob", adaptiveStream={"pixelDensity": 1})
    encoding = {"maxBitrate": 900_000, "maxFramerate": 15}
    camera = alice.show(960, 540, css(RED), simulcast=True, videoEncoding=encoding)
    until(lambda: bob.run("sid => !!document.getElementById(sid)", camera), "the element")
    resize = (
        "([sid, width]) => Object.assign(document.getElementById(sid).style, { width: `${width}px`, height: 'auto' })"
    )
    for shown, sent in ((200, 320), (960, 960), (300, 320)):
        bob.run(resize, [camera, shown])
        bob.wait_frames(camera, width=sent)
    bob.run("sid => { document.getElementById(sid).style.display = 'none'; }", camera)
    publication = "sid => publicationOf(sid)"
    until(lambda: not bob.run(f"sid => ({publication})(sid).isEnabled", camera), "a hidden picture is not wanted")
    before = bob.received(camera)["framesDecoded"]
    bob.run("sid => { document.getElementById(sid).style.display = 'block'; }", camera)
    bob.wait_frames(camera)
    assert bob.received(camera)["framesDecoded"] > before


@pytest.mark.long
@TOPOLOGIES
def test_media_goes_on_while_a_cut_socket_is_replaced(server: Server, open_page: OpenPage, *, single: bool) -> None:
    alice, bob = meet(open_page, server, f"lk-resume-{single}", singlePeerConnection=single)
    camera = alice.show(320, 180, css(RED), **ONE)
    back = bob.show(320, 180, css(BLUE), **ONE)
    bob.wait_frames(camera)
    alice.wait_frames(back)
    for page in (alice, bob):
        page.run(
            "() => { heard.length = 0; window.longest = 0; let last = performance.now(); "
            "const video = document.querySelector('video'); const next = () => { const now = performance.now(); "
            "window.longest = Math.max(window.longest, now - last); last = now; "
            "video.requestVideoFrameCallback(next); }; video.requestVideoFrameCallback(next); }"
        )
        page.run("() => sockets.at(-1).close()")
        page.wait_heard("signalReconnecting")
        page.wait_heard("reconnected")
        assert page.heard("disconnected") == page.heard("reconnecting") == []
        bob.wait_frames(camera)
        alice.wait_frames(back)
        assert page.run("() => window.longest") < PATIENCE_S * 1000 / 10  # no picture is missing for long
    late = alice.show(400, 224, css(GREEN), **ONE)
    bob.wait_colour(late, GREEN)
    assert sorted(server.identities(f"lk-resume-{single}")) == ["alice", "bob"]


@pytest.mark.long
@pytest.mark.parametrize("scenario", ["leave-full-reconnect", "node-failure", "migration", "server-leave"])
def test_a_client_that_the_server_tells_to_join_anew_does_so_with_its_tracks(
    server: Server, open_page: OpenPage, scenario: str
) -> None:
    alice, bob = meet(open_page, server, f"lk-{scenario}")
    bob.wait_frames(alice.show(320, 180, css(RED), **ONE))
    alice.run("scenario => room.simulateScenario(scenario)", scenario)
    alice.wait_heard("reconnected")
    published = "() => [...room.localParticipant.trackPublications.values()].map(one => one.trackSid)"
    (again,) = until(lambda: alice.run(published), "her track")
    bob.wait_colour(again, RED)
    assert sorted(server.identities(f"lk-{scenario}")) == ["alice", "bob"]


@pytest.mark.long
@TOPOLOGIES
def test_all_come_back_when_the_server_has_restarted(
    tmp_path: Path, browser: object, open_page: OpenPage, *, single: bool
) -> None:
    del browser
    first = start_server(tmp_path / "first")
    port = first.ready["http"][0].rpartition(":")[2]
    second: Server | None = None
    try:
        pages = []
        for identity in ("alice", "bob"):
            page = open_page("/", first)
            pages.append(LiveKitPage(page, first, "lk-restart", identity, singlePeerConnection=single))
        alice, bob = pages
        camera = alice.show(320, 180, css(RED), **ONE)
        bob.wait_frames(camera)
    finally:
        stop_server(first)
    try:
        second = start_server(tmp_path / "second", ROOMTONE_HTTP__LISTEN=f"127.0.0.1:{port}")
        for page in (alice, bob):
            page.wait_heard("reconnected")
        again = until(
            lambda: bob.run(
                "() => [...room.remoteParticipants.values()]"
                ".flatMap(one => one.getTrackPublications()).map(track => track.trackSid)[0]"
            ),
            "the track after the restart",
        )
        bob.wait_colour(again, RED)
        assert sorted(second.identities("lk-restart")) == ["alice", "bob"]
    finally:
        if second is not None:
            stop_server(second)


@pytest.mark.long
def test_a_page_with_a_connection_for_each_way_does_the_same(server: Server, open_page: OpenPage) -> None:
    alice, bob = meet(open_page, server, "lk-dual", singlePeerConnection=False)
    bob.wait_colour(alice.show(320, 180, css(RED), **ONE), RED)
    alice.wait_colour(bob.show(320, 180, css(BLUE), **ONE), BLUE)
    bob.wait_sound(alice.sound())
    alice.say("hello")
    bob.wait_heard("data", text="hello")
