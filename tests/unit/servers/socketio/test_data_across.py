"""Data between mediasoup clients and participants of other protocols."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from sfu_world import SfuWorld, SocketClient, vector

from roomtone.control.rooms import DataKind, DataOutcome, DataPacket, JoinRequest, Participant, Permissions, Protocol
from roomtone.media.fake_objects import FakeChannel
from roomtone.media.values import ChannelId, ChannelMessage
from roomtone.servers.socketio.foreign import MAX_TOPICS
from roomtone.servers.socketio.peers import MAX_HELD


@dataclass
class Inbox:
    packets: list[DataPacket] = field(default_factory=list)

    def deliver(self, packet: DataPacket) -> bool:
        self.packets.append(packet)
        return True


async def livekit(sfu: SfuWorld, identity: str, **permissions: Any) -> tuple[Participant, Inbox]:
    """Somebody who came by another protocol."""
    request = JoinRequest(identity, protocol=Protocol.LIVEKIT, permissions=Permissions(**permissions))
    participant, inbox = await sfu.rooms.join("demo", request), Inbox()
    participant.data_sink = inbox
    return participant, inbox


def said(sender: Participant, message: bytes, topic: str = "game", **more: Any) -> DataPacket:
    given = {"kind": DataKind.RELIABLE, "payload": b"protobuf", "topic": topic, "sender": sender.identity}
    return DataPacket(**(given | {"message": message} | more))


async def transport(sfu: SfuWorld, client: SocketClient, direction: str) -> str:
    made = await client.do("create-transport", roomId="demo", direction=direction)
    await client.do("connect-transport", **vector("connect-transport", transportId=made["id"]))
    for peer in sfu.sfu.peers_in("demo"):
        for held in peer.transports.values():
            sfu.link.connect_peer(held.connection.transport.id)
    await sfu.settle()
    id_: str = made["id"]
    return id_


async def announced(sfu: SfuWorld, client: SocketClient) -> list[dict[str, Any]]:
    await sfu.settle()
    return client.heard("newDataProducer")


async def consume(client: SocketClient, over: str, producer: str, **more: Any) -> dict[str, Any]:
    return await client.do("consume-data", roomId="demo", transportId=over, dataProducerId=producer, **more)


async def test_a_sender_has_a_producer_for_each_kind_and_topic(sfu: SfuWorld) -> None:
    bob = await sfu.join("bob")
    alice, _ = await livekit(sfu, "alice")
    for topic, kind in (("game", DataKind.RELIABLE), ("pointer", DataKind.LOSSY), ("game", DataKind.RELIABLE)):
        assert sfu.rooms.send_data(alice.room, said(alice, b"x", topic, kind=kind)) == 1
    told = await announced(sfu, bob)
    assert [(one["peerId"], one["label"], one["appData"]["kind"]) for one in told] == [
        ("alice", "game", "reliable"),
        ("alice", "pointer", "lossy"),
    ]
    over = await transport(sfu, bob, "recv")
    streams = [(await consume(bob, over, one["dataProducerId"]))["sctpStreamParameters"] for one in told]
    assert streams == [
        {"streamId": 0, "ordered": True},
        {"streamId": 1, "ordered": False, "maxRetransmits": 0},
    ]


async def test_what_came_before_its_client_listens_waits_until_it_resumes(sfu: SfuWorld) -> None:
    bob = await sfu.join("bob")
    alice, _ = await livekit(sfu, "alice")
    sfu.rooms.send_data(alice.room, said(alice, b"first"))
    over = await transport(sfu, bob, "recv")
    consumed = await consume(bob, over, (await announced(sfu, bob))[0]["dataProducerId"], paused=True)
    assert consumed["paused"]
    sfu.rooms.send_data(alice.room, said(alice, b"second"))
    await sfu.settle()
    (channel,) = sfu.link.find(FakeChannel)
    assert channel.sent == []
    await bob.do("resume-consumer", roomId="demo", consumerId=consumed["id"])
    sfu.rooms.send_data(alice.room, said(alice, b"third"))
    await sfu.settle()
    assert channel.sent == [b"first", b"second", b"third"]
    await bob.do("pause-consumer", roomId="demo", consumerId=consumed["id"])
    sfu.rooms.send_data(alice.room, said(alice, b"not heard"))
    await bob.do("resume-consumer", roomId="demo", consumerId=consumed["id"])
    await sfu.settle()
    assert channel.sent == [b"first", b"second", b"third"]


async def test_of_what_waits_the_oldest_makes_way_and_is_counted(sfu: SfuWorld) -> None:
    bob = await sfu.join("bob")
    alice, _ = await livekit(sfu, "alice")
    for number in range(MAX_HELD + 2):
        sfu.rooms.send_data(alice.room, said(alice, bytes([number])))
    assert sfu.sfu.context.counters.messages_dropped == 2
    over = await transport(sfu, bob, "recv")
    await consume(bob, over, (await announced(sfu, bob))[0]["dataProducerId"])
    await sfu.settle()
    (channel,) = sfu.link.find(FakeChannel)
    assert channel.sent == [bytes([number]) for number in range(2, MAX_HELD + 2)]


async def test_data_for_one_is_neither_told_nor_given_to_others(sfu: SfuWorld) -> None:
    bob, carol = await sfu.join("bob"), await sfu.join("carol")
    alice, _ = await livekit(sfu, "alice")
    sfu.rooms.send_data(alice.room, said(alice, b"secret", destinations=("bob",)))
    (told,) = await announced(sfu, bob)
    assert (await announced(sfu, carol)) == []
    over = await transport(sfu, carol, "recv")
    content = {"roomId": "demo", "transportId": over, "dataProducerId": told["dataProducerId"]}
    assert await carol.refused("consume-data", **content) == "no_such_data_producer"
    sfu.rooms.send_data(alice.room, said(alice, b"for all"))
    await carol.do("consume-data", **content)
    await sfu.settle()
    (channel,) = sfu.link.find(FakeChannel)
    assert channel.sent == [b"for all"]


async def test_a_producer_ends_with_its_sender_and_the_one_silent_longest_beyond_the_limit(sfu: SfuWorld) -> None:
    bob = await sfu.join("bob")
    alice, _ = await livekit(sfu, "alice")
    for number in range(MAX_TOPICS + 1):
        sfu.rooms.send_data(alice.room, said(alice, b"x", f"topic-{number}"))
    told = await announced(sfu, bob)
    await sfu.settle()
    assert [one["dataProducerId"] for one in bob.heard("data-producer-closed")] == [told[0]["dataProducerId"]]
    over = await transport(sfu, bob, "recv")
    consumed = await consume(bob, over, told[-1]["dataProducerId"])
    await sfu.rooms.remove(alice)
    await sfu.settle()
    assert len(bob.heard("data-producer-closed")) == MAX_TOPICS + 1
    assert [one["dataConsumerId"] for one in bob.heard("data-consumer-closed")] == [consumed["id"]]
    assert sfu.link.find(FakeChannel) == []


async def test_what_has_no_message_for_programs_is_not_taken(sfu: SfuWorld) -> None:
    bob = await sfu.join("bob")
    alice, _ = await livekit(sfu, "alice")
    assert sfu.rooms.send_data(alice.room, replace(said(alice, b""), message=None)) == 0
    assert sfu.rooms.send_data(alice.room, said(alice, b"x", "t" * 257)) == 0
    assert sfu.rooms.data_outcomes[DataOutcome.NOT_TAKEN] == 2
    assert (await announced(sfu, bob)) == []


async def test_the_server_and_hidden_participants_are_nobody(sfu: SfuWorld) -> None:
    bob = await sfu.join("bob")
    ghost, _ = await livekit(sfu, "ghost", hidden=True)
    sfu.rooms.send_data(ghost.room, said(ghost, b"boo"))
    sfu.rooms.send_data(ghost.room, replace(said(ghost, b"notice"), sender=None))
    assert [one["peerId"] for one in (await announced(sfu, bob))] == [None, None]


async def test_a_data_producers_messages_reach_other_protocols_with_its_label_as_topic(sfu: SfuWorld) -> None:
    bob = await sfu.join("bob")
    _, inbox = await livekit(sfu, "alice")
    over = await transport(sfu, bob, "send")
    await bob.do("produce-data", **vector("produce-data", transportId=over))
    stream = {"streamId": 7, "ordered": False, "maxRetransmits": 0}
    content = {"roomId": "demo", "transportId": over, "sctpStreamParameters": stream, "label": "aside"}
    await bob.do("produce-data", **content, destinationIdentities=["carol"])
    first, second = sfu.link.find(FakeChannel)
    sfu.link.emit(ChannelMessage(channel=ChannelId(first.id), data="grüß".encode(), text=True))
    sfu.link.emit(ChannelMessage(channel=ChannelId(second.id), data=b"not for alice", text=False))
    await sfu.settle()
    (packet,) = inbox.packets
    assert packet == DataPacket(DataKind.RELIABLE, topic="game", sender="bob", message="grüß".encode())
    _, carol = await livekit(sfu, "carol")
    sfu.link.emit(ChannelMessage(channel=ChannelId(second.id), data=b"psst", text=False))
    await sfu.settle()
    (packet,) = carol.packets
    assert (packet.kind, packet.message, packet.destinations) == (DataKind.LOSSY, b"psst", ("carol",))
    assert len(inbox.packets) == 1


async def test_who_may_no_longer_send_data_loses_its_producers_and_is_heard_no_more(sfu: SfuWorld) -> None:
    bob, carol = await sfu.join("bob"), await sfu.join("carol")
    _, inbox = await livekit(sfu, "alice")
    made = await bob.do("produce-data", **vector("produce-data", transportId=await transport(sfu, bob, "send")))
    consumed = await consume(carol, await transport(sfu, carol, "recv"), made["id"])
    source, sink = sfu.link.find(FakeChannel)
    peer = sfu.sfu.peer("demo", "bob")
    peer.participant.permissions = Permissions(can_publish_data=False)
    sfu.link.emit(ChannelMessage(channel=ChannelId(source.id), data=b"too late", text=False))
    await sfu.settle()
    assert (inbox.packets, sink.sent) == ([], [])
    assert sfu.sfu.context.counters.messages_refused == 1
    peer.participant.permissions = Permissions()
    await sfu.rooms.update(peer.participant, permissions=Permissions(can_publish_data=False))
    await sfu.settle()
    assert [one["dataProducerId"] for one in bob.heard("data-producer-closed")] == [made["id"]]
    assert [one["dataConsumerId"] for one in carol.heard("data-consumer-closed")] == [consumed["id"]]


async def test_who_may_no_longer_subscribe_loses_its_data_consumers(sfu: SfuWorld) -> None:
    bob = await sfu.join("bob")
    alice, _ = await livekit(sfu, "alice")
    sfu.rooms.send_data(alice.room, said(alice, b"x"))
    over = await transport(sfu, bob, "recv")
    await consume(bob, over, (await announced(sfu, bob))[0]["dataProducerId"])
    peer = sfu.sfu.peer("demo", "bob")
    await sfu.rooms.update(peer.participant, permissions=Permissions(can_subscribe=False))
    await sfu.settle()
    assert len(bob.heard("data-consumer-closed")) == 1
    assert sfu.rooms.send_data(alice.room, said(alice, b"x")) == 0
