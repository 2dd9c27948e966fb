"""H.264 and Opus by PyAV in an FLV stream, as HLS and WebRTC both take them, with cheap real-time settings."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av

from roomtone.workers.testcard.picture import FPS, HEIGHT, WIDTH, TestCard
from roomtone.workers.testcard.tone import FRAME_SAMPLES, RATE, tone

VIDEO_BPS = 600_000
AUDIO_BPS = 64_000
KEYFRAME_INTERVAL = FPS
"""Who begins to watch by WebRTC waits for the next, and segments begin with one."""
MOST_LATE_S = 1
"""What is older is left out: a machine that slept does not make up for its sleep."""


class LiveCard:
    """Writes picture and tone to an URL, as much of them as there is time for.

    Input: the seconds since the beginning. Errors are PyAV's: the server cannot be reached, or refuses.
    """

    def __init__(self, url: str) -> None:
        self._container: Any = av.open(url, "w", format="flv")
        video = self._container.add_stream("libx264", rate=FPS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.bit_rate = VIDEO_BPS
        video.gop_size = KEYFRAME_INTERVAL
        video.codec_context.thread_count = 1  # as for VP8: threads spin while they wait
        video.options = {"preset": "ultrafast", "tune": "zerolatency", "sc_threshold": "0"}
        audio = self._container.add_stream("libopus", rate=RATE)
        audio.layout, audio.bit_rate = "mono", AUDIO_BPS
        self._video, self._audio = video, audio
        self._card = TestCard()
        self._frames = self._samples = 0

    def advance(self, elapsed_s: float, wall_s: float) -> None:
        """Write what is due."""
        oldest_s = int(elapsed_s - MOST_LATE_S)
        self._frames = max(self._frames, oldest_s * FPS)
        self._samples = max(self._samples, oldest_s * RATE)
        while self._frames < elapsed_s * FPS:
            picture = av.VideoFrame.from_ndarray(self._card.frame(wall_s, self._frames), format="yuv420p")
            picture.pts, picture.time_base = self._frames, Fraction(1, FPS)
            self._container.mux(self._video.encode(picture))
            self._frames += 1
        while self._samples < elapsed_s * RATE:
            frame = av.AudioFrame.from_ndarray(tone(self._samples).reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._samples, Fraction(1, RATE)
            self._container.mux(self._audio.encode(frame))
            self._samples += FRAME_SAMPLES

    def close(self) -> None:
        """Say goodbye."""
        self._container.close()
