"""What encoders publish by SRT and RTMP is in the room of its name: seen and heard by WHEP, LiveKit and mediasoup.

Pages are driven from this thread, where Playwright keeps its loop; LiveKit's client runs in a loop of another.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from aiortc_peer import TONE_HZ, assert_is_the_picture
from conftest import Run, Server, start_server, stop_server, token, until, wait_for_statistic
from livekit import rtc
from livekit_peer import LiveKitPeer, hear_tone, pictures
from mediasoup_pages import MediasoupPage, OpenPage
from phone_page import EAR
from playwright.sync_api import Page
from test_encoders import AAC, AV1, H264, OPUS, REORDERED, encoder, ingests, playlist, rtmp, srt

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
AT_ONCE = (*H264, "-tune", "zerolatency")
INGRESS = 1
"""`ParticipantInfo.Kind.INGRESS` of LiveKit's protocol."""
SIZE = (320, 240)
BIT, BITS = 10, 32
"""Pixels of a bit of the clock that is drawn into pictures; milliseconds modulo 2 to the power of so many."""
READ_CLOCK = """
([bit, bits, count]) => new Promise((done) => {
  const video = document.querySelector("video"), canvas = new OffscreenCanvas(bit * bits, bit);
  const context = canvas.getContext("2d", { willReadFrequently: true }), late = [];
  const look = () => {
    context.drawImage(video, 0, 0, bit * bits, bit, 0, 0, bit * bits, bit);
    const { data } = context.getImageData(0, 0, bit * bits, bit);
    let drawn = 0;
    for (let at = 0; at < bits; at++) {
      const light = data[4 * ((bit / 2) * bit * bits + at * bit + bit / 2)] > 128;
      drawn = drawn * 2 + (light ? 1 : 0);
    }
    late.push((Date.now() - drawn) % 2 ** bits);
    if (late.length < count) video.requestVideoFrameCallback(look); else done(late);
  };
  video.requestVideoFrameCallback(look);
})
"""


def hears_the_tone(page: Page) -> None:
    """Wait until the page's newest connection brings the tone of the encoder."""

    def heard() -> bool:
        page.wait_for_timeout(200)
        return abs((page.evaluate(EAR) or 0) - TONE_HZ) < 10

    until(heard, "the encoder's tone")


def attributes(server: Server, name: str) -> dict[str, str]:
    """What is said of the encoder in the room."""
    people = server.room(name, "/participants") if server.identities(name) else []
    return next((person["attributes"] for person in people if person["identity"] == "encoder"), {})


@pytest.mark.parametrize("protocol", ["srt", "rtmp"])
def test_whep_and_livekit_and_mediasoup_show_what_an_encoder_sends(
    server: Server, tmp_path: Path, open_page: OpenPage, run: Run[Any], protocol: str
) -> None:
    name = f"{protocol}-room"
    url = srt(server, f"publish:{name}") if protocol == "srt" else rtmp(server, name)
    with encoder(tmp_path / "log", url, *AT_ONCE, sound=OPUS):
        until(lambda: "encoder" in server.identities(name), "the encoder in its room")
        watching = open_page(f"/watch/?room={name}")
        wait_for_statistic(watching, "video frames decoded", "Number(value) >= 30")
        wait_for_statistic(watching, "video size", "value === '320x240'")
        assert wait_for_statistic(watching, "video codec", "value !== ''") == "H264"
        hears_the_tone(watching)
        run(seen_and_heard_by_livekit(server, name))
        bob = MediasoupPage(open_page("/"), server, name, "bob")
        (there,) = bob.join()["mediasoup"]["peers"]
        producers = {one["kind"]: one["producerId"] for one in there["producers"]}
        assert (there["peerId"], producers.keys()) == ("encoder", {"audio", "video"})
        bob.wait_frames(bob.consume(producers["video"]), size=SIZE)
        bob.wait_sound(bob.consume(producers["audio"]))
        until(lambda: "#EXTINF" in playlist(server, name), "the same as a live stream")
    until(lambda: "encoder" not in server.identities(name), "the encoder's leaving")


async def seen_and_heard_by_livekit(server: Server, name: str) -> None:
    async with LiveKitPeer() as alice:
        await alice.connect(server.http, token(name, "alice"))
        tracks = {}
        while len(tracks) < 2:
            found = await asyncio.wait_for(alice.subscribed.get(), 60)
            assert (found.participant.identity, found.participant.kind) == ("encoder", INGRESS)
            tracks[found.track.kind] = found.track
        async with pictures(tracks[rtc.TrackKind.KIND_VIDEO]) as seen:
            async for picture in seen:
                if picture.shape[:2] == (SIZE[1], SIZE[0]):
                    assert_is_the_picture(picture[:, :, :3].mean(axis=2))
                    break
        assert abs(await hear_tone(tracks[rtc.TrackKind.KIND_AUDIO]) - TONE_HZ) < 5


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Server]:
    """A server that makes nothing anew."""
    running = start_server(tmp_path / "plain", ROOMTONE_LIVE__WEBRTC_MAKING="off")
    yield running
    stop_server(running)


