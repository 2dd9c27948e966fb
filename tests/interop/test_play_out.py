"""Live streams are read by SRT: FFmpeg and srt-live-transmit are given what FFmpeg publishes, as MPEG-TS."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiortc_peer import TONE_HZ, assert_is_the_picture, tone_share
from conftest import PATIENCE_S, Server, sign, start_server, stop_server, token, until
from test_encoders import FFMPEG, H264, HEVC, OPUS, REORDERED, encoder, ingests, playlist, rtmp, srt
from test_live_lists import decode

pytestmark = pytest.mark.timeout(240)
TRANSMIT = shutil.which("srt-live-transmit")
PASSPHRASE = "a phrase for everybody"
PACKET = 188
NO_PAYLOAD, NULL = 0x20, 0x1FFF


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose SRT port wants a passphrase."""
    running = start_server(tmp_path_factory.mktemp("locked"), ROOMTONE_SRT__PASSPHRASE=PASSPHRASE)
    yield running
    stop_server(running)


def readers(server: Server, name: str, one: str = "", method: str = "GET") -> Any:
    headers = {"Authorization": f"Bearer {sign('host', {'roomAdmin': True, 'room': name})}"}
    url = f"{server.http}/api/v1/streams/{name}/readers{one}"
    answer = httpx.request(method, url, headers=headers, timeout=PATIENCE_S)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def transmit_url(server: Server, stream_id: str, *more: str) -> str:
    """Give the URL of the SRT port as srt-live-transmit has it."""
    options = "&".join((f"streamid={stream_id}", "mode=caller", "transtype=live", *more))
    return f"srt://{server.ready['srt'][0]}?{options}"


