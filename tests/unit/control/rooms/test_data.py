"""Data packets go to whom they are for, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from rooms_world import World

from roomtone.control.rooms import (
    DataKind,
    DataOutcome,
    DataPacket,
    JoinRequest,
    Participant,
    Permissions,
    Refusal,
    RoomError,
)


@dataclass
class Inbox:
    packets: list[DataPacket] = field(default_factory=list)

    def deliver(self, packet: DataPacket) -> bool:
        self.packets.append(packet)
        return True


async def people(world: World, *identities: str) -> dict[str, tuple[Participant, Inbox]]:
    joined = {}
    for identity in identities:
        participant, inbox = await world.rooms.join("demo", JoinRequest(identity)), Inbox()
        participant.data_sink = inbox
        joined[identity] = (participant, inbox)
    return joined


async def test_a_packet_without_destinations_goes_to_all_others(world: World) -> None:
    there = await people(world, "alice", "bob", "carol")
    await world.rooms.join("demo", JoinRequest("whip"))
    packet = DataPacket(DataKind.RELIABLE, b"hello", sender="alice")
    room = there["alice"][0].room
    assert world.rooms.send_data(room, packet) == 2
    assert [len(inbox.packets) for _, inbox in there.values()] == [0, 1, 1]
    assert world.rooms.data_outcomes == {DataOutcome.DELIVERED: 2, DataOutcome.NO_SINK: 1}


async def test_destinations_alone_get_a_packet_and_the_sender_may_be_one(world: World) -> None:
    there = await people(world, "alice", "bob", "carol")
    packet = DataPacket(DataKind.LOSSY, b"x", sender="alice", destinations=("alice", "carol", "nobody"))
    assert world.rooms.send_data(there["alice"][0].room, packet) == 2
    assert [len(inbox.packets) for _, inbox in there.values()] == [1, 0, 1]
    assert world.rooms.data_outcomes[DataOutcome.NOBODY] == 1


async def test_who_may_not_send_data_or_sends_too_much_is_refused(world: World) -> None:
    there = await people(world, "alice", "bob")
    alice, inbox = there["alice"][0], there["bob"][1]
    with pytest.raises(RoomError) as caught:
        world.rooms.send_data(alice.room, DataPacket(DataKind.RELIABLE, bytes(65_537), sender="alice"))
    assert caught.value.refusal is Refusal.TOO_LARGE
    await world.rooms.update(alice, permissions=Permissions(can_publish_data=False))
    with pytest.raises(RoomError) as caught:
        world.rooms.send_data(alice.room, DataPacket(DataKind.RELIABLE, b"x", sender="alice"))
    assert caught.value.refusal is Refusal.NOT_PERMITTED
    assert inbox.packets == []


async def test_a_stranger_sends_nothing(world: World) -> None:
    there = await people(world, "bob")
    with pytest.raises(RoomError) as caught:
        world.rooms.send_data(there["bob"][0].room, DataPacket(DataKind.RELIABLE, b"x", sender="stranger"))
    assert caught.value.refusal is Refusal.NO_SUCH_PARTICIPANT
    assert there["bob"][1].packets == []


async def test_one_broken_peer_keeps_nothing_from_the_others_and_nobody_gets_a_packet_twice(world: World) -> None:
    there = await people(world, "alice", "bob", "carol")

    class Broken:
        def deliver(self, packet: DataPacket) -> bool:
            raise OSError(f"the peer is gone: {packet.topic}")

    there["bob"][0].data_sink = Broken()
    packet = DataPacket(DataKind.RELIABLE, b"x", destinations=("bob", "carol", "carol"))
    assert world.rooms.send_data(there["alice"][0].room, packet) == 1
    assert there["carol"][1].packets == [packet]
    assert world.rooms.data_outcomes == {DataOutcome.FAILED: 1, DataOutcome.DELIVERED: 1}
