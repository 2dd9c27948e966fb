"""FFmpeg's own WHIP muxer (in PyAV) publishes: it offers `setup:passive`, no MID, no RID, no transport sequence."""

from __future__ import annotations

import fractions
import threading
import time
from collections.abc import Callable, Iterator

import av
import numpy as np
import pytest
from conftest import Server, token, wait_for_statistic
from phone_page import hears
from playwright.sync_api import Page

RATE_HZ, TONE_HZ = 48_000, 660
pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]


def tone(begin: int, samples: int) -> np.ndarray:
    """Samples of both sides of a tone, side by side."""
    at = np.arange(begin, begin + samples) / RATE_HZ
    one = (8000 * np.sin(2 * np.pi * TONE_HZ * at)).astype(np.int16)
    return np.repeat(one, 2).reshape(1, -1)


def publish(url: str, bearer: str, stop: threading.Event, failure: list[BaseException]) -> None:
    """H.264 and Opus in real time until told to stop."""
    try:
        options = {"authorization": bearer}
        with av.open(url, mode="w", format="whip", options=options) as out:
            video = out.add_stream("libx264", rate=15)
            video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
            video.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "g": "15"}
            audio = out.add_stream("libopus", rate=48_000)
            audio.layout = "stereo"
            begun = time.monotonic()
            count = sounds = 0
            while not stop.is_set():
                picture = np.full((240, 320, 3), (count * 4) % 256, dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = count, fractions.Fraction(1, 15)
                out.mux(video.encode(frame))
                while sounds * 960 < (count + 1) * 3200:
                    sound = av.AudioFrame.from_ndarray(tone(sounds * 960, 960), "s16", "stereo")
                    sound.sample_rate, sound.pts = 48_000, sounds * 960
                    sound.time_base = fractions.Fraction(1, 48_000)
                    out.mux(audio.encode(sound))
                    sounds += 1
                count += 1
                stop.wait(max(0.0, begun + count / 15 - time.monotonic()))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
        failure.append(error)


@pytest.fixture
def whip(server: Server) -> Iterator[list[BaseException]]:
    stop = threading.Event()
    failure: list[BaseException] = []
    url = f"{server.http}/whip/ffmpeg"
    thread = threading.Thread(target=publish, args=(url, token("ffmpeg", "ffmpeg"), stop, failure), daemon=True)
    thread.start()
    yield failure
    stop.set()
    thread.join(timeout=15)
    assert not thread.is_alive()


def test_chromium_sees_and_hears_what_ffmpeg_publishes(
    whip: list[BaseException], open_page: Callable[[str], Page]
) -> None:
    viewer = open_page("/watch/?room=ffmpeg")
    try:
        wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 30")
    except AssertionError as error:
        raise AssertionError(f"{error}; FFmpeg said {whip}") from error
    wait_for_statistic(viewer, "video size", "value === '320x240'")
    assert wait_for_statistic(viewer, "video codec", "value !== ''") == "H264"
    hears(viewer, TONE_HZ)
    assert whip == []
