"""Encoders publish by SRT and RTMP to a running server; what they send is seen and heard in the playlists."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg
import pytest
from aiortc_peer import TONE_HZ, assert_is_the_picture, tone_share
from conftest import PATIENCE_S, Server, sign, start_server, stop_server, token, until
from test_live_lists import PICTURE, RIGHT_HALF, decode

pytestmark = pytest.mark.timeout(240)
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
PASSPHRASE = "a phrase for encoders"
# fmt: off
SOURCE = (
    "-re", "-f", "lavfi", "-i", f"{PICTURE},{RIGHT_HALF}",
    "-re", "-f", "lavfi", "-i", f"sine=frequency={TONE_HZ}:sample_rate=48000",
    "-pix_fmt", "yuv420p", "-g", "25", "-ac", "2",
)
AAC = ("-c:a", "aac", "-b:a", "96k")
OPUS = ("-c:a", "libopus", "-b:a", "96k")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline")
REORDERED = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "2")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=25:bframes=0")
AV1 = ("-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lookahead=0:pred-struct=1")
# fmt: on


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose SRT port wants a passphrase."""
    running = start_server(tmp_path_factory.mktemp("locked"), ROOMTONE_SRT__PASSPHRASE=PASSPHRASE)
    yield running
    stop_server(running)


@contextmanager
def encoder(log: Path, url: str, *codec: str, sound: tuple[str, ...] = AAC) -> Iterator[subprocess.Popen[bytes]]:
    """FFmpeg that publishes until it is killed."""
    container = "flv" if url.startswith("rtmp") else "mpegts"
    arguments = (*SOURCE, *sound, *codec, "-f", container, url)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "warning", *arguments], stdout=out, stderr=out
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def srt(server: Server, stream_id: str, *more: str) -> str:
    """Give the URL of its SRT port, as FFmpeg has it."""
    return f"srt://{server.ready['srt'][0]}?{'&'.join((f'streamid={stream_id}', 'pkt_size=1316', *more))}"


def rtmp(server: Server, name: str) -> str:
    return f"rtmp://{server.ready['rtmp'][0]}/live/{name}"


def ingests(server: Server, name: str = "", method: str = "GET") -> Any:
    """JSON of what encoders publish; None where they do not."""
    grants = {"roomAdmin": True, "room": name} if name else {"roomList": True}
    headers = {"Authorization": f"Bearer {sign('test', grants)}"}
    url = f"{server.http}/api/v1/ingests{'/' + name if name else ''}"
    answer = httpx.request(method, url, headers=headers, timeout=PATIENCE_S)
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def playlist(server: Server, name: str, track: str = "video") -> str:
    answer = httpx.get(f"{server.http}/live/{name}/{track}/index.m3u8", timeout=PATIENCE_S)
    return answer.text if answer.is_success else ""


def is_seen_and_heard(server: Server, name: str) -> None:
    """Decode five seconds behind the playlist, once two segments are listed, which are eight seconds."""
    until(lambda: playlist(server, name).count("#EXTINF") >= 2, "two segments")
    pictures, _, sound = decode(f"{server.http}/live/{name}/index.m3u8", 5.0)
    assert_is_the_picture(pictures[-1])
    assert tone_share(sound[-48_000:], TONE_HZ) > 0.9
    assert "GAP" not in playlist(server, name)


@pytest.mark.parametrize(
    ("protocol", "codec", "named", "coded"),
    [
        ("srt", H264, "avc1.42c0", AAC),
        pytest.param("srt", HEVC, "hvc1.", OPUS, marks=pytest.mark.long),
        ("rtmp", REORDERED, "avc1.64", AAC),
        pytest.param("rtmp", HEVC, "hvc1.", AAC, marks=pytest.mark.long),
        pytest.param("rtmp", AV1, "av01.", OPUS, marks=pytest.mark.long),
    ],
    ids=["srt-h264-aac", "srt-hevc-opus", "rtmp-h264-aac", "rtmp-hevc-aac", "rtmp-av1-opus"],
)
def test_what_is_published_is_seen_and_heard(
    server: Server, tmp_path: Path, *, protocol: str, codec: tuple[str, ...], named: str, coded: tuple[str, ...]
) -> None:
    name = f"{protocol}-{named.strip('.')}"
    url = srt(server, f"publish:{name}") if protocol == "srt" else rtmp(server, name)
    with encoder(tmp_path / "log", url, *codec, sound=coded):
        found = until(lambda: (seen := ingests(server, name)) and seen["tracks"] and seen, "a playlist")
        assert (found["protocol"], found["publishing"]) == (protocol, True)
        sound, video = sorted(found["tracks"], key=lambda track: track["name"])
        assert video["codec"].startswith(named)
        assert (video["width"], video["height"], sound["channels"]) == (320, 240, 2)
        assert sound["codec"] == ("opus" if coded is OPUS else "mp4a.40.2")
        is_seen_and_heard(server, name)
        figures = ingests(server, name)["figures"]
        assert figures["units_dropped"] == 0
        assert figures["bytes"] > 50_000


