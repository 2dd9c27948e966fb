"""Chat of rooms: what is said stays readable, and only who may changes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from rooms_world import World

from roomtone.control.rooms import (
    ChatMessage,
    JoinRequest,
    MemoryChat,
    Participant,
    Permissions,
    Refusal,
    RoomError,
    RoomEventKind,
    RoomLimits,
)
from roomtone.store.errors import StoreError, StoreFailure

MakeWorld = Callable[..., Awaitable[World]]


async def join(world: World, identity: str, **allowed: bool) -> Participant:
    request = JoinRequest(identity, name=identity.title(), permissions=Permissions(**allowed))
    return await world.rooms.join("demo", request)


async def refusal(awaitable: Awaitable[object]) -> Refusal:
    with pytest.raises(RoomError) as caught:
        await awaitable
    return caught.value.refusal


async def test_what_is_said_is_told_and_can_be_read_again(world: World) -> None:
    alice, bob = await join(world, "alice"), await join(world, "bob")
    with alice.room.events.open() as mailbox:
        first = await world.rooms.post_message(alice, "hello")
        second = await world.rooms.post_message(bob, "hi", reply_to=first.id)
        events = [await mailbox.get(), await mailbox.get()]
    assert [(e.kind, e.participant, e.message) for e in events if e] == [
        (RoomEventKind.CHAT_MESSAGE, "alice", first),
        (RoomEventKind.CHAT_MESSAGE, "bob", second),
    ]
    assert (first.sender_name, first.at, second.reply_to) == ("Alice", 1000.0, first.id)
    assert await world.rooms.chat_history(alice.room) == [first, second]
    assert await world.rooms.chat_history(alice.room, limit=1) == [second]
    assert await world.rooms.chat_history(alice.room, before=second.id) == [first]


async def test_a_message_has_the_id_its_client_gives_it_once(world: World) -> None:
    alice, bob = await join(world, "alice"), await join(world, "bob")
    assert (await world.rooms.post_message(alice, "hello", id_="mine")).id == "mine"
    assert await refusal(world.rooms.post_message(bob, "hello", id_="mine")) is Refusal.MESSAGE_EXISTS
    await world.rooms.delete_message(alice.room, alice, "mine")
    assert await refusal(world.rooms.post_message(alice, "again", id_="mine")) is Refusal.MESSAGE_EXISTS
    assert await refusal(world.rooms.post_message(alice, "hello", id_="x" * 65)) is Refusal.TOO_LARGE
    assert len(await world.rooms.chat_history(alice.room)) == 1


async def test_authors_and_moderators_change_messages_and_others_do_not(world: World) -> None:
    alice, bob = await join(world, "alice"), await join(world, "bob")
    boss = await join(world, "boss", moderator=True)
    room = alice.room
    message = await world.rooms.post_message(alice, "helo")
    assert await refusal(world.rooms.edit_message(room, bob, message.id, "bye")) is Refusal.NOT_PERMITTED
    assert await refusal(world.rooms.delete_message(room, bob, message.id)) is Refusal.NOT_PERMITTED
    edited = await world.rooms.edit_message(room, alice, message.id, "hello")
    assert edited == replace(message, text="hello", edited_at=1000.0)
    deleted = await world.rooms.delete_message(room, boss, message.id)
    assert (deleted.text, deleted.deleted_by) == ("", "boss")
    assert await world.rooms.chat_history(room) == [deleted]
    assert await refusal(world.rooms.edit_message(room, alice, message.id, "again")) is Refusal.NO_SUCH_MESSAGE
    assert await refusal(world.rooms.post_message(bob, "what?", reply_to=message.id)) is Refusal.NO_SUCH_MESSAGE
    assert world.rooms.chat_counts == {
        RoomEventKind.CHAT_MESSAGE: 1,
        RoomEventKind.CHAT_EDITED: 1,
        RoomEventKind.CHAT_DELETED: 1,
    }


async def test_operators_change_any_message(world: World) -> None:
    alice = await join(world, "alice")
    message = await world.rooms.post_message(alice, "hello")
    await world.rooms.edit_message(alice.room, None, message.id, "[removed]")
    assert (await world.rooms.chat_history(alice.room))[0].text == "[removed]"


async def test_who_lost_the_permission_neither_writes_nor_edits(world: World) -> None:
    alice = await join(world, "alice")
    message = await world.rooms.post_message(alice, "hello")
    await world.rooms.update(alice, permissions=Permissions(can_publish_data=False))
    assert await refusal(world.rooms.post_message(alice, "more")) is Refusal.NOT_PERMITTED
    assert await refusal(world.rooms.edit_message(alice.room, alice, message.id, "more")) is Refusal.NOT_PERMITTED


@pytest.mark.parametrize(
    ("text", "expected"), [("", Refusal.EMPTY_MESSAGE), (" \n", Refusal.EMPTY_MESSAGE), ("x" * 11, Refusal.TOO_LARGE)]
)
async def test_a_message_says_something_and_not_too_much(make_world: MakeWorld, text: str, expected: Refusal) -> None:
    world = await make_world(RoomLimits(chat_max_length=10))
    alice = await join(world, "alice")
    message = await world.rooms.post_message(alice, "x" * 10)
    assert await refusal(world.rooms.post_message(alice, text)) is expected
    assert await refusal(world.rooms.edit_message(alice.room, alice, message.id, text)) is expected
    assert await world.rooms.chat_history(alice.room) == [message]


async def test_who_writes_too_fast_waits_and_coming_again_does_not_help(make_world: MakeWorld) -> None:
    world = await make_world(RoomLimits(chat_burst=2, chat_per_minute=0))
    alice, bob = await join(world, "alice"), await join(world, "bob")
    for text in "ab":
        await world.rooms.post_message(alice, text)
    assert await refusal(world.rooms.post_message(alice, "c")) is Refusal.TOO_FAST
    again = await join(world, "alice")
    assert await refusal(world.rooms.post_message(again, "c")) is Refusal.TOO_FAST
    await world.rooms.post_message(bob, "d")


async def test_what_was_said_goes_with_the_room(world: World) -> None:
    alice = await join(world, "alice")
    room = alice.room
    message = await world.rooms.post_message(alice, "hello")
    await world.rooms.close_room(room)
    assert await world.rooms.chat_store.get(message.room, message.id) is None
    assert await world.rooms.chat_history((await join(world, "alice")).room) == []


async def test_what_was_said_stays_where_it_is_to_be_kept(make_world: MakeWorld) -> None:
    world = await make_world(RoomLimits(chat_keep=True))
    alice = await join(world, "alice")
    message = await world.rooms.post_message(alice, "hello")
    await world.rooms.close_room(alice.room)
    assert await world.rooms.chat_history((await join(world, "alice")).room) == [message]


async def test_messages_are_told_in_the_order_in_which_they_are_kept(world: World) -> None:
    class Slow(MemoryChat):
        async def add(self, message: ChatMessage) -> None:
            for _ in range(5 if message.text == "first" else 1):
                await asyncio.sleep(0)
            await super().add(message)

    world.rooms.chat_store = Slow()
    alice = await join(world, "alice")
    with alice.room.events.open() as mailbox:
        await asyncio.gather(*(world.rooms.post_message(alice, text) for text in ("first", "second")))
        told = [event.message for event in (await mailbox.get(), await mailbox.get()) if event]
    assert told == await world.rooms.chat_history(alice.room)


async def test_a_store_that_fails_is_said_so_and_nothing_is_told(world: World) -> None:
    class Broken(MemoryChat):
        async def add(self, message: ChatMessage) -> None:
            raise StoreError(StoreFailure.UNREACHABLE, f"no database for {message.room}")

        async def forget(self, room: str) -> None:
            raise StoreError(StoreFailure.UNREACHABLE, f"no database for {room}")

    world.rooms.chat_store = Broken()
    alice = await join(world, "alice")
    seq = alice.room.events.last_seq
    assert await refusal(world.rooms.post_message(alice, "hello")) is Refusal.STORE_FAILED
    assert alice.room.events.last_seq == seq
    await world.rooms.close_room(alice.room)
    assert world.rooms.refused[Refusal.STORE_FAILED] == 2


async def test_memory_keeps_so_many_messages_and_rooms() -> None:
    store = MemoryChat(per_room=2, max_rooms=2)
    for room in ("red", "blue"):
        for number in range(3):
            await store.add(ChatMessage(str(number), room, "alice", "", "x", float(number)))
    assert [message.id for message in await store.history("red")] == ["1", "2"]
    await store.add(ChatMessage("0", "green", "alice", "", "x", 0.0))
    assert await store.history("red") == []
    assert [message.id for message in await store.history("blue", before="2")] == ["1"]
    assert await store.history("blue", before="unknown") == []
    await store.replace(ChatMessage("9", "blue", "alice", "", "x", 0.0))
    assert await store.get("blue", "9") is None
    await store.forget("blue")
    assert await store.history("blue") == []
