"""FFmpeg publishes by WHIP and the room is live: read by FFmpeg, by hls.js in Chromium, and by the checker."""

from __future__ import annotations

import fractions
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import av
import httpx
import numpy as np
import pytest
from conftest import PATIENCE_S, Server, sign, token, until
from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
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


def tone(at: int) -> av.AudioFrame:
    wave = 8000 * np.sin(2 * np.pi * TONE_HZ * (at * 960 + np.arange(960)) / 48_000)
    frame = av.AudioFrame.from_ndarray(np.repeat(wave.astype(np.int16), 2).reshape(1, -1), "s16", "stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, at * 960, fractions.Fraction(1, 48_000)
    return frame


def publish(url: str, bearer: str, stop: threading.Event, failure: list[BaseException]) -> None:
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
                    out.mux(audio.encode(tone(sounds)))
                    sounds += 1
                count += 1
                stop.wait(max(0.0, begun + count / RATE - time.monotonic()))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
        failure.append(error)


@pytest.fixture(scope="module")
def live(server: Server) -> Iterator[str]:
    """Address of the playlist of a room that is live."""
    stop = threading.Event()
    failure: list[BaseException] = []
    where = (f"{server.http}/whip/live?live=1", token("live", "encoder"), stop, failure)
    thread = threading.Thread(target=publish, args=where, daemon=True)
    thread.start()
    admin = {"Authorization": f"Bearer {sign('test', {'roomAdmin': True, 'room': 'live'})}"}

    def state() -> str:
        assert failure == []
        answer = httpx.get(f"{server.http}/api/v1/streams/live", headers=admin, timeout=PATIENCE_S)
        return answer.json().get("state", "") if answer.is_success else ""

    until(lambda: state() == "live", "a live stream")
    yield f"{server.http}/live/live/index.m3u8"
    stop.set()
    thread.join(timeout=15)
    assert not thread.is_alive()
    assert failure == []


def test_ffmpeg_decodes_the_pictures_and_the_tone(live: str) -> None:
    # FFmpeg knows no parts: it wants segments that are complete, and begins three from the end.
    for segment in range(3):
        listed = httpx.get(live.replace("index", "video/index"), params={"_HLS_msn": segment}, timeout=PATIENCE_S)
        assert listed.status_code == httpx.codes.OK, listed.text
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
    heard = np.concatenate(samples[10:])
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    loudest = np.fft.rfftfreq(len(heard), 1 / 48_000)[int(spectrum.argmax())]
    assert abs(loudest - TONE_HZ) < 5


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
    # Times of a busy machine are no fault of the origin.
    command = [
        sys.executable,
        "-m",
        "roomtone",
        "check-hls",
        live,
        "--seconds",
        str(seconds),
        "--json",
        "--slack-ms",
        "2000",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    report = json.loads(done.stdout)
    broken = {one["rule"]: one["evidence"] for one in report["rules"] if one["verdict"] == "fail"}
    assert broken == {}
    assert done.returncode == 0
    assert report["counts"]["pass"] >= 30, report["counts"]
