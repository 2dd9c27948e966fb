"""Pictures of a slate, without end: a card of our own, a picture from a file, or a clip over and over; YUV 4:2:0."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import ColorRange

if TYPE_CHECKING:
    from collections.abc import Iterator

CARD = "card"
"""The name of our own."""
FPS = 25
_BLACK, _NEUTRAL = 16, 128
# Luma and chroma of 75 % colour bars in BT.601, at half their light: nobody takes them for what should be there.
_BARS = ((98, 128, 128), (89, 86, 135), (74, 142, 86), (64, 100, 93), (50, 156, 163), (41, 114, 170), (26, 170, 121))

Plane = np.ndarray[Any, np.dtype[np.uint8]]


class NoPictureError(Exception):
    """There is no picture in a file."""


def pictures(what: str, width: int, height: int) -> Iterator[Plane]:
    """Give a picture each 25th of a second, ``height * 3 // 2`` rows each; width and height are even.

    Raise `NoPictureError`, or PyAV's errors for a file that cannot be read.
    """
    return _still(card(width, height)) if what == CARD else _of_file(what, width, height)


def card(width: int, height: int) -> Plane:
    """Draw dark colour bars across the middle half, black above and below."""
    drawn = _blank(width, height)
    luma, chroma = _planes(drawn, width, height)
    top, bottom = height // 4, height * 3 // 4
    edges = [number * width // len(_BARS) // 2 * 2 for number in range(len(_BARS))] + [width]
    for number, (light, blue, red) in enumerate(_BARS):
        left, right = edges[number], edges[number + 1]
        luma[top:bottom, left:right] = light
        for plane, value in zip(chroma, (blue, red), strict=True):
            plane[top // 2 : bottom // 2, left // 2 : right // 2] = value
    return drawn


def fitted(frame: av.VideoFrame, width: int, height: int) -> Plane:
    """Give a picture as large as it can be without being cut or stretched, black beside it."""
    share = min(width / frame.width, height / frame.height)
    inner_width, inner_height = (max(2, round(side * share) // 2 * 2) for side in (frame.width, frame.height))
    # Pictures of files have all values of a byte, and video has not.
    scaled = frame.reformat(width=inner_width, height=inner_height, format="yuv420p", dst_color_range=ColorRange.MPEG)
    inner: Plane = np.asarray(scaled.to_ndarray(), np.uint8)
    drawn = _blank(width, height)
    left, top = (width - inner_width) // 4 * 2, (height - inner_height) // 4 * 2
    luma, chroma = _planes(drawn, width, height)
    own_luma, own_chroma = _planes(inner, inner_width, inner_height)
    luma[top : top + inner_height, left : left + inner_width] = own_luma
    for plane, own in zip(chroma, own_chroma, strict=True):
        plane[top // 2 : (top + inner_height) // 2, left // 2 : (left + inner_width) // 2] = own
    return drawn


def _still(picture: Plane) -> Iterator[Plane]:
    while True:
        yield picture


def _of_file(path: str, width: int, height: int) -> Iterator[Plane]:
    while True:
        count, due, last, first = 0, Fraction(0), None, None
        opened: Any = av.open(path)
        with opened as file:
            for frame in file.decode(video=0):
                at = Fraction(frame.pts or 0) * (frame.time_base or Fraction(1, FPS))
                first = at if first is None else first
                while last is not None and due < at - first:
                    yield last
                    due += Fraction(1, FPS)
                count, last = count + 1, fitted(frame, width, height)
        if last is None:
            message = f"there is no picture in {path}"
            raise NoPictureError(message)
        yield last
        if count == 1:
            yield from _still(last)


def _blank(width: int, height: int) -> Plane:
    blank: Plane = np.full((height * 3 // 2, width), _NEUTRAL, np.uint8)
    blank[:height] = _BLACK
    return blank


def _planes(picture: Plane, width: int, height: int) -> tuple[Plane, tuple[Plane, Plane]]:
    """Give luma and both planes of chroma, which have half the width in half the rows; they are views."""
    chroma = picture[height:].reshape(2, height // 2, width // 2)
    return picture[:height], (chroma[0], chroma[1])
