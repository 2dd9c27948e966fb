"""H.264 and silence in an FLV stream, in the time in which they are to be played."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from roomtone.workers.slate.pictures import FPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roomtone.workers.slate.pictures import Plane

VIDEO_BPS, AUDIO_BPS = 500_000, 64_000
RATE = 48_000
SAMPLES = {"aac": 1024, "libopus": 960}
"""Of a frame of each encoder of sound."""
MOST_LATE_S = 1
"""What is older is left out: a machine that slept does not make up for its sleep."""


class Sender:
    """Writes what is due to a URL; ``sound`` is one of `SAMPLES`, or empty for none. Errors are PyAV's."""

    def __init__(self, url: str, shown: Iterator[Plane], size: tuple[int, int], sound: str) -> None:
        self._shown = shown
        self._container: Any = av.open(url, "w", format="flv")
        video = self._container.add_stream("libx264", rate=FPS)
        video.width, video.height = size
        video.pix_fmt, video.bit_rate, video.gop_size = "yuv420p", VIDEO_BPS, FPS
        video.codec_context.thread_count = 1  # threads spin while they wait
        video.options = {"preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0"}
        self._video = video
        self._audio: Any = None
        self._step = SAMPLES.get(sound, 0)
        if sound:
            self._audio = self._container.add_stream(sound, rate=RATE)
            self._audio.layout, self._audio.bit_rate = "stereo", AUDIO_BPS
        self._frames = self._samples = 0

    def advance(self, elapsed_s: float) -> None:
        """Write what is due so many seconds after the beginning."""
        oldest_s = int(elapsed_s - MOST_LATE_S)
        self._frames = max(self._frames, oldest_s * FPS)
        while self._frames < elapsed_s * FPS:
            picture = av.VideoFrame.from_ndarray(next(self._shown), format="yuv420p")
            picture.pts, picture.time_base = self._frames, Fraction(1, FPS)
            self._container.mux(self._video.encode(picture))
            self._frames += 1
        if self._audio is None:
            return
        self._samples = max(self._samples, oldest_s * RATE // self._step * self._step)
        while self._samples < elapsed_s * RATE:
            silence = np.zeros((1, 2 * self._step), np.int16)
            frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._samples, Fraction(1, RATE)
            self._container.mux(self._audio.encode(frame))
            self._samples += self._step

    def close(self) -> None:
        """Say goodbye."""
        self._container.close()
