"""Commands about feeds, as the fake engine does them."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from roomtone.media.fake_objects import FakeFeed, FakeIngest, FakeProducer, FakeRouter
from roomtone.media.fake_state import Refused
from roomtone.media.values import (
    AddFeedTrack,
    AnyResult,
    CloseFeed,
    Done,
    EngineCloseReason,
    ErrorCode,
    FeedOpened,
    OpenFeed,
    Produced,
    ProducerId,
    TransportId,
)

if TYPE_CHECKING:
    from roomtone.media.fake_state import FakeState

FeedCommand = OpenFeed | AddFeedTrack | CloseFeed


def execute(state: FakeState, command: FeedCommand) -> AnyResult:
    """Do a command about a feed; one that is refused has no effect."""
    match command:
        case OpenFeed():
            feed = FakeFeed(state.new_id(), state.get(FakeRouter, command.router).id)
            state.objects[feed.id] = feed
            return FeedOpened(feed=TransportId(feed.id))
        case AddFeedTrack():
            return _add(state, state.get(FakeFeed, command.feed), command)
        case CloseFeed():
            state.drop_feed(state.get(FakeFeed, command.feed), EngineCloseReason.REQUESTED)
            return Done()
        case _:
            assert_never(command)


def _add(state: FakeState, feed: FakeFeed, command: AddFeedTrack) -> AnyResult:
    told = next((held.tracks[command.track] for held in state.find(FakeIngest) if command.track in held.tracks), None)
    if told is None:
        raise Refused(ErrorCode.NOT_FOUND, f"there is no track {command.track}")
    if told.bar is not None:
        raise Refused(ErrorCode.UNSUPPORTED, f"{told.codec}: {told.bar.value}")
    producer = FakeProducer(
        state.new_id(), feed.router, feed.id, told.kind, paused=False, codecs=[command.codec], encodings=[]
    )
    state.objects[producer.id] = producer
    return Produced(producer=ProducerId(producer.id))
