"""LiveKit's Python SDK as a foreign peer: a real libwebrtc, with sources it draws and plays itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
from livekit import rtc

RATE = 48_000
TONE_HZ = 440
CHUNK = RATE // 50
FRAME_S = 1 / 15
PATIENCE_S = 40


@dataclass
class Subscribed:
    """A track that came, and whose it is."""

    track: rtc.Track
    publication: rtc.RemoteTrackPublication
    participant: rtc.RemoteParticipant


@dataclass
class LiveKitPeer:
    """A participant; what happens to it is kept in queues."""

    room: rtc.Room = field(default_factory=rtc.Room)
    subscribed: asyncio.Queue[Subscribed] = field(default_factory=asyncio.Queue)
    data: asyncio.Queue[rtc.DataPacket] = field(default_factory=asyncio.Queue)
    events: asyncio.Queue[tuple[str, tuple[object, ...]]] = field(default_factory=asyncio.Queue)
    feeding: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.room.on("track_subscribed", lambda *what: self.subscribed.put_nowait(Subscribed(*what)))
        self.room.on("data_received", self.data.put_nowait)
        for name in (
            "participant_connected",
            "participant_disconnected",
            "track_published",
            "track_unsubscribed",
            "track_published",
            "track_unpublished",
            "track_muted",
            "track_unmuted",
            "participant_metadata_changed",
            "participant_attributes_changed",
            "room_metadata_changed",
            "local_track_subscribed",
            "active_speakers_changed",
            "transcription_received",
            "moved",
            "reconnecting",
            "reconnected",
            "disconnected",
        ):
            self.room.on(name, lambda *what, name=name: self.events.put_nowait((name, what)))

    async def connect(
        self,
        http: str,
        token: str,
        *,
        single: bool = False,
        auto_subscribe: bool = True,
        encryption: rtc.E2EEOptions | None = None,
    ) -> Self:
        """Join; `single` takes one peer connection for both ways."""
        options = rtc.RoomOptions(auto_subscribe=auto_subscribe, single_peer_connection=single, encryption=encryption)
        await asyncio.wait_for(self.room.connect(http.replace("http", "ws", 1), token, options), PATIENCE_S)
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self.feeding:
            task.cancel()
        await asyncio.gather(*self.feeding, return_exceptions=True)
        await self.room.disconnect()

    async def publish_picture(
        self, colour: tuple[int, int, int], size: tuple[int, int] = (320, 180), **options: object
    ) -> rtc.LocalTrackPublication:
        """Publish a picture of one colour."""
        source = rtc.VideoSource(*size)
        track = rtc.LocalVideoTrack.create_video_track("picture", source)
        chosen = {"source": rtc.TrackSource.SOURCE_CAMERA, "simulcast": False, "video_codec": rtc.VideoCodec.VP8}
        publication = await self.room.local_participant.publish_track(
            track, rtc.TrackPublishOptions(**(chosen | options))
        )
        self.feeding.append(asyncio.ensure_future(_draw(source, colour, size)))
        return publication

    async def publish_tone(self, hertz: int = TONE_HZ) -> rtc.LocalTrackPublication:
        """Publish a sine tone."""
        source = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("tone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await self.room.local_participant.publish_track(track, options)
        self.feeding.append(asyncio.ensure_future(_play(source, hertz)))
        return publication

    async def next_track(self, kind: rtc.TrackKind.ValueType) -> Subscribed:
        """Wait for a track of a kind; others that come first stay."""
        passed = []
        try:
            while True:
                seen = await asyncio.wait_for(self.subscribed.get(), PATIENCE_S)
                if seen.track.kind == kind:
                    return seen
                passed.append(seen)
        finally:
            for seen in passed:
                self.subscribed.put_nowait(seen)

    async def next_event(self, name: str) -> tuple[object, ...]:
        """Wait for an event of a name; what comes before it is passed over."""
        while True:
            seen, what = await asyncio.wait_for(self.events.get(), PATIENCE_S)
            if seen == name:
                return what

    async def next_data(self) -> rtc.DataPacket:
        """Wait for a data packet."""
        return await asyncio.wait_for(self.data.get(), PATIENCE_S)


async def _draw(source: rtc.VideoSource, colour: tuple[int, int, int], size: tuple[int, int]) -> None:
    picture = np.zeros((size[1], size[0], 4), np.uint8)
    picture[:, :] = (*colour, 255)
    frame = rtc.VideoFrame(size[0], size[1], rtc.VideoBufferType.RGBA, picture.tobytes())
    while True:
        source.capture_frame(frame)
        await asyncio.sleep(FRAME_S)


async def _play(source: rtc.AudioSource, hertz: int) -> None:
    place = 0
    while True:
        samples = np.sin(2 * np.pi * hertz * (np.arange(CHUNK) + place) / RATE) * 12_000
        place += CHUNK
        await source.capture_frame(rtc.AudioFrame(samples.astype(np.int16).tobytes(), RATE, 1, CHUNK))


@contextlib.asynccontextmanager
async def pictures(track: rtc.Track) -> AsyncIterator[AsyncIterator[np.ndarray]]:
    """Decoded pictures of a track, as rows of RGBA."""
    stream = rtc.VideoStream(track)

    async def read() -> AsyncIterator[np.ndarray]:
        while True:
            event = await asyncio.wait_for(anext(stream), PATIENCE_S)
            frame = event.frame.convert(rtc.VideoBufferType.RGBA)
            yield np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.width, 4)

    try:
        yield read()
    finally:
        await stream.aclose()


async def see_colour(track: rtc.Track, colour: tuple[int, int, int]) -> tuple[int, int]:
    """Wait for a decoded picture of a colour; gives its size."""
    async with pictures(track) as seen:
        async for picture in seen:
            middle = picture[picture.shape[0] // 2, picture.shape[1] // 2, :3].astype(int)
            if max(abs(middle - np.array(colour))) < 24:
                return picture.shape[1], picture.shape[0]
    raise AssertionError("the track ended")


async def hear_tone(track: rtc.Track, seconds: float = 0.5) -> float:
    """Wait for sound; gives the frequency that is strongest in it."""
    stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
    heard = np.zeros(0)
    try:
        while len(heard) < RATE * seconds:
            event = await asyncio.wait_for(anext(stream), PATIENCE_S)
            samples = np.frombuffer(event.frame.data, np.int16).astype(float)
            heard = np.concatenate([heard, samples]) if np.abs(samples).max() > 2_000 else np.zeros(0)
    finally:
        await stream.aclose()
    return float(np.abs(np.fft.rfft(heard)).argmax() * RATE / len(heard))
