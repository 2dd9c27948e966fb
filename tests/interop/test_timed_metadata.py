"""Timed metadata of MPEG-TS (ID3) on its way to hls.js: each tag with the picture of its time."""

from __future__ import annotations

import contextlib
import fractions
import threading
import time
from collections.abc import Callable, Iterator

import av
import numpy as np
import pytest
from conftest import PATIENCE_S, Server, until
from playwright.sync_api import Page
from test_encoders import playlist
from test_inputs import inputs

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
WIDTH, HEIGHT, RATE = 320, 180, 25
DARKEST, STEP, SHADES = 40, 20, 8
"""Each second of the pictures has its shade, of so many, and its tag."""
LOOK = """
window.seen = [];
window.lookAtShades = video => {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const look = (_, { mediaTime }) => {
    context.drawImage(video, 0, 0, 1, 1);
    window.seen.push([mediaTime, context.getImageData(0, 0, 1, 1).data[0]]);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
};
window.tags = () => [...document.querySelector("video").textTracks]
  .filter(({ kind }) => kind === "metadata")
  .flatMap(track => { if (track.mode === "disabled") track.mode = "hidden"; return [...(track.cues ?? [])]; })
  .map(({ startTime, value }) => [startTime, value.key, value.data]);
"""


def tag(text: str) -> bytes:
    """Make an ID3 tag with one frame of text (ID3 2.4.0 sections 3.1, 4 and 4.2.6)."""
    held = b"\3second\0" + text.encode()
    frame = b"TXXX" + len(held).to_bytes(4, "big") + b"\0\0" + held
    assert len(frame) < 128  # sizes have seven bits a byte
    return b"ID3\4\0\0" + len(frame).to_bytes(4, "big") + frame


def _send(url: str, stop: threading.Event, failure: list[BaseException]) -> None:
    try:
        # Pictures do not wait for the next tag.
        with av.open(url, "w", format="mpegts", options={"max_interleave_delta": "1"}) as out:
            video = out.add_stream("libx264", rate=RATE)
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            video.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(2 * RATE), "sc_threshold": "0"}
            video.codec_context.thread_count = 1
            tags = out.add_data_stream("timed_id3")
            begun, count = time.monotonic(), 0
            while not stop.is_set():
                second = count // RATE
                card = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
                card[:HEIGHT] = DARKEST + STEP * (second % SHADES)
                frame = av.VideoFrame.from_ndarray(card, format="yuv420p")
                frame.pts, frame.time_base = count, fractions.Fraction(1, RATE)
                if count % RATE == 0:
                    packet = av.Packet(tag(str(second)))
                    packet.stream, packet.time_base = tags, fractions.Fraction(1, 90_000)
                    packet.pts = packet.dts = second * 90_000
                    out.mux(packet)
                out.mux(video.encode(frame))
                count += 1
                stop.wait(max(0.0, begun + count / RATE - time.monotonic()))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
        failure.append(error)


@contextlib.contextmanager
def tagged(url: str) -> Iterator[None]:
    """Send meanwhile, as MPEG-TS in datagrams."""
    stop, failure = threading.Event(), list[BaseException]()
    thread = threading.Thread(target=_send, args=(url, stop, failure), daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(timeout=15)
    assert not thread.is_alive()
    assert failure == []


def test_tags_reach_hls_js_with_their_pictures(server: Server, open_page: Callable[..., Page]) -> None:
    opened = inputs(server, "POST", "tagged", {"name": "tagged", "listen": "127.0.0.1:0"})
    with tagged(f"udp://127.0.0.1:{opened['port']}?pkt_size=1316"):
        until(lambda: playlist(server, "tagged").count("#EXTINF") >= 2, "two segments")
        page = open_page("/play/?room=tagged", None, LOOK)
        page.wait_for_function("document.querySelector('video').currentTime > 0", timeout=PATIENCE_S * 1000)
        page.evaluate("lookAtShades(document.querySelector('video'))")
        page.wait_for_timeout(8_000)
        seen, tags = page.evaluate("seen"), page.evaluate("tags()")
    inputs(server, "DELETE", "tagged")
    assert {key for _, key, _ in tags} == {"TXXX"}
    numbers = [int(data) for _, _, data in tags]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    compared = 0
    for begins, _, number in tags:
        for at, shade in seen:
            if 0.2 < at - begins < 0.8:
                compared += 1
                shown = (shade * 219 / 255 + 16 - DARKEST) / STEP  # video levels are stretched to 255
                assert abs(shown - int(number) % SHADES) < 0.5, (begins, number, at, shade)
    assert compared > 3 * RATE * 0.6
