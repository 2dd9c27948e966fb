"""Who speaks, as the room is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from rooms_world import AUDIO, PEER, VIDEO, World

from roomtone.control.rooms import (
    JoinRequest,
    Participant,
    Permissions,
    RoomEventKind,
    RoomLimits,
    Speaker,
    SpeakerRules,
    TrackSource,
)
from roomtone.control.rooms.speakers import level_of
from roomtone.media import EngineCommandError, Router
from roomtone.media.fake_objects import FakeObserver, FakeRouter
from roomtone.media.values import ErrorCode, MediaKind

MakeWorld = Callable[..., Awaitable[World]]


async def join(world: World, identity: str, **allowed: bool) -> Participant:
    request = JoinRequest(identity, permissions=Permissions(**allowed))
    sharing = replace(AUDIO, mid="2", source=TrackSource.SCREEN_SHARE_AUDIO)
    participant, _ = await world.rooms.join_with_tracks("demo", request, PEER, [AUDIO, VIDEO, sharing])
    return participant


def voices(participant: Participant) -> list[int]:
    tracks = participant.publications.values()
    return [track.producer.id for track in tracks if track.offer.kind is MediaKind.AUDIO]


async def test_who_speaks_is_told_with_who_stopped(world: World) -> None:
    alice, bob = await join(world, "alice"), await join(world, "bob")
    room = alice.room
    with room.events.open() as mailbox:
        world.link.let_speak({voices(alice)[0]: -20, voices(bob)[0]: -40})
        await world.settle()
        assert room.speakers == (Speaker("alice", 0.1), Speaker("bob", 0.01))
        assert room.dominant == "alice"
        world.link.let_speak({voices(bob)[0]: -40})
        world.link.let_speak({})
        await world.settle()
        events = [await mailbox.get() for _ in range(3)]
    assert {event.kind for event in events if event} == {RoomEventKind.SPEAKERS_CHANGED}
    assert [event.speakers for event in events if event] == [
        (Speaker("alice", 0.1), Speaker("bob", 0.01)),
        (Speaker("bob", 0.01), Speaker("alice", 0.0, active=False)),
        (Speaker("bob", 0.0, active=False),),
    ]
    assert [event.participant for event in events if event] == ["alice", "bob", None]
    assert room.speakers == ()


async def test_two_tracks_of_one_participant_are_one_speaker_as_loud_as_the_louder(world: World) -> None:
    alice = await join(world, "alice")
    first, second = voices(alice)
    world.link.let_speak({first: -40, second: -20})
    await world.settle()
    assert alice.room.speakers == (Speaker("alice", 0.1),)


async def test_a_level_that_hardly_moves_is_no_news(world: World) -> None:
    alice = await join(world, "alice")
    seq = alice.room.events.last_seq
    for dbov in (-6, -7, -6, -6):
        world.link.let_speak({voices(alice)[0]: dbov})
    await world.settle()
    assert alice.room.events.last_seq == seq + 1
    world.link.let_speak({voices(alice)[0]: -20})
    await world.settle()
    assert alice.room.events.last_seq == seq + 2


async def test_muted_and_hidden_participants_do_not_speak(world: World) -> None:
    alice, ghost = await join(world, "alice"), await join(world, "ghost", hidden=True)
    await world.rooms.mute(next(iter(alice.publications.values())), muted=True, by_server=True)
    world.link.let_speak({voices(alice)[0]: -10, voices(ghost)[0]: -10})
    await world.settle()
    assert alice.room.speakers == ()


async def test_who_leaves_speaks_no_longer(world: World) -> None:
    alice, bob = await join(world, "alice"), await join(world, "bob")
    world.link.let_speak({voices(alice)[0]: -20, voices(bob)[0]: -20})
    await world.settle()
    await world.rooms.remove(alice)
    assert bob.room.speakers == (Speaker("bob", 0.1),)
    assert bob.room.dominant is None


async def test_rooms_of_one_engine_hear_their_own_speakers(world: World) -> None:
    alice = await join(world, "alice")
    other, _ = await world.rooms.join_with_tracks("other", JoinRequest("bob"), PEER, [AUDIO])
    world.link.let_speak({voices(other)[0]: -20})
    await world.settle()
    assert alice.room.speakers == ()
    assert other.room.speakers == (Speaker("bob", 0.1),)


async def test_the_rules_reach_the_engine(make_world: MakeWorld) -> None:
    rules = SpeakerRules(interval_ms=200, threshold_dbov=-60, percentile=50, smoothing=0.5, hold_ms=500, top_n=1)
    world = await make_world(RoomLimits(speakers=rules))
    alice, bob = await join(world, "alice"), await join(world, "bob")
    (observer,) = world.link.find(FakeObserver)
    assert (observer.way, observer.max_entries) == ((200, -60, 50, 0.5, 500), 1)
    world.link.let_speak({voices(alice)[0]: -40, voices(bob)[0]: -20})
    await world.settle()
    assert [speaker.identity for speaker in alice.room.speakers] == ["bob"]


async def test_nobody_looks_where_nobody_shall_be_named(make_world: MakeWorld) -> None:
    world = await make_world(RoomLimits(speakers=SpeakerRules(top_n=0)))
    await join(world, "alice")
    assert world.link.find(FakeObserver) == []


async def test_a_router_that_cannot_be_observed_is_closed_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world()

    async def refuse(router: Router, **_: object) -> None:
        raise EngineCommandError(ErrorCode.QUEUE_FULL, f"{router.id} cannot be observed")

    monkeypatch.setattr(Router, "observe_audio_levels", refuse)
    with pytest.raises(Exception, match="no place"):
        await join(world, "alice")
    assert not world.link.find(FakeRouter)


@pytest.mark.parametrize(("dbov", "level"), [(0, 1.0), (-20, 0.1), (-127, 0.0), (3, 1.0)])
def test_levels_are_amplitudes(dbov: int, level: float) -> None:
    assert level_of(dbov) == level
