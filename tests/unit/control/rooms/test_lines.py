"""What rooms make of the engine's news about lines, layers and quality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rooms_world import AUDIO, HEAR, PEER, SEE, VIDEO, World

from roomtone.control.rooms import JoinRequest, Layers, LayerWish, RoomEvent, RoomEventKind, Subscription
from roomtone.media.fake_objects import FakeConsumer
from roomtone.media.values import (
    AnyEvent,
    CongestionChanged,
    CongestionState,
    ConsumerFed,
    ConsumerLayersChanged,
    ConsumerLayersTargeted,
    ConsumerStarved,
    DegradationReason,
    EncodingsWanted,
    LineDirection,
    MediaKind,
    QualityChanged,
    QualityLevel,
    QualitySubject,
    QualityTrend,
)

if TYPE_CHECKING:
    from roomtone.control.rooms.model import AnyConnection


async def watch(world: World) -> Subscription:
    """A viewer's video in a room that is live."""
    await world.rooms.join_with_tracks("demo", JoinRequest("alice"), PEER, [AUDIO, VIDEO])
    viewer, _ = await world.rooms.watch("demo", PEER, [SEE, HEAR])
    return next(s for s in viewer.subscriptions.values() if s.offer.kind is MediaKind.VIDEO)


async def heard(world: World, *events: AnyEvent) -> list[RoomEvent]:
    """What the room says when the engine says this."""
    with world.rooms.find("demo").events.open() as mailbox:
        for event in events:
            world.link.emit(event)
        await world.settle()
    return [event async for event in mailbox]


async def test_layers_sent_and_aimed_at_are_known_and_told(world: World) -> None:
    video = await watch(world)
    id_ = video.consumer.id
    told = await heard(
        world,
        ConsumerLayersTargeted(consumer=id_, spatial=1, temporal=2),
        ConsumerLayersChanged(consumer=id_, spatial=0, temporal=None),
    )
    assert (video.target, video.current) == (Layers(1, 2), Layers(0, None))
    assert [(event.kind, event.encoding, event.temporal) for event in told] == [
        (RoomEventKind.LAYERS_TARGETED, 1, 2),
        (RoomEventKind.LAYERS_CHANGED, 0, None),
    ]


async def test_a_viewer_whose_line_carries_nothing_is_starved_until_it_is_fed(world: World) -> None:
    video = await watch(world)
    told = await heard(world, ConsumerStarved(consumer=video.consumer.id))
    assert video.starved
    told += await heard(world, ConsumerFed(consumer=video.consumer.id))
    assert not video.starved
    assert [event.kind for event in told] == [RoomEventKind.VIEWER_STARVED, RoomEventKind.VIEWER_FED]


async def test_what_nobody_wants_of_a_track_is_told(world: World) -> None:
    video = await watch(world)
    assert video.source is not None
    (told,) = await heard(world, EncodingsWanted(producer=video.source.producer.id, wanted=[7, None]))
    assert (told.kind, told.participant, told.wanted) == (RoomEventKind.ENCODINGS_WANTED, "alice", (7, None))
    assert video.source.wanted == (7, None)


async def test_quality_is_told_of_tracks_and_connections(world: World) -> None:
    video = await watch(world)
    assert video.source is not None
    (connection,) = video.member.connections.values()
    subjects = [
        (QualitySubject.PRODUCER, video.source.producer.id),
        (QualitySubject.TRANSPORT, connection.transport.id),
        (QualitySubject.CONSUMER, video.consumer.id),
    ]
    news = [
        QualityChanged(
            subject=subject,
            id=id_,
            score=0.35,
            level=QualityLevel.POOR,
            mos=None,
            trend=QualityTrend.FALLING,
            reason=DegradationReason.LOSS,
        )
        for subject, id_ in subjects
    ]
    of_track, of_viewer = await heard(world, *news)
    assert (of_track.participant, of_track.track) == ("alice", video.source.id)
    assert of_viewer.viewer is not None
    assert {(event.kind, event.quality, event.score, event.degradation) for event in (of_track, of_viewer)} == {
        (RoomEventKind.QUALITY_CHANGED, QualityLevel.POOR, 0.35, DegradationReason.LOSS)
    }
    assert video.member.quality is video.source.quality is QualityLevel.POOR


def said(connection: AnyConnection, score: float, level: QualityLevel) -> QualityChanged:
    """What the engine says of a connection."""
    return QualityChanged(
        subject=QualitySubject.TRANSPORT,
        id=connection.transport.id,
        score=score,
        level=level,
        mos=None,
        trend=QualityTrend.STEADY,
        reason=DegradationReason.LOSS if level is QualityLevel.POOR else None,
    )


