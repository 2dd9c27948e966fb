"""What is remembered of ends: who, which room, when and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rooms_world import AUDIO, HEAR, PEER, World

from roomtone.control.rooms import CloseReason, EndedKind, JoinRequest, RoomLimits

MakeWorld = Callable[..., Awaitable[World]]


async def test_members_and_their_room_are_remembered_the_newest_first(world: World) -> None:
    alice, _ = await world.rooms.join_with_tracks("demo", JoinRequest("alice", name="Alice"), PEER, [AUDIO])
    viewer, *_ = await world.rooms.watch("demo", PEER, [HEAR])
    await world.rooms.remove(alice)
    await world.rooms.end(viewer)
    await world.rooms.close_room(world.rooms.find("demo"))
    assert [
        (entry.number, entry.kind, entry.identity, entry.viewer, entry.reason)
        for entry in world.rooms.ended_log.newest(10)
    ] == [
        (3, EndedKind.ROOM, None, None, CloseReason.ROOM_CLOSED),
        (2, EndedKind.VIEWER, None, viewer.id, CloseReason.LEFT),
        (1, EndedKind.PARTICIPANT, "alice", None, CloseReason.REMOVED),
    ]
    first = world.rooms.ended_log.newest(1, before=2)[0]
    assert (first.name, first.room, first.began_at, first.at) == ("Alice", "demo", 1000.0, 1000.0)


async def test_only_the_newest_are_kept_and_those_forgotten_are_counted(make_world: MakeWorld) -> None:
    world = await make_world(RoomLimits(max_ended=3))
    for name in ("a", "b", "c", "b", "d"):
        await world.rooms.close_room(await world.rooms.open(name))
    log = world.rooms.ended_log
    assert ([entry.room for entry in log.newest(10)], len(log), log.forgotten) == (["d", "b", "c"], 3, 2)
    assert [entry.number for entry in log.newest(10, room="b")] == [4]


async def test_a_room_that_is_closed_twice_is_remembered_once(world: World) -> None:
    room = await world.rooms.open("demo")
    await world.rooms.close_room(room)
    await world.rooms.close_room(room)
    assert len(world.rooms.ended_log) == 1
