"""Rooms that are live as one program: what is made of them, who is shown, and that they go on with nobody."""

from __future__ import annotations

import pytest
from live_world import World, close_world, fed, flows, make_world, picture, sound
from test_transcoding import FakeWorkers

from roomtone.control.live import (
    LiveEnd,
    LiveError,
    LiveLimits,
    LivePicture,
    LiveRefusal,
    LiveSound,
    LiveState,
    TranscodeEventKind,
    TranscodeRules,
)
from roomtone.control.live.ladders import RoomMaking
from roomtone.control.live.spotlight import SETTLE_S
from roomtone.control.rooms import RoomEventKind, RoomLimits, SpeakerRules
from roomtone.control.rooms.speakers import Speaker, tell_speakers
from roomtone.media.values import MediaKind

RULES = TranscodeRules(
    making=RoomMaking.DEMAND, program_size=(640, 360), program_fps=30, slate_of={"demo": "/srv/soon.png"}.get
)


async def world_with(workers: FakeWorkers, times: list[float]) -> World:
    world = await make_world(LiveLimits(grace_s=0), lambda: times[0], rules=RULES)
    assert world.makes is not None
    world.makes.workers = workers
    return world


async def test_a_room_with_a_phone_is_a_program_that_shows_who_speaks_and_a_slate() -> None:
    workers, times = FakeWorkers(), [0.0]
    world = await world_with(workers, times)
    phone = await world.publish("phone", sound("PCMU"))
    await flows(world, phone)
    told = []
    room = phone.room
    room.events.listen(lambda event: told.append(event.kind))
    stream = await world.live.go_live("demo", picture=LivePicture.PROGRAM)
    assert (stream.picture, stream.sound, fed(stream)) == (LivePicture.PROGRAM, LiveSound.MIX, {})
    assert (room.on_air, told.count(RoomEventKind.ROOM_UPDATED)) == (True, 1)
    (video,) = workers.started
    assert {key: video.plan[key] for key in ("canvas", "fps", "slate", "keeps_source")} == {
        "canvas": [640, 360],
        "fps": 30,
        "slate": "/srv/soon.png",
        "keeps_source": False,
    }
    world.link.begin_packager(stream.packager.id)
    await world.start(stream)

    # Pictures of whatever codec come after it has begun.
    ann = await world.publish("ann", picture("VP8"))
    bob = await world.publish("bob", picture("H264"))
    for person in (ann, bob):
        await flows(world, person)
    assert fed(stream) == {MediaKind.VIDEO: "ann"}
    times[0] = 10.0
    tell_speakers(room, (Speaker("bob", 0.5),), "bob")
    await world.settle()
    times[0] += SETTLE_S
    await world.live.feeding.get_in_step(stream)
    assert fed(stream) == {MediaKind.VIDEO: "bob"}
    await world.live.point(stream, ["ann"])
    assert fed(stream) == {MediaKind.VIDEO: "ann"}

    # With nobody it goes on, by its slate.
    for person in (ann, bob, phone):
        await world.rooms.remove(person)
    await world.settle()
    assert (fed(stream), stream.state, stream.ended) == ({MediaKind.VIDEO: None}, LiveState.LIVE, None)
    assert stream.transcoding is not None
    video.say({"event": "slate_refused", "why": "there is no picture in it"})
    assert stream.transcoding.events[-1].kind is TranscodeEventKind.SLATE_REFUSED
    await world.live.end(stream)
    assert (room.on_air, video.closed) == (False, True)
    await close_world(world)


async def test_a_room_in_which_nobody_is_yet_shows_its_slate() -> None:
    world = await world_with(FakeWorkers(), [0.0])
    await world.rooms.create("demo")
    stream = await world.live.go_live("demo", picture=LivePicture.PROGRAM)
    world.link.begin_packager(stream.packager.id)
    await world.start(stream)
    assert (fed(stream), stream.state) == ({}, LiveState.LIVE)
    ann = await world.publish("ann", picture("VP8"), sound())
    await flows(world, ann)
    assert fed(stream) == {MediaKind.VIDEO: "ann"}
    await close_world(world)


async def test_a_program_needs_processes_and_somebody_who_looks_who_speaks() -> None:
    async def refused(world: World) -> LiveRefusal:
        with pytest.raises(LiveError) as error:
            await world.live.go_live("demo", picture=LivePicture.PROGRAM)
        assert world.live.by_name == {}
        return error.value.refusal

    world = await make_world()
    await world.publish("ann", picture())
    assert await refused(world) is LiveRefusal.NEEDS_TRANSCODING
    await close_world(world)
    world = await make_world(room_limits=RoomLimits(speakers=SpeakerRules(top_n=0)), rules=RULES)
    await world.publish("ann", picture())
    assert await refused(world) is LiveRefusal.NOBODY_LISTENS
    await close_world(world)


async def test_a_program_whose_process_cannot_be_started_does_not_go_live_and_leaves_nothing() -> None:
    workers = FakeWorkers(fails_at=0)
    world = await world_with(workers, [0.0])
    ann = await world.publish("ann", picture())
    with pytest.raises(LiveError, match="no such program"):
        await world.live.go_live("demo", picture=LivePicture.PROGRAM)
    assert (world.packagers(), ann.room.on_air) == (0, False)
    await close_world(world)


async def test_a_program_that_cannot_be_made_ends_and_does_not_say_that_it_is_live() -> None:
    workers = FakeWorkers()
    world = await world_with(workers, [0.0])
    ann = await world.publish("ann", picture())
    stream = await world.live.go_live("demo", picture=LivePicture.PROGRAM)
    workers.started[0].say({"event": "cannot", "why": "no encoder of H.264 works here"})
    await world.settle()
    assert (stream.ended, ann.room.on_air, world.live.by_name) == (LiveEnd.MEDIA_FAILED, False, {})
    await close_world(world)
