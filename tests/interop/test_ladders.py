"""One stream of FFmpeg is a ladder: every rung has the same pictures at its cuts, and its process may be killed."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from aiortc_peer import TONE_HZ, tone_share
from conftest import PATIENCE_S, Server, sign, start_server, stop_server, until
from hls_checker import broken, check_hls
from test_encoders import AAC, FFMPEG, ingests, playlist, rtmp

pytestmark = [pytest.mark.alone, pytest.mark.timeout(300)]
RATE = 48_000
BITS = 8
"""Of the number of a picture, each a column of it: black or white."""
NUMBERED = f"color=c=gray:s=320x240:r=25,geq=lum='if(bitand(N,pow(2,floor(X/(W/{BITS})))),220,30)':cb=90:cr=150"
LADDER = '{"small":[{"lines":240},{"lines":180,"bps":300000},{"lines":120,"bps":150000}]}'
RUNGS = {"video": (320, 240), "v180": (240, 180), "v120": (160, 120)}


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that makes streams anew, smaller and with sound of Opus too."""
    running = start_server(
        tmp_path_factory.mktemp("ladder"),
        ROOMTONE_LIVE__LADDER="small",
        ROOMTONE_LIVE__LADDERS=LADDER,
        ROOMTONE_LIVE__SOUND="opus",
        ROOMTONE_LIVE__ENCODERS='["h264_nvenc","libx264"]',
        ROOMTONE_LIVE__ENCODER_PRESET="ultrafast",
        ROOMTONE_LIVE__MEASURE_QUALITY="true",
    )
    yield running
    stop_server(running)


