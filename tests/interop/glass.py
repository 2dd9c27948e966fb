"""A source whose pictures carry the time at which they were drawn, in blocks that survive coding, and its reader."""

from __future__ import annotations

import contextlib
import fractions
import threading
import time
from collections.abc import Iterator

import av
import numpy as np

WIDTH, HEIGHT, RATE = 320, 240, 30
BLOCK = 20
BITS = 32
"""Two rows of sixteen blocks, white for one, the highest bit first: milliseconds since 1970, 32 bits of them."""


def picture(now_ms: int) -> av.VideoFrame:
    """Grey, with the time in its upper part."""
    card = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    for bit in range(BITS):
        row, column = divmod(bit, BITS // 2)
        value = 235 if now_ms >> (BITS - 1 - bit) & 1 else 16
        card[row * BLOCK : (row + 1) * BLOCK, column * BLOCK : (column + 1) * BLOCK] = value
    return av.VideoFrame.from_ndarray(card, format="yuv420p")


SAMPLES = {"aac": 1024, "libopus": 960}
"""Of one frame of each encoder of sound."""


def _publish(url: str, sound_by: str, stop: threading.Event, failure: list[BaseException]) -> None:
    try:
        with av.open(url, "w", format="flv") as out:
            video = out.add_stream("libx264", rate=RATE)
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            video.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(2 * RATE), "sc_threshold": "0"}
            video.codec_context.thread_count = 1
            audio = out.add_stream(sound_by, rate=48_000)
            audio.layout = "mono"
            begun = time.monotonic()
            count, sounds, samples = 0, 0, SAMPLES[sound_by]
            while not stop.is_set():
                frame = picture(int(time.time() * 1000) & 0xFFFF_FFFF)
                frame.pts, frame.time_base = count, fractions.Fraction(1, RATE)
                out.mux(video.encode(frame))
                while sounds * samples < (count + 1) * 48_000 // RATE:
                    sound = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.float32), "fltp", "mono")
                    sound.sample_rate, sound.pts = 48_000, sounds * samples
                    sound.time_base = fractions.Fraction(1, 48_000)
                    out.mux(audio.encode(sound))
                    sounds += 1
                count += 1
                stop.wait(max(0.0, begun + count / RATE - time.monotonic()))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
        failure.append(error)


@contextlib.contextmanager
def glass(rtmp: str, name: str, sound_by: str = "aac") -> Iterator[None]:
    """Publish meanwhile by RTMP to ``host:port``; ``sound_by`` is one of `SAMPLES`."""
    stop = threading.Event()
    failure: list[BaseException] = []
    to = f"rtmp://{rtmp}/live/{name}"
    thread = threading.Thread(target=_publish, args=(to, sound_by, stop, failure), daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(timeout=15)
    assert not thread.is_alive()
    assert failure == []


READ = f"""
window.late = [];
window.readGlass = video => {{
  const canvas = new OffscreenCanvas({WIDTH}, {2 * BLOCK});
  const context = canvas.getContext("2d", {{ willReadFrequently: true }});
  const read = () => {{
    context.drawImage(video, 0, 0);
    const pixels = context.getImageData(0, 0, {WIDTH}, {2 * BLOCK}).data;
    let stamp = 0;
    for (let bit = 0; bit < {BITS}; bit++) {{
      const x = (bit % {BITS // 2}) * {BLOCK} + {BLOCK // 2};
      const y = Math.floor(bit / {BITS // 2}) * {BLOCK} + {BLOCK // 2};
      stamp = stamp * 2 + (pixels[(y * {WIDTH} + x) * 4] > 128 ? 1 : 0);
    }}
    const late = (Date.now() % 2 ** 32) - stamp;
    window.late.push(late);
    video.requestVideoFrameCallback(read);
  }};
  video.requestVideoFrameCallback(read);
}};
"""
"""Defines ``readGlass(video)``, which gathers in ``late`` how old each shown picture is, in milliseconds."""