@contextmanager
def reader(log: Path, *command: str, into: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that reads until it is killed; its output goes to a file."""
    with log.open("wb") as errors, into.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=errors, stdin=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def counter_jumps(stream: bytes) -> int:
    """Count packets of a transport stream that do not follow on the one of their PID before them (H.222.0 2.4.3.3)."""
    last: dict[int, int] = {}
    jumps = 0
    for at in range(0, len(stream) - PACKET + 1, PACKET):
        assert stream[at] == 0x47, f"no packet at byte {at}"
        pid, flags = (stream[at + 1] & 0x1F) << 8 | stream[at + 2], stream[at + 3]
        if pid == NULL or flags & 0x30 == NO_PAYLOAD:
            continue
        counter = flags & 15
        jumps += pid in last and counter != (last[pid] + 1) % 16
        last[pid] = counter
    return jumps


def assert_is_seen_and_heard(path: Path) -> None:
    """Decode two seconds of what was read, from its first picture on."""
    pictures, _, sound = decode(str(path), 2.0)
    assert_is_the_picture(pictures[0])
    assert_is_the_picture(pictures[-1])
    assert tone_share(sound[-48_000:], TONE_HZ) > 0.9


@pytest.mark.parametrize(
    ("codec", "sound"),
    [(REORDERED, None), pytest.param(HEVC, OPUS, marks=pytest.mark.long)],
    ids=["h264-aac-by-rtmp", "hevc-opus-by-srt"],
)
def test_who_reads_is_given_what_is_published_from_a_keyframe_on_and_whole(
    server: Server, tmp_path: Path, codec: tuple[str, ...], sound: tuple[str, ...] | None
) -> None:
    name = f"played-{codec[1]}"
    publishing = (
        encoder(tmp_path / "log", rtmp(server, name), *codec)
        if sound is None
        else encoder(tmp_path / "log", srt(server, f"publish:{name}"), *codec, sound=sound)
    )
    got, direct = tmp_path / "got.ts", tmp_path / "direct.ts"
    # A reader that stumbles beside a browser drops what is later than its latency, and FFmpeg may take what is left of
    # a frame for one of another kind.
    source = srt(server, f"read:{name}", "latency=1000000")
    copy = ("-hide_banner", "-nostdin", "-loglevel", "warning", "-i", source)
    with publishing:
        until(lambda: playlist(server, name).count("#EXTINF") >= 1, "a playlist")
        assert TRANSMIT is not None, "srt-live-transmit is one of the peers of the tests (srt-tools)"
        standard = transmit_url(server, f"#!::r={name},m=request", "latency=1000")
        with (
            reader(tmp_path / "transmit", TRANSMIT, "-q", standard, "file://con", into=direct),
            reader(tmp_path / "ffmpeg", FFMPEG, *copy, "-c", "copy", "-f", "mpegts", "pipe:1", into=got),
        ):
            seen = until(lambda: len(two := readers(server, name)) == 2 and two, "two readers")
            assert {one["protocol"] for one in seen} == {"srt"}
            until(lambda: min(direct.stat().st_size, got.stat().st_size) > 250_000, "what was read", 60)
            figures = readers(server, name)
            assert all(one["bytes"] > 200_000 and one["units_dropped"] == 0 for one in figures)
            metrics = server.metrics()
            assert metrics["roomtone_readers"] == 2
            whole = direct.stat().st_size // PACKET * PACKET
            mine = figures[0]
            readers(server, name, f"/{mine['id']}", "DELETE")
            # Whoever needs no token may come back: as another.
            until(lambda: mine["id"] not in [one["id"] for one in readers(server, name)], "that it is gone")
            kicked = server.metrics()["roomtone_readers_kicked_total"]
            assert kicked == metrics.get("roomtone_readers_kicked_total", 0) + 1
    assert counter_jumps(direct.read_bytes()[:whole]) == 0
    assert_is_seen_and_heard(direct)
    assert_is_seen_and_heard(got)
    assert "corrupt" not in (tmp_path / "ffmpeg").read_text()


def test_a_reader_that_stands_still_slows_nobody_and_is_told_from_the_others(server: Server, tmp_path: Path) -> None:
    name = "standing"
    with encoder(tmp_path / "log", rtmp(server, name), *H264):
        until(lambda: playlist(server, name).count("#EXTINF") >= 1, "a playlist")
        assert TRANSMIT is not None
        command = (TRANSMIT, "-q", transmit_url(server, f"read:{name}"), "file://con")
        still, going = tmp_path / "still.ts", tmp_path / "going.ts"
        with (
            reader(tmp_path / "one", *command, into=still) as stopped,
            reader(tmp_path / "two", *command, into=going),
        ):
            until(lambda: len(readers(server, name)) == 2 and still.stat().st_size > 10_000, "both read")
            os.kill(stopped.pid, signal.SIGSTOP)
            before = going.stat().st_size
            until(lambda: any(one["units_dropped"] > 0 for one in readers(server, name)), "what one is not given")
            # It says nothing for five seconds, and is gone then.
            until(lambda: len(readers(server, name)) == 1, "that it is gone")
            assert readers(server, name)[0]["units_dropped"] == 0
            until(lambda: going.stat().st_size > before + 100_000, "that the other goes on")
            os.kill(stopped.pid, signal.SIGCONT)
        assert ingests(server, name)["figures"]["units_dropped"] == 0
        assert server.metrics()["roomtone_engine_playout_units_dropped_total"] > 0
    stream = going.read_bytes()
    assert counter_jumps(stream[: len(stream) // PACKET * PACKET]) == 0


def test_a_wrong_token_is_refused_and_a_right_one_names_who_reads(locked: Server, tmp_path: Path) -> None:
    name, phrase = "guarded", f"passphrase={PASSPHRASE.replace(' ', '%20')}"

    def command(stream_id: str, *more: str) -> tuple[str, ...]:
        source = ("-hide_banner", "-nostdin", "-loglevel", "warning", "-i", srt(locked, stream_id, *more))
        return (FFMPEG, *source, "-c", "copy", "-f", "mpegts", "pipe:1")

    def is_refused(stream_id: str, *more: str) -> bool:
        done = subprocess.run(command(stream_id, *more), capture_output=True, timeout=PATIENCE_S, check=False)
        return done.returncode != 0 and not done.stdout

    with encoder(tmp_path / "log", srt(locked, f"publish:{name}", phrase), *H264):
        until(lambda: ingests(locked, name), "the stream")
        assert is_refused(f"read:{name}:any:{token('other', 'bob')}", phrase)
        assert is_refused(f"read:{name}:any:{token(name, 'bob')}")  # who is in clear
        assert is_refused("read:nobody", phrase)
        refused = locked.metrics()
        assert refused["roomtone_readers_refused_total"] == 1
        assert refused["roomtone_engine_playouts_refused_total"] == 3
        got = tmp_path / "got.ts"
        with reader(tmp_path / "ffmpeg", *command(f"read:{name}:any:{token(name, 'bob')}", phrase), into=got):
            seen = until(lambda: readers(locked, name), "a reader")
            assert [one["identity"] for one in seen] == ["bob"]
            until(lambda: got.stat().st_size > 100_000, "what was read")
    assert counter_jumps(got.read_bytes()[: got.stat().st_size // PACKET * PACKET]) == 0
