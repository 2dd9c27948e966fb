"""aiortc publishes by WHIP and watches by WHEP: pictures and tones are compared with what was sent."""

from __future__ import annotations

import asyncio
import fractions
import math

import httpx
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame, VideoFrame
from conftest import Server, token

pytestmark = pytest.mark.timeout(90)
TONE_HZ = 1000.0
RATE_HZ = 48_000


class Grey(MediaStreamTrack):
    """A picture that is light on the left and dark on the right."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        picture = np.full((240, 320, 3), 40, dtype=np.uint8)
        picture[:, :160] = 200
        self._picture = picture

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(1 / 15)
        frame = VideoFrame.from_ndarray(self._picture, format="rgb24")
        frame.pts, frame.time_base = self._count * 6000, fractions.Fraction(1, 90_000)
        self._count += 1
        return frame


class Tone(MediaStreamTrack):
    """A sine."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._at = 0

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(0.02)
        t = (np.arange(960) + self._at) / RATE_HZ
        samples = (np.sin(2 * math.pi * TONE_HZ * t) * 12_000).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._at, fractions.Fraction(1, RATE_HZ)
        self._at += 960
        return frame


async def post(pc: RTCPeerConnection, url: str, bearer: str) -> httpx.Response:
    """Offer, answer, applied."""
    await pc.setLocalDescription(await pc.createOffer())
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            url,
            content=pc.localDescription.sdp,
            headers={"Content-Type": "application/sdp", "Authorization": f"Bearer {bearer}"},
        )
    assert answer.status_code == 201, answer.text
    await pc.setRemoteDescription(RTCSessionDescription(sdp=answer.text, type="answer"))
    return answer


async def publish(server: Server, room: str) -> RTCPeerConnection:
    pc = RTCPeerConnection()
    pc.addTrack(Grey())
    pc.addTrack(Tone())
    await post(pc, f"{server.http}/whip/{room}", token(room, "aiortc"))
    return pc


async def watch(server: Server, room: str) -> tuple[RTCPeerConnection, dict[str, MediaStreamTrack]]:
    pc = RTCPeerConnection()
    tracks: dict[str, MediaStreamTrack] = {}
    pc.on("track", lambda track: tracks.update({track.kind: track}))
    pc.addTransceiver("video", direction="recvonly")
    pc.addTransceiver("audio", direction="recvonly")
    await post(pc, f"{server.http}/whep/{room}", token(room, "viewer"))
    return pc, tracks


def goertzel(samples: np.ndarray, hz: float) -> float:
    """Share of the power of `samples` at `hz`, from 0 to 1."""
    n = np.arange(len(samples))
    wave = np.exp(-2j * math.pi * hz * n / RATE_HZ)
    power = float(np.mean(samples**2))
    return 2 * abs(np.mean(samples * wave)) ** 2 / power if power else 0.0


async def live(server: Server, room: str) -> None:
    """Wait until the room's publisher sends (WHEP answers 409 before)."""
    for _ in range(100):
        tracks = server.room(room)
        if tracks["publishers"]:
            return
        await asyncio.sleep(0.1)
    pytest.fail("the room did not become live")


async def test_a_picture_and_a_tone_arrive_as_they_were_sent(server: Server) -> None:
    publisher = await publish(server, "aiortc")
    await live(server, "aiortc")
    viewer, tracks = await watch(server, "aiortc")
    try:
        for _ in range(20):
            frame = await asyncio.wait_for(tracks["video"].recv(), 20)
        assert isinstance(frame, VideoFrame)
        assert (frame.width, frame.height) == (320, 240)
        picture = frame.to_ndarray(format="rgb24")
        assert abs(float(picture[60:180, 40:120].mean()) - 200) < 10
        assert abs(float(picture[60:180, 200:280].mean()) - 40) < 10

        heard = []
        for _ in range(60):
            sound = await asyncio.wait_for(tracks["audio"].recv(), 20)
            assert isinstance(sound, AudioFrame)
            heard.append(sound.to_ndarray().reshape(-1)[:: len(sound.layout.channels)].astype(np.float64))
        samples = np.concatenate(heard[20:])
        assert goertzel(samples, TONE_HZ) > 0.9
        assert goertzel(samples, 440.0) < 0.05
    finally:
        await viewer.close()
        await publisher.close()
