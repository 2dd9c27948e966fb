"""RTP and MPEG-TS of sources that do not ask; what they send is seen and heard in the playlists."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg
import pytest
from aiortc_peer import TONE_HZ, assert_is_the_picture, tone_share
from conftest import PATIENCE_S, Server, sign, until
from test_encoders import AAC, H264, HEVC, OPUS, REORDERED, SOURCE, ingests, playlist
from test_live_lists import decode

pytestmark = pytest.mark.timeout(240)
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
VIDEO, SOUND = 96, 97


def inputs(server: Server, method: str, name: str, body: dict[str, Any] | None = None) -> Any:
    """Ask for inputs; the answer's JSON."""
    path = "" if method == "POST" else f"/{name}"
    headers = {"Authorization": f"Bearer {sign('test', {'roomAdmin': True, 'room': name})}"}
    url = f"{server.http}/api/v1/inputs{path}"
    answer = httpx.request(method, url, headers=headers, json=body, timeout=PATIENCE_S)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def is_seen_and_heard(server: Server, name: str) -> None:
    """Decode five seconds behind the playlist. Nothing repeats datagrams, and a busy machine loses some."""
    until(lambda: playlist(server, name).count("#EXTINF") >= 2, "two segments")
    pictures, _, sound = decode(f"{server.http}/live/{name}/index.m3u8", 5.0)
    assert_is_the_picture(pictures[-1])
    assert tone_share(sound[-48_000:], TONE_HZ) > 0.9


def describe(codec: str, sound: str) -> str:
    """Describe what `to_rtp` sends, as FFmpeg does."""
    aac = "profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3; config=119056E500"
    return "\r\n".join(
        [
            *("v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=No Name", "t=0 0"),
            *(f"m=video 9 RTP/AVP {VIDEO}", "c=IN IP4 127.0.0.1", f"a=rtpmap:{VIDEO} {codec}/90000"),
            *(f"m=audio 9 RTP/AVP {SOUND}", f"a=rtpmap:{SOUND} {sound}/48000/2"),
            *((f"a=fmtp:{SOUND} {aac}",) if sound == "MPEG4-GENERIC" else ()),
            "",
        ]
    )


def to_rtp(codec: tuple[str, ...], sound: tuple[str, ...], port: int) -> tuple[str, ...]:
    """Give FFmpeg's arguments: pictures and sound to one port, told apart by their payload types."""
    url = f"rtp://127.0.0.1:{port}"
    return (
        *SOURCE,
        *("-map", "0:v", *codec, "-payload_type", str(VIDEO), "-f", "rtp", url),
        *("-map", "1:a", *sound, "-payload_type", str(SOUND), "-f", "rtp", url),
    )


