"""What FFmpeg sends as plain RTP is a live stream to FFmpeg's libraries: its picture and tone are found again."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import av
import httpx
import imageio_ffmpeg
import numpy as np
import pytest
from aiortc_peer import DARK, LIGHT, TONE_HZ, assert_is_the_picture, tone_share
from conftest import PATIENCE_S

from roomtone.media import CoreLink, Engine, Packager, PlainTransport, Producer, Router
from roomtone.media.front import FrontBind, FrontConfig, FrontDoor, FrontTls
from roomtone.media.values import (
    CodecParameters,
    EngineCloseReason,
    EngineConfig,
    Latching,
    MediaKind,
    PackagerEnded,
    PackagerStarted,
)

pytestmark = pytest.mark.timeout(180)
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
H264, H265, AV1 = (CodecParameters(payload_type=96, name=name, clock_rate=90_000) for name in ("H264", "H265", "AV1"))
OPUS = CodecParameters(payload_type=97, name="opus", clock_rate=48_000, channels=2)
PICTURE = f"color=c=0x{LIGHT:02x}{LIGHT:02x}{LIGHT:02x}:r=25"
RIGHT_HALF = f"drawbox=x=160:y=0:w=160:h=240:color=0x{DARK:02x}{DARK:02x}{DARK:02x}:t=fill"


@dataclass(frozen=True)
class Stage:
    """An engine and the front door that serves its live streams."""

    engine: Engine
    url: str


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    link = CoreLink(EngineConfig(listen_ips=["127.0.0.1"], webrtc_ports=(0, 0), plain_ports=(0, 0)))
    engine = Engine(link)
    await engine.start()
    config = FrontConfig(
        binds=[FrontBind(name="http", address="127.0.0.1:0")],
        application=str(tmp_path / "application.sock"),
        tls=FrontTls(directory=str(tmp_path)),
    )
    front = FrontDoor(config, link)
    yield Stage(engine, f"http://{front.addresses()['http'][0]}")
    front.close()
    await engine.close()


def send(
    video: PlainTransport,
    audio: PlainTransport,
    log: Path,
    *,
    size: str = "320x240",
    encoder: tuple[str, ...] = ("-tune", "zerolatency", "-profile:v", "baseline"),
) -> subprocess.Popen[bytes]:
    """Picture and tone in real time, until killed; a keyframe each second."""
    # fmt: off
    arguments = [
        "-re", "-f", "lavfi", "-i", f"{PICTURE}:s={size},{RIGHT_HALF}",
        "-re", "-f", "lavfi", "-i", f"sine=frequency={TONE_HZ}:sample_rate=48000",
        "-map", "0:v", "-pix_fmt", "yuv420p", "-g", "25", "-c:v", "libx264", "-preset", "ultrafast",
        *encoder, "-strict", "experimental", "-payload_type", "96",
        "-f", "rtp", f"rtp://127.0.0.1:{video.port}?rtcpport={video.port}&pkt_size=1200",
        "-map", "1:a", "-ac", "2", "-c:a", "libopus", "-b:a", "64k", "-payload_type", "97",
        "-f", "rtp", f"rtp://127.0.0.1:{audio.port}?rtcpport={audio.port}",
    ]
    # fmt: on
    with log.open("wb") as out:
        return subprocess.Popen(
            [FFMPEG, "-hide_banner", "-nostdin", "-loglevel", "warning", *arguments], stdout=out, stderr=out
        )


def decode(url: str, seconds: float) -> tuple[list[np.ndarray], list[float], np.ndarray]:
    """Grey pictures with their times, and sound at 48 kHz, of so many seconds of a stream."""
    pictures: list[np.ndarray] = []
    times: list[float] = []
    sound: list[np.ndarray] = []
    resampler = av.AudioResampler(format="flt", layout="mono", rate=48_000)
    with av.open(url, timeout=PATIENCE_S) as container:
        for packet in container.demux(video=0, audio=0):
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    pictures.append(frame.to_ndarray(format="gray"))
                    times.append(frame.time or 0.0)
                elif isinstance(frame, av.AudioFrame):
                    sound += [part.to_ndarray()[0] for part in resampler.resample(frame)]
            if times and times[-1] - times[0] >= seconds and sum(map(len, sound)) >= seconds * 48_000:
                break
    return pictures, times, np.concatenate(sound)


async def open_sources(router: Router, codec: CodecParameters = H264) -> tuple[list[PlainTransport], list[Producer]]:
    """Ports for picture and sound, and what comes in there."""
    transports = [await router.open_plain_transport(latching=Latching.ONCE) for _ in range(2)]
    video = await transports[0].produce(MediaKind.VIDEO, [codec])
    return transports, [video, await transports[1].produce(MediaKind.AUDIO, [OPUS])]


@pytest.mark.parametrize(
    ("codec", "encoder", "named"),
    [
        pytest.param(
            H264,
            ("-tune", "zerolatency", "-profile:v", "baseline"),
            "avc1.42",
            id="in-order",
            # A picture that does not come in its time is a GAP, and FFmpeg halts beside a browser.
            marks=pytest.mark.alone,
        ),
        pytest.param(H264, ("-profile:v", "main", "-bf", "2"), "avc1.4d", id="out-of-order", marks=pytest.mark.long),
        pytest.param(
            H265,
            ("-c:v", "libx265", "-x265-params", "log-level=none:keyint=25:bframes=0"),
            "hvc1.1",
            id="hevc",
            marks=pytest.mark.long,
        ),
        pytest.param(
            AV1,
            ("-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lookahead=0:pred-struct=1"),
            "av01.0",
            id="av1",
            # Its encoder wants most of a core: beside a browser it halts, and a picture that does not come is a GAP.
            marks=[pytest.mark.long, pytest.mark.alone],
        ),
    ],
)
async def test_what_ffmpeg_sends_is_seen_and_heard_behind_the_lists(
    stage: Stage, tmp_path: Path, codec: CodecParameters, encoder: tuple[str, ...], named: str
) -> None:
    router = await stage.engine.open_router()
    transports, producers = await open_sources(router, codec)
    packager = await Packager.open(router, "camera", window_ms=20_000)
    with stage.engine.subscribe(packager.id) as events:
        for producer in producers:
            await packager.add_track(producer)
        sender = await asyncio.to_thread(lambda: send(*transports, tmp_path / "ffmpeg.log", encoder=encoder))
        try:
            async with asyncio.timeout(PATIENCE_S):
                started = await events.get()
            assert isinstance(started, PackagerStarted), started
            assert [(track.name, track.width, track.height, track.channels) for track in started.tracks] == [
                ("video", 320, 240, None),
                ("audio", None, None, 2),
            ]
            base = f"{stage.url}/live/camera"
            async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
                master = (await client.get(f"{base}/index.m3u8")).text
                assert "video/index.m3u8" in master
                assert "RESOLUTION=320x240" in master
                assert f'CODECS="{named}' in master
                # The answer comes when three segments are there.
                for segment in range(3):
                    listed = await client.get(f"{base}/video/index.m3u8", params={"_HLS_msn": segment})
                    assert listed.status_code == httpx.codes.OK, listed.text
                assert "GAP" not in listed.text
                pictures, times, sound = await asyncio.to_thread(decode, f"{base}/index.m3u8", 5.0)
                assert_is_the_picture(pictures[-1])
                assert all(0.03 < later - earlier < 0.05 for earlier, later in pairwise(times)), times
                assert tone_share(sound[-48_000:], TONE_HZ) > 0.9
                stats = {str(report.get("name")): report for report in await packager.stats()}
                assert stats["video"]["packetsLost"] == 0
                assert stats["audio"]["unitsDropped"] == 0
                await packager.close()
                ended = await anext(event async for event in events if isinstance(event, PackagerEnded))
                assert ended.reason is EngineCloseReason.REQUESTED
                async with asyncio.timeout(PATIENCE_S):
                    while "#EXT-X-ENDLIST" not in listed.text:
                        listed = await client.get(f"{base}/audio/index.m3u8")
        finally:
            sender.kill()
            sender.wait()


async def listed_until(client: httpx.AsyncClient, url: str, segment: int, wanted: str) -> tuple[str, int]:
    """The list as it is once a text stands in it, asked for with each segment; and the next segment."""
    while True:
        answer = await client.get(url, params={"_HLS_msn": segment})
        assert answer.status_code == httpx.codes.OK, answer.text
        segment += 1
        if wanted in answer.text:
            return answer.text, segment


def whole_behind_discontinuity(text: str) -> tuple[str, str] | None:
    """Names of the header and of the first whole segment behind the discontinuity, once there is one without a gap."""
    _, found, behind = text.partition("#EXT-X-DISCONTINUITY\n")
    lines = behind.splitlines()
    headers = [line.split('"')[1] for line in lines if line.startswith("#EXT-X-MAP")]
    threes = zip(lines, lines[1:], lines[2:], strict=False)
    segments = [name for gap, length, name in threes if length.startswith("#EXTINF") and gap != "#EXT-X-GAP"]
    return (headers[0], segments[0]) if found and segments else None


def size_of(file: bytes) -> tuple[int, int]:
    """Width and height of the first picture; nothing where there is none, since a future carries no StopIteration."""
    with av.open(BytesIO(file)) as container:
        frame = next(container.decode(video=0), None)
    return (frame.width, frame.height) if frame is not None else (0, 0)


@pytest.mark.long
async def test_another_sender_goes_on_behind_a_gap_with_another_size(stage: Stage, tmp_path: Path) -> None:
    router = await stage.engine.open_router()
    transports, producers = await open_sources(router)
    packager = await Packager.open(router, "camera", window_ms=60_000)
    tracks = [await packager.add_track(producer) for producer in producers]
    senders = [await asyncio.to_thread(lambda: send(*transports, tmp_path / "first.log"))]
    base = f"{stage.url}/live/camera"
    try:
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            with stage.engine.subscribe(packager.id) as events:
                await anext(event async for event in events if isinstance(event, PackagerStarted))
            _, segment = await listed_until(client, f"{base}/video/index.m3u8", 0, "#EXTINF")
            senders[0].kill()
            for transport in transports:
                await transport.close()
            _, segment = await listed_until(client, f"{base}/video/index.m3u8", segment, "GAP=YES")
            transports, producers = await open_sources(router)
            assert [await packager.add_track(producer) for producer in producers] == tracks
            senders.append(await asyncio.to_thread(lambda: send(*transports, tmp_path / "second.log", size="640x480")))
            text, segment = await listed_until(client, f"{base}/video/index.m3u8", segment, "#EXT-X-DISCONTINUITY\n")
            while (names := whole_behind_discontinuity(text)) is None:
                text, segment = await listed_until(
                    client, f"{base}/video/index.m3u8", segment, "#EXT-X-DISCONTINUITY\n"
                )
            sound = (await client.get(f"{base}/audio/index.m3u8")).text
            assert sound.count("#EXT-X-DISCONTINUITY\n") == text.count("#EXT-X-DISCONTINUITY\n") == 1
            parts = [(await client.get(f"{base}/video/{name}")).raise_for_status().content for name in names]
        size = await asyncio.to_thread(size_of, b"".join(parts))
        assert size == (640, 480)
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()