def test_a_stream_that_an_operator_ends_is_over_for_everybody(server: Server, tmp_path: Path) -> None:
    with encoder(tmp_path / "log", rtmp(server, "ended"), *H264) as process:
        until(lambda: "#EXTINF" in playlist(server, "ended"), "a playlist")
        ingests(server, "ended", "DELETE")
        until(lambda: "#EXT-X-ENDLIST" in playlist(server, "ended"), "the end of the playlist")
        assert ingests(server, "ended") is None
        assert process.wait(PATIENCE_S) != 0
    assert "an operator has ended it" in (tmp_path / "log").read_text()


def test_an_encoder_that_was_killed_goes_on_behind_a_discontinuity(server: Server, tmp_path: Path) -> None:
    url = srt(server, "#!::r=returning,m=publish".replace("#", "%23"))
    with encoder(tmp_path / "first", url, *H264):
        until(lambda: "#EXTINF" in playlist(server, "returning"), "a playlist")
        first = ingests(server, "returning")
    with encoder(tmp_path / "second", url, *H264):
        until(lambda: "#EXT-X-DISCONTINUITY\n" in playlist(server, "returning"), "the discontinuity")
        again = ingests(server, "returning")
        assert again["started_at"] == first["started_at"]
        until(
            lambda: playlist(server, "returning").rpartition("#EXT-X-DISCONTINUITY\n")[2].count("#EXTINF") >= 1,
            "a segment behind it",
        )
    sequence = re.findall(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", playlist(server, "returning"))
    assert sequence == ["0"]


def test_who_shows_a_wrong_credential_is_refused_and_told(server: Server, tmp_path: Path) -> None:
    wrong = token("elsewhere", "encoder")
    with encoder(tmp_path / "rtmp", f"{rtmp(server, 'refused')}?token={wrong}", *H264) as process:
        assert process.wait(PATIENCE_S) != 0
    assert "the token is for another room" in (tmp_path / "rtmp").read_text()
    with encoder(tmp_path / "srt", srt(server, f"publish:refused:encoder:{wrong}"), *H264) as process:
        assert process.wait(PATIENCE_S) != 0
    assert ingests(server, "refused") is None
    good = token("allowed", "encoder")
    with encoder(tmp_path / "good", f"{rtmp(server, 'allowed')}?token={good}", *H264):
        until(lambda: ingests(server, "allowed"), "the stream")
    metrics = server.metrics()
    assert metrics["roomtone_ingests_refused_total"] == 2


def test_a_name_is_published_by_one_at_a_time(server: Server, tmp_path: Path) -> None:
    one, other = (token("taken", identity) for identity in ("one", "other"))
    with encoder(tmp_path / "one", f"{rtmp(server, 'taken')}?token={one}", *H264):
        until(lambda: ingests(server, "taken"), "the stream")
        with encoder(tmp_path / "other", f"{rtmp(server, 'taken')}?token={other}", *H264) as process:
            assert process.wait(PATIENCE_S) != 0
        assert "somebody else publishes under this name" in (tmp_path / "other").read_text()
        assert ingests(server, "taken")["publishing"]


def test_a_port_with_a_passphrase_takes_no_other(locked: Server, tmp_path: Path) -> None:
    for case, more in (("plain", ()), ("wrong", ("passphrase=another phrase",))):
        with encoder(tmp_path / case, srt(locked, f"publish:{case}", *more), *H264) as process:
            assert process.wait(PATIENCE_S) != 0
        assert ingests(locked, case) is None
    url = srt(locked, "publish:secret", f"passphrase={PASSPHRASE}", "pbkeylen=32")
    with encoder(tmp_path / "right", url, *H264):
        is_seen_and_heard(locked, "secret")


def test_the_demo_is_a_live_stream_too(tmp_path: Path) -> None:
    server = start_server(tmp_path, "--demo")
    try:
        until(lambda: playlist(server, "demo").count("#EXTINF") >= 2, "two segments")
        pictures, _, sound = decode(f"{server.http}/live/demo/index.m3u8", 3.0)
        assert pictures[-1].shape == (360, 640)
        # The grey bar of the test card, and the blue one (BT.601, 75 %).
        assert abs(int(pictures[-1][40, 40]) - 180) < 16
        assert abs(int(pictures[-1][40, 600]) - 35) < 16
        # A hum, and a beep a tenth of a second long at each second.
        windows = [sound[at : at + 2_400] for at in range(0, len(sound) - 2_400, 2_400)]
        assert sum(tone_share(window, 440) > 0.9 for window in windows) > 0.7 * len(windows)
        assert any(tone_share(window, 880) > 0.9 for window in windows)
    finally:
        stop_server(server)
