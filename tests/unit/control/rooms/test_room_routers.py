"""A room over several shards: viewers spread, publications piped, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from rooms_world import AUDIO, HEAR, PEER, SEE, VIDEO, World

from roomtone.control.rooms import CloseReason, JoinRequest, Refusal, RoomError, RoomEventKind, RoomLimits
from roomtone.media.fake_objects import FakeConsumer, FakeProducer, FakeRouter, FakeTransport
from roomtone.media.values import EngineCloseReason, EngineConfig, ProducerClosed, ProducerId

MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
async def wide(make_world: MakeWorld) -> World:
    """Rooms of at most two routers over three shards."""
    return await make_world(RoomLimits(routers_per_room=2), EngineConfig(shards=3))


async def publish(world: World, identity: str = "alice"):  # noqa: ANN201
    return await world.rooms.join_with_tracks("demo", JoinRequest(identity), PEER, [AUDIO, VIDEO])


def shards_of_transports(world: World) -> Counter[int]:
    shards = {router.id: router.shard for router in world.link.find(FakeRouter)}
    return Counter(shards[transport.router] for transport in world.link.find(FakeTransport))


def is_served(world: World) -> bool:
    """Whether each consumer has a living source on its own router."""
    routers = {producer.id: producer.router for producer in world.link.find(FakeProducer)}
    return all(c.producer is not None and routers.get(c.producer) == c.router for c in world.link.find(FakeConsumer))


async def test_viewers_are_spread_evenly_over_the_routers_a_room_may_have(wide: World) -> None:
    await publish(wide)
    for _ in range(7):
        await wide.rooms.watch("demo", PEER, [SEE, HEAR])
    assert sorted(shards_of_transports(wide).values()) == [4, 4]
    assert is_served(wide)
    piped = [producer for producer in wide.link.find(FakeProducer) if producer.piped_from is not None]
    assert len(piped) == 2, "each track crosses once, however many watch there"


async def test_a_room_of_one_router_stays_on_its_shard(make_world: MakeWorld) -> None:
    world = await make_world(config=EngineConfig(shards=3))
    await publish(world)
    for _ in range(5):
        await world.rooms.watch("demo", PEER, [SEE])
    assert list(shards_of_transports(world).values()) == [6]


async def test_a_room_uses_no_shard_twice(make_world: MakeWorld) -> None:
    world = await make_world(RoomLimits(routers_per_room=8), EngineConfig(shards=3))
    await publish(world)
    for _ in range(8):
        await world.rooms.watch("demo", PEER, [SEE])
    assert sorted(shards_of_transports(world).items()) == [(0, 3), (1, 3), (2, 3)]


async def test_viewers_that_come_at_once_share_pipes(wide: World) -> None:
    await publish(wide)
    await asyncio.gather(*(wide.rooms.watch("demo", PEER, [SEE, HEAR]) for _ in range(20)))
    assert is_served(wide)
    assert wide.objects() == {"Router": 2, "Transport": 21, "Producer": 4, "Consumer": 40}


async def test_viewers_on_all_routers_follow_a_newer_publisher(wide: World) -> None:
    older, _ = await publish(wide)
    for _ in range(4):
        await wide.rooms.watch("demo", PEER, [SEE])
    newer, _ = await publish(wide, "bob")
    await wide.settle()
    assert is_served(wide)
    subscriptions = wide.rooms.subscriptions.values()
    assert {subscription.source.participant.identity for subscription in subscriptions} == {"bob"}
    await wide.rooms.end(newer)
    await wide.settle()
    assert is_served(wide)
    assert {subscription.source.participant for subscription in subscriptions} == {older}


async def test_a_branch_that_nobody_needs_is_closed_and_opened_again(wide: World) -> None:
    await publish(wide)
    viewers = [(await wide.rooms.watch("demo", PEER, [SEE]))[0] for _ in range(4)]
    room = wide.rooms.find("demo")
    for viewer in viewers:
        await wide.rooms.end(viewer)
    await wide.settle()
    assert not room.branches
    assert wide.objects() == {"Router": 1, "Transport": 1, "Producer": 2}
    assert not wide.rooms.routers.piped
    await wide.rooms.watch("demo", PEER, [SEE])
    assert len(room.branches) == 1
    assert is_served(wide)


async def test_a_publication_that_ends_takes_its_pipes_along(wide: World) -> None:
    participant, _ = await publish(wide)
    await wide.rooms.watch("demo", PEER, [SEE, HEAR])
    await wide.rooms.end(participant)
    await wide.settle()
    assert not wide.rooms.routers.piped
    assert "Producer" not in wide.objects()


async def test_closing_the_room_leaves_no_router(wide: World) -> None:
    await publish(wide)
    for _ in range(4):
        await wide.rooms.watch("demo", PEER, [SEE])
    await wide.rooms.close_room(wide.rooms.find("demo"))
    await wide.settle()
    assert wide.objects() == {}
    assert not wide.rooms.routers.piped


async def test_a_lost_branch_costs_its_viewers_only(wide: World) -> None:
    participant, _ = await publish(wide)
    viewers = [(await wide.rooms.watch("demo", PEER, [SEE]))[0] for _ in range(4)]
    room = wide.rooms.find("demo")
    (branch,) = room.branches
    wide.link.lose_router(branch)
    await wide.settle()
    assert room.closed is participant.closed is None
    assert Counter(viewer.closed for viewer in viewers) == {None: 2, CloseReason.MEDIA_FAILED: 2}
    assert not room.branches
    for _ in range(3):
        await wide.rooms.watch("demo", PEER, [SEE])
    assert len(room.branches) == 1
    assert is_served(wide)


async def test_a_lost_home_closes_the_room_and_its_branches(wide: World) -> None:
    await publish(wide)
    viewers = [(await wide.rooms.watch("demo", PEER, [SEE]))[0] for _ in range(3)]
    room = wide.rooms.find("demo")
    wide.link.lose_router(room.router.id)
    await wide.settle()
    assert room.closed is CloseReason.MEDIA_FAILED
    assert all(viewer.closed is CloseReason.MEDIA_FAILED for viewer in viewers)
    assert wide.objects() == {}


async def test_a_home_that_breaks_before_anybody_is_in_it_closes_the_room_at_once(world: World) -> None:
    room = await world.rooms.open("demo")
    mailbox = room.events.open()
    world.link.lose_router(room.router.id)
    await world.settle()
    assert room.closed is CloseReason.MEDIA_FAILED
    seen = [event async for event in mailbox]
    assert [(event.kind, event.reason) for event in seen] == [(RoomEventKind.ROOM_CLOSED, CloseReason.MEDIA_FAILED)]
    assert world.objects() == {}
    participant, _ = await publish(world)
    assert participant.room is not room, "the next who joins gets a room that works"


async def test_a_branch_that_breaks_with_nothing_in_it_is_forgotten_at_once(wide: World) -> None:
    await publish(wide)
    room = wide.rooms.find("demo")
    branch = await wide.engine.open_router(1)
    room.branches[branch.id] = branch
    wide.link.lose_router(branch.id)
    await wide.settle()
    assert room.closed is None
    assert not room.branches


async def test_a_router_lost_while_events_were_lost_is_missed_all_the_same(wide: World) -> None:
    room = await wide.rooms.open("demo")
    wide.link._state.drop_router(wide.link._state.get(FakeRouter, room.router.id), EngineCloseReason.ROUTER_PANICKED)
    wide.link._state.take_caused()
    await wide.rooms._watch._ask_after_all()
    await wide.settle()
    assert room.closed is CloseReason.MEDIA_FAILED


async def test_a_viewer_that_finds_its_branch_gone_may_try_again(wide: World) -> None:
    await publish(wide)
    await wide.rooms.watch("demo", PEER, [SEE])
    room = wide.rooms.find("demo")
    (branch,) = room.branches
    # Its end is not heard of before the next viewer comes.
    wide.link._state.drop_router(wide.link._state.get(FakeRouter, branch), EngineCloseReason.ROUTER_PANICKED)
    wide.link._state.take_caused()
    refusals = []
    for _ in range(3):
        try:
            await wide.rooms.watch("demo", PEER, [SEE])
        except RoomError as error:
            refusals.append(error.refusal)
    assert refusals == [Refusal.ROUTER_LOST]
    assert room.closed is None


async def test_a_pipe_that_breaks_is_laid_anew(wide: World) -> None:
    await publish(wide)
    await wide.rooms.watch("demo", PEER, [SEE])
    (piped,) = [producer for producer in wide.link.find(FakeProducer) if producer.piped_from is not None]
    wide.link._state.drop_producer(piped)
    wide.link.emit(ProducerClosed(producer=ProducerId(piped.id), reason=EngineCloseReason.PARENT_CLOSED))
    await wide.settle()
    assert is_served(wide)


async def test_a_thousand_viewers_come_and_go_and_leave_everything_as_it_was(wide: World) -> None:
    await publish(wide)
    before = wide.objects()
    for _ in range(20):
        joined = await asyncio.gather(*(wide.rooms.watch("demo", PEER, [SEE, HEAR]) for _ in range(50)))
        assert is_served(wide)
        await asyncio.gather(*(wide.rooms.end(viewer) for viewer, _ in joined))
        await wide.settle()
    assert wide.objects() == before
    assert not wide.rooms.routers.piped
    assert sum(wide.rooms.find("demo").load.values()) == 1
