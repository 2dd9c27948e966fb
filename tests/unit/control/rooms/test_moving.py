"""Participants that are taken along to another room on the connections they have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from rooms_world import AUDIO, HEAR, PEER, SEE, VIDEO, World

from roomtone.control.rooms import (
    CloseReason,
    Connection,
    JoinRequest,
    Participant,
    Publication,
    Refusal,
    RoomError,
    RoomEventKind,
    RoomOptions,
)
from roomtone.media.fake_objects import FakeProducer, FakeRouter
from roomtone.media.values import (
    ActiveSpeakers,
    AudioLevel,
    EngineCloseReason,
    MediaKind,
    ProducerClosed,
    ProducerId,
    RouterClosed,
)

MakeWorld = Callable[..., Awaitable[World]]


@dataclass
class Peer:
    """The server of somebody who can be taken along."""

    ready: bool = True
    rooms: list[str] = field(default_factory=list)
    held: bool = False

    @asynccontextmanager
    async def moving(self) -> AsyncIterator[None]:
        self.held = True
        yield
        self.held = False

    def moved(self, successor: Participant) -> None:
        assert self.held
        self.rooms.append(successor.room.name)
        successor.mover = self


async def enter(world: World, identity: str, room: str = "demo") -> tuple[Participant, Connection, Peer]:
    """Let somebody in who publishes sound and a picture, and can be taken along."""
    request = JoinRequest(identity, movable=True)
    participant, connection = await world.rooms.join_with_tracks(room, request, PEER, [AUDIO, VIDEO])
    participant.mover = peer = Peer()
    return participant, connection, peer


def track(participant: Participant, kind: MediaKind = MediaKind.VIDEO) -> Publication:
    found = participant.publication_of(kind)
    assert found is not None
    return found


async def test_who_is_moved_keeps_its_connection_and_its_tracks_their_ids(world: World) -> None:
    alice, connection, peer = await enter(world, "alice")
    tracks = list(alice.publications)
    await world.rooms.mute(track(alice), muted=True, by_server=True)
    there = await world.rooms.create("other")
    with alice.room.events.open() as here, there.events.open() as mailbox:
        assert await world.rooms.move(alice, "other") is there
        left = [await here.get() for _ in range(4)]
        came = [await mailbox.get() for _ in range(3)]
    moved = there.participants["alice"]
    assert (peer.rooms, alice.closed, alice.successor, moved.closed) == (["other"], CloseReason.MOVED, moved, None)
    assert [event.kind for event in left if event] == [
        RoomEventKind.PARTICIPANT_MOVED,
        *[RoomEventKind.TRACK_UNPUBLISHED] * 2,
        RoomEventKind.PARTICIPANT_LEFT,
    ]
    assert [event.kind for event in came if event] == [
        RoomEventKind.PARTICIPANT_JOINED,
        *[RoomEventKind.TRACK_PUBLISHED] * 2,
    ]
    assert moved.id != alice.id
    assert list(moved.publications) == tracks
    assert (connection.owner, list(moved.connections.values()), alice.connections) == (moved, [connection], {})
    assert track(moved).server_muted
    assert world.rooms.publications[track(moved).producer.id] is track(moved)


async def test_both_ways_go_by_pipes_and_sound_is_piped_at_once_for_who_speaks(world: World) -> None:
    alice, connection, _ = await enter(world, "alice")
    bob, bobs, _ = await enter(world, "bob", "other")
    room = await world.rooms.move(alice, "other")
    await world.settle()
    moved = room.participants["alice"]
    sound = track(moved, MediaKind.AUDIO).pipes[room.router.id].result()
    assert room.observer is not None
    speaking = ActiveSpeakers(
        router=room.router.id,
        observer=room.observer.id,
        dominant=ProducerId(sound.id),
        speakers=[AudioLevel(producer=ProducerId(sound.id), level_dbov=-10)],
    )
    world.link.emit(speaking)
    await world.settle()
    assert [speaker.identity for speaker in room.speakers] == ["alice"]
    await world.rooms.subscribe(bob, bobs, SEE, track(moved))
    await world.rooms.subscribe(moved, connection, SEE, track(bob))
    piped = [held.piped_from for held in world.link.find(FakeProducer) if held.piped_from is not None]
    sources = (track(moved), track(moved, MediaKind.AUDIO), track(bob))
    assert sorted(piped) == sorted(source.producer.id for source in sources)


async def test_the_old_room_does_not_hear_who_has_left_it_on_its_router(world: World) -> None:
    alice, _, _ = await enter(world, "alice")
    await enter(world, "carol")
    here = alice.room
    await world.rooms.move(alice, "other")
    moved = world.rooms.by_name["other"].participants["alice"]
    producer = ProducerId(track(moved, MediaKind.AUDIO).producer.id)
    assert here.observer is not None
    world.link.emit(
        ActiveSpeakers(
            router=here.router.id,
            observer=here.observer.id,
            dominant=producer,
            speakers=[AudioLevel(producer=producer, level_dbov=-10)],
        )
    )
    await world.settle()
    assert (here.speakers, here.dominant) == ((), None)


async def test_subscriptions_and_pipes_of_the_old_room_end(make_world: MakeWorld) -> None:
    world = await make_world()
    alice, connection, _ = await enter(world, "alice")
    carol, carols, _ = await enter(world, "carol")
    here = alice.room
    theirs = await world.rooms.subscribe(carol, carols, SEE, track(alice))
    mine = await world.rooms.subscribe(alice, connection, HEAR, track(carol, MediaKind.AUDIO))
    await world.rooms.move(alice, "other")
    await world.settle()
    assert (theirs.closed, mine.closed) == (CloseReason.UNPUBLISHED, CloseReason.MOVED)
    assert world.objects()["Consumer"] == 0
    assert here.load[here.router.id] == 1


async def test_a_router_lives_until_the_last_room_that_needs_it_has_ended(world: World) -> None:
    alice, connection, _ = await enter(world, "alice")
    here = alice.room
    room = await world.rooms.move(alice, "other")
    await world.rooms.close_room(here)
    moved = room.participants["alice"]
    assert moved.closed is None
    later = await world.rooms.publish(moved, connection, VIDEO)
    assert later.router is here.router
    assert world.objects()["Router"] == 2
    await world.rooms.end(moved)
    await world.settle()
    assert (room.guests, world.objects()["Router"]) == ({}, 1)
    await world.rooms.close_room(room)
    assert world.objects() == {}


async def test_pipes_to_a_guest_end_when_only_its_own_room_needs_it(world: World) -> None:
    alice, connection, _ = await enter(world, "alice")
    await enter(world, "carol")
    bob, _, _ = await enter(world, "bob", "other")
    room = await world.rooms.move(alice, "other")
    await world.rooms.subscribe(room.participants["alice"], connection, SEE, track(bob))
    await world.rooms.end(room.participants["alice"])
    await world.settle()
    assert [held.piped_from for held in world.link.find(FakeProducer) if held.piped_from is not None] == []
    assert (track(bob).pipes, room.guests) == ({}, {})


async def test_who_comes_back_is_at_home_and_a_third_room_shares_the_router_too(world: World) -> None:
    alice, connection, peer = await enter(world, "alice")
    await enter(world, "carol")
    here = alice.room
    first = await world.rooms.move(alice, "other")
    second = await world.rooms.move(first.participants["alice"], "third")
    assert (first.guests, list(second.guests)) == ({}, [here.router.id])
    back = await world.rooms.move(second.participants["alice"], "demo")
    await world.settle()
    assert back is here
    assert (peer.rooms, second.guests, here.guests) == (["other", "third", "demo"], {}, {})
    assert track(here.participants["alice"]).router is here.router
    assert connection.owner is here.participants["alice"]
    for room in (first, second, here):
        await world.rooms.close_room(room)
    await world.settle()
    assert world.objects() == {}


async def test_a_track_that_may_not_be_there_ends_and_the_others_go_on(world: World) -> None:
    alice, _, _ = await enter(world, "alice")
    await world.rooms.create("other", RoomOptions(codecs=frozenset({"OPUS"})))
    room = await world.rooms.move(alice, "other")
    await world.settle()
    assert [one.offer.kind for one in room.participants["alice"].publications.values()] == [MediaKind.AUDIO]
    assert [held.piped_from is None for held in world.link.find(FakeProducer)].count(True) == 1


async def test_one_of_its_identity_makes_way(world: World) -> None:
    alice, _, _ = await enter(world, "alice")
    older, _, _ = await enter(world, "alice", "other")
    room = await world.rooms.move(alice, "other")
    assert older.closed is CloseReason.DUPLICATE_IDENTITY
    assert room.participants["alice"] is alice.successor


@pytest.mark.parametrize("case", ["not ready", "encrypted"])
async def test_whose_peer_cannot_go_on_is_sent_to_join_there(world: World, case: str) -> None:
    alice, _, peer = await enter(world, "alice")
    peer.ready = case != "not ready"
    await world.rooms.create("other", RoomOptions(e2ee=case == "encrypted"))
    await world.rooms.move(alice, "other")
    assert (alice.closed, alice.moved_to, alice.successor) == (CloseReason.MOVED, "other", None)
    assert peer.rooms == []
    assert world.rooms.by_name["other"].participants == {}


async def test_whose_server_breaks_while_it_is_told_ends_in_the_other_room(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alice, _, peer = await enter(world, "alice")

    def broken(_successor: Participant) -> None:
        raise OverflowError("the room has too many mailboxes")

    monkeypatch.setattr(peer, "moved", broken)
    room = await world.rooms.move(alice, "other")
    await world.settle()
    assert (room.participants, room.guests) == ({}, {})
    assert alice.successor is not None
    assert alice.successor.closed is CloseReason.MEDIA_FAILED
    assert "failed" in caplog.text


async def test_a_full_room_refuses_and_nothing_has_changed(world: World) -> None:
    alice, connection, peer = await enter(world, "alice")
    await world.rooms.create("full", RoomOptions(max_participants=1))
    await world.rooms.join("full", JoinRequest("bob"))
    with pytest.raises(RoomError) as caught:
        await world.rooms.move(alice, "full")
    assert caught.value.refusal is Refusal.TOO_MANY_PARTICIPANTS
    assert (alice.closed, connection.owner, peer.rooms) == (None, alice, [])


async def test_a_guest_that_the_engine_loses_leaves_the_rooms_that_share_it(world: World) -> None:
    alice, _, _ = await enter(world, "alice")
    here = alice.room
    room = await world.rooms.move(alice, "other")
    world.link.emit(RouterClosed(router=here.router.id, reason=EngineCloseReason.ROUTER_PANICKED))
    await world.settle()
    assert here.closed is CloseReason.MEDIA_FAILED
    assert (room.closed, room.guests) == (None, {})


async def test_a_pipe_that_breaks_ends_a_participants_subscription_so_that_it_is_made_anew(world: World) -> None:
    alice, connection, _ = await enter(world, "alice")
    bob, _, _ = await enter(world, "bob", "other")
    room = await world.rooms.move(alice, "other")
    moved = room.participants["alice"]
    subscription = await world.rooms.subscribe(moved, connection, SEE, track(bob))
    piped = track(bob).pipes[connection.router.id].result()
    with room.events.open() as mailbox:
        world.link.emit(ProducerClosed(producer=piped.id, reason=EngineCloseReason.ROUTER_PANICKED))
        event = await mailbox.get()
    assert event is not None
    assert (event.kind, event.participant) == (RoomEventKind.SUBSCRIPTION_ENDED, "alice")
    assert subscription.closed is CloseReason.MEDIA_FAILED
    again = await world.rooms.subscribe(moved, connection, SEE, track(bob))
    assert track(bob).pipes[connection.router.id].result().id != piped.id
    assert again.closed is None
    assert len(world.link.find(FakeRouter)) == 2
