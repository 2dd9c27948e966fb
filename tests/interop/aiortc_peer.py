"""An aiortc peer that publishes by WHIP or watches by WHEP, and what its pictures and tones are compared with."""

from __future__ import annotations

import asyncio
import fractions
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame, VideoFrame
from conftest import PATIENCE_S, Server, token, until

TONE_HZ = 1000.0
RATE_HZ = 48_000
LIGHT, DARK = 200, 40
FRAME_S = 1 / 15
SOUND_S = 0.02


class Grey(MediaStreamTrack):
    """A picture that is light on the left and dark on the right."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        picture = np.full((240, 320, 3), DARK, dtype=np.uint8)
        picture[:, :160] = LIGHT
        self._picture = picture

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(FRAME_S)
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
        await asyncio.sleep(SOUND_S)
        t = (np.arange(960) + self._at) / RATE_HZ
        samples = (np.sin(2 * math.pi * TONE_HZ * t) * 12_000).astype(np.int16)
        frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._at, fractions.Fraction(1, RATE_HZ)
        self._at += 960
        return frame


@dataclass
class Peer:
    """A connection that was negotiated, and its resource on the server."""

    pc: RTCPeerConnection
    url: str
    bearer: str
    etag: str
    answer: str
    tracks: dict[str, MediaStreamTrack] = field(default_factory=dict)

    async def close(self) -> None:
        await self.pc.close()

    async def request(self, method: str, body: str | None = None, **headers: str) -> httpx.Response:
        """Act on the resource."""
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            sent = {"Authorization": f"Bearer {self.bearer}", **headers}
            return await client.request(method, self.url, content=body, headers=sent)

    async def frames(self, count: int) -> VideoFrame:
        """Decode some pictures and give the last."""
        for _ in range(count):
            frame = await asyncio.wait_for(self.tracks["video"].recv(), PATIENCE_S)
        assert isinstance(frame, VideoFrame)
        return frame

    async def sound(self, count: int) -> np.ndarray:
        """Decode some packets of sound and give the first channel of the later half."""
        heard = []
        for _ in range(count):
            sound = await asyncio.wait_for(self.tracks["audio"].recv(), PATIENCE_S)
            assert isinstance(sound, AudioFrame)
            heard.append(sound.to_ndarray().reshape(-1)[:: len(sound.layout.channels)].astype(np.float64))
        return np.concatenate(heard[count // 2 :])

    async def received(self) -> dict[str, int]:
        """Packets received, by kind."""
        reports = (await self.pc.getStats()).values()
        return {report.kind: report.packetsReceived for report in reports if report.type == "inbound-rtp"}


async def post(
    pc: RTCPeerConnection, url: str, bearer: str, edit: Callable[[str], str] = str, *, take: Callable[[str], str] = str
) -> Peer:
    """Offer, answer, applied; `edit` changes the offer on its way, `take` the answer."""
    await pc.setLocalDescription(await pc.createOffer())
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        answer = await client.post(
            url,
            content=edit(pc.localDescription.sdp),
            headers={"Content-Type": "application/sdp", "Authorization": f"Bearer {bearer}"},
        )
    assert answer.status_code == httpx.codes.CREATED, answer.text
    await pc.setRemoteDescription(RTCSessionDescription(sdp=take(answer.text), type="answer"))
    location = str(httpx.URL(url).join(answer.headers["Location"]))
    return Peer(pc, location, bearer, answer.headers["ETag"], answer.text)


async def publish(
    server: Server,
    room: str,
    identity: str = "aiortc",
    edit: Callable[[str], str] = str,
    *,
    take: Callable[[str], str] = str,
) -> Peer:
    """Send the picture and the tone."""
    pc = RTCPeerConnection()
    pc.addTrack(Grey())
    pc.addTrack(Tone())
    return await post(pc, f"{server.http}/whip/{room}", token(room, identity), edit, take=take)


async def watch(
    server: Server,
    room: str,
    edit: Callable[[str], str] = str,
    *,
    participant: str | None = None,
    take: Callable[[str], str] = str,
) -> Peer:
    """Receive picture and tone, of one participant or of the newest."""
    pc = RTCPeerConnection()
    tracks: dict[str, MediaStreamTrack] = {}
    pc.on("track", lambda track: tracks.update({track.kind: track}))
    pc.addTransceiver("video", direction="recvonly")
    pc.addTransceiver("audio", direction="recvonly")
    query = "" if participant is None else f"?participant={participant}"
    peer = await post(pc, f"{server.http}/whep/{room}{query}", token(room, "viewer"), edit, take=take)
    peer.tracks = tracks
    return peer


def tone_share(samples: np.ndarray, hz: float, rate_hz: int = RATE_HZ) -> float:
    """Share of the power of `samples` at `hz`, from 0 to 1 (Goertzel)."""
    n = np.arange(len(samples))
    wave = np.exp(-2j * math.pi * hz * n / rate_hz)
    power = float(np.mean(samples**2))
    return 2 * abs(np.mean(samples * wave)) ** 2 / power if power else 0.0


def assert_is_the_picture(grey: np.ndarray) -> None:
    """Compare a decoded 320x240 picture of one channel with the one that `Grey` sends."""
    assert grey.shape == (240, 320)
    assert abs(float(grey[60:180, 40:120].mean()) - LIGHT) < 10
    assert abs(float(grey[60:180, 200:280].mean()) - DARK) < 10


async def assert_hears_the_tone(viewer: Peer, packets: int = 60) -> None:
    """Listen and find `Tone`, and only it."""
    samples = await viewer.sound(packets)
    assert tone_share(samples, TONE_HZ) > 0.9
    assert tone_share(samples, 440.0) < 0.05


async def assert_sees_and_hears(viewer: Peer, pictures: int = 20) -> None:
    """Decode pictures and sound and compare both with what `Grey` and `Tone` send."""
    frame = await viewer.frames(pictures)
    assert_is_the_picture(frame.to_ndarray(format="rgb24").mean(axis=2))
    await assert_hears_the_tone(viewer)


async def live(server: Server, room: str) -> None:
    """Wait until the room has a publisher (WHEP answers 409 before)."""
    await asyncio.to_thread(until, lambda: server.identities(room), "a publisher")
