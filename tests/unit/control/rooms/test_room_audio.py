"""How rooms have audio forwarded: redundancy for who asks, and so many voices at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from rooms_world import AUDIO, HEAR, OPUS, PEER, SEE, VIDEO, World

from roomtone.control.rooms import JoinRequest, RoomError, RoomLimits, SubscriptionOffer
from roomtone.media import EngineCommandError, Router
from roomtone.media.fake_objects import FakeConsumer, FakeRouter
from roomtone.media.values import AudioRedundancy, CodecFeedback, EngineConfig, ErrorCode, MediaKind
from roomtone.protocols.sdp import Codec

MakeWorld = Callable[..., Awaitable[World]]
PLAIN = HEAR.codecs[0]
RED = Codec(MediaKind.AUDIO, 64, "RED", 48000, 2, parameters=(("109/109/109", None),))


async def hear(world: World, *codecs: Codec) -> FakeConsumer:
    await world.rooms.join_with_tracks("demo", JoinRequest("alice"), PEER, [AUDIO, VIDEO])
    await world.rooms.watch("demo", PEER, [SubscriptionOffer(MediaKind.AUDIO, codecs), SEE])
    return next(consumer for consumer in world.link.find(FakeConsumer) if consumer.kind is MediaKind.AUDIO)


async def test_a_viewer_that_prefers_redundancy_gets_it_made(world: World) -> None:
    consumer = await hear(world, RED, PLAIN)
    assert consumer.redundancy == AudioRedundancy(payload_type=64, protects=109, blocks=2)
    assert consumer.payload_types == [(OPUS.payload_type, 109)]


async def test_a_viewer_that_only_knows_redundancy_gets_what_comes(world: World) -> None:
    consumer = await hear(world, replace(PLAIN, feedback=CodecFeedback(nack=True)), RED)
    assert consumer.redundancy is None


async def test_all_routers_of_a_room_forward_so_many_voices(make_world: MakeWorld) -> None:
    world = await make_world(RoomLimits(audio_top_n=3, routers_per_room=2), EngineConfig(shards=2))
    await hear(world, PLAIN)
    await world.rooms.watch("demo", PEER, [HEAR])
    assert [router.audio_top_n for router in world.link.find(FakeRouter)] == [3, 3]


async def test_without_a_limit_all_are_forwarded(world: World) -> None:
    await hear(world, PLAIN)
    assert [router.audio_top_n for router in world.link.find(FakeRouter)] == [None]


async def test_a_router_that_cannot_be_told_is_closed_again(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(RoomLimits(audio_top_n=3))

    async def refuse(router: Router, places: int | None) -> None:
        raise EngineCommandError(ErrorCode.QUEUE_FULL, f"{router.id} cannot be told of {places}")

    monkeypatch.setattr(Router, "set_audio_top_n", refuse)
    with pytest.raises(RoomError):
        await hear(world, PLAIN)
    assert not world.link.find(FakeRouter)