async def test_a_member_is_as_good_as_the_worst_of_its_connections(world: World) -> None:
    alice = await world.rooms.join("demo", JoinRequest("alice"))
    sends, hears = [await world.rooms.open_connection(alice) for _ in range(2)]
    news = [
        said(sends, 0.3, QualityLevel.POOR),
        said(hears, 0.9, QualityLevel.EXCELLENT),  # hides nothing
        said(hears, 0.6, QualityLevel.GOOD),
        said(sends, 0.95, QualityLevel.EXCELLENT),
        said(sends, 0.2, QualityLevel.POOR),
        said(sends, 0.0, QualityLevel.LOST),
    ]
    told = await heard(world, *news)
    assert [(event.quality, event.score, event.degradation) for event in told] == [
        (QualityLevel.POOR, 0.3, DegradationReason.LOSS),
        (QualityLevel.GOOD, 0.6, None),
        (QualityLevel.POOR, 0.2, DegradationReason.LOSS),
        (QualityLevel.LOST, 0.0, None),
    ]
    assert told[-1].quality is alice.quality
    with world.rooms.find("demo").events.open() as mailbox:
        await world.rooms.close_connection(sends)
        await world.settle()
    after = [event async for event in mailbox if event.kind is RoomEventKind.QUALITY_CHANGED]
    assert [(event.participant, event.quality) for event in after] == [("alice", QualityLevel.GOOD)]
    assert after[0].quality is alice.quality
    await world.rooms.close_connection(hears)
    assert alice.quality is None, "of nothing nothing is known"


async def test_congestion_is_told_with_its_direction(world: World) -> None:
    video = await watch(world)
    (connection,) = video.member.connections.values()
    state = CongestionChanged(
        transport=connection.transport.id, direction=LineDirection.DOWN, state=CongestionState.SEVERE
    )
    (told,) = await heard(world, state)
    assert (told.kind, told.direction, told.congestion) == (
        RoomEventKind.CONGESTION_CHANGED,
        LineDirection.DOWN,
        CongestionState.SEVERE,
    )


async def test_one_wish_says_all_that_a_viewer_wants_at_most(world: World) -> None:
    video = await watch(world)
    (consumer,) = [held for held in world.link.find(FakeConsumer) if held.kind is MediaKind.VIDEO]
    wish = LayerWish(rid="f", temporal=1, max_width=640, max_height=360, max_fps=15, max_bitrate=400_000, paused=True)
    await world.rooms.choose_layer(video, wish)
    assert (consumer.spatial, consumer.temporal, consumer.paused) == (1, 1, True)
    assert consumer.limits is not None
    limits = consumer.limits
    assert (limits.max_width, limits.max_height, limits.max_fps, limits.max_bitrate) == (640, 360, 15, 400_000)
    await world.rooms.choose_layer(video, LayerWish())
    assert (consumer.spatial, consumer.temporal, consumer.paused) == (None, None, False)
    assert consumer.limits.max_width is consumer.limits.max_bitrate is None


async def test_a_participant_is_told_which_of_its_tracks_its_line_does_not_carry(world: World) -> None:
    alice, _ = await world.rooms.join_with_tracks("demo", JoinRequest("alice"), PEER, [AUDIO, VIDEO])
    bob = await world.rooms.join("demo", JoinRequest("bob"))
    connection = await world.rooms.open_connection(bob)
    camera = alice.publication_of(MediaKind.VIDEO)
    subscription = await world.rooms.subscribe(bob, connection, SEE, camera)
    consumer = subscription.consumer.id
    told = await heard(
        world,
        ConsumerStarved(consumer=consumer),
        ConsumerFed(consumer=consumer),
        ConsumerLayersChanged(consumer=consumer, spatial=1, temporal=0),
        QualityChanged(
            subject=QualitySubject.TRANSPORT,
            id=connection.transport.id,
            score=0.9,
            level=QualityLevel.EXCELLENT,
            mos=None,
            trend=QualityTrend.STEADY,
            reason=None,
        ),
    )
    assert camera is not None
    assert [(event.kind, event.participant, event.track, event.subscription) for event in told] == [
        (RoomEventKind.SUBSCRIPTION_STARVED, "bob", camera.id, subscription.id),
        (RoomEventKind.SUBSCRIPTION_FED, "bob", camera.id, subscription.id),
        (RoomEventKind.LAYERS_CHANGED, "bob", camera.id, subscription.id),
        (RoomEventKind.QUALITY_CHANGED, "bob", None, None),
    ]
    assert bob.quality is QualityLevel.EXCELLENT
