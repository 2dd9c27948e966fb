"""Rooms and their live streams over the engine in memory."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from roomtone.control.live import LiveLimits, LiveStreams, TranscodeRules, Transcodings
from roomtone.control.rooms import JoinRequest, Participant, RoomLimits, Rooms, TrackOffer
from roomtone.media import Engine
from roomtone.media.fake import FakeLink
from roomtone.media.values import (
    DtlsRole,
    EngineConfig,
    Fingerprint,
    MediaKind,
    PackagerStarted,
    PackagerTrack,
    PackagerTrackId,
    ProducerSilent,
    ProducerStarted,
)
from roomtone.protocols.sdp import Codec, RemotePeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from roomtone.control.live import LiveStream
    from roomtone.media.values import AnyEvent

PEER = RemotePeer(DtlsRole.PASSIVE, (Fingerprint(algorithm="sha-256", value=":".join(["CD"] * 32)),), "ufrag", "p" * 22)


def sound(name: str = "OPUS") -> TrackOffer:
    channels = 2 if name == "OPUS" else 1
    return TrackOffer(MediaKind.AUDIO, (Codec(MediaKind.AUDIO, 111, name, 48000, channels),), mid="0")


def picture(name: str = "H264") -> TrackOffer:
    return TrackOffer(MediaKind.VIDEO, (Codec(MediaKind.VIDEO, 96, name, 90000),), mid="1")


@dataclass
class World:
    """Rooms, their streams, and an engine without media."""

    link: FakeLink
    engine: Engine
    rooms: Rooms
    live: LiveStreams
    makes: Transcodings | None = field(default=None, kw_only=True)

    async def publish(self, identity: str, *offers: TrackOffer, room: str = "demo") -> Participant:
        """Have somebody join with tracks."""
        participant, _ = await self.rooms.join_with_tracks(room, JoinRequest(identity), PEER, offers)
        await self.settle()
        return participant

    async def emit(self, event: AnyEvent) -> None:
        """Have the engine say something."""
        self.link.emit(event)
        await self.settle()

    async def start(self, stream: LiveStream) -> None:
        """Have the engine say that a stream's playlist can be read."""
        video = PackagerTrack(
            track=PackagerTrackId(1), name="video", codec="avc1.42c01e", width=320, height=240, channels=None
        )
        audio = PackagerTrack(track=PackagerTrackId(2), name="audio", codec="opus", width=None, height=None, channels=2)
        await self.emit(PackagerStarted(packager=stream.packager.id, tracks=[video, audio]))

    def packagers(self) -> int:
        """How many packagers the engine has."""
        return sum(type(held).__name__ == "FakePackager" for held in self.link.objects.values())

    async def settle(self) -> None:
        """Let everything that has begun come to its end; what the engine says comes by a file descriptor."""
        for _ in range(200):
            await asyncio.sleep(0)


def fed(stream: object) -> dict[MediaKind, str | None]:
    return {
        feed.kind: None if feed.publication is None else feed.publication.participant.identity
        for feed in stream.feeds  # type: ignore[attr-defined]
    }


async def flows(world: World, participant: Participant, *, comes: bool = True) -> None:
    """Have packets of somebody's tracks come, or come no more."""
    for publication in participant.publications.values():
        producer = publication.producer.id
        await world.emit(
            ProducerStarted(producer=producer, encoding=0, ssrc=1)
            if comes
            else ProducerSilent(producer=producer, encoding=0)
        )


async def make_world(
    limits: LiveLimits | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    room_limits: RoomLimits | None = None,
    rules: TranscodeRules | None = None,
) -> World:
    link = FakeLink(EngineConfig())
    engine = Engine(link)
    await engine.start()
    rooms = Rooms(engine, room_limits, clock=lambda: 1000.0)
    rooms.start()
    transcodings = None if rules is None else Transcodings(engine, rules)
    live = LiveStreams(rooms, limits, clock=lambda: 1000.0, monotonic=monotonic, transcodings=transcodings)
    return World(link, engine, rooms, live, makes=transcodings)


async def close_world(world: World) -> None:
    await world.live.close()
    if world.makes is not None:
        await world.makes.close()
    await world.rooms.close()
    await world.engine.close()


@pytest.fixture
def link() -> FakeLink:
    return FakeLink()


@pytest.fixture
async def engine(link: FakeLink) -> AsyncIterator[Engine]:
    made = Engine(link)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def rooms(engine: Engine) -> AsyncIterator[Rooms]:
    made = Rooms(engine)
    made.start()
    yield made
    await made.close()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = await make_world()
    yield made
    await close_world(made)
