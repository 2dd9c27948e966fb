"""Firefox beside Chromium: LiveKit's and mediasoup's clients, the room page, WHIP and WHEP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Server, start_server, stop_server, until, wait_for_statistic
from firefox import PROGRAM, Firefox, launched, own_address
from livekit_page import LiveKitPage
from mediasoup_pages import MediasoupPage
from meeting_page import OpenPage, join

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path(PROGRAM).exists(), reason="firefox-esr is not installed"),
]
# What is typed must reach React, which looks at the native setter's doing and the event after it.
TYPE = """
([label, text]) => {
  const named = [...document.querySelectorAll("label")].find(one => one.textContent.includes(label));
  const field = named?.control;
  if (!field) return false;
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return true;
}
"""
PRESS = """
name => {
  const button = [...document.querySelectorAll("button")].find(one => one.textContent.trim() === name && !one.disabled);
  button?.click();
  return button !== undefined;
}
"""
# Firefox counts the pictures of a stream by callbacks only.
SHOWN = """
label => new Promise(done => {
  const video = [...document.querySelectorAll("video")].find(one => one.getAttribute("aria-label") === label);
  let count = 0;
  const shown = () => {
    count += 1;
    video.requestVideoFrameCallback(shown);
  };
  video?.requestVideoFrameCallback(shown);
  setTimeout(() => done(count), 1000);
})
"""
SPEAK = """
async () => {
  const [track] = (await navigator.mediaDevices.getUserMedia({ audio: true })).getAudioTracks();
  const transport = await peer.sendTransport();
  return (await transport.produce({ track, appData: { source: "microphone" } })).id;
}
"""
RED, BLUE = (200, 30, 30), (30, 30, 200)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("data"), ROOMTONE_WEBRTC__LISTEN_IPS=own_address())
    yield running
    stop_server(running)


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    with launched(tmp_path_factory.mktemp("firefox") / "profile") as browser:
        yield browser
        assert browser.errors == []


@pytest.mark.parametrize("single", [True, False], ids=["single", "dual"])
def test_livekits_client_in_firefox_and_in_chromium_see_hear_and_write_to_each_other(
    server: Server, firefox: Firefox, open_page: OpenPage, *, single: bool
) -> None:
    room, options = f"ff-lk-{single}", {"singlePeerConnection": single}
    alice = LiveKitPage(firefox.open(server.http), server, room, "alice", **options)
    bob = LiveKitPage(open_page("/"), server, room, "bob", **options)
    red, blue = alice.show(320, 180, f"rgb{RED}"), bob.show(320, 180, f"rgb{BLUE}")
    low = alice.run("async () => (await room.localParticipant.setMicrophoneEnabled(true)).trackSid")
    high = bob.sound(660)
    bob.wait_colour(red, RED)
    alice.wait_colour(blue, BLUE)
    bob.wait_sound(low)
    alice.wait_sound(high)
    alice.say("from Firefox", topic="news")
    assert bob.wait_heard("data", text="from Firefox")["from"] == "alice"
    bob.say("from Chromium", topic="news")
    assert alice.wait_heard("data", text="from Chromium")["from"] == "bob"


def test_mediasoups_client_in_firefox_and_in_chromium_see_and_hear_each_other(
    server: Server, firefox: Firefox, open_page: OpenPage
) -> None:
    alice = MediasoupPage(firefox.open(server.http), server, "ff-ms", "alice")
    bob = MediasoupPage(open_page("/"), server, "ff-ms", "bob")
    alice.join()
    bob.join()
    (video,) = alice.publish(audio=False)
    bob.wait_frames(bob.consume(video), size=(320, 180))
    bob.wait_sound(bob.consume(alice.run(SPEAK)))
    video, audio = bob.publish()
    alice.wait_frames(alice.consume(video), size=(320, 180))
    alice.wait_sound(alice.consume(audio))


def test_somebody_with_firefox_is_in_a_meeting_of_the_room_page(
    server: Server, firefox: Firefox, open_page: OpenPage
) -> None:
    page = firefox.open(f"{server.http}/room/?room=ff-meet")
    page.wait_for_function(TYPE, arg=["Your name", "Ada"])
    page.wait_for_function(PRESS, arg="Join")
    page.wait_for_function("() => document.querySelector('.meeting') !== null")
    bob = join(open_page, "ff-meet", "Bob")
    bob.wait_people(2)
    bob.wait_picture("Picture of Ada")
    until(lambda: page.evaluate(SHOWN, "Picture of Bob") >= 5, "five pictures of Bob in a second")


def test_firefox_publishes_by_whip_and_watches_by_whep(server: Server, firefox: Firefox, open_page: OpenPage) -> None:
    firefox.open(
        f"{server.http}/publish/?room=ff-whip&source=testcard&codec=VP8&width=320&height=180&fps=15&autostart=1"
    )
    watching = [firefox.open(f"{server.http}/watch/?room=ff-whip"), open_page("/watch/?room=ff-whip")]
    for page in watching:
        wait_for_statistic(page, "video frames decoded", "Number(value) >= 10", 60)
        wait_for_statistic(page, "video size", "value === '320x180'", 60)
    until(lambda: server.room("ff-whip")["publishers"] == 1, "one publisher")
