"""B-frames and AAC of encoders are seen and heard by WebRTC: made anew by processes that start for who watches."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiortc_peer import TONE_HZ, Peer, assert_hears_the_tone, watch
from av import VideoFrame
from conftest import PATIENCE_S, Run, Server, start_server, stop_server, until, wait_for_statistic
from mediasoup_pages import OpenPage
from test_encoders import AAC, HEVC, encoder, ingests, playlist, rtmp, srt
from test_encoders_in_rooms import attributes, hears_the_tone
from test_ladders import encoder as numbered
from test_ladders import number

pytestmark = [pytest.mark.timeout(300), pytest.mark.filterwarnings("ignore::ResourceWarning")]
REORDERED_HEVC = tuple(part.replace("bframes=0", "bframes=3") for part in HEVC)
NUMBERS = 256


@pytest.fixture(scope="module")
def making(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that makes tracks anew for rooms while somebody wants them, as it does unless told otherwise."""
    running = start_server(
        tmp_path_factory.mktemp("making"),
        ROOMTONE_LIVE__ENCODER_PRESET="ultrafast",
    )
    yield running
    stop_server(running)


def running(server: Server, name: str) -> dict[str, bool]:
    """Which tracks are made anew, and whether a process does so now."""
    found = ingests(server, name)
    return {} if found is None else {kind: made["running"] for kind, made in found["made"].items()}


async def numbers(viewer: Peer, count: int) -> list[int]:
    """Decode some pictures and read their numbers."""
    read = []
    while len(read) < count:
        frame = await asyncio.wait_for(viewer.tracks["video"].recv(), PATIENCE_S)
        assert isinstance(frame, VideoFrame)
        read.append(number(frame))
    return read


def steps(read: list[int]) -> list[int]:
    """How far each number is from the one before."""
    return [(after - before) % NUMBERS for before, after in pairwise(read)]


def processes(server: Server, kind: str) -> list[int]:
    """Processes that make tracks anew, by a word of their plan."""
    found = subprocess.run(
        ["pgrep", "-P", str(server.process.pid), "-f", f"transcode.*{kind}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(line) for line in found.stdout.split()]


def test_b_frames_and_aac_are_watched_by_whep_while_somebody_does(
    making: Server, tmp_path: Path, run: Run[Any]
) -> None:
    with numbered(tmp_path / "log", rtmp(making, "made")):
        until(lambda: len(running(making, "made")) == 2, "what is made of its tracks")
        assert running(making, "made") == {"audio": False, "video": False}
        assert (attributes(making, "made"), processes(making, "lines")) == ({}, [])
        run(seen_heard_and_killed(making))
        found = ingests(making, "made")
        assert (found["unavailable"], found["made"]["video"]["source"][:7]) == ({}, "avc1.64")
        until(lambda: not any(running(making, "made").values()), "the end of what nobody watches")
        assert processes(making, "lines") == []
        assert "#EXT-X-DISCONTINUITY" not in playlist(making, "made"), "lists go on by themselves"


async def seen_heard_and_killed(server: Server) -> None:
    viewer = await watch(server, "made")
    try:
        seen = await numbers(viewer, 60)
        # Those at the beginning may be shown late; none is out of order, and then each follows on the one before.
        assert max(steps(seen)) < NUMBERS / 2, seen
        assert steps(seen)[-25:].count(1) >= 23, seen
        await assert_hears_the_tone(viewer, 100)
        await asyncio.to_thread(until, lambda: all(running(server, "made").values()), "both processes")
        (process,) = processes(server, "lines")
        os.kill(process, signal.SIGKILL)
        restarts = lambda: ingests(server, "made")["made"]["video"]["restarts"] == 1  # noqa: E731
        await asyncio.to_thread(until, restarts, "the restart")
        seen = await numbers(viewer, 100)
        assert steps(seen)[-25:].count(1) >= 23, seen
        await assert_hears_the_tone(viewer, 60)
    finally:
        await viewer.request("DELETE")
        await viewer.close()


@pytest.mark.long
@pytest.mark.browser
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_chromium_shows_what_is_made_of_reordered_pictures(
    making: Server, tmp_path: Path, open_page: OpenPage, codec: str
) -> None:
    name = f"page-{codec}"
    pictures = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2") if codec == "h264" else REORDERED_HEVC
    with encoder(tmp_path / "log", srt(making, f"publish:{name}"), *pictures, sound=AAC):
        until(lambda: len(running(making, name)) == 2, "what is made of its tracks")
        page = open_page(f"/watch/?room={name}", making)
        wait_for_statistic(page, "video frames decoded", "Number(value) >= 50")
        wait_for_statistic(page, "video size", "value === '320x240'")
        assert wait_for_statistic(page, "video codec", "value !== ''") == "H264"
        hears_the_tone(page)
        assert TONE_HZ > 0
