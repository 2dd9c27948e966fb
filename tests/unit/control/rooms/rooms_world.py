"""Rooms over the engine in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from roomtone.control.rooms import RoomLimits, Rooms, SubscriptionOffer, TrackOffer
from roomtone.media import Engine
from roomtone.media.fake import FakeLink
from roomtone.media.fake_objects import FakeProducer
from roomtone.media.values import DtlsRole, EncodingParameters, EngineConfig, Fingerprint, MediaKind
from roomtone.protocols.sdp import Codec, RemotePeer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

OPUS = Codec(MediaKind.AUDIO, 111, "OPUS", 48000, 2)
VP8 = Codec(MediaKind.VIDEO, 96, "VP8", 90000, rtx_payload_type=97)
VP9 = Codec(MediaKind.VIDEO, 98, "VP9", 90000, rtx_payload_type=99)
PEER = RemotePeer(DtlsRole.PASSIVE, (Fingerprint(algorithm="sha-256", value=":".join(["CD"] * 32)),), "ufrag", "p" * 22)
AUDIO = TrackOffer(MediaKind.AUDIO, (OPUS,), mid="0")
VIDEO = TrackOffer(
    MediaKind.VIDEO, (VP8,), mid="1", encodings=(EncodingParameters(rid="q"), EncodingParameters(rid="f"))
)
SEE = SubscriptionOffer(
    MediaKind.VIDEO, (Codec(MediaKind.VIDEO, 120, "VP8", 90000), Codec(MediaKind.VIDEO, 121, "VP9", 90000))
)
HEAR = SubscriptionOffer(MediaKind.AUDIO, (Codec(MediaKind.AUDIO, 109, "OPUS", 48000, 2),))


@dataclass
class World:
    """Rooms, their engine, and time that stands still."""

    link: FakeLink
    engine: Engine
    rooms: Rooms

    async def settle(self) -> None:
        """Let everything that has begun come to its end."""
        for _ in range(200):
            await asyncio.sleep(0)

    def objects(self) -> Counter[str]:
        """What the engine holds, by kind; but for the observers, of which each room has one."""
        kinds = Counter(type(held).__name__.removeprefix("Fake") for held in self.link.objects.values())
        assert kinds["Observer"] == len(self.rooms.observed)
        del kinds["Observer"]
        piped = [held for held in self.link.find(FakeProducer) if held.piped_from is not None]
        assert kinds["Pipe"] == 2 * len(piped), "a pipe has two ends"
        del kinds["Pipe"]
        return kinds


@pytest.fixture
async def make_world() -> AsyncIterator[Callable[..., Awaitable[World]]]:
    opened: list[World] = []

    async def make(limits: RoomLimits | None = None, config: EngineConfig | None = None) -> World:
        link = FakeLink(config)
        engine = Engine(link)
        await engine.start()
        rooms = Rooms(engine, limits, clock=lambda: 1000.0)
        rooms.start()
        world = World(link, engine, rooms)
        opened.append(world)
        return world

    yield make
    for world in opened:
        await world.rooms.close()
        await world.engine.close()


@pytest.fixture
async def world(make_world: Callable[..., Awaitable[World]]) -> World:
    return await make_world()
