"""VP8 and Opus by PyAV, with cheap real-time settings."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType

from roomtone.workers.testcard.picture import FPS, Plane
from roomtone.workers.testcard.tone import RATE

VIDEO_BPS = 500_000
AUDIO_BPS = 48_000
KEYFRAME_INTERVAL = 10 * FPS
"""A keyframe every ten seconds even when nobody asks; a viewer that joins asks for one of its own."""


class Vp8Encoder:
    """Encodes frames at once (no look-ahead), a keyframe where asked."""

    def __init__(self, width: int, height: int) -> None:
        context: Any = av.CodecContext.create("libvpx", "w")
        context.width, context.height = width, height
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, FPS)
        context.framerate = Fraction(FPS, 1)
        context.bit_rate = VIDEO_BPS
        context.gop_size = KEYFRAME_INTERVAL
        context.thread_count = 1  # more threads spin while they wait: ten times the CPU time for a small picture
        context.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "error-resilient": "1"}
        self._context = context

    def encode(self, card: Plane, number: int, *, keyframe: bool) -> bytes:
        """Encode one frame; an empty result means the encoder dropped it."""
        frame = av.VideoFrame.from_ndarray(card, format="yuv420p")
        frame.pts = number
        frame.time_base = Fraction(1, FPS)
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        return b"".join(bytes(packet) for packet in self._context.encode(frame))


class OpusEncoder:
    """Encodes 20 ms frames of mono sound."""

    def __init__(self) -> None:
        context: Any = av.CodecContext.create("libopus", "w")
        context.sample_rate = RATE
        context.layout = "mono"
        context.format = "s16"
        context.bit_rate = AUDIO_BPS
        context.time_base = Fraction(1, RATE)
        context.options = {"application": "audio", "frame_duration": "20", "compression_level": "3"}
        self._context = context

    def encode(self, samples: Any, first_sample: int) -> list[bytes]:
        """Encode one frame; gives the packets that are ready."""
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = first_sample
        frame.time_base = Fraction(1, RATE)
        return [bytes(packet) for packet in self._context.encode(frame)]
