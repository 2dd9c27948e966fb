"""Pictures of slates: a card, a picture that fits, a clip that begins again."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from roomtone.workers.slate.pictures import FPS, NoPictureError, card, pictures

LIGHT, DARK = 200, 60


def write(path: Path, greys: list[int], size: tuple[int, int], rate: int = FPS) -> str:
    """Write a file with one picture a grey; its kind is that of its name."""
    codec = {"png": "png", "mkv": "ffv1"}[path.suffix.lstrip(".")]
    with av.open(str(path), "w", format="image2" if codec == "png" else None) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb24" if codec == "png" else "yuv420p"
        for grey in greys:
            picture = np.full((size[1], size[0], 3), grey, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return str(path)


def test_the_card_has_dark_bars_between_black_and_goes_on() -> None:
    first, second = islice(pictures("card", 640, 360), 2)
    assert first.shape == (540, 640)
    assert (first is second) or (first == second).all()
    assert (first[:90] == 16).all()
    bars = first[180, 45::92][:7].tolist()
    assert bars == sorted(bars, reverse=True)
    assert len(set(bars)) == 7
    assert card(176, 144).shape == (216, 176)


def test_a_picture_is_as_large_as_it_can_be_and_not_stretched(tmp_path: Path) -> None:
    shown = next(pictures(write(tmp_path / "tall.png", [LIGHT], (100, 200)), 320, 240))
    assert shown.shape == (360, 320)
    row = shown[120, :320].astype(int)
    inside = np.flatnonzero(row > 100)
    assert (inside[0], inside[-1]) == (100, 219), "120 of 320, in the middle"
    assert abs(int(row[160]) - (16 + LIGHT * 219 // 255)) < 4
    assert row[10] == 16


def test_a_picture_is_shown_without_end_and_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "one.png", [LIGHT], (320, 240))
    opened, open_ = [], av.open
    monkeypatch.setattr("av.open", lambda *args, **more: opened.append(args) or open_(*args, **more))
    assert len(list(islice(pictures(path, 320, 240), 500))) == 500
    assert len(opened) == 1


def test_a_clip_keeps_its_time_and_begins_again(tmp_path: Path) -> None:
    # Five pictures a second: each is shown five times.
    path = write(tmp_path / "clip.mkv", [LIGHT, DARK, LIGHT], (160, 120), rate=5)
    shown = [int(picture[60, 80]) > 110 for picture in islice(pictures(path, 160, 120), 24)]
    cycle = [True] * 5 + [False] * 5 + [True]
    assert shown == (cycle * 3)[:24]


def test_what_holds_no_picture_is_said(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.png"
    nothing.write_bytes(b"no picture")
    with pytest.raises((NoPictureError, av.FFmpegError)):
        next(pictures(str(nothing), 320, 240))
