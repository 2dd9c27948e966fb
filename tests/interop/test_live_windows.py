"""A window longer than memory: old segments are read from disk, and nothing is left of a server that was killed."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import httpx
import imageio_ffmpeg
import pytest
from conftest import PATIENCE_S, Server, start_server, stop_server, until
from hls_checker import check_hls
from http3_peer import http3
from spliced_ts import PACKET, Splicer
from test_encoders import AAC, H264, SOURCE, playlist
from test_inputs import inputs

pytestmark = pytest.mark.timeout(240)
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
NAME = "long"
FPS = 25
LONG = {"ROOMTONE_LIVE__WINDOW_S": "600", "ROOMTONE_LIVE__MEMORY_S": "24"}
SPLICE_S, BREAK_S = 8, 30


@contextmanager
def spliced(port: int, splicer: Splicer) -> Iterator[None]:
    """Send FFmpeg's stream with cues in it to a port until the end."""
    # The map says nothing before the first picture does: this is how FFmpeg is told to name it often.
    arguments = (*SOURCE, *AAC, *H264, "-f", "mpegts", "-flush_packets", "1", "pipe:1")
    process = subprocess.Popen(
        [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "error", *arguments], stdout=subprocess.PIPE
    )
    out = process.stdout
    assert out is not None

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while len(packet := out.read(PACKET)) == PACKET:
                for one in splicer.feed(packet):
                    sender.sendto(one, ("127.0.0.1", port))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        process.kill()
        process.wait()
        thread.join()
        out.close()


def date(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def the_checker_takes_it(server: Server) -> None:
    """Hold the break, which both lists tell of, to the rule of date ranges."""
    url = f"{server.http}/live/{NAME}/index.m3u8"
    rule = next(one for one in check_hls(url, 2) if "date ranges" in one["title"])
    assert (rule["verdict"], rule["evidence"]) == ("pass", "2 date ranges")


def splicer() -> Splicer:
    return Splicer(event=7, out_after=SPLICE_S * 90_000, duration=BREAK_S * 90_000)


def test_a_cue_in_mpeg_ts_is_a_date_range_of_all_lists(server: Server) -> None:
    opened = inputs(server, "POST", NAME, {"name": NAME, "listen": "127.0.0.1:0"})
    sent = splicer()
    with spliced(opened["port"], sent):
        a_cue_is_told(server, sent)
        the_checker_takes_it(server)
    inputs(server, "DELETE", NAME)


# The stream must be longer than what stays in memory at least, half a minute.
@pytest.mark.long
def test_old_segments_are_read_from_disk_and_a_killed_server_leaves_nothing(tmp_path: Path) -> None:
    running = start_server(tmp_path, **LONG)
    folder = tmp_path / "windows"
    try:
        opened = inputs(running, "POST", NAME, {"name": NAME, "listen": "127.0.0.1:0"})
        with spliced(opened["port"], splicer()):
            is_read_from_disk(running, folder)
    finally:
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        running.reader.join()
        assert running.process.stdout is not None
        running.process.stdout.close()
    assert list(folder.rglob("*.m4s")) != []
    again = start_server(tmp_path, **LONG)
    try:
        until(lambda: not list(folder.rglob("*.m4s")), "the end of what was left")
        assert again.metrics()["roomtone_engine_stored_leftovers_total"] == 1
    finally:
        stop_server(again)


def is_read_from_disk(server: Server, folder: Path) -> None:
    """Fetch a segment out of memory and, later, the same from disk: to the byte, in parts, by all versions of HTTP."""
    base = f"{server.http}/live/{NAME}/video"
    until(lambda: playlist(server, NAME).count("#EXTINF") >= 1, "a segment")
    text = playlist(server, NAME)
    segment = next(line for line in text.splitlines() if not line.startswith("#"))
    header = re.findall(r'#EXT-X-MAP:URI="(.+)"', text)[0]
    with httpx.Client(timeout=PATIENCE_S) as client:
        memory = client.get(f"{base}/{segment}")
        assert memory.status_code == httpx.codes.OK
        assert server.metrics()["roomtone_engine_segments_stored_total"] == 0
        stored = "roomtone_engine_segments_stored_total"
        until(lambda: server.metrics()[stored] >= 2, "segments on disk", patience_s=90)
        assert list(folder.rglob(f"*{segment}")) != []
        before = server.metrics()["roomtone_front_live_stored_total"]
        disk = client.get(f"{base}/{segment}")
        assert server.metrics()["roomtone_front_live_stored_total"] == before + 1
        assert disk.content == memory.content
        same = {
            "etag",
            "content-type",
            "cache-control",
            "accept-ranges",
            "content-length",
            "access-control-allow-origin",
        }
        assert {name: disk.headers[name] for name in same} == {name: memory.headers[name] for name in same}
        head = client.head(f"{base}/{segment}")
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(memory.content)))
        part = client.get(f"{base}/{segment}", headers={"Range": "bytes=100-299"})
        assert (part.status_code, part.content) == (206, memory.content[100:300])
        assert part.headers["content-range"] == f"bytes 100-299/{len(memory.content)}"
        known = client.get(f"{base}/{segment}", headers={"If-None-Match": disk.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        beyond = client.get(f"{base}/{segment}", headers={"Range": "bytes=99999999-"})
        assert beyond.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE
        initial = client.get(f"{base}/{header}").content
    with httpx.Client(http2=True, verify=False, timeout=PATIENCE_S) as client:  # noqa: S501 - it made its certificate itself
        secure = client.get(f"https://{server.ready['https'][0]}/live/{NAME}/video/{segment}")
        assert (secure.http_version, secure.content == memory.content) == ("HTTP/2", True)
    assert asyncio.run(by_http3(server, f"/live/{NAME}/video/{segment}")) == memory.content
    with av.open(io.BytesIO(initial + disk.content)) as file:
        pictures = sum(1 for _ in file.decode(video=0))
    lasts = float(re.findall(r"#EXTINF:([\d.]+)", text)[0])
    assert pictures == round(lasts * FPS)
    # It is listed yet: the window is longer than what is in memory.
    assert segment in playlist(server, NAME)


async def by_http3(server: Server, path: str) -> bytes:
    async with http3(server.ready["https"][0]) as client:
        answer = await client.get(path, PATIENCE_S)
        assert answer.status == httpx.codes.OK
        return answer.body


def a_cue_is_told(server: Server, sent: Splicer) -> None:
    """Look for the break in both lists, at its time on the wall clock."""
    until(lambda: sent.said == 3 and "#EXT-X-DATERANGE" in playlist(server, NAME), "the break")
    for track in ("video", "audio"):
        text = httpx.get(f"{server.http}/live/{NAME}/{track}/index.m3u8", timeout=PATIENCE_S).text
        lines = [line for line in text.splitlines() if line.startswith("#EXT-X-DATERANGE")]
        assert len(lines) == 1, text
        attributes = dict(re.findall(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)', lines[0]))
        assert attributes["ID"] == '"splice-7"'
        assert float(attributes["PLANNED-DURATION"]) == BREAK_S
        assert attributes["SCTE35-OUT"].startswith("0xFC30")
        begun = date(re.findall(r"PROGRAM-DATE-TIME:(\S+)", text)[0])
        starts = date(attributes["START-DATE"].strip('"'))
        # The first picture is where the list begins.
        assert abs((starts - begun).total_seconds() - SPLICE_S) < 0.1
