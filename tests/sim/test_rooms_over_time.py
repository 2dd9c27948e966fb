"""Rooms in virtual time: how long they live, and a random day of theirs."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest
from virtual_time import run_virtual

from roomtone.control.rooms import JoinRequest, Member, RoomError, RoomLimits, Rooms, SubscriptionOffer, TrackOffer
from roomtone.media import Engine
from roomtone.media.fake import FakeLink
from roomtone.media.fake_objects import FakeConsumer, FakeRouter, FakeTransport
from roomtone.media.values import DtlsRole, EngineCloseReason, EngineConfig, Fingerprint, MediaKind
from roomtone.protocols.sdp import Codec, RemotePeer

PEER = RemotePeer(DtlsRole.PASSIVE, (Fingerprint(algorithm="sha-256", value=":".join(["CD"] * 32)),), "ufrag", "p" * 22)
VP8 = Codec(MediaKind.VIDEO, 96, "VP8", 90000)
VIDEO = TrackOffer(MediaKind.VIDEO, (VP8,))
SEE = SubscriptionOffer(MediaKind.VIDEO, (replace(VP8, payload_type=120),))


async def _open(limits: RoomLimits, config: EngineConfig | None = None) -> tuple[FakeLink, Engine, Rooms]:
    link = FakeLink(config)
    engine = Engine(link)
    await engine.start()
    rooms = Rooms(engine, limits)
    rooms.start()
    return link, engine, rooms


def test_an_empty_room_lives_for_its_time_and_no_longer() -> None:
    async def work() -> None:
        _, engine, rooms = await _open(RoomLimits(departure_timeout_s=60))
        participant, _ = await rooms.join_with_tracks("demo", JoinRequest("a"), PEER, [VIDEO])
        await asyncio.sleep(600)
        assert "demo" in rooms.by_name
        await rooms.end(participant)
        await asyncio.sleep(59)
        assert "demo" in rooms.by_name
        await rooms.join("demo", JoinRequest("b"))
        await asyncio.sleep(600)
        await rooms.end(rooms.find("demo").participants["b"])
        await asyncio.sleep(61)
        assert "demo" not in rooms.by_name
        await rooms.close()
        await engine.close()

    run_virtual(work())


def test_a_room_opened_for_nobody_closes_too() -> None:
    async def work() -> None:
        link, engine, rooms = await _open(RoomLimits(empty_timeout_s=5))
        await rooms.open("demo")
        await asyncio.sleep(6)
        assert not rooms.by_name
        assert not link.objects
        await rooms.close()
        await engine.close()

    run_virtual(work())


class Day:
    """A random day: people come, watch, leave and get lost, several at a time."""

    def __init__(self, seed: int, link: FakeLink, rooms: Rooms) -> None:
        self._source = random.Random(seed)  # noqa: S311 - a seeded source is the point
        self._link = link
        self._rooms = rooms

    async def hour(self) -> None:
        """Do some things at once."""
        await asyncio.gather(*(self._attempt() for _ in range(self._source.randint(1, 5))))

    async def _attempt(self) -> None:
        try:
            await self._step()
        except RoomError:
            return  # a limit, or nobody live: what matters is what is left over

    async def _step(self) -> None:
        source, rooms = self._source, self._rooms
        room = source.choice(["red", "blue"])
        match source.randrange(7 if source.random() < 0.9 else 8):
            case 0 | 1:
                await rooms.join_with_tracks(room, JoinRequest(f"p{source.randrange(4)}"), PEER, [VIDEO])
            case 2 | 3:
                await rooms.watch(room, PEER, [SEE], source.choice([None, None, "p1"]))
            case 4 if members := everybody(rooms):
                await rooms.end(source.choice(members))
            case 5 if transports := self._link.find(FakeTransport):
                self._link.lose_peer(source.choice(transports).id, EngineCloseReason.CONSENT_EXPIRED)
            case 7 if routers := self._link.find(FakeRouter):
                self._link.lose_router(source.choice(routers).id)
            case _:
                await asyncio.sleep(source.random() * 20)


def everybody(rooms: Rooms) -> list[Member]:
    return [member for room in rooms.by_name.values() for member in room.members()]


async def check_sources(link: FakeLink, rooms: Rooms) -> None:
    for room in rooms.by_name.values():
        await rooms.switching.settled(room)
        for viewer in room.viewers.values():
            wanted = rooms.switching.wanted(viewer, MediaKind.VIDEO)
            (subscription,) = viewer.subscriptions.values()
            fed = next(c for c in link.find(FakeConsumer) if c.id == subscription.consumer.id)
            producer = None if wanted is None else await rooms.routers.producer_on(wanted, subscription.router)
            assert fed.producer == (None if producer is None else producer.id)


@pytest.mark.parametrize("routers_per_room", [1, 3])
@pytest.mark.parametrize("seed", range(20))
def test_after_a_random_day_every_viewer_has_its_source_and_nothing_is_left_over(
    seed: int, routers_per_room: int
) -> None:
    async def work() -> None:
        limits = RoomLimits(
            empty_timeout_s=10, departure_timeout_s=10, max_participants=3, routers_per_room=routers_per_room
        )
        link, engine, rooms = await _open(limits, EngineConfig(max_transports=12, shards=4))
        day = Day(seed, link, rooms)
        for _ in range(60):
            await day.hour()
        for _ in range(100):
            await asyncio.sleep(0)
        await check_sources(link, rooms)
        assert {t.id for t in link.find(FakeTransport)} == set(rooms.connections)
        for member in everybody(rooms):
            await rooms.end(member)
        await asyncio.sleep(30)
        assert not link.objects
        assert not rooms.by_name
        assert not rooms.publications
        assert not rooms.subscriptions
        assert not rooms.routers.piped
        await rooms.close()
        await engine.close()

    run_virtual(work())
