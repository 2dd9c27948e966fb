"""Rooms in virtual time: how long they live, and a random day of theirs."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import replace

import pytest
from virtual_time import run_virtual

from roomtone.control.rooms import (
    JoinRequest,
    KnockDecision,
    Member,
    Participant,
    Permissions,
    Refusal,
    RoomError,
    RoomLimits,
    RoomOptions,
    Rooms,
    SubscriptionOffer,
    SubscriptionRules,
    TrackOffer,
    UnawareMover,
)
from roomtone.media import Engine
from roomtone.media.fake import FakeLink
from roomtone.media.fake_objects import FakeConsumer, FakeProducer, FakeRouter, FakeTransport
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


def test_a_room_made_for_later_waits_for_its_first_guest_and_less_long_after_the_last() -> None:
    async def work() -> None:
        link, engine, rooms = await _open(RoomLimits(empty_timeout_s=300, departure_timeout_s=20))
        own = RoomOptions(empty_timeout_s=1000, departure_timeout_s=50)
        for name, options in (("usual", None), ("own", own)):
            await rooms.create(name, options)
        await asyncio.sleep(299)
        assert set(rooms.by_name) == {"usual", "own"}
        await asyncio.sleep(2)
        assert set(rooms.by_name) == {"own"}
        guest = await rooms.join("own", JoinRequest("a"))
        await asyncio.sleep(2000)
        await rooms.end(guest)
        await asyncio.sleep(49)
        await rooms.update_room(rooms.find("own"), departure_timeout_s=60)
        await asyncio.sleep(59)
        assert set(rooms.by_name) == {"own"}
        await asyncio.sleep(2)
        assert not rooms.by_name
        assert not link.objects
        await rooms.close()
        await engine.close()

    run_virtual(work())


def test_who_asks_to_enter_waits_so_long_and_no_longer() -> None:
    async def work() -> None:
        _, engine, rooms = await _open(RoomLimits(lobby_timeout_s=60))
        room = await rooms.create("demo", RoomOptions(lobby=True))
        await rooms.join("demo", JoinRequest("boss", permissions=Permissions(moderator=True)))
        knock = await rooms.knock("demo", JoinRequest("a"))
        await asyncio.sleep(59)
        assert knock.decision is None
        await asyncio.sleep(2)
        assert knock.decision is KnockDecision.TIMED_OUT
        assert not room.lobby
        await rooms.close()
        await engine.close()

    run_virtual(work())


def test_a_pace_of_chat_comes_back_with_time() -> None:
    async def work() -> None:
        _, engine, rooms = await _open(RoomLimits(chat_burst=3, chat_per_minute=60))
        alice = await rooms.join("demo", JoinRequest("a"))
        for _ in range(100):
            with suppress(RoomError):
                await rooms.post_message(alice, "hello")
            await asyncio.sleep(0.1)
        sent = len(await rooms.chat_history(alice.room))
        assert 12 <= sent <= 13
        assert rooms.refused == {Refusal.TOO_FAST: 100 - sent}
        await rooms.close()
        await engine.close()

    run_virtual(work())


class Day:
    """A random day: people come, watch, leave and get lost, several at a time; rooms and permissions change."""

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
                participant, _ = await rooms.join_with_tracks(room, self._who(), PEER, [VIDEO])
                participant.mover = UnawareMover() if source.random() < 0.7 else None
            case 2 | 3:
                await rooms.watch(room, PEER, [SEE], source.choice([None, None, "p1"]))
            case 4 if members := everybody(rooms):
                await rooms.end(source.choice(members))
            case 5 if transports := self._link.find(FakeTransport):
                self._link.lose_peer(source.choice(transports).id, EngineCloseReason.CONSENT_EXPIRED)
            case 7 if routers := self._link.find(FakeRouter):
                self._link.lose_router(source.choice(routers).id)
            case _ if source.random() < 0.7:
                await self._change(room)
            case _:
                await asyncio.sleep(source.random() * 20)

    def _who(self) -> JoinRequest:
        allowed = Permissions(moderator=self._source.random() < 0.3, hidden=self._source.random() < 0.1)
        return JoinRequest(f"p{self._source.randrange(4)}", permissions=allowed, movable=True)

    async def _change(self, name: str) -> None:
        """Change what people may do, what they have, and who gets in."""
        source, rooms = self._source, self._rooms
        people = [member for member in everybody(rooms) if isinstance(member, Participant)]
        at_home = [one for one in people if one.origin is None]
        match source.randrange(22):
            case 0 | 8 if people:
                allowed = Permissions(
                    source.random() < 0.8, can_subscribe=source.random() < 0.5, hidden=source.random() < 0.2
                )
                await rooms.update(source.choice(people), permissions=allowed)
            case 1 | 9 | 10 | 11 | 12 if people:
                await self._subscribe(source.choice(people))
            case 2 if tracks := list(rooms.publications.values()):
                muted, track = source.random() < 0.5, source.choice(tracks)
                by_server = source.random() < 0.5 or track.origin is not None
                await rooms.mute(track, muted=muted, by_server=by_server)
            case 3:
                await rooms.update_room(rooms.find(name), locked=source.random() < 0.3, lobby=source.random() < 0.3)
            case 4 | 18 | 19 | 20 | 21 if people:
                await rooms.move(source.choice(people), source.choice(["red", "blue", "green"]))
            case 5 if at_home:
                rules = SubscriptionRules(all=source.random() < 0.7, tracks={"p1": None})
                await rooms.set_subscription_permissions(source.choice(at_home), rules)
            case 14 | 15 | 16 | 17 if people:
                await rooms.forward(source.choice(people), source.choice(["red", "blue", "green"]))
            case 6:
                knock = await rooms.knock(name, self._who())
                await asyncio.sleep(source.random() * 10)
                rooms.admit(knock.room, knock.id) if source.random() < 0.5 else rooms.withdraw(knock)
            case _ if people:
                await rooms.remove(source.choice(people))

    async def _subscribe(self, member: Participant) -> None:
        """Have a participant subscribe to what is published in its room."""
        tracks = [track for other in member.room.participants.values() for track in other.publications.values()]
        if tracks and member.connections:
            connection = next(iter(member.connections.values()))
            await self._rooms.subscribe(member, connection, SEE, self._source.choice(tracks))


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


def check_permissions(link: FakeLink, rooms: Rooms) -> None:
    """Nobody has what it may not have, in control or in the engine."""
    consumers = {consumer.id: consumer for consumer in link.find(FakeConsumer)}
    producers = {one.id: one for one in link.find(FakeProducer) if one.id not in rooms.routers.piped}
    assert set(producers) == set(rooms.publications)
    assert set(consumers) == set(rooms.subscriptions)
    for subscription in rooms.subscriptions.values():
        member, source = subscription.member, subscription.source
        identity = member.identity if isinstance(member, Participant) else None
        if isinstance(member, Participant):
            assert member.permissions.can_subscribe
            assert source is not None
            assert not source.participant.permissions.hidden
            assert source.subscriptions[subscription.id] is subscription
        if source is not None:
            assert source.participant.subscription_rules.allows(identity, source.id)
            assert rooms.publications[source.producer.id] is source
    for publication in rooms.publications.values():
        assert publication.participant.permissions.may_publish(publication.source)
        assert producers[publication.producer.id].paused == publication.muted


def check_forwarded(link: FakeLink, rooms: Rooms) -> None:
    """Mirrors are what their sources are, and each has its forwarding."""
    forwardings = [one for room in rooms.by_name.values() for held in room.forwards.values() for one in held.values()]
    mirrors = [one for one in everybody(rooms) if isinstance(one, Participant) and one.origin is not None]
    assert {one.id for one in mirrors} == {forwarding.mirror.id for forwarding in forwardings}
    producers = {producer.id: producer for producer in link.find(FakeProducer)}
    for forwarding in forwardings:
        source, mirror = forwarding.source, forwarding.mirror
        assert (source.closed, mirror.closed, mirror.subscriptions) == (None, None, {})
        assert source.room.participants[source.identity] is source
        assert mirror.permissions.hidden == source.permissions.hidden
        assert mirror.subscription_rules.all == source.subscription_rules.all
        assert {track.origin for track in mirror.publications.values()} == set(source.publications.values())
        for track in mirror.publications.values():
            assert track.origin is not None
            assert track.publisher_muted == track.origin.muted
            assert producers[track.producer.id].piped_from == track.origin.producer.id


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
            check_permissions(link, rooms)
            check_forwarded(link, rooms)
        await check_sources(link, rooms)
        assert {t.id for t in link.find(FakeTransport)} == set(rooms.connections)
        for member in everybody(rooms):
            await rooms.end(member)
        await asyncio.sleep(30)
        assert not link.objects
        assert not rooms.by_name
        assert not rooms.forwardings
        assert not rooms.publications
        assert not rooms.subscriptions
        assert not rooms.routers.piped
        assert not rooms.observed
        assert not rooms._tasks
        await rooms.close()
        await engine.close()

    run_virtual(work())
