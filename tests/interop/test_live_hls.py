"""FFmpeg publishes by WHIP and the room is live: read by FFmpeg, by hls.js in Chromium, and by the checker."""

from __future__ import annotations

import contextlib
import fractions
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import httpx
import numpy as np
import pytest
from conftest import PATIENCE_S, Server, sign, token, until
from hls_checker import broken, check_hls
from playwright.sync_api import Page

pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(180)]
WIDTH, HEIGHT, RATE = 320, 240, 15
TONE_HZ = 440
COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30))
"""Of the four quarters, from the upper left by rows."""


def picture() -> av.VideoFrame:
    quarters = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    for at, colour in enumerate(COLOURS):
        top, left = at // 2 * HEIGHT // 2, at % 2 * WIDTH // 2
        quarters[top : top + HEIGHT // 2, left : left + WIDTH // 2] = colour
    return av.VideoFrame.from_ndarray(quarters, format="rgb24")


def tone(at: int, hz: int) -> av.AudioFrame:
    wave = 8000 * np.sin(2 * np.pi * hz * (at * 960 + np.arange(960)) / 48_000)
    frame = av.AudioFrame.from_ndarray(np.repeat(wave.astype(np.int16), 2).reshape(1, -1), "s16", "stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, at * 960, fractions.Fraction(1, 48_000)
    return frame


def publish(url: str, bearer: str, stop: threading.Event, failure: list[BaseException], hz: int = TONE_HZ) -> None:
    """Four colours and a tone in real time until told to stop."""
    try:
        with av.open(url, mode="w", format="whip", options={"authorization": bearer}) as out:
            video = out.add_stream("libx264", rate=RATE)
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            video.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "g": str(2 * RATE)}
            audio = out.add_stream("libopus", rate=48_000)
            audio.layout = "stereo"
            begun = time.monotonic()
            count = sounds = 0
            while not stop.is_set():
                frame = picture()
                frame.pts, frame.time_base = count, fractions.Fraction(1, RATE)
                out.mux(video.encode(frame))
                while sounds * 960 < (count + 1) * 48_000 // RATE:
                    out.mux(audio.encode(tone(sounds, hz)))
                    sounds += 1
                count += 1
                stop.wait(max(0.0, begun + count / RATE - time.monotonic()))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
        failure.append(error)


@contextlib.contextmanager
def publishing(url: str, room: str, identity: str, hz: int = TONE_HZ) -> Iterator[list[BaseException]]:
    """Publish meanwhile; gives what went wrong."""
    stop = threading.Event()
    failure: list[BaseException] = []
    thread = threading.Thread(target=publish, args=(url, token(room, identity), stop, failure, hz), daemon=True)
    thread.start()
    yield failure
    stop.set()
    thread.join(timeout=15)
    assert not thread.is_alive()
    assert failure == []


def stream(server: Server, room: str, method: str = "GET", body: object = None) -> dict[str, Any]:
    """What the API says of a live stream; nothing where there is none."""
    admin = {"Authorization": f"Bearer {sign('test', {'roomAdmin': True, 'room': room})}"}
    url = f"{server.http}/api/v1/streams" + ("" if method == "POST" else f"/{room}")
    answer = httpx.request(method, url, headers=admin, json=body, timeout=PATIENCE_S)
    found: dict[str, Any] = answer.json() if answer.is_success else {}
    return found


def wait_for_segments(playlist: str, count: int) -> None:
    """FFmpeg knows no parts: it wants segments that are complete, and begins three from the end."""
    for segment in range(count):
        listed = httpx.get(playlist, params={"_HLS_msn": segment}, timeout=PATIENCE_S)
        assert listed.status_code == httpx.codes.OK, listed.text


def loudest(samples: list[np.ndarray], count: int = 1) -> list[float]:
    """The frequencies that are heard most, each at least 50 Hz from the others."""
    heard = np.concatenate(samples)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    frequencies = np.fft.rfftfreq(len(heard), 1 / 48_000)
    found = []
    for _ in range(count):
        at = frequencies[int(spectrum.argmax())]
        spectrum[np.abs(frequencies - at) < 50] = 0
        found.append(float(at))
    return sorted(found)


@pytest.fixture(scope="module")
def live(server: Server) -> Iterator[str]:
    """Address of the playlist of a room that is live."""
    with publishing(f"{server.http}/whip/live?live=1", "live", "encoder") as failure:
        until(lambda: stream(server, "live").get("state") == "live" or failure, "a live stream")
        assert failure == []
        yield f"{server.http}/live/live/index.m3u8"


def test_ffmpeg_decodes_the_pictures_and_the_tone(live: str) -> None:
    wait_for_segments(live.replace("index", "video/index"), 3)
    pictures, samples = [], []
    with av.open(live, timeout=PATIENCE_S) as read:
        for frame in read.decode(video=0, audio=0):
            if isinstance(frame, av.VideoFrame):
                pictures.append(frame.to_ndarray(format="rgb24"))
            else:
                samples.append(frame.to_ndarray()[0])
            if len(pictures) >= 3 * RATE and len(samples) >= 100:
                break
    assert pictures[-1].shape == (HEIGHT, WIDTH, 3)
    for at, colour in enumerate(COLOURS):
        top, left = at // 2 * HEIGHT // 2, at % 2 * WIDTH // 2
        middle = pictures[-1][top + 30 : top + 90, left + 40 : left + 120].mean(axis=(0, 1))
        assert np.abs(middle - np.array(colour)).max() < 30, f"quarter {at} is {middle}"
    assert loudest(samples[10:])[0] == pytest.approx(TONE_HZ, abs=5)


def test_everybody_is_heard_where_sound_is_mixed(server: Server) -> None:
    url = f"{server.http}/whip/mixed"
    with publishing(url, "mixed", "one", 440), publishing(url, "mixed", "two", 1000):
        until(lambda: sorted(server.identities("mixed")) == ["one", "two"], "two publishers")
        made = until(lambda: stream(server, "mixed", "POST", {"room": "mixed", "sound": "mix"}), "a live stream")
        assert (made["sound"], len(made["publishers"])) == ("mix", 1)
        until(lambda: stream(server, "mixed").get("state") == "live", "its playlist")
        assert stream(server, "mixed")["mixed"] == 2
        playlist = f"{server.http}/live/mixed/audio/index.m3u8"
        wait_for_segments(playlist, 3)
        samples = []
        with av.open(playlist, timeout=PATIENCE_S) as read:
            for frame in read.decode(audio=0):
                samples.append(frame.to_ndarray()[0])
                if len(samples) >= 150:
                    break
    assert loudest(samples[50:], 2) == pytest.approx([440, 1000], abs=5)


@pytest.mark.parametrize("seconds", [5, pytest.param(20, marks=pytest.mark.long)])
def test_hls_js_plays_without_a_stall(live: str, open_page: Callable[[str], Page], seconds: int) -> None:
    assert live.endswith("/live/live/index.m3u8")
    page = open_page("/play/?room=live")
    page.wait_for_function(
        "document.querySelector('[data-status]')?.textContent === 'Live.'", timeout=PATIENCE_S * 1000
    )
    began = page.evaluate("document.querySelector('video').currentTime")
    page.wait_for_function(
        "until => document.querySelector('video').currentTime >= until",
        arg=began + seconds,
        timeout=2 * PATIENCE_S * 1000,
    )
    seen = page.evaluate(
        """() => {
          const video = document.querySelector("video");
          const say = name => document.querySelector(`[data-live="${name}"]`).textContent;
          const quality = video.getVideoPlaybackQuality();
          return { width: video.videoWidth, frames: quality.totalVideoFrames, latency: say("latency"),
                   stalls: say("buffer-note"), variant: say("variant"), codecs: say("variant-note") };
        }"""
    )
    assert seen["width"] == WIDTH
    assert seen["frames"] >= 0.7 * seconds * RATE
    assert seen["stalls"] == "never stood still", seen
    assert seen["variant"].startswith(f"{WIDTH}\N{MULTIPLICATION SIGN}{HEIGHT}")
    assert "avc1" in seen["codecs"]
    assert 0 < float(seen["latency"].removesuffix(" s")) < PATIENCE_S


@pytest.mark.parametrize("seconds", [12, pytest.param(30, marks=pytest.mark.long)])
def test_the_checker_finds_no_rule_broken(live: str, seconds: int) -> None:
    rules = check_hls(live, seconds)
    assert broken(rules) == {}
    assert [one["verdict"] for one in rules].count("pass") >= 30
