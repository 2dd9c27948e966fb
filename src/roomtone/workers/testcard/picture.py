"""The picture: colour bars, a running clock, a bar that moves once across each second."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 640, 360
FPS = 25

# Luma and chroma of 75 % colour bars in BT.601, left to right: grey, yellow, cyan, green, magenta, red, blue.
BARS = (
    (180, 128, 128),
    (162, 44, 142),
    (131, 156, 44),
    (112, 72, 58),
    (84, 184, 198),
    (65, 100, 212),
    (35, 212, 114),
)
_CLOCK_TOP, _CLOCK_HEIGHT, _FONT_SIZE = 132, 72, 56
_TRACK_TOP, _TRACK_HEIGHT, _MARK_WIDTH = 300, 24, 16
_BLACK, _WHITE, _NEUTRAL = 16, 235, 128

Plane = np.ndarray[Any, np.dtype[np.uint8]]


def clock_text(wall_s: float, frame: int) -> str:
    """Write ``hours:minutes:seconds.frames`` of the day, in local time."""
    return f"{time.strftime('%H:%M:%S', time.localtime(wall_s))}.{frame % FPS:02}"


class TestCard:
    """Draws frames in planar YUV 4:2:0."""

    __test__ = False

    def __init__(self, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.width = width
        self.height = height
        self._background = self._draw_background()

    def frame(self, wall_s: float, frame: int) -> Plane:
        """Draw one frame as an array of ``height * 3 // 2`` rows: the Y plane, then U, then V."""
        card = self._background.copy()
        self._draw_clock(card, clock_text(wall_s, frame))
        left = (frame % FPS) * (self.width - _MARK_WIDTH) // (FPS - 1)
        card[_TRACK_TOP : _TRACK_TOP + _TRACK_HEIGHT, left : left + _MARK_WIDTH] = _WHITE
        return card

    def _draw_background(self) -> Plane:
        card: Plane = np.full((self.height * 3 // 2, self.width), _NEUTRAL, np.uint8)
        # The chroma planes lie behind the luma plane, each with half the width in half the rows.
        chroma = card[self.height :].reshape(2, self.height // 2, self.width // 2)
        edges = [number * self.width // len(BARS) // 2 * 2 for number in range(len(BARS))] + [self.width]
        for number, (luma, blue, red) in enumerate(BARS):
            left, right = edges[number], edges[number + 1]
            card[: self.height, left:right] = luma
            chroma[0, :, left // 2 : right // 2] = blue
            chroma[1, :, left // 2 : right // 2] = red
        for top, height in ((_CLOCK_TOP, _CLOCK_HEIGHT), (_TRACK_TOP, _TRACK_HEIGHT)):
            card[top : top + height] = _BLACK
            chroma[:, top // 2 : (top + height) // 2] = _NEUTRAL
        return card

    def _draw_clock(self, card: Plane, text: str) -> None:
        glyphs = [_glyph(character) for character in text]
        left = (self.width - sum(glyph.shape[1] for glyph in glyphs)) // 2
        for glyph in glyphs:
            card[_CLOCK_TOP : _CLOCK_TOP + glyph.shape[0], left : left + glyph.shape[1]] = glyph
            left += glyph.shape[1]


@lru_cache(maxsize=16)
def _glyph(character: str) -> Plane:
    """Draw one character on black, all digits equally wide."""
    font = ImageFont.load_default(size=_FONT_SIZE)
    width = int(font.getlength("0" if character.isdigit() else character)) + 2
    image = Image.new("L", (width, _CLOCK_HEIGHT), _BLACK)
    ImageDraw.Draw(image).text((1, 2), character, fill=_WHITE, font=font)
    return np.asarray(image)
