"""Live streams are played by RTMP: FFmpeg is given what FFmpeg publishes, as FLV, and told where it may not."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest
from aiortc_peer import TONE_HZ, assert_is_the_picture, tone_share
from conftest import PATIENCE_S, Server, token, until
from test_encoders import FFMPEG, H264, REORDERED, encoder, ingests, playlist, rtmp
from test_live_lists import decode
from test_play_out import reader, readers

pytestmark = pytest.mark.timeout(240)


def command(url: str) -> tuple[str, ...]:
    """Give the command of a program that plays a stream and writes it as it comes."""
    return (
        FFMPEG,
        "-hide_banner",
        "-nostdin",
        "-loglevel",
        "info",
        "-i",
        url,
        "-c",
        "copy",
        "-f",
        "matroska",
        "pipe:1",
    )


def refused(url: str) -> str:
    """Play what cannot be played; what the player says."""
    done = subprocess.run(command(url), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode != 0
    assert not done.stdout
    return done.stderr


def test_who_plays_is_given_what_is_published_from_a_keyframe_on(server: Server, tmp_path: Path) -> None:
    name = "flv"
    first, second = tmp_path / "first.mkv", tmp_path / "second.mkv"
    with encoder(tmp_path / "log", rtmp(server, name), *REORDERED):
        until(lambda: playlist(server, name).count("#EXTINF") >= 1, "a playlist")
        with (
            reader(tmp_path / "one", *command(rtmp(server, name)), into=first) as stays,
            reader(tmp_path / "two", *command(rtmp(server, name)), into=second) as leaves,
        ):
            seen = until(lambda: len(two := readers(server, name)) == 2 and two, "two players")
            assert {one["protocol"] for one in seen} == {"rtmp"}
            until(lambda: min(one.stat().st_size for one in (first, second)) > 150_000, "what is played", 60)
            figures = readers(server, name)
            assert all(one["bytes"] > 100_000 and one["units_dropped"] == 0 for one in figures)
            assert server.metrics()["roomtone_engine_playout_bytes_total"] > 200_000
            leaves.terminate()
            until(lambda: len(readers(server, name)) == 1, "that one has left")
            (left,) = readers(server, name)
            readers(server, name, f"/{left['id']}", "DELETE")
            stays.wait(PATIENCE_S)
    pictures, times, samples = decode(str(first), 2.0)
    assert_is_the_picture(pictures[0])
    assert_is_the_picture(pictures[-1])
    assert tone_share(samples[-48_000:], TONE_HZ) > 0.9
    # In order, and each 40 ms behind the one before.
    assert all(abs(after - before - 0.04) < 0.005 for before, after in itertools.pairwise(times)), times
    assert "an operator has ended it" in (tmp_path / "one").read_text()


def test_a_player_is_told_when_the_stream_is_over(server: Server, tmp_path: Path) -> None:
    got = tmp_path / "got.mkv"
    with encoder(tmp_path / "log", rtmp(server, "over"), *H264):
        until(lambda: playlist(server, "over").count("#EXTINF") >= 1, "a playlist")
        with reader(tmp_path / "player", *command(rtmp(server, "over")), into=got) as player:
            until(lambda: got.stat().st_size > 20_000, "what is played")
            ingests(server, "over", "DELETE")
            assert player.wait(PATIENCE_S) == 0, (tmp_path / "player").read_text()


def test_who_may_not_play_is_told_why(server: Server, tmp_path: Path) -> None:
    assert "there is no stream of this name" in refused(rtmp(server, "nobody"))
    with encoder(tmp_path / "log", rtmp(server, "kept"), *H264):
        until(lambda: playlist(server, "kept").count("#EXTINF") >= 1, "a playlist")
        said = refused(f"{rtmp(server, 'kept')}?token={token('other', 'bob')}")
        assert "NetStream.Play" in said or "Server error" in said, said
        got = tmp_path / "got.mkv"
        url = f"{rtmp(server, 'kept')}?token={token('kept', 'bob')}"
        with reader(tmp_path / "player", *command(url), into=got):
            seen = until(lambda: readers(server, "kept"), "a player")
            assert [one["identity"] for one in seen] == ["bob"]
            until(lambda: got.stat().st_size > 20_000, "what is played")
