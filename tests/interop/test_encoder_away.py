"""A slate is seen while an encoder is away, and the encoder again once it is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from aiortc_peer import DARK, TONE_HZ, tone_share
from aiortc_peer import LIGHT as BRIGHT
from conftest import Server, start_server, stop_server, until
from test_encoders import AAC, H264, encoder, ingests, playlist, rtmp, srt
from test_live_lists import decode

pytestmark = pytest.mark.timeout(240)
LIGHT = 150
"""Of the slate: neither half of what the encoder sends has it."""
HALVES = BRIGHT, DARK
SILENT = 0.01
"""Of one."""


@pytest.fixture(scope="module")
def slated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that shows a grey picture, and of one name the card."""
    folder = tmp_path_factory.mktemp("slated")
    picture = folder / "grey.png"
    with av.open(str(picture), "w", format="image2") as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "rgb24"
        grey = np.full((480, 640, 3), LIGHT, np.uint8)
        for packet in (*stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")), *stream.encode(None)):
            out.mux(packet)
    live = {"SLATE": str(picture), "SLATE_AFTER_S": "1", "STREAMS": '{"card": {"slate": "card"}}'}
    running = start_server(folder / "data", **{f"ROOMTONE_LIVE__{name}": value for name, value in live.items()})
    yield running
    stop_server(running)


def edge(server: Server, name: str) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """The last picture, and half a second of sound, at the end of the lists; nothing where FFmpeg reads none.

    It begins some segments back, and does not follow from one coding of pictures to another.
    """
    try:
        pictures, _, sound = decode(f"{server.http}/live/{name}/index.m3u8", 1.5)
    except av.InvalidDataError:
        return np.zeros((240, 320)), np.zeros(24_000)
    return pictures[-1], sound[-24_000:]


def discontinuities(server: Server, name: str) -> int:
    return playlist(server, name).count("#EXT-X-DISCONTINUITY\n")


@pytest.mark.parametrize(("protocol", "rate"), [("rtmp", 48_000), pytest.param("srt", 44_100, marks=pytest.mark.long)])
def test_a_picture_is_shown_in_silence_until_the_encoder_is_back(
    slated: Server, tmp_path: Path, protocol: str, rate: int
) -> None:
    name = f"away-{protocol}"
    url = rtmp(slated, name) if protocol == "rtmp" else srt(slated, f"publish:{name}")
    sound = (*AAC, "-ar", str(rate))
    with encoder(tmp_path / "first", url, *H264, sound=sound):
        until(lambda: playlist(slated, name).count("#EXTINF") >= 2, "two segments")
        assert not ingests(slated, name)["slate"]
    until(lambda: (seen := ingests(slated, name)) and seen["slate"], "the slate")

    def is_slate() -> bool:
        shown, heard = edge(slated, name)
        return bool(np.abs(shown - LIGHT).mean() < 12 and np.abs(heard).max() < SILENT)

    until(is_slate, "a grey picture without a sound")
    assert discontinuities(slated, name) == 1
    with encoder(tmp_path / "second", url, *H264, sound=sound):

        def is_back() -> bool:
            shown, heard = edge(slated, name)
            halves = float(shown[60:180, 40:120].mean()), float(shown[60:180, 200:280].mean())
            same = all(abs(one - other) < 10 for one, other in zip(halves, HALVES, strict=True))
            return same and bool(tone_share(heard, TONE_HZ) > 0.9)

        until(is_back, "the encoder's picture and tone")
        assert not ingests(slated, name)["slate"]
        assert discontinuities(slated, name) == 2
    assert slated.metrics()["roomtone_slates_shown_total"] >= 1


def test_the_card_is_shown_of_the_name_that_has_it(slated: Server, tmp_path: Path) -> None:
    with encoder(tmp_path / "log", rtmp(slated, "card"), *H264):
        until(lambda: playlist(slated, "card").count("#EXTINF") >= 1, "a segment")
    until(lambda: (seen := ingests(slated, "card")) and seen["slate"], "the slate")

    def is_card() -> bool:
        shown, _ = edge(slated, "card")
        bars = [float(shown[120, 320 * (2 * at + 1) // 14]) for at in range(7)]
        return float(shown[20].mean()) < 30 and bars == sorted(bars, reverse=True) and bars[0] - bars[-1] > 40

    until(is_card, "the card")
    assert httpx.get(f"{slated.http}/live/card/index.m3u8").is_success
