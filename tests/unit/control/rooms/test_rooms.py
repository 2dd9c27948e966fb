"""Joins, viewers that follow publishers, ends and what they leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from rooms_world import AUDIO, HEAR, PEER, SEE, VIDEO, VP9, World

from roomtone.control.rooms import (
    CloseReason,
    EventsLostError,
    JoinRequest,
    LayerWish,
    PlainAddress,
    Refusal,
    RoomError,
    RoomEventKind,
    RoomLimits,
)
from roomtone.media.fake_objects import FakeConsumer, FakeProducer, FakeRouter, FakeTransport
from roomtone.media.values import (
    EngineCloseReason,
    EngineConfig,
    MediaKind,
    ProducerClosed,
    ProducerId,
    ProducerSilent,
    ProducerStarted,
    SrtpKeys,
)

MakeWorld = Callable[..., Awaitable[World]]


async def publish(world: World, identity: str = "alice", *tracks: object, room: str = "demo"):  # noqa: ANN201
    return await world.rooms.join_with_tracks(room, JoinRequest(identity), PEER, list(tracks or (AUDIO, VIDEO)))


async def refusal(awaitable: Awaitable[object]) -> RoomError:
    with pytest.raises(RoomError) as caught:
        await awaitable
    return caught.value


async def test_a_publisher_makes_the_room_and_everything_in_it(world: World) -> None:
    participant, _ = await publish(world)
    assert world.objects() == {"Router": 1, "Transport": 1, "Producer": 2}
    assert list(world.rooms.by_name) == ["demo"]
    assert [p.offer.kind for p in participant.publications.values()] == [MediaKind.AUDIO, MediaKind.VIDEO]


async def test_a_join_that_fails_at_any_step_leaves_nothing(make_world: MakeWorld) -> None:
    for config, tracks, expected in (
        (EngineConfig(max_transports=0), (AUDIO,), Refusal.ENGINE_BUSY),
        (EngineConfig(max_producers_per_transport=1), (AUDIO, VIDEO), Refusal.ENGINE_REFUSED),
        (EngineConfig(), (AUDIO, replace(VIDEO, codecs=())), Refusal.ENGINE_REFUSED),
    ):
        world = await make_world(config=config)
        error = await refusal(publish(world, "alice", *tracks))
        assert error.refusal is expected
        await world.settle()
        assert world.objects() == {}
        assert not world.rooms.by_name
        assert not world.rooms.connections
        assert not world.rooms.publications


async def test_a_failed_replacement_leaves_the_older_participant_alone(make_world: MakeWorld) -> None:
    world = await make_world(config=EngineConfig(max_producers_per_transport=2))
    older, _ = await publish(world)
    await refusal(publish(world, "alice", AUDIO, VIDEO, AUDIO))
    assert older.closed is None
    assert world.rooms.find("demo").participants["alice"] is older
    assert world.objects() == {"Router": 1, "Transport": 1, "Producer": 2}


async def test_a_newer_participant_of_the_same_identity_replaces_the_older(world: World) -> None:
    older, _ = await publish(world)
    room = world.rooms.find("demo")
    with room.events.open() as mailbox:
        newer, _ = await publish(world)
        kinds = [(await mailbox.get()).kind for _ in range(6)]
    assert older.closed is CloseReason.DUPLICATE_IDENTITY
    assert room.participants == {"alice": newer}
    assert kinds == [
        RoomEventKind.TRACK_UNPUBLISHED,
        RoomEventKind.TRACK_UNPUBLISHED,
        RoomEventKind.PARTICIPANT_LEFT,
        RoomEventKind.PARTICIPANT_JOINED,
        RoomEventKind.TRACK_PUBLISHED,
        RoomEventKind.TRACK_PUBLISHED,
    ]
    assert world.objects() == {"Router": 1, "Transport": 1, "Producer": 2}


async def test_two_first_joins_at_once_share_one_room(world: World) -> None:
    await asyncio.gather(*(publish(world, f"p{n}") for n in range(5)))
    assert world.objects()["Router"] == 1
    assert len(world.rooms.find("demo").participants) == 5


async def test_a_viewer_gets_the_newest_publisher_and_follows_it(world: World) -> None:
    await publish(world, "alice")
    viewer, _ = await world.rooms.watch("demo", PEER, [SEE, HEAR])
    room = viewer.room
    first = {c.kind: c.producer for c in world.link.find(FakeConsumer)}
    await publish(world, "bob", AUDIO, replace(VIDEO, codecs=(VP9,)))
    await world.rooms.switching.settled(room)
    second = {c.kind: c.producer for c in world.link.find(FakeConsumer)}
    assert first[MediaKind.VIDEO] != second[MediaKind.VIDEO]
    assert {c.kind: c.payload_types for c in world.link.find(FakeConsumer)} == {
        MediaKind.VIDEO: [(98, 121)],
        MediaKind.AUDIO: [(111, 109)],
    }
    await world.rooms.end(room.participants["bob"])
    await world.rooms.switching.settled(room)
    assert {c.kind: c.producer for c in world.link.find(FakeConsumer)} == first
    await world.rooms.end(room.participants["alice"])
    await world.rooms.switching.settled(room)
    assert {c.producer for c in world.link.find(FakeConsumer)} == {None}
    await publish(world, "carol")
    await world.rooms.switching.settled(room)
    assert None not in {c.producer for c in world.link.find(FakeConsumer)}


async def test_a_viewer_that_chose_a_participant_stays_with_it(world: World) -> None:
    await publish(world, "alice")
    await publish(world, "bob")
    viewer, _ = await world.rooms.watch("demo", PEER, [SEE], follows="alice")
    await publish(world, "carol")
    await world.rooms.switching.settled(viewer.room)
    (subscription,) = viewer.subscriptions.values()
    assert subscription.source is not None
    assert subscription.source.participant.identity == "alice"
    replacement, _ = await publish(world, "alice")
    await world.rooms.switching.settled(viewer.room)
    assert subscription.source.participant is replacement


async def test_a_publisher_that_comes_while_a_viewer_joins_is_not_missed(world: World) -> None:
    await publish(world, "alice")
    room = world.rooms.find("demo")
    watching = asyncio.ensure_future(world.rooms.watch("demo", PEER, [SEE, HEAR]))
    await asyncio.sleep(0)
    bob, _ = await publish(world, "bob")
    viewer, _ = await watching
    await world.rooms.switching.settled(room)
    assert {s.source.participant for s in viewer.subscriptions.values() if s.source} == {bob}


async def test_a_source_with_a_codec_the_viewer_lacks_is_said_to_be_unservable(world: World) -> None:
    await publish(world, "alice")
    only_vp8 = replace(SEE, codecs=SEE.codecs[:1])
    viewer, _ = await world.rooms.watch("demo", PEER, [only_vp8])
    await publish(world, "bob", replace(VIDEO, codecs=(VP9,)))
    await world.rooms.switching.settled(viewer.room)
    (subscription,) = viewer.subscriptions.values()
    assert subscription.unservable
    assert world.rooms.switching.unservable == 1
    assert world.link.find(FakeConsumer)[0].producer is None


@pytest.mark.parametrize("room", ["demo", "elsewhere"])
async def test_nobody_can_watch_what_is_not_live(world: World, room: str) -> None:
    await world.rooms.join("demo", JoinRequest("silent"))
    assert (await refusal(world.rooms.watch(room, PEER, [SEE]))).refusal is Refusal.NOT_LIVE
    assert "elsewhere" not in world.rooms.by_name


async def test_a_viewer_of_video_waits_for_a_publisher_of_video(world: World) -> None:
    await publish(world, "alice", AUDIO)
    assert (await refusal(world.rooms.watch("demo", PEER, [SEE]))).refusal is Refusal.NOT_LIVE
    assert (await refusal(world.rooms.watch("demo", PEER, [SEE], "nobody"))).refusal is Refusal.NOT_LIVE


async def test_a_viewer_without_a_common_codec_is_refused_and_leaves_nothing(world: World) -> None:
    await publish(world, "alice", AUDIO, replace(VIDEO, codecs=(VP9,)))
    before = world.objects()
    error = await refusal(world.rooms.watch("demo", PEER, [HEAR, replace(SEE, codecs=SEE.codecs[:1])]))
    assert error.refusal is Refusal.NO_COMMON_CODEC
    assert "VP9" in error.message
    assert world.objects() == before
    assert not world.rooms.find("demo").viewers


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        (EngineCloseReason.ICE_TIMEOUT, CloseReason.NEVER_CONNECTED),
        (EngineCloseReason.CONSENT_EXPIRED, CloseReason.CONNECTION_LOST),
        (EngineCloseReason.DTLS_CLOSED, CloseReason.PEER_CLOSED),
        (EngineCloseReason.DTLS_RSA_UNSUPPORTED, CloseReason.CERTIFICATE_UNSUPPORTED),
        (EngineCloseReason.PEER_PANICKED, CloseReason.MEDIA_FAILED),
    ],
)
async def test_a_lost_transport_ends_its_owner_for_the_right_reason(
    world: World, engine: EngineCloseReason, reason: CloseReason
) -> None:
    participant, connection = await publish(world)
    viewer, watching = await world.rooms.watch("demo", PEER, [SEE])
    world.link.lose_peer(watching.transport.id, engine)
    world.link.lose_peer(connection.transport.id, engine)
    await asyncio.wait_for(_until(lambda: participant.closed is not None and viewer.closed is not None), 5)
    assert (participant.closed, viewer.closed) == (reason, reason)
    await world.settle()
    assert world.objects() == {"Router": 1}
    assert not world.rooms.connections


async def test_a_room_whose_router_broke_is_closed_and_the_next_join_makes_a_new_one(world: World) -> None:
    participant, _ = await publish(world)
    viewer, _ = await world.rooms.watch("demo", PEER, [SEE])
    room = world.rooms.find("demo")
    world.link.lose_router(room.router.id)
    await asyncio.wait_for(_until(lambda: room.closed is not None), 5)
    await world.settle()
    assert room.closed is participant.closed is viewer.closed is CloseReason.MEDIA_FAILED
    assert world.objects() == {}
    await publish(world)
    assert world.rooms.find("demo") is not room
    assert world.objects() == {"Router": 1, "Transport": 1, "Producer": 2}


async def test_a_peer_that_broke_leaves_the_room_open(world: World) -> None:
    _, connection = await publish(world)
    room = world.rooms.find("demo")
    world.link.lose_peer(connection.transport.id, EngineCloseReason.PEER_PANICKED)
    await world.settle()
    assert room.closed is None
    assert world.objects() == {"Router": 1}


async def test_a_join_that_finds_the_router_gone_may_be_tried_again(world: World) -> None:
    participant = await world.rooms.join("demo", JoinRequest("bob"))
    room = world.rooms.find("demo")
    # Its end is not heard of before the next join.
    world.link._state.drop_router(world.link._state.get(FakeRouter, room.router.id), EngineCloseReason.ROUTER_PANICKED)
    world.link._state.take_caused()
    error = await refusal(publish(world))
    assert (error.refusal, error.retryable) == (Refusal.ROUTER_LOST, True)
    await world.settle()
    assert room.closed is participant.closed is CloseReason.MEDIA_FAILED
    await publish(world)
    assert world.objects() == {"Router": 1, "Transport": 1, "Producer": 2}


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - turns of the loop, not time
        await asyncio.sleep(0)


async def test_a_transport_lost_during_the_join_fails_the_join(world: World) -> None:
    world.link.stalled = True
    joining = asyncio.ensure_future(publish(world, "alice", AUDIO))
    for _ in range(20):
        await asyncio.sleep(0)
        world.link._work()
        transports = world.link.find(FakeTransport)
        if transports and world.link.find(FakeProducer):
            world.link.lose_peer(transports[0].id, EngineCloseReason.PEER_PANICKED)
            break
    world.link.resume()
    with pytest.raises(RoomError):
        await joining
    await world.settle()
    assert not world.rooms.connections
    assert "Transport" not in world.objects()


async def test_a_cancelled_join_leaves_nothing(world: World) -> None:
    world.link.stalled = True
    joining = asyncio.ensure_future(publish(world))
    for _ in range(6):
        await asyncio.sleep(0)
        world.link._work()
    joining.cancel()
    world.link.resume()
    with pytest.raises(asyncio.CancelledError):
        await joining
    await world.settle()
    assert "Producer" not in world.objects()
    assert not world.rooms.find("demo").participants if "demo" in world.rooms.by_name else True


async def test_the_room_counts_its_events_without_a_gap(world: World) -> None:
    await world.rooms.open("demo")
    room = world.rooms.find("demo")
    with room.events.open() as mailbox:
        participant, connection = await publish(world)
        world.link.connect_peer(connection.transport.id)
        (audio, _) = participant.publications.values()
        world.link.emit(ProducerStarted(producer=audio.producer.id, encoding=0, ssrc=1))
        world.link.emit(ProducerSilent(producer=audio.producer.id, encoding=0))
        await world.rooms.mute(audio, muted=True, by_server=True)
        await world.settle()
        await world.rooms.end(participant, CloseReason.REMOVED)
        events = [await mailbox.get() for _ in range(10)]
    assert [event.seq for event in events] == list(range(2, 12))
    assert {event.kind for event in events} == {
        RoomEventKind.PARTICIPANT_JOINED,
        RoomEventKind.TRACK_PUBLISHED,
        RoomEventKind.PARTICIPANT_CONNECTED,
        RoomEventKind.TRACK_ACTIVE,
        RoomEventKind.TRACK_SILENT,
        RoomEventKind.TRACK_MUTED,
        RoomEventKind.TRACK_UNPUBLISHED,
        RoomEventKind.PARTICIPANT_LEFT,
    }
    assert events[-1].reason is CloseReason.REMOVED


async def test_a_reader_that_sleeps_is_told_what_it_missed(world: World) -> None:
    room = await world.rooms.open("demo")
    mailbox = room.events.open(limit=2)
    for _ in range(4):
        room.events.emit(RoomEventKind.TRACK_ACTIVE)
    assert [(await mailbox.get()).seq for _ in range(2)] == [2, 3]
    with pytest.raises(EventsLostError) as caught:
        await mailbox.get()
    assert caught.value.after == 3
    assert room.events.overflows == 1


async def test_events_end_with_the_room(world: World) -> None:
    room = await world.rooms.open("demo")
    mailbox = room.events.open()
    await world.rooms.close_room(room)
    assert [event.kind async for event in mailbox] == [RoomEventKind.ROOM_CLOSED]


async def test_tracks_come_and_go_while_their_participant_stays(world: World) -> None:
    participant = await world.rooms.join("demo", JoinRequest("alice"))
    connection = await world.rooms.open_connection(participant)
    await world.rooms.connect(connection, PEER)
    track = await world.rooms.publish(participant, connection, VIDEO)
    viewer, _ = await world.rooms.watch("demo", PEER, [SEE])
    await world.rooms.unpublish(track)
    await world.rooms.unpublish(track)
    await world.rooms.switching.settled(viewer.room)
    assert world.link.find(FakeConsumer)[0].producer is None
    assert not participant.publications
    await world.rooms.publish(participant, connection, VIDEO)
    await world.rooms.switching.settled(viewer.room)
    assert world.link.find(FakeConsumer)[0].producer is not None


async def test_participants_subscribe_to_each_other(world: World) -> None:
    alice, _ = await publish(world, "alice")
    bob = await world.rooms.join("demo", JoinRequest("bob"))
    connection = await world.rooms.open_connection(bob)
    video = alice.publication_of(MediaKind.VIDEO)
    subscription = await world.rooms.subscribe(bob, connection, SEE, video)
    assert world.link.find(FakeConsumer)[0].payload_types == [(96, 120)]
    await world.rooms.unsubscribe(subscription)
    assert not world.link.find(FakeConsumer)


async def test_a_layer_is_chosen_by_its_rid_also_of_the_next_source(world: World) -> None:
    await publish(world, "alice")
    viewer, _ = await world.rooms.watch("demo", PEER, [SEE])
    (subscription,) = viewer.subscriptions.values()
    await world.rooms.choose_layer(subscription, LayerWish(rid="f"))
    assert world.link.find(FakeConsumer)[0].spatial == 1
    error = await refusal(world.rooms.choose_layer(subscription, LayerWish(rid="nope")))
    assert error.refusal is Refusal.NO_SUCH_LAYER
    await publish(world, "bob", replace(VIDEO, encodings=tuple(reversed(VIDEO.encodings))))
    await world.rooms.switching.settled(viewer.room)
    assert world.link.find(FakeConsumer)[0].spatial == 0


async def test_muting_pauses_the_producer_and_is_idempotent(world: World) -> None:
    alice, _ = await publish(world, "alice", AUDIO)
    (track,) = alice.publications.values()
    await world.rooms.mute(track, muted=True, by_server=True)
    await world.rooms.mute(track, muted=True, by_server=True)
    assert world.link.find(FakeProducer)[0].paused
    await world.rooms.mute(track, muted=False, by_server=True)
    assert not world.link.find(FakeProducer)[0].paused


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (RoomLimits(max_rooms=1), Refusal.TOO_MANY_ROOMS),
        (RoomLimits(create_on_join=False), Refusal.NO_SUCH_ROOM),
    ],
)
async def test_rooms_are_made_only_within_limits(make_world: MakeWorld, limits: RoomLimits, expected: Refusal) -> None:
    world = await make_world(limits)
    await world.rooms.open("first")
    assert (await refusal(publish(world, room="second"))).refusal is expected
    assert world.rooms.refused[expected] == 1


async def test_members_are_let_in_only_within_limits(make_world: MakeWorld) -> None:
    world = await make_world(RoomLimits(max_participants=1, max_viewers=1, max_tracks_per_participant=2))
    await publish(world, "alice")
    assert (await refusal(publish(world, "bob"))).refusal is Refusal.TOO_MANY_PARTICIPANTS
    await publish(world, "alice")  # replaces, so it does not count twice
    await world.rooms.watch("demo", PEER, [SEE])
    assert (await refusal(world.rooms.watch("demo", PEER, [SEE]))).refusal is Refusal.TOO_MANY_VIEWERS
    assert (await refusal(publish(world, "alice", AUDIO, AUDIO, AUDIO))).refusal is Refusal.TOO_MANY_TRACKS
    counted = (Refusal.TOO_MANY_PARTICIPANTS, Refusal.TOO_MANY_VIEWERS, Refusal.TOO_MANY_TRACKS)
    assert [world.rooms.refused[one] for one in counted] == [1, 1, 1]


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "../x", "ü", "a/b"])
async def test_a_name_that_fits_no_url_is_refused(world: World, name: str) -> None:
    assert (await refusal(world.rooms.open(name))).refusal is Refusal.BAD_NAME


async def test_an_identity_has_a_length(world: World) -> None:
    assert (await refusal(publish(world, "x" * 257))).refusal is Refusal.BAD_IDENTITY
    assert (await refusal(publish(world, ""))).refusal is Refusal.BAD_IDENTITY
    await world.settle()
    assert not world.rooms.by_name


async def test_a_plain_source_and_a_plain_sink_meet_in_the_room(world: World) -> None:
    keys = SrtpKeys(suite="AES_CM_128_HMAC_SHA1_80", key=bytes(30))
    participant, sources = await world.rooms.publish_plain(
        "demo",
        JoinRequest("camera"),
        [(VIDEO, PlainAddress(srtp=keys, local_srtp=keys)), (AUDIO, PlainAddress(ip="127.0.0.1", port=5000))],
    )
    viewer, sinks = await world.rooms.watch_plain(
        "demo", [(SEE, PlainAddress("127.0.0.1", 6000)), (HEAR, PlainAddress("127.0.0.1", 6002))]
    )
    assert len(sources) == len(sinks) == 2
    assert {c.producer for c in world.link.find(FakeConsumer)} == {
        p.producer.id for p in participant.publications.values()
    }
    await world.rooms.end(viewer)
    await world.rooms.end(participant)
    assert world.objects() == {"Router": 1}


async def test_a_plain_source_without_a_free_port_leaves_nothing(make_world: MakeWorld) -> None:
    world = await make_world(config=EngineConfig(plain_ports=(40100, 40100)))
    error = await refusal(
        world.rooms.publish_plain("demo", JoinRequest("camera"), [(VIDEO, PlainAddress()), (AUDIO, PlainAddress())])
    )
    assert error.refusal is Refusal.ENGINE_BUSY
    await world.settle()
    assert world.objects() == {}


async def test_a_thousand_joins_and_leaves_leave_everything_as_it_was(world: World) -> None:
    await publish(world, "anchor")
    room = world.rooms.find("demo")
    before = (world.objects(), len(asyncio.all_tasks()))
    for number in range(250):
        participant, _ = await publish(world, f"p{number % 7}")
        viewer, _ = await world.rooms.watch("demo", PEER, [SEE, HEAR])
        await world.rooms.end(viewer)
        await world.rooms.end(participant)
    await world.rooms.switching.settled(room)
    await world.settle()
    assert (world.objects(), len(asyncio.all_tasks())) == before
    assert not room.viewers
    assert len(world.rooms.connections) == 1
    assert len(world.rooms.publications) == 2
    assert not world.rooms.subscriptions


async def test_closing_ends_everybody_and_lets_nobody_in(world: World) -> None:
    participant, _ = await publish(world)
    viewer, _ = await world.rooms.watch("demo", PEER, [SEE])
    await world.rooms.close()
    assert (participant.closed, viewer.closed) == (CloseReason.SERVER_SHUTDOWN, CloseReason.SERVER_SHUTDOWN)
    assert world.objects() == {}
    assert (await refusal(publish(world))).refusal is Refusal.SHUTTING_DOWN


async def test_a_callback_hears_of_the_end_once_even_when_it_comes_late(world: World) -> None:
    participant, _ = await publish(world)
    heard: list[CloseReason] = []
    participant.when_closed(heard.append)
    await world.rooms.end(participant, CloseReason.REMOVED)
    await world.rooms.end(participant, CloseReason.LEFT)
    participant.when_closed(heard.append)
    assert heard == [CloseReason.REMOVED, CloseReason.REMOVED]


async def test_a_producer_the_engine_closes_is_withdrawn(world: World) -> None:
    participant, _ = await publish(world)
    (audio, video) = participant.publications.values()
    world.link.emit(ProducerClosed(producer=ProducerId(video.producer.id), reason=EngineCloseReason.PEER_PANICKED))
    await asyncio.wait_for(_until(lambda: len(participant.publications) == 1), 5)
    assert list(participant.publications.values()) == [audio]