@contextmanager
def encoder(log: Path, url: str) -> Iterator[None]:
    """FFmpeg with numbered pictures, some of them reordered."""
    # fmt: off
    arguments = (
        "-re", "-f", "lavfi", "-i", NUMBERED,
        "-re", "-f", "lavfi", "-i", f"sine=frequency={TONE_HZ}:sample_rate=48000",
        "-pix_fmt", "yuv420p", "-g", "50", "-ac", "2", *AAC,
        "-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-f", "flv", url,
    )
    # fmt: on
    with log.open("wb") as out:
        process = subprocess.Popen(
            [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "warning", *arguments], stdout=out, stderr=out
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


def number(picture: Any) -> int:
    """Read the number of a picture."""
    luma = picture.to_ndarray(format="gray")
    width = luma.shape[1] / BITS
    columns = [luma[:, int((bit + 0.3) * width) : int((bit + 0.7) * width)] for bit in range(BITS)]
    return sum(1 << bit for bit, column in enumerate(columns) if np.mean(column) > 128)


def segments(server: Server, name: str, rung: str) -> list[tuple[float, str]]:
    """Durations and files of the segments that are listed and whole."""
    found = re.findall(r"#EXTINF:([\d.]+),\n(\S+)", playlist(server, name, rung))
    return [(float(duration), uri) for duration, uri in found]


def picture_of(server: Server, name: str, rung: str, uri: str) -> Any:
    """Decode the first picture of a segment, which must be one to begin with."""
    base = f"{server.http}/live/{name}/{rung}"
    header = re.findall(r'#EXT-X-MAP:URI="([^"]+)"', playlist(server, name, rung))[-1]
    whole = b"".join(httpx.get(f"{base}/{file}", timeout=PATIENCE_S).content for file in (header, uri))
    with av.open(io.BytesIO(whole), format="mp4") as container:
        picture = next(container.decode(video=0))
    assert picture.key_frame
    return picture


def first_picture(server: Server, name: str, rung: str, uri: str) -> tuple[int, tuple[int, int], tuple[float, float]]:
    """Number, size and mean colour of the first picture of a segment."""
    picture = picture_of(server, name, rung, uri)
    planes = picture.to_ndarray(format="yuv420p")[picture.height :]
    half = len(planes) // 2
    colour = float(np.mean(planes[:half])), float(np.mean(planes[half:]))
    return number(picture), (picture.width, picture.height), colour


def sound_of(url: str, samples: int) -> Any:
    """Decode so many samples of a playlist of sound."""
    heard: list[Any] = []
    with av.open(url, timeout=PATIENCE_S) as container:
        for frame in container.decode(audio=0):
            assert frame.sample_rate == RATE
            heard.append(frame.to_ndarray()[0])
            if sum(map(len, heard)) >= samples:
                break
    return np.concatenate(heard)


def test_every_rung_has_the_same_pictures_at_its_cuts(ladder: Server, tmp_path: Path) -> None:
    with encoder(tmp_path / "log", rtmp(ladder, "rungs")):
        until(lambda: len(segments(ladder, "rungs", "v120")) >= 3, "three segments of the smallest rung")
        master = httpx.get(f"{ladder.http}/live/rungs/index.m3u8", timeout=PATIENCE_S).text
        for rung, (width, height) in RUNGS.items():
            assert re.search(rf"RESOLUTION={width}x{height}.*\n{rung}/index.m3u8", master), master
        listed = {rung: segments(ladder, "rungs", rung)[:3] for rung in RUNGS}
        for index in range(3):
            firsts = {rung: first_picture(ladder, "rungs", rung, found[index][1]) for rung, found in listed.items()}
            assert len({seen for seen, _, _ in firsts.values()}) == 1, firsts
            assert {rung: size for rung, (_, size, _) in firsts.items()} == RUNGS
            for _, _, (blue, red) in firsts.values():
                assert (blue, red) == (pytest.approx(90, abs=4), pytest.approx(150, abs=4))
            durations = [found[index][0] for found in listed.values()]
            assert durations == pytest.approx([durations[0]] * 3, abs=0.01)
        assert tone_share(sound_of(f"{ladder.http}/live/rungs/opus/index.m3u8", 2 * RATE)[-RATE:], TONE_HZ) > 0.9
        made = until(lambda: (seen := ingests(ladder, "rungs")["transcoding"]) and seen["figures"] and seen, "figures")
        assert (made["encoder"], made["rungs"]) == ("libx264", ["v180", "v120"])
        assert made["events"][0]["kind"] == "encoder_refused"


@pytest.mark.long
def test_the_checker_finds_nothing_wrong_with_a_ladder(ladder: Server, tmp_path: Path) -> None:
    with encoder(tmp_path / "log", rtmp(ladder, "checked")):
        until(lambda: len(segments(ladder, "checked", "v120")) >= 3, "three segments")
        url = f"{ladder.http}/live/checked/index.m3u8"
        assert broken(check_hls(url, 15)) == {}


def test_a_room_of_vp8_goes_live_and_is_seen(tmp_path: Path) -> None:
    running = start_server(
        tmp_path / "data",
        "--demo",
        ROOMTONE_RTMP__ENABLED="false",
        ROOMTONE_LIVE__TRANSCODE_ROOMS="true",
        ROOMTONE_LIVE__ENCODER_PRESET="ultrafast",
    )
    try:
        headers = {"Authorization": f"Bearer {sign('test', {'roomAdmin': True, 'room': 'demo'})}"}
        url = f"{running.http}/api/v1/streams"
        answer = httpx.post(url, json={"room": "demo"}, headers=headers, timeout=PATIENCE_S)
        assert answer.is_success, answer.text
        uri = until(lambda: segments(running, "demo", "v360"), "a segment")[0][1]
        assert playlist(running, "demo", "video") == ""
        picture = picture_of(running, "demo", "v360", uri)
        assert (picture.width, picture.height) == (640, 360)
        luma = picture.to_ndarray(format="yuv420p")[:20]
        bars = [float(np.mean(luma[:, 90 * bar + 20 : 90 * bar + 70])) for bar in range(7)]
        assert bars == pytest.approx([180, 162, 131, 112, 84, 65, 35], abs=8)
        state = httpx.get(f"{url}/demo", headers=headers, timeout=PATIENCE_S).json()
        assert state["transcoding"]["rungs"] == ["v360"]
    finally:
        stop_server(running)


def test_a_ladder_has_rungs_of_hevc_and_av1(tmp_path: Path) -> None:
    running = start_server(
        tmp_path / "data",
        ROOMTONE_LIVE__LADDER="modern",
        ROOMTONE_LIVE__LADDERS='{"modern":[{"lines":180,"codec":"hevc"},{"lines":120,"codec":"av1"}]}',
        ROOMTONE_LIVE__HEVC_ENCODERS='["hevc_vaapi","libx265"]',
        ROOMTONE_LIVE__ENCODER_PRESET="ultrafast",
    )
    sizes = {"video": (320, 240), "v180hevc": (240, 180), "v120av1": (160, 120)}
    try:
        with encoder(tmp_path / "log", rtmp(running, "modern")):
            until(lambda: all(len(segments(running, "modern", rung)) >= 2 for rung in sizes), "two segments of each")
            master = httpx.get(f"{running.http}/live/modern/index.m3u8", timeout=PATIENCE_S).text
            for rung, codec in {"video": "avc1.64", "v180hevc": "hvc1.1.", "v120av1": "av01.0."}.items():
                assert re.search(rf'CODECS="{re.escape(codec)}[^\n]*\n{rung}/index.m3u8', master), master
            firsts = {
                rung: first_picture(running, "modern", rung, segments(running, "modern", rung)[1][1]) for rung in sizes
            }
            assert len({seen for seen, _, _ in firsts.values()}) == 1, firsts
            assert {rung: size for rung, (_, size, _) in firsts.items()} == sizes
            for rung in ("v180hevc", "v120av1"):
                with av.open(f"{running.http}/live/modern/{rung}/index.m3u8", timeout=PATIENCE_S) as played:
                    read = [number(picture) for picture, _ in zip(played.decode(video=0), range(60), strict=False)]
                assert [(after - before) % 2**BITS for before, after in pairwise(read)] == [1] * (len(read) - 1)
            made = ingests(running, "modern")["transcoding"]
            assert made["encoder"] == "libx265, libsvtav1"
            assert [event["kind"] for event in made["events"]][:2] == ["encoder_refused", "started"]
            assert made["events"][0]["detail"].startswith("hevc_vaapi: ")
    finally:
        stop_server(running)


def test_a_process_that_is_killed_costs_its_rungs_a_gap_and_the_stream_nothing(ladder: Server, tmp_path: Path) -> None:
    with encoder(tmp_path / "log", rtmp(ladder, "killed")):
        until(lambda: len(segments(ladder, "killed", "v180")) >= 1, "a segment of a rung")
        children = subprocess.run(
            ["pgrep", "-n", "-P", str(ladder.process.pid), "-f", "transcode.*lines"],
            capture_output=True,
            text=True,
            check=True,
        )
        os.kill(int(children.stdout.split()[0]), signal.SIGKILL)
        until(lambda: ingests(ladder, "killed")["transcoding"]["restarts"] == 1, "the restart")
        until(lambda: "#EXT-X-DISCONTINUITY\n" in playlist(ladder, "killed", "v180"), "the discontinuity")
        behind = until(
            lambda: re.findall(
                r"#EXTINF:[\d.]+,\n(\S+)", playlist(ladder, "killed", "v180").rpartition("#EXT-X-DISCONTINUITY\n")[2]
            ),
            "a segment behind it",
        )
        assert first_picture(ladder, "killed", "v180", behind[0])[1] == RUNGS["v180"]
        assert "GAP" not in playlist(ladder, "killed", "video")
        assert ingests(ladder, "killed")["warnings"]["transcoder_lost"] >= 1