def test_what_webrtc_does_not_carry_is_said_and_the_rest_is_shown(
    plain: Server, tmp_path: Path, open_page: OpenPage
) -> None:
    server = plain
    with encoder(tmp_path / "half", rtmp(server, "half"), *AT_ONCE, sound=AAC):
        until(lambda: "unavailable.audio" in attributes(server, "half"), "what is said of AAC")
        assert attributes(server, "half") == {
            "unavailable.audio": "WebRTC does not carry AAC; have the encoder send Opus"
        }
        watching = open_page("/watch/?room=half", server)
        wait_for_statistic(watching, "video frames decoded", "Number(value) >= 30")
        listed = ingests(server, "half")
        assert (listed["in_room"], listed["unavailable"].keys()) == (True, {"audio"})
    with encoder(tmp_path / "none", rtmp(server, "none"), *REORDERED, sound=AAC):
        until(lambda: len(attributes(server, "none")) == 2, "what is said of B-frames")
        refused = whep(server, "none")
        assert refused.status_code == httpx.codes.NOT_ACCEPTABLE
        assert "B-frames" in refused.json()["detail"]
        assert "WebRTC does not carry AAC" in refused.json()["detail"]


@pytest.mark.long
def test_av1_of_an_encoder_is_watched_by_whep(server: Server, tmp_path: Path, open_page: OpenPage) -> None:
    with encoder(tmp_path / "log", rtmp(server, "whep-av1"), *AV1, sound=OPUS):
        until(lambda: "encoder" in server.identities("whep-av1"), "the encoder in its room")
        watching = open_page("/watch/?room=whep-av1")
        wait_for_statistic(watching, "video frames decoded", "Number(value) >= 30")
        assert wait_for_statistic(watching, "video codec", "value !== ''") == "AV1"
        hears_the_tone(watching)


def whep(server: Server, name: str) -> httpx.Response:
    """Ask to watch, with an offer that takes everything."""
    kinds = {"audio": "111", "video": "102"}
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
    for mid, (kind, number) in enumerate(kinds.items()):
        codec = "opus/48000/2" if kind == "audio" else "H264/90000"
        lines += [
            f"m={kind} 9 UDP/TLS/RTP/SAVPF {number}",
            "c=IN IP4 0.0.0.0",
            f"a=mid:{mid}",
            "a=recvonly",
            "a=rtcp-mux",
            "a=ice-ufrag:ufrag",
            "a=ice-pwd:passwordpasswordpassword",
            f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}",
            "a=setup:actpass",
            f"a=rtpmap:{number} {codec}",
        ]
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token(name, 'viewer')}"}
    return httpx.post(f"{server.http}/whep/{name}", content="\r\n".join([*lines, ""]), headers=headers, timeout=40)


@contextmanager
def clock(url: str, gop: int) -> Iterator[list[BaseException]]:
    """Publish pictures that have the time in them, by RTMP."""
    stop, failures = threading.Event(), list[BaseException]()

    def publish() -> None:
        try:
            with av.open(url, "w", format="flv", options={"flush_packets": "1"}) as out:
                video = out.add_stream("libx264", rate=25)
                video.width, video.height, video.pix_fmt, video.gop_size = 640, 360, "yuv420p", gop
                video.options = {"preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0"}
                begun, count = time.monotonic(), 0
                while not stop.wait(max(0.0, begun + count / 25 - time.monotonic())):
                    picture = np.full((360 * 3 // 2, 640), 128, np.uint8)
                    now = time.time_ns() // 1_000_000
                    for at in range(BITS):
                        light = now >> (BITS - 1 - at) & 1
                        picture[:BIT, at * BIT : (at + 1) * BIT] = 235 if light else 16
                    frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
                    frame.pts, frame.time_base = count, Fraction(1, 25)
                    out.mux(video.encode(frame))
                    count += 1
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield failures
    finally:
        stop.set()
        thread.join()


def test_what_an_encoder_sends_is_seen_by_whep_when_it_is_sent(server: Server, open_page: OpenPage) -> None:
    with clock(rtmp(server, "clock"), gop=25 * 2) as failures:
        until(lambda: ingests(server, "clock"), "the stream")
        until(lambda: ingests(server, "clock")["in_room"], "the encoder in its room")
        watching = open_page("/watch/?room=clock")
        wait_for_statistic(watching, "video frames decoded", "Number(value) >= 10")
        late = watching.evaluate(READ_CLOCK, [BIT, BITS, 150])
        found = {"first": late[0], "median": statistics.median(late[50:]), "worst": max(late[50:])}
        print(f"milliseconds from the encoder to the screen: {found}")  # noqa: T201 - a figure to look at
        assert statistics.median(late[50:]) < 3_000, late
    assert failures == []


@pytest.mark.long
def test_the_demo_is_seen_and_heard_on_the_page(tmp_path: Path, open_page: OpenPage) -> None:
    demo = start_server(tmp_path, "--demo")
    try:
        watching = open_page("/watch/?room=demo", demo)
        wait_for_statistic(watching, "video frames decoded", "Number(value) >= 30")
        wait_for_statistic(watching, "video size", "value === '640x360'")

        def hums() -> bool:
            watching.wait_for_timeout(200)
            return abs((watching.evaluate(EAR) or 0) - 440) < 10

        until(hums, "the hum of the test card")
        assert demo.identities("demo") == ["encoder"]
    finally:
        stop_server(demo)
