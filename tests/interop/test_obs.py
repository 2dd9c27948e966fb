"""OBS Studio publishes by RTMP and SRT; its picture and tone are found in the playlists, and a wrong key in its log."""

from __future__ import annotations

import subprocess
from pathlib import Path

import obs_studio
import pytest
from aiortc_peer import TONE_HZ
from conftest import Server, token, until
from test_encoders import AAC, FFMPEG, H264, ingests, is_seen_and_heard
from test_live_lists import PICTURE, RIGHT_HALF

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.long,
    pytest.mark.skipif(not obs_studio.INSTALLED, reason="obs-studio or xvfb is not installed"),
]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of a picture of two halves and a tone."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    # fmt: off
    arguments = (
        "-f", "lavfi", "-i", f"{PICTURE}:s=320x240,{RIGHT_HALF}",
        "-f", "lavfi", "-i", f"sine=frequency={TONE_HZ}:sample_rate=48000",
        "-t", "20", "-pix_fmt", "yuv420p", "-ac", "2", *H264, *AAC, str(path),
    )
    # fmt: on
    subprocess.run([FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "error", *arguments], check=True)
    return path


@pytest.mark.parametrize("protocol", ["rtmp", "srt"])
def test_what_obs_streams_is_seen_and_heard(server: Server, tmp_path: Path, film: Path, protocol: str) -> None:
    name = f"obs-{protocol}"
    good = token(name, "obs")
    url, key = f"rtmp://{server.ready['rtmp'][0]}/live", f"{name}?token={good}"
    if protocol == "srt":
        url, key = f"srt://{server.ready['srt'][0]}?streamid=publish:{name}:obs:{good}", ""
    with obs_studio.streaming(tmp_path / "obs", film, url, key):
        found = until(lambda: (seen := ingests(server, name)) and seen["tracks"] and seen, "a playlist")
        assert found["protocol"] == protocol
        assert sorted(track["codec"] for track in found["tracks"])[1] == "mp4a.40.2"
        is_seen_and_heard(server, name)


def test_obs_shows_why_it_is_refused(server: Server, tmp_path: Path, film: Path) -> None:
    wrong = token("elsewhere", "obs")
    url = f"rtmp://{server.ready['rtmp'][0]}/live"
    with obs_studio.streaming(tmp_path / "obs", film, url, f"obs-refused?token={wrong}") as log:
        until(lambda: "the token is for another room" in log.read_text(errors="replace"), "the reason")
    assert ingests(server, "obs-refused") is None
