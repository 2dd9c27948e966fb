"""Participants present in a second room: what is mirrored there, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from rooms_world import AUDIO, PEER, SEE, VIDEO, World

from roomtone.control.rooms import (
    CloseReason,
    Connection,
    JoinRequest,
    LayerInfo,
    Participant,
    ParticipantKind,
    ParticipantState,
    Permissions,
    PlainAddress,
    Publication,
    Refusal,
    RoomError,
    RoomEventKind,
    RoomLimits,
    RoomOptions,
    SubscriptionRules,
)
from roomtone.control.rooms.forwarding import MAX_FORWARDINGS, MAX_REPAIRS
from roomtone.control.rooms.mirrors import ForwardingCount
from roomtone.media.fake_objects import FakeProducer
from roomtone.media.values import EngineCloseReason, EngineConfig, MediaKind, ProducerClosed, ProducerId

MakeWorld = Callable[..., Awaitable[World]]


async def refusal(awaitable: Awaitable[object]) -> Refusal:
    with pytest.raises(RoomError) as caught:
        await awaitable
    return caught.value.refusal


async def publish(world: World, request: JoinRequest | None = None) -> tuple[Participant, Connection]:
    return await world.rooms.join_with_tracks("demo", request or JoinRequest("alice"), PEER, [AUDIO, VIDEO])


def track(participant: Participant, kind: MediaKind = MediaKind.VIDEO) -> Publication:
    found = participant.publication_of(kind)
    assert found is not None
    return found


def fake(world: World, publication: Publication) -> FakeProducer:
    held = world.link.objects[publication.producer.id]
    assert isinstance(held, FakeProducer)
    return held


async def test_who_is_forwarded_is_in_both_rooms_and_its_tracks_are_piped(world: World) -> None:
    request = JoinRequest("alice", "Alice", "m", (("hand", "up"),), ParticipantKind.INGEST)
    alice, _ = await publish(world, request)
    other = await world.rooms.create("other")
    with other.events.open() as mailbox:
        mirror = await world.rooms.forward(alice, "other")
        kinds = [(await mailbox.get()).kind for _ in range(3)]  # type: ignore[union-attr]
    assert kinds == [RoomEventKind.PARTICIPANT_JOINED, *[RoomEventKind.TRACK_PUBLISHED] * 2]
    assert alice.closed is None
    assert other.participants == {"alice": mirror}
    assert (mirror.name, mirror.metadata, mirror.attributes, mirror.kind) == (
        "Alice",
        "m",
        {"hand": "up"},
        ParticipantKind.INGEST,
    )
    assert (mirror.origin, mirror.state, mirror.connected) == (alice, ParticipantState.ACTIVE, True)
    assert not mirror.permissions.can_subscribe
    for kind in MediaKind:
        there, here = track(mirror, kind), track(alice, kind)
        assert (there.id != here.id, there.origin, there.rids) == (True, here, here.rids)
        assert fake(world, there).piped_from == here.producer.id
    assert world.rooms.forwardings == 1


async def test_members_of_the_other_room_get_the_tracks(world: World) -> None:
    alice, _ = await publish(world)
    mirror = await world.rooms.forward(alice, "other")
    bob = await world.rooms.join("other", JoinRequest("bob"))
    connection = await world.rooms.open_connection(bob, PEER)
    subscription = await world.rooms.subscribe(bob, connection, SEE, track(mirror))
    viewer, _ = await world.rooms.watch("other", PEER, [SEE])
    assert viewer.source() is mirror
    await world.rooms.end(alice)
    assert subscription.closed is CloseReason.UNPUBLISHED
    assert viewer.source() is None


async def test_viewers_on_branches_of_the_other_room_get_the_tracks_by_a_second_pipe(make_world: MakeWorld) -> None:
    world = await make_world(RoomLimits(routers_per_room=2), EngineConfig(shards=3))
    alice, _ = await publish(world)
    mirror = await world.rooms.forward(alice, "other")
    await world.rooms.watch("other", PEER, [SEE])
    await world.rooms.watch("other", PEER, [SEE])
    assert track(mirror).producer.id in [held.piped_from for held in world.link.find(FakeProducer)]
    await world.rooms.remove(mirror)
    await world.settle()
    assert len(world.link.find(FakeProducer)) == 2


async def test_tracks_that_come_and_go_do_so_in_the_other_room(world: World) -> None:
    alice, connection = await publish(world)
    mirror = await world.rooms.forward(alice, "other")
    later = await world.rooms.publish(alice, connection, replace(AUDIO, mid="2", name="later", muted=True))
    await world.settle()
    there = track(mirror, MediaKind.AUDIO)
    assert (there.name, there.muted, fake(world, there).paused) == ("later", True, True)
    with mirror.room.events.open() as mailbox:
        await world.rooms.unpublish(later, CloseReason.NOT_PERMITTED)
        gone = await mailbox.get()
    assert gone is not None
    assert (gone.kind, gone.track, gone.reason) == (
        RoomEventKind.TRACK_UNPUBLISHED,
        there.id,
        CloseReason.NOT_PERMITTED,
    )
    await world.settle()
    assert len(mirror.publications) == 2
    assert len(world.link.find(FakeProducer)) == 4


async def test_mutes_of_the_source_are_mirrored_and_a_mute_there_is_that_rooms_own(world: World) -> None:
    alice, _ = await publish(world)
    mirror = await world.rooms.forward(alice, "other")
    here, there = track(alice), track(mirror)
    await world.rooms.mute(here, muted=True, by_server=True)
    await world.settle()
    assert (there.muted, fake(world, there).paused) == (True, True)
    await world.rooms.mute(here, muted=False, by_server=True)
    await world.settle()
    assert (there.muted, fake(world, there).paused) == (False, False)
    await world.rooms.mute(there, muted=True, by_server=True)
    await world.rooms.update(alice, name="A")
    await world.settle()
    assert (here.muted, there.muted, there.server_muted) == (False, True, True)


async def test_what_is_said_of_the_source_is_said_of_its_mirror(world: World) -> None:
    alice, _ = await publish(world, JoinRequest("alice", attributes=(("a", "1"),)))
    mirror = await world.rooms.forward(alice, "other")
    await world.rooms.update(alice, name="Alice", metadata="m", attributes={"a": "", "b": "2"})
    await world.settle()
    assert (mirror.name, mirror.metadata, mirror.attributes) == ("Alice", "m", {"b": "2"})
    await world.rooms.update(alice, permissions=Permissions(hidden=True))
    await world.settle()
    assert mirror.permissions.hidden
    assert mirror.room.visible() == []
    with mirror.room.events.open() as mailbox:
        world.rooms.describe_layers(track(alice), (LayerInfo(width=640, height=360),))
        updated = await mailbox.get()
    assert updated is not None
    assert (updated.kind, track(mirror).layers[0].width) == (RoomEventKind.TRACK_UPDATED, 640)
    assert await refusal(world.rooms.update(mirror, name="other")) is Refusal.IS_FORWARDED


async def test_who_may_have_its_tracks_holds_in_the_other_room(world: World) -> None:
    alice, _ = await publish(world)
    mirror = await world.rooms.forward(alice, "other")
    rules = SubscriptionRules(all=False, tracks={"bob": frozenset({track(alice).id}), "eve": frozenset()})
    await world.rooms.set_subscription_permissions(alice, rules)
    await world.settle()
    assert mirror.subscription_rules.allows("bob", track(mirror).id)
    assert not mirror.subscription_rules.allows("bob", track(mirror, MediaKind.AUDIO).id)
    assert not mirror.subscription_rules.allows("eve", track(mirror).id)


async def test_it_ends_with_its_source_and_for_the_same_reason(world: World) -> None:
    alice, _ = await publish(world)
    mirror = await world.rooms.forward(alice, "other")
    await world.rooms.end(alice, CloseReason.CONNECTION_LOST)
    assert mirror.closed is CloseReason.CONNECTION_LOST
    await world.settle()
    assert world.link.find(FakeProducer) == []
    assert (world.rooms.forwardings, alice.room.forwards) == (0, {})


@pytest.mark.parametrize("how", ["removed", "room", "newcomer"])
async def test_its_end_there_is_none_of_its_source(world: World, how: str) -> None:
    alice, _ = await publish(world)
    mirror = await world.rooms.forward(alice, "other")
    match how:
        case "removed":
            await world.rooms.remove(mirror)
        case "room":
            await world.rooms.close_room(mirror.room)
        case _:
            await world.rooms.join("other", JoinRequest("alice"))
    await world.settle()
    assert mirror.closed is not None
    assert (alice.closed, len(alice.publications), len(world.link.find(FakeProducer))) == (None, 2, 2)
    assert world.rooms.forwardings == 0
    assert world.rooms.publications.keys() == {publication.producer.id for publication in alice.publications.values()}


async def test_who_is_sent_out_there_can_be_forwarded_again(world: World) -> None:
    alice, _ = await publish(world)
    for _ in range(3):
        await world.rooms.remove(await world.rooms.forward(alice, "other"))
    await world.settle()
    assert world.rooms.forwarding_counts[ForwardingCount.STARTED] == 3
    assert world.rooms.forwarding_counts[ForwardingCount.ENDED] == 3
    assert len(world.link.find(FakeProducer)) == 2


async def test_what_cannot_be_forwarded_is_refused_and_nothing_of_it_stays(world: World) -> None:
    alice, _ = await publish(world)
    await world.rooms.create("secret", RoomOptions(e2ee=True))
    await world.rooms.create("full", RoomOptions(max_participants=1))
    await world.rooms.join("full", JoinRequest("bob"))
    await world.rooms.create("narrow", RoomOptions(max_publications=1))
    await world.rooms.create("h264", RoomOptions(codecs=frozenset({"OPUS", "H264"})))
    await world.rooms.join("taken", JoinRequest("alice"))
    for room, why in {
        "demo": Refusal.SAME_ROOM,
        "no/room": Refusal.BAD_NAME,
        "secret": Refusal.ROOM_IS_ENCRYPTED,
        "full": Refusal.TOO_MANY_PARTICIPANTS,
        "narrow": Refusal.TOO_MANY_TRACKS,
        "h264": Refusal.CODEC_NOT_ALLOWED,
        "taken": Refusal.IDENTITY_TAKEN,
    }.items():
        assert await refusal(world.rooms.forward(alice, room)) is why, room
    await world.settle()
    assert len(world.link.find(FakeProducer)) == 2
    assert len(world.rooms.publications) == 2
    mirror = await world.rooms.forward(alice, "other")
    assert await refusal(world.rooms.forward(alice, "other")) is Refusal.IDENTITY_TAKEN
    assert await refusal(world.rooms.forward(mirror, "third")) is Refusal.IS_FORWARDED
    assert await refusal(world.rooms.move(mirror, "third")) is Refusal.NOT_MOVABLE
    assert "third" not in world.rooms.by_name
    await world.rooms.end(alice)
    assert await refusal(world.rooms.forward(alice, "other")) is Refusal.CLOSED


async def test_a_room_made_for_a_forwarding_is_encrypted_where_its_source_is(world: World) -> None:
    await world.rooms.create("demo", RoomOptions(e2ee=True))
    alice, _ = await publish(world)
    assert (await world.rooms.forward(alice, "other")).room.options.e2ee


async def test_lock_and_lobby_let_it_pass_and_nobody_in_its_name(world: World) -> None:
    alice, _ = await publish(world)
    other = await world.rooms.create("other", RoomOptions(locked=True, lobby=True))
    await world.rooms.forward(alice, "other")
    assert await refusal(world.rooms.join("other", JoinRequest("alice"))) is Refusal.ROOM_LOCKED
    assert world.rooms.must_ask(other, "alice", Permissions())


async def test_a_participant_is_in_so_many_rooms_at_most(world: World) -> None:
    alice = await world.rooms.join("demo", JoinRequest("alice"))
    for number in range(MAX_FORWARDINGS):
        await world.rooms.forward(alice, f"room-{number}")
    assert await refusal(world.rooms.forward(alice, "one-more")) is Refusal.TOO_MANY_FORWARDINGS
    assert await refusal(world.rooms.forward(alice, "room-0")) is Refusal.IDENTITY_TAKEN


async def test_of_two_at_once_into_one_room_one_is_refused(world: World) -> None:
    alice, _ = await publish(world)
    done = await asyncio.gather(*(world.rooms.forward(alice, "other") for _ in range(2)), return_exceptions=True)
    refused = [error.refusal for error in done if isinstance(error, RoomError)]
    assert refused == [Refusal.IDENTITY_TAKEN]
    await world.settle()
    assert len(world.link.find(FakeProducer)) == 4


async def test_a_source_that_ends_on_the_way_leaves_nothing(world: World) -> None:
    alice, _ = await publish(world)
    opened = asyncio.Event()
    world.rooms.when_opened.append(lambda _: opened.set())
    forwarding = asyncio.ensure_future(world.rooms.forward(alice, "other"))
    await opened.wait()
    await world.rooms.end(alice)
    assert await refusal(forwarding) is Refusal.CLOSED
    await world.settle()
    assert world.link.find(FakeProducer) == []
    assert "other" not in world.rooms.by_name


@pytest.mark.parametrize("steps", range(8))
async def test_a_caller_that_gives_up_leaves_nothing(world: World, steps: int) -> None:
    alice, _ = await publish(world)
    await world.rooms.create("other")
    forwarding = asyncio.ensure_future(world.rooms.forward(alice, "other"))
    for _ in range(steps):
        await asyncio.sleep(0)
    forwarding.cancel()
    await asyncio.wait({forwarding})
    await world.settle()
    made = 0 if forwarding.cancelled() else 2
    assert len(world.link.find(FakeProducer)) == 2 + made
    assert len(world.rooms.publications) == 2 + made
    assert world.rooms.forwardings == made // 2


async def test_a_track_that_comes_later_and_does_not_fit_is_counted(world: World) -> None:
    alice, connection = await publish(world)
    await world.rooms.create("other", RoomOptions(max_publications=2))
    mirror = await world.rooms.forward(alice, "other")
    await world.rooms.publish(alice, connection, replace(AUDIO, mid="2"))
    await world.settle()
    assert len(mirror.publications) == 2
    assert world.rooms.forwarding_counts[ForwardingCount.TRACK_FAILED] == 1


async def test_a_pipe_that_breaks_is_made_anew_but_not_for_ever(world: World) -> None:
    alice, _ = await publish(world)
    mirror = await world.rooms.forward(alice, "other")
    for count in range(MAX_REPAIRS):
        broken = track(mirror)
        del world.link.objects[broken.producer.id]
        world.link.emit(ProducerClosed(producer=ProducerId(broken.producer.id), reason=EngineCloseReason.PEER_PANICKED))
        await world.settle()
        assert track(mirror) is not broken, count
        assert len(mirror.publications) == 2
    broken = track(mirror)
    del world.link.objects[broken.producer.id]
    world.link.emit(ProducerClosed(producer=ProducerId(broken.producer.id), reason=EngineCloseReason.PEER_PANICKED))
    await world.settle()
    assert (mirror.closed, alice.closed) == (CloseReason.MEDIA_FAILED, None)


async def test_a_mute_that_finds_its_pipe_ended_waits_for_the_next_one(world: World) -> None:
    alice, _ = await publish(world)
    mirror = await world.rooms.forward(alice, "other")
    broken = track(mirror)
    del world.link.objects[broken.producer.id]
    await world.rooms.mute(track(alice), muted=True, by_server=False)
    await world.settle()
    assert mirror.closed is None
    world.link.emit(ProducerClosed(producer=ProducerId(broken.producer.id), reason=EngineCloseReason.PEER_PANICKED))
    await world.settle()
    assert (track(mirror) is not broken, track(mirror).muted) == (True, True)
    assert fake(world, track(mirror)).paused


async def test_a_pipe_that_broke_while_events_were_lost_is_made_anew_all_the_same(world: World) -> None:
    alice, _ = await publish(world)
    mirror = await world.rooms.forward(alice, "other")
    broken = track(mirror)
    del world.link.objects[broken.producer.id]
    await world.rooms._watch._ask_after_all()
    await world.settle()
    assert track(mirror) is not broken
    assert len(mirror.publications) == 2


async def test_who_comes_by_plain_rtp_is_forwarded_too(world: World) -> None:
    alice, _ = await world.rooms.publish_plain("demo", JoinRequest("alice"), [(AUDIO, PlainAddress())])
    mirror = await world.rooms.forward(alice, "other")
    assert len(mirror.publications) == 1
