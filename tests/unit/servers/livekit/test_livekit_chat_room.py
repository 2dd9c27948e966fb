"""Clients of LiveKit share the chat of their room with everybody else in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from livekit.protocol import models, rtc
from livekit_world import LiveKitWorld

from roomtone.control.rooms import JoinRequest, Participant, RoomLimits
from roomtone.protocols.livekit import ChatAction, ChatInput, ChatStreams, ChatText, write_chat
from roomtone.servers.livekit.context import Trouble

MakeLiveKit = Callable[..., Awaitable[LiveKitWorld]]
Reason = rtc.RequestResponse.Reason
HELLO = ChatText(ChatAction.SAY, "first", "hello", 0, "")


async def meet(world: LiveKitWorld) -> tuple[Participant, Participant]:
    """Alice sends by LiveKit, Bob receives by it, and Dave is there by something else; gives Alice and Dave."""
    bob = await world.connect("bob")
    await bob.answer()
    room = world.rooms.by_name["demo"]
    for transport in room.participants["bob"].connections:
        world.link.connect_peer(transport)
    await world.publisher("alice")
    return room.participants["alice"], await world.rooms.join("demo", JoinRequest("dave", protocol="socketio"))


async def say(world: LiveKitWorld, text: ChatText, sender: str = "alice") -> None:
    for packet in write_chat(text):
        await world.data_from(sender, packet)


def heard(world: LiveKitWorld) -> list[tuple[str, str, str, str]]:
    """Who said which message, by the streams that went to clients."""
    streams = ChatStreams(10_000)
    said = [(packet.participant_identity, streams.handle_packet(packet, 0)) for packet in world.sent_data()]
    return [(who, one.action.value, one.id, one.text) for who, one in said if isinstance(one, ChatInput)]


async def history(world: LiveKitWorld) -> list[tuple[str, str, str]]:
    messages = await world.rooms.chat_history(world.rooms.by_name["demo"])
    return [(message.id, message.sender, message.text) for message in messages]


async def test_a_stream_to_everybody_is_said_in_the_room_and_heard_once(livekit: LiveKitWorld) -> None:
    await meet(livekit)
    await say(livekit, HELLO)
    assert await history(livekit) == [("first", "alice", "hello")]
    assert heard(livekit) == [("alice", "say", "first", "hello")]


async def test_what_others_say_edit_and_delete_comes_as_streams_of_theirs(livekit: LiveKitWorld) -> None:
    _, dave = await meet(livekit)
    message = await livekit.rooms.post_message(dave, "hi")
    await livekit.rooms.edit_message(dave.room, dave, message.id, "hi all")
    await livekit.rooms.delete_message(dave.room, dave, message.id)
    await livekit.settle()
    assert heard(livekit) == [
        ("dave", "say", message.id, "hi"),
        ("dave", "edit", message.id, "hi all"),
        ("dave", "delete", message.id, ""),
    ]
    assert {packet.sequence for packet in livekit.sent_data()} == {0}


async def test_edits_and_deletions_of_the_author_are_done_and_those_of_others_refused(livekit: LiveKitWorld) -> None:
    _, dave = await meet(livekit)
    await say(livekit, HELLO)
    await say(livekit, replace(HELLO, action=ChatAction.EDIT, text="hello all"))
    assert await history(livekit) == [("first", "alice", "hello all")]
    other = await livekit.rooms.post_message(dave, "mine")
    await say(livekit, replace(HELLO, action=ChatAction.DELETE, id=other.id, text=""))
    assert livekit.clients[-1].last("request_response").reason == Reason.NOT_ALLOWED
    await say(livekit, replace(HELLO, action=ChatAction.DELETE, text=""))
    assert await history(livekit) == [("first", "alice", ""), (other.id, "dave", "mine")]
    assert heard(livekit)[1] == ("alice", "edit", "first", "hello all")
    assert heard(livekit)[-1] == ("alice", "delete", "first", "")


async def test_what_the_room_does_not_take_nobody_hears_and_its_sender_is_told(make_livekit: MakeLiveKit) -> None:
    livekit = await make_livekit(RoomLimits(chat_max_length=10, chat_burst=1, chat_per_minute=0))
    await meet(livekit)
    alice = livekit.clients[-1]
    await say(livekit, replace(HELLO, text="x" * 11))
    assert alice.last("request_response").reason == Reason.LIMIT_EXCEEDED
    await say(livekit, replace(HELLO, text="x" * 41))
    await say(livekit, HELLO)
    await say(livekit, replace(HELLO, id="second"))
    assert alice.last("request_response").reason == Reason.LIMIT_EXCEEDED
    assert await history(livekit) == [("first", "alice", "hello")]
    assert heard(livekit) == [("alice", "say", "first", "hello")]
    assert livekit.context.troubles[Trouble.CHAT_REFUSED] == 3


async def test_an_id_that_the_room_has_is_not_taken_again(livekit: LiveKitWorld) -> None:
    _, dave = await meet(livekit)
    message = await livekit.rooms.post_message(dave, "hello")
    await say(livekit, replace(HELLO, id=message.id))
    assert await history(livekit) == [(message.id, "dave", "hello")]
    assert heard(livekit) == [("dave", "say", message.id, "hello")]
    assert livekit.context.troubles[Trouble.CHAT_REFUSED] == 1


async def test_a_message_with_files_goes_on_before_them_and_is_said_once(livekit: LiveKitWorld) -> None:
    await meet(livekit)
    *before, trailer = write_chat(HELLO)
    before[0].stream_header.text_header.attached_stream_ids.append("file")
    for count, packet in enumerate(before, 1):
        await livekit.data_from("alice", packet)
        assert len(livekit.sent_data()) == count
    file = models.DataStream.Header(stream_id="file", topic="lk.chat", byte_header=models.DataStream.ByteHeader())
    await livekit.data_from("alice", trailer)
    await livekit.data_from("alice", models.DataPacket(stream_header=file))
    assert await history(livekit) == [("first", "alice", "hello")]
    assert heard(livekit) == [("alice", "say", "first", "hello")]
    assert livekit.sent_data()[-1].stream_header.stream_id == "file"


async def test_a_stream_for_some_is_theirs_alone(livekit: LiveKitWorld) -> None:
    await meet(livekit)
    for packet in write_chat(HELLO):
        packet.destination_identities.append("bob")
        await livekit.data_from("alice", packet)
    assert await history(livekit) == []
    assert heard(livekit) == [("alice", "say", "first", "hello")]


async def test_an_agent_that_speaks_for_somebody_is_passed_on_and_not_kept(livekit: LiveKitWorld) -> None:
    alice, _ = await meet(livekit)
    permissions = replace(alice.permissions, agent=True)
    await livekit.rooms.update(alice, permissions=permissions)
    for packet in write_chat(replace(HELLO, sender="dave")):
        await livekit.data_from("alice", packet)
    assert await history(livekit) == []
    assert len(livekit.sent_data()) == 3


async def test_a_message_of_an_older_client_comes_in_its_own_form_and_as_a_stream(livekit: LiveKitWorld) -> None:
    await meet(livekit)
    old = models.ChatMessage(id="old", message="hello", timestamp=1)
    await livekit.data_from("alice", models.DataPacket(chat_message=old, sequence=1))
    assert await history(livekit) == [("old", "alice", "hello")]
    assert livekit.sent_data()[0].chat_message.message == "hello"
    assert heard(livekit) == [("alice", "say", "old", "hello")] * 2


@pytest.mark.parametrize("sequence", [0, 5])
async def test_what_waited_for_the_room_is_no_repetition_to_receivers(livekit: LiveKitWorld, sequence: int) -> None:
    await meet(livekit)
    for offset, packet in enumerate(write_chat(HELLO)):
        packet.sequence = sequence and sequence + offset
        await livekit.data_from("alice", packet)
    assert {packet.sequence for packet in livekit.sent_data()} == {0}
