"""What participants may do, and that media follows when that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from rooms_world import AUDIO, HEAR, PEER, SEE, VIDEO, World

from roomtone.control.rooms import (
    CloseReason,
    JoinRequest,
    Participant,
    ParticipantState,
    Permissions,
    Publication,
    Refusal,
    RoomError,
    RoomEventKind,
    RoomLimits,
    Subscription,
    SubscriptionRules,
    TrackSource,
)
from roomtone.media.fake_objects import FakeConsumer, FakeProducer, FakeTransport
from roomtone.media.values import EngineConfig

MakeWorld = Callable[..., Awaitable[World]]
MICROPHONE = replace(AUDIO, source=TrackSource.MICROPHONE)
CAMERA = replace(VIDEO, source=TrackSource.CAMERA)
SCREEN = replace(VIDEO, source=TrackSource.SCREEN_SHARE)


async def refusal(awaitable: Awaitable[object]) -> RoomError:
    with pytest.raises(RoomError) as caught:
        await awaitable
    return caught.value


async def publisher(world: World, identity: str = "alice", **allowed: object) -> Participant:
    request = JoinRequest(identity, permissions=Permissions(**allowed))
    participant, _ = await world.rooms.join_with_tracks("demo", request, PEER, [MICROPHONE, CAMERA])
    return participant


async def subscriber(
    world: World, source: Participant, identity: str = "bob", **allowed: object
) -> tuple[Participant, list[Subscription]]:
    participant = await world.rooms.join("demo", JoinRequest(identity, permissions=Permissions(**allowed)))
    connection = await world.rooms.open_connection(participant)
    tracks = {track.offer.kind: track for track in source.publications.values()}
    got = [await world.rooms.subscribe(participant, connection, offer, tracks[offer.kind]) for offer in (SEE, HEAR)]
    return participant, got


def track(participant: Participant, source: TrackSource) -> Publication:
    return next(track for track in participant.publications.values() if track.source is source)


@pytest.mark.parametrize(
    "allowed", [{"can_publish": False}, {"publish_sources": frozenset({TrackSource.MICROPHONE})}], ids=str
)
async def test_a_track_that_is_not_permitted_lets_nobody_in(world: World, allowed: dict[str, object]) -> None:
    error = await refusal(publisher(world, **allowed))
    assert error.refusal is Refusal.NOT_PERMITTED
    await world.settle()
    assert world.objects() == {}
    assert not world.rooms.by_name
    assert world.rooms.refused[Refusal.NOT_PERMITTED] == 1


async def test_a_source_that_is_permitted_no_longer_is_unpublished_at_once(world: World) -> None:
    alice = await publisher(world)
    _, (see, hear) = await subscriber(world, alice)
    camera = track(alice, TrackSource.CAMERA)
    ended: list[CloseReason] = []
    see.on_close = ended.append
    with alice.room.events.open() as mailbox:
        only_voice = Permissions(publish_sources=frozenset({TrackSource.MICROPHONE}))
        await world.rooms.update(alice, permissions=only_voice)
        events = [await mailbox.get() for _ in range(3)]
    assert [publication.source for publication in alice.publications.values()] == [TrackSource.MICROPHONE]
    assert len(world.link.find(FakeProducer)) == 1
    assert [(e.kind, e.track, e.reason) for e in events if e is not None] == [
        (RoomEventKind.PARTICIPANT_UPDATED, None, None),
        (RoomEventKind.TRACK_UNPUBLISHED, camera.id, CloseReason.NOT_PERMITTED),
        (RoomEventKind.SUBSCRIPTION_ENDED, camera.id, CloseReason.UNPUBLISHED),
    ]
    assert (see.closed, hear.closed, ended) == (CloseReason.UNPUBLISHED, None, [CloseReason.UNPUBLISHED])
    connection = next(iter(alice.connections.values()))
    assert (await refusal(world.rooms.publish(alice, connection, SCREEN))).refusal is Refusal.NOT_PERMITTED
    await world.settle()
    assert [consumer.id for consumer in world.link.find(FakeConsumer)] == [hear.consumer.id]


async def test_who_may_subscribe_no_longer_gets_nothing_when_the_change_returns(world: World) -> None:
    alice = await publisher(world)
    bob, (see, hear) = await subscriber(world, alice)
    await world.rooms.update(bob, permissions=Permissions(can_subscribe=False))
    assert world.link.find(FakeConsumer) == []
    assert {see.closed, hear.closed} == {CloseReason.NOT_PERMITTED}
    assert not bob.subscriptions
    assert not world.rooms.subscriptions
    connection = next(iter(bob.connections.values()))
    again = world.rooms.subscribe(bob, connection, SEE, track(alice, TrackSource.CAMERA))
    assert (await refusal(again)).refusal is Refusal.NOT_PERMITTED


async def test_a_permission_lost_while_the_engine_works_undoes_what_it_did(make_world: MakeWorld) -> None:
    world = await make_world()
    alice = await publisher(world)
    bob, _ = await subscriber(world, alice)
    connection = next(iter(bob.connections.values()))
    world.link.stalled = True
    publishing = asyncio.ensure_future(world.rooms.publish(bob, connection, replace(SCREEN, mid="7")))
    watching = asyncio.ensure_future(world.rooms.subscribe(bob, connection, SEE, track(alice, TrackSource.CAMERA)))
    await world.settle()
    changing = asyncio.ensure_future(
        world.rooms.update(bob, permissions=Permissions(can_publish=False, can_subscribe=False))
    )
    await world.settle()
    world.link.resume()
    assert (await refusal(publishing)).refusal is Refusal.NOT_PERMITTED
    assert (await refusal(watching)).refusal is Refusal.NOT_PERMITTED
    await changing
    await world.settle()
    assert world.objects() == {"Router": 1, "Transport": 2, "Producer": 2}
    assert not world.rooms.subscriptions


async def test_a_connection_that_opens_for_somebody_who_was_kicked_meanwhile_is_closed(world: World) -> None:
    bob = await world.rooms.join("demo", JoinRequest("bob"))
    await world.rooms.join("demo", JoinRequest("carol"))
    world.link.stalled = True
    opening = asyncio.ensure_future(world.rooms.open_connection(bob))
    await world.settle()
    kicking = asyncio.ensure_future(world.rooms.remove(bob))
    await world.settle()
    world.link.resume()
    error = await refusal(opening)
    await kicking
    assert (error.refusal, error.closed) == (Refusal.CLOSED, CloseReason.REMOVED)
    assert world.link.find(FakeTransport) == []
    assert not world.rooms.connections


async def test_a_publisher_says_who_may_have_its_tracks(world: World) -> None:
    alice = await publisher(world)
    camera, microphone = track(alice, TrackSource.CAMERA), track(alice, TrackSource.MICROPHONE)
    _, (bob_sees, bob_hears) = await subscriber(world, alice, "bob")
    _, (carol_sees, carol_hears) = await subscriber(world, alice, "carol")
    viewer, _ = await world.rooms.watch("demo", PEER, [SEE, HEAR])
    rules = SubscriptionRules(all=False, tracks={"bob": frozenset({microphone.id}), "carol": None})
    await world.rooms.set_subscription_permissions(alice, rules)
    assert [bob_sees.closed, bob_hears.closed] == [CloseReason.NOT_PERMITTED, None]
    assert [carol_sees.closed, carol_hears.closed] == [None, None]
    assert {subscription.source for subscription in viewer.subscriptions.values()} == {None}
    bob_again = world.rooms.subscribe(bob_hears.member, next(iter(bob_hears.member.connections.values())), SEE, camera)
    assert (await refusal(bob_again)).refusal is Refusal.NOT_PERMITTED
    await world.rooms.set_subscription_permissions(alice, SubscriptionRules())
    assert {subscription.source for subscription in viewer.subscriptions.values()} == {camera, microphone}


async def test_either_side_mutes_and_only_undoes_its_own(world: World) -> None:
    alice = await publisher(world)
    camera = track(alice, TrackSource.CAMERA)
    producer = next(p for p in world.link.find(FakeProducer) if p.id == camera.producer.id)
    with alice.room.events.open() as mailbox:
        await world.rooms.mute(camera, muted=True, by_server=True)
        await world.rooms.mute(camera, muted=True, by_server=False)
        await world.rooms.mute(camera, muted=False, by_server=False)
        assert camera.muted
        assert producer.paused
        await world.rooms.mute(camera, muted=False, by_server=True)
        kinds = [(await mailbox.get()).kind for _ in range(4)]
    assert not camera.muted
    assert not producer.paused
    assert kinds == [
        RoomEventKind.TRACK_MUTED,
        RoomEventKind.TRACK_UPDATED,
        RoomEventKind.TRACK_UPDATED,
        RoomEventKind.TRACK_UNMUTED,
    ]


async def test_unmuting_says_when_a_track_stays_muted(world: World) -> None:
    camera = track(await publisher(world), TrackSource.CAMERA)
    await world.rooms.mute(camera, muted=True, by_server=False)
    assert (await refusal(world.rooms.unmute(camera, 0))).refusal is Refusal.MUTED_BY_PUBLISHER
    await world.rooms.mute(camera, muted=True, by_server=True)
    assert (await refusal(world.rooms.unmute(camera, 0))).refusal is Refusal.MUTED_BY_PUBLISHER
    assert (camera.server_muted, camera.muted) == (False, True)
    await world.rooms.mute(camera, muted=True, by_server=True)
    waiting = asyncio.ensure_future(world.rooms.unmute(camera, 60))
    await world.settle()
    assert not waiting.done()
    await world.rooms.mute(camera, muted=False, by_server=False)
    await waiting
    assert not camera.muted


async def test_events_of_a_hidden_participant_say_so_and_viewers_do_not_follow_it(world: World) -> None:
    await publisher(world, "alice")
    room = world.rooms.find("demo")
    viewer, _ = await world.rooms.watch("demo", PEER, [SEE, HEAR])
    with room.events.open() as mailbox:
        ghost = await publisher(world, "ghost", hidden=True)
        joined = await mailbox.get()
    assert joined is not None
    assert (joined.kind, joined.participant, joined.hidden) == (RoomEventKind.PARTICIPANT_JOINED, "ghost", True)
    await world.rooms.switching.settled(room)
    assert {s.source.participant.identity for s in viewer.subscriptions.values() if s.source} == {"alice"}
    assert [participant.identity for participant in room.visible()] == ["alice"]
    await world.rooms.update(ghost, permissions=Permissions())
    await world.rooms.switching.settled(room)
    assert {s.source.participant.identity for s in viewer.subscriptions.values() if s.source} == {"ghost"}


async def test_a_participant_changes_itself_only_if_it_may(world: World) -> None:
    alice = await publisher(world)
    before = alice.version
    assert (await refusal(world.rooms.update_own(alice, name="A"))).refusal is Refusal.NOT_PERMITTED
    assert alice.version == before
    await world.rooms.update(alice, permissions=Permissions(can_update_own_metadata=True))
    await world.rooms.update_own(alice, name="A", metadata="m", attributes={"hand": "up", "seat": "1"})
    await world.rooms.update_own(alice, attributes={"seat": ""})
    assert (alice.name, alice.metadata, alice.attributes) == ("A", "m", {"hand": "up"})
    assert alice.version == before + 3


@pytest.mark.parametrize(
    "change",
    [{"name": "x" * 257}, {"metadata": "x" * 65_537}, {"attributes": {str(n): "1" for n in range(65)}}],
    ids=["name", "metadata", "attributes"],
)
async def test_what_is_said_of_a_participant_has_limits(world: World, change: dict[str, object]) -> None:
    alice = await publisher(world)
    assert (await refusal(world.rooms.update(alice, **change))).refusal is Refusal.TOO_LARGE
    assert (alice.name, alice.metadata, alice.attributes) == ("", "", {})
    if isinstance(change.get("attributes"), dict):
        change = {"attributes": tuple(change["attributes"].items())}
    assert (await refusal(world.rooms.join("demo", JoinRequest("bob", **change)))).refusal is Refusal.TOO_LARGE


async def test_a_participant_is_active_when_a_connection_of_its_came_up(world: World) -> None:
    alice = await publisher(world)
    assert alice.state is ParticipantState.JOINED
    world.link.connect_peer(next(iter(alice.connections)))
    await world.settle()
    assert alice.state is ParticipantState.ACTIVE
    await world.rooms.remove(alice)
    assert alice.state is ParticipantState.DISCONNECTED
    assert (await refusal(world.rooms.update(alice, name="late"))).closed is CloseReason.REMOVED


async def test_ten_thousand_joins_of_one_identity_leave_one_participant_and_nothing_else(
    make_world: MakeWorld,
) -> None:
    world = await make_world(RoomLimits(max_participants=2), EngineConfig(max_transports=4))
    for _ in range(10_000):
        alice = await world.rooms.join("demo", JoinRequest("alice"))
    for _ in range(100):
        alice = await publisher(world)
    await world.settle()
    room = world.rooms.find("demo")
    assert room.participants == {"alice": alice}
    assert world.objects() == {"Router": 1, "Transport": 1, "Producer": 2}
    assert len(world.rooms.connections) == 1
    assert len(world.rooms.publications) == 2
    assert len(room.load) == 1
    assert room.load.total() == 1
    assert room.reserved.participants == 0
    assert not world.rooms._tasks
    assert world.rooms.ended[CloseReason.DUPLICATE_IDENTITY] == 10_099


async def test_a_room_that_closes_ends_subscriptions_with_their_members(world: World) -> None:
    alice = await publisher(world)
    _, (see, hear) = await subscriber(world, alice)
    with alice.room.events.open() as mailbox:
        await world.rooms.close_room(alice.room)
        kinds = [event.kind async for event in mailbox]
    assert RoomEventKind.SUBSCRIPTION_ENDED not in kinds
    assert {see.closed, hear.closed} == {CloseReason.ROOM_CLOSED}
    assert not world.rooms.subscriptions
    assert not world.link.objects


async def test_who_hides_goes_for_the_others_and_who_shows_itself_comes(world: World) -> None:
    alice = await publisher(world)
    bob, got = await subscriber(world, alice)
    recorder, recorded = await subscriber(world, alice, "recorder", recorder=True)
    with alice.room.events.open() as mailbox:
        await world.rooms.update(alice, permissions=Permissions(hidden=True))
        await world.rooms.update(alice, permissions=Permissions())
    told = [(event.kind, event.hidden) async for event in mailbox if event.participant == "alice"]
    assert told == [
        (RoomEventKind.PARTICIPANT_UPDATED, True),
        (RoomEventKind.PARTICIPANT_HIDDEN, False),
        (RoomEventKind.PARTICIPANT_UPDATED, False),
        (RoomEventKind.PARTICIPANT_SHOWN, False),
    ]
    assert {subscription.closed for subscription in got} == {CloseReason.UNPUBLISHED}
    assert {subscription.closed for subscription in recorded} == {None}
    assert len(recorder.subscriptions) == 2
    assert not bob.subscriptions


async def test_a_hidden_participant_s_tracks_are_for_services_alone(world: World) -> None:
    ghost = await publisher(world, "ghost", hidden=True)
    assert (await refusal(subscriber(world, ghost))).refusal is Refusal.NO_SUCH_TRACK
    _, got = await subscriber(world, ghost, "agent", agent=True)
    assert len(got) == 2
