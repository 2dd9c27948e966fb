"""A member with several paths goes on when one of them ends, and so do its other tracks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rooms_world import AUDIO, HEAR, PEER, VIDEO, World

from roomtone.control.rooms import Connection, JoinRequest, Participant
from roomtone.media.fake_objects import FakeConsumer
from roomtone.media.values import EngineCloseReason


async def two_paths(world: World) -> tuple[Participant, Connection, Connection]:
    alice = await world.rooms.join("demo", JoinRequest("alice"))
    first, second = [await world.rooms.open_connection(alice) for _ in range(2)]
    first.ends_owner = second.ends_owner = False
    return alice, first, second


@pytest.mark.parametrize("by_peer", [True, False])
async def test_only_what_went_over_a_closed_path_ends(world: World, by_peer: bool) -> None:
    alice, first, second = await two_paths(world)
    voice = await world.rooms.publish(alice, first, AUDIO)
    picture = await world.rooms.publish(alice, second, VIDEO)
    bob = await world.rooms.join("demo", JoinRequest("bob"))
    there = await world.rooms.open_connection(bob)
    there.ends_owner = False
    await world.rooms.subscribe(bob, there, HEAR, voice)
    if by_peer:
        world.link.lose_peer(first.transport.id, EngineCloseReason.DTLS_CLOSED)
        world.link.lose_peer(there.transport.id, EngineCloseReason.DTLS_CLOSED)
    else:
        await world.rooms.close_connection(first)
        await world.rooms.close_connection(there)
    await world.settle()
    assert list(alice.publications) == [picture.id]
    assert alice.closed is None
    assert bob.closed is None
    assert bob.subscriptions == {}
    assert world.rooms.subscriptions == {}
    assert set(world.rooms.connections) == {second.transport.id}
    assert world.objects() == {"Router": 1, "Transport": 1, "Producer": 1}


async def test_a_subscription_may_begin_paused(world: World) -> None:
    alice, first, second = await two_paths(world)
    voice = await world.rooms.publish(alice, first, AUDIO)
    subscription = await world.rooms.subscribe(alice, second, replace(HEAR, paused=True), voice)
    assert world.link.find(FakeConsumer)[0].paused
    await world.rooms.choose_layer(subscription, replace(subscription.layer, paused=False))
    assert not world.link.find(FakeConsumer)[0].paused


async def test_a_path_is_named_and_restarted_without_the_peers_credentials(world: World) -> None:
    _, first, _ = await two_paths(world)
    await world.rooms.connect(first, replace(PEER, ice_ufrag="", ice_pwd=""))
    before = first.transport.ice_ufrag
    await world.rooms.restart_ice(first)
    assert first.transport.ice_ufrag != before