@contextmanager
def source(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """FFmpeg that sends until it is killed."""
    with log.open("wb") as out:
        command = [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "warning", *arguments]
        process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize(
    ("codec", "sound", "described", "named", "heard"),
    [
        (H264, OPUS, ("H264", "opus"), "avc1.42c0", "opus"),
        (REORDERED, AAC, ("H264", "MPEG4-GENERIC"), "avc1.64", "mp4a.40.2"),
        pytest.param(HEVC, AAC, ("H265", "MPEG4-GENERIC"), "hvc1.", "mp4a.40.2", marks=pytest.mark.long),
    ],
    ids=["h264-opus", "reordered-aac", "hevc-aac"],
)
def test_rtp_that_is_described_is_seen_and_heard(
    server: Server,
    tmp_path: Path,
    *,
    codec: tuple[str, ...],
    sound: tuple[str, ...],
    described: tuple[str, str],
    named: str,
    heard: str,
) -> None:
    name = f"rtp-{named.strip('.')}-{heard}"
    sdp = describe(*described)
    opened = inputs(server, "POST", name, {"name": name, "sdp": sdp, "listen": "127.0.0.1:0"})
    assert [track["payload_type"] for track in opened["tracks"]] == [VIDEO, SOUND]
    assert not opened["publishing"]
    with source(tmp_path / "log", *to_rtp(codec, sound, opened["port"])):
        found = until(lambda: (seen := ingests(server, name)) and seen["tracks"] and seen, "a playlist")
        assert found["protocol"] == "rtp"
        audio, video = sorted(found["tracks"], key=lambda track: track["name"])
        assert video["codec"].startswith(named)
        assert (video["width"], video["height"], audio["codec"], audio["channels"]) == (320, 240, heard, 2)
        is_seen_and_heard(server, name)
        assert inputs(server, "GET", name)["publishing"]
    inputs(server, "DELETE", name)
    until(lambda: "#EXT-X-ENDLIST" in playlist(server, name), "the end of the playlist")


@pytest.mark.parametrize(
    ("container", "scheme", "encryption"), [("mpegts", "udp", "aes-128"), ("rtp_mpegts", "rtp", "none")]
)
def test_mpeg_ts_in_datagrams_is_seen_and_heard(
    server: Server, tmp_path: Path, container: str, scheme: str, encryption: str
) -> None:
    name = f"ts-{scheme}"
    body = {"name": name, "listen": "127.0.0.1:0", "encryption": encryption}
    opened = inputs(server, "POST", name, body)
    url = f"{scheme}://127.0.0.1:{opened['port']}?pkt_size=1316"
    with source(tmp_path / "log", *SOURCE, *AAC, *H264, "-f", container, url):
        found = until(lambda: (seen := ingests(server, name)) and seen["tracks"] and seen, "a playlist")
        assert (found["protocol"], found["encryption"]) == ("mpegts", encryption)
        is_seen_and_heard(server, name)
        assert ("#EXT-X-KEY:METHOD=AES-128" in playlist(server, name)) == (encryption == "aes-128")
    inputs(server, "DELETE", name)


def test_a_port_is_shared_by_those_who_are_told_apart_and_others_are_told_of(server: Server, tmp_path: Path) -> None:
    sdp = describe("H264", "opus")
    opened = inputs(server, "POST", "one", {"name": "one", "sdp": sdp, "source": "127.0.0.1"})
    inputs(server, "POST", "two", {"name": "two"})
    port = opened["port"]
    assert f"127.0.0.1:{port}" in server.ready["rtp"]
    before = server.metrics()["roomtone_ingest_strangers_total"]
    stream = ("-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316")
    stranger = ("-payload_type", "100", "-f", "rtp", f"rtp://127.0.0.1:{port}")
    with (
        source(tmp_path / "one", *to_rtp(H264, OPUS, port)),
        source(tmp_path / "two", *SOURCE, *AAC, *H264, *stream),
        source(tmp_path / "stranger", *SOURCE[5:], *OPUS, *stranger),
    ):
        for name in ("one", "two"):
            until(lambda name=name: "#EXTINF" in playlist(server, name), f"a playlist of {name}")
        until(lambda: server.metrics()["roomtone_ingest_strangers_total"] > before, "the stranger")
    for name in ("one", "two"):
        inputs(server, "DELETE", name)


def test_a_source_that_comes_back_goes_on_behind_a_discontinuity(server: Server, tmp_path: Path) -> None:
    opened = inputs(server, "POST", "back", {"name": "back", "listen": "127.0.0.1:0"})
    url = f"udp://127.0.0.1:{opened['port']}?pkt_size=1316"
    for number, sign_of_life in enumerate(("#EXTINF", "#EXT-X-DISCONTINUITY\n")):
        with source(tmp_path / f"log{number}", *SOURCE, *AAC, *H264, "-f", "mpegts", url):
            until(lambda wanted=sign_of_life: wanted in playlist(server, "back"), sign_of_life)
    inputs(server, "DELETE", "back")


def test_a_stream_that_is_sent_anew_goes_on_behind_a_discontinuity_while_the_other_of_its_source_does(
    server: Server, tmp_path: Path
) -> None:
    opened = inputs(server, "POST", "half", {"name": "half", "sdp": describe("H264", "opus"), "listen": "127.0.0.1:0"})
    url = f"rtp://127.0.0.1:{opened['port']}"
    pictures = (*SOURCE, "-map", "0:v", *H264, "-payload_type", str(VIDEO), "-f", "rtp", url)
    sound = (*SOURCE, "-map", "1:a", *OPUS, "-payload_type", str(SOUND), "-f", "rtp", url)
    with source(tmp_path / "sound", *sound):
        with source(tmp_path / "first", *pictures):
            until(lambda: "#EXTINF" in playlist(server, "half"), "a playlist")
        # Another SSRC and another port: what comes is no stranger for as long as the sound goes on.
        with source(tmp_path / "second", *pictures):
            until(lambda: "#EXT-X-DISCONTINUITY\n" in playlist(server, "half"), "a discontinuity")
            behind = lambda: playlist(server, "half").partition("#EXT-X-DISCONTINUITY\n")[2].count("#EXTINF")  # noqa: E731
            until(lambda: behind() >= 2, "segments behind it")
            is_seen_and_heard(server, "half")
    inputs(server, "DELETE", "half")


@pytest.mark.long
def test_gstreamer_is_seen_and_heard_with_the_reports_of_its_rtpbin(server: Server, tmp_path: Path) -> None:
    opened = inputs(server, "POST", "gst", {"name": "gst", "sdp": describe("H264", "opus"), "listen": "127.0.0.1:0"})
    port = opened["port"]
    rtp, rtcp = f"udpsink host=127.0.0.1 port={port}", f"udpsink host=127.0.0.1 port={port + 1} sync=false async=false"
    pipeline = (
        f"rtpbin name=bin fdsrc ! tsdemux ! h264parse ! rtph264pay pt={VIDEO} ! bin.send_rtp_sink_0 "
        f"bin.send_rtp_src_0 ! {rtp} bin.send_rtcp_src_0 ! {rtcp} "
        f"audiotestsrc is-live=true freq={TONE_HZ} ! audioconvert ! audioresample ! audio/x-raw,channels=2 "
        f"! opusenc ! rtpopuspay pt={SOUND} ! bin.send_rtp_sink_1 "
        f"bin.send_rtp_src_1 ! {rtp} bin.send_rtcp_src_1 ! {rtcp}"
    )
    command = [
        FFMPEG,
        "-hide_banner",
        "-nostdin",
        "-loglevel",
        "error",
        *SOURCE,
        *H264,
        "-map",
        "0:v",
        "-f",
        "mpegts",
        "-",
    ]
    with (tmp_path / "log").open("wb") as log:
        encoder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
        assert encoder.stdout is not None
        sender = subprocess.Popen(["gst-launch-1.0", "-q", *pipeline.split()], stdin=encoder.stdout, stderr=log)
        encoder.stdout.close()
        try:
            is_seen_and_heard(server, "gst")
        finally:
            for process in (encoder, sender):
                process.kill()
                process.wait()
    inputs(server, "DELETE", "gst")
