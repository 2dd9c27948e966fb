"""FFmpeg sends and receives plain RTP: its picture and tone are found again behind the server."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from aiortc_peer import DARK, LIGHT, TONE_HZ, assert_is_the_picture, assert_sees_and_hears, tone_share, watch
from conftest import PATIENCE_S, Server, until
from plain_peer import H264, OPUS, VP8, open_sink, open_source, receiving, stream

pytestmark = pytest.mark.timeout(180)
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
PICTURE = f"color=c=0x{LIGHT:02x}{LIGHT:02x}{LIGHT:02x}:s=320x240:r=15"
RIGHT_HALF = f"drawbox=x=160:y=0:w=160:h=240:color=0x{DARK:02x}{DARK:02x}{DARK:02x}:t=fill"
ENCODERS = {
    "VP8": (VP8, ["libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "500k"]),
    "H264": (H264, ["libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline"]),
}
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def start_(*arguments: str) -> subprocess.Popen[bytes]:
        log = (tmp_path / f"ffmpeg-{len(running)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "warning", *arguments], stdout=log, stderr=log
            )
        running.append(process)
        return process

    yield start_
    for process in running:
        process.kill()
        process.wait()


def send(start: Start, server: Server, room: str, codec: str, *, mux: bool) -> None:
    """Picture and tone in real time, until killed."""
    given, encoder = ENCODERS[codec]
    video, audio = open_source(
        server, room, stream("video", given, rtcp_mux=mux), stream("audio", OPUS, rtcp_mux=mux), identity="ffmpeg"
    )

    def to(opened: dict[str, Any]) -> str:
        assert (opened["rtcp_port"] == opened["port"]) == mux
        return f"rtp://127.0.0.1:{opened['port']}?rtcpport={opened['rtcp_port']}&pkt_size=1200"

    # fmt: off
    start(
        "-re", "-f", "lavfi", "-i", f"{PICTURE},{RIGHT_HALF}",
        "-re", "-f", "lavfi", "-i", f"sine=frequency={TONE_HZ}:sample_rate=48000",
        "-map", "0:v", "-pix_fmt", "yuv420p", "-g", "15", "-c:v", *encoder,
        "-payload_type", "96", "-f", "rtp", to(video),
        "-map", "1:a", "-ac", "2", "-c:a", "libopus", "-b:a", "64k", "-payload_type", "97", "-f", "rtp", to(audio),
    )
    # fmt: on


@pytest.mark.parametrize(("codec", "mux"), [("VP8", True), ("VP8", False), ("H264", True)])
async def test_a_viewer_sees_and_hears_what_ffmpeg_sends(server: Server, start: Start, codec: str, mux: bool) -> None:
    room = f"ffmpeg-{codec}-{mux}"
    await asyncio.to_thread(lambda: send(start, server, room, codec, mux=mux))
    viewer = await watch(server, room)
    try:
        await assert_sees_and_hears(viewer)
    finally:
        await viewer.close()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_ffmpeg_sees_and_hears_what_it_opens_by_the_description(
    server: Server, start: Start, tmp_path: Path, codec: str
) -> None:
    room = f"player-{codec}"
    send(start, server, room, codec, mux=True)
    with receiving() as a, receiving() as b:
        ports = [socket.getsockname()[1] for socket in (a, b)]
    video, audio = (
        stream(kind, given, ip="127.0.0.1", port=port)
        for kind, given, port in zip(("video", "audio"), (ENCODERS[codec][0], OPUS), ports, strict=True)
    )
    opened = open_sink(server, room, video, audio)
    description, picture, sound = tmp_path / "player.sdp", tmp_path / "picture.grey", tmp_path / "sound.pcm"
    description.write_text(opened["sdp"])
    # fmt: off
    player = start(
        "-protocol_whitelist", "file,udp,rtp", "-i", str(description),
        "-map", "0:v", "-frames:v", "30", "-pix_fmt", "gray", "-f", "rawvideo", str(picture),
        "-map", "0:a", "-t", "2", "-ac", "1", "-ar", "48000", "-f", "s16le", str(sound),
    )
    # fmt: on
    until(lambda: player.poll() is not None, "the player's end", 2 * PATIENCE_S)
    assert player.returncode == 0, (tmp_path / "ffmpeg-1.log").read_text()
    grey = np.frombuffer(picture.read_bytes(), dtype=np.uint8)
    assert grey.size == 30 * 320 * 240
    assert_is_the_picture(grey[-320 * 240 :].reshape(240, 320))
    samples = np.frombuffer(sound.read_bytes(), dtype=np.int16).astype(np.float64)
    assert samples.size >= 48_000
    assert tone_share(samples[-48_000:], TONE_HZ) > 0.9
