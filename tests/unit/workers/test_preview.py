"""A picture out of a keyframe, in a process of its own."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from roomtone.app.previews import Previews
from roomtone.control.live import LiveError, LiveRefusal
from roomtone.workers.preview.__main__ import picture


def keyframe(width: int, height: int) -> bytes:
    """An MP4 file of one picture: its left half red, its right half blue."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2] = (220, 20, 20)
    pixels[:, width // 2 :] = (20, 20, 220)
    out = io.BytesIO()
    with av.open(out, mode="w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def pixels_of(jpeg: bytes) -> np.ndarray:
    with av.open(io.BytesIO(jpeg), format="jpeg_pipe") as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_a_keyframe_becomes_a_smaller_picture_of_the_same() -> None:
    drawn = pixels_of(picture(keyframe(1280, 720)))
    assert drawn.shape == (360, 640, 3)
    for column, colour in ((160, (220, 20, 20)), (480, (20, 20, 220))):
        assert np.abs(drawn[180, column].astype(int) - colour).max() < 30


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="decoded"):
        picture(b"rubbish" * 100)


async def test_a_worker_makes_it_and_says_why_it_cannot() -> None:
    previews = Previews()
    assert pixels_of(await previews(keyframe(320, 240))).shape == (240, 320, 3)
    with pytest.raises(LiveError) as refused:
        await previews(b"rubbish" * 100)
    assert refused.value.refusal is LiveRefusal.PREVIEW_FAILED
    assert (previews.made, previews.failed) == (1, 1)
