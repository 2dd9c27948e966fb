"""Rooms made with options: locks, lobbies, limits, codecs, moves; and who is let in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from rooms_world import AUDIO, PEER, SEE, VIDEO, VP9, World

from roomtone.app.errors import StartError
from roomtone.app.wiring import room_limits
from roomtone.config import ChatSettings, RoomSettings, Settings, SpeakerSettings
from roomtone.control.rooms import (
    CloseReason,
    JoinRequest,
    KnockDecision,
    Participant,
    Permissions,
    PlainAddress,
    Refusal,
    RoomError,
    RoomEventKind,
    RoomLimits,
    RoomOptions,
    SpeakerRules,
)
from roomtone.media.fake_objects import FakeRouter

MakeWorld = Callable[..., Awaitable[World]]
MODERATOR = Permissions(moderator=True)


async def refusal(awaitable: Awaitable[object]) -> Refusal:
    with pytest.raises(RoomError) as caught:
        await awaitable
    return caught.value.refusal


async def join(world: World, identity: str, permissions: Permissions | None = None, **more: bool) -> Participant:
    return await world.rooms.join("demo", JoinRequest(identity, permissions=permissions or Permissions(), **more))


async def test_a_room_is_made_once_and_stays_as_it_was_made(world: World) -> None:
    made = await world.rooms.create("demo", RoomOptions(metadata="one", max_participants=2))
    assert await world.rooms.create("demo", RoomOptions(metadata="two")) is made
    assert made.metadata == "one"
    assert len(world.link.find(FakeRouter)) == 1


async def test_a_room_is_made_where_joining_makes_none_and_survives_a_failed_join(make_world: MakeWorld) -> None:
    world = await make_world(RoomLimits(create_on_join=False))
    assert await refusal(join(world, "alice")) is Refusal.NO_SUCH_ROOM
    room = await world.rooms.create("demo")
    assert await refusal(join(world, "")) is Refusal.BAD_IDENTITY
    await world.settle()
    assert world.rooms.by_name == {"demo": room}
    await join(world, "alice")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (RoomOptions(codecs=frozenset({"VP8", "DIVX"})), Refusal.UNKNOWN_CODEC),
        (RoomOptions(metadata="x" * 65_537), Refusal.TOO_LARGE),
    ],
    ids=["codec", "metadata"],
)
async def test_options_that_cannot_be_are_refused(world: World, options: RoomOptions, expected: Refusal) -> None:
    assert await refusal(world.rooms.create("demo", options)) is expected
    assert not world.rooms.by_name
    room = await world.rooms.create("demo")
    assert await refusal(world.rooms.update_room(room, codecs=options.codecs, metadata=options.metadata)) is expected
    assert room.options == RoomOptions()


def test_settings_with_an_unknown_codec_do_not_start() -> None:
    assert room_limits(Settings(rooms=RoomSettings(codecs=("vp8",)))).defaults().codecs == {"VP8"}
    with pytest.raises(StartError, match="DIVX"):
        room_limits(Settings(rooms=RoomSettings(codecs=("divx",))))


def test_settings_of_speakers_and_chat_reach_the_rooms() -> None:
    limits = room_limits(
        Settings(
            speakers=SpeakerSettings(interval_ms=100, percentile=70, smoothing=0.5, top_n=5),
            chat=ChatSettings(max_length=10, burst=2, per_minute=3, history=4, keep=True),
        )
    )
    assert limits.speakers == SpeakerRules(interval_ms=100, percentile=70, smoothing=0.5, top_n=5)
    chat = (limits.chat_max_length, limits.chat_burst, limits.chat_per_minute, limits.chat_history, limits.chat_keep)
    assert chat == (10, 2, 3, 4, True)
    assert room_limits(Settings()) == RoomLimits(), "the settings' defaults are the rooms' own"


async def test_what_an_operator_sends_in_passes_lock_and_lobby(world: World) -> None:
    await world.rooms.create("demo", RoomOptions(locked=True, lobby=True))
    camera, (entry,) = await world.rooms.publish_plain("demo", JoinRequest("camera"), [(VIDEO, PlainAddress())])
    await world.rooms.watch_plain("demo", [(SEE, PlainAddress("127.0.0.1", 5004))])
    assert camera.closed is None
    assert entry.owner is camera


async def test_a_room_takes_so_many_people_and_tracks_and_only_its_codecs(world: World) -> None:
    options = RoomOptions(max_participants=2, max_publications=3, codecs=frozenset({"OPUS", "VP8"}))
    await world.rooms.create("demo", options)
    alice, connection = await world.rooms.join_with_tracks("demo", JoinRequest("alice"), PEER, [AUDIO, VIDEO])
    assert await refusal(world.rooms.publish(alice, connection, replace(VIDEO, codecs=(VP9,)))) is (
        Refusal.CODEC_NOT_ALLOWED
    )
    await world.rooms.publish(alice, connection, replace(VIDEO, mid="2"))
    assert await refusal(world.rooms.publish(alice, connection, replace(AUDIO, mid="3"))) is Refusal.TOO_MANY_TRACKS
    await join(world, "bob")
    assert await refusal(join(world, "carol")) is Refusal.TOO_MANY_PARTICIPANTS
    await join(world, "recorder", Permissions(recorder=True))
    await join(world, "bob")
    again, _ = await world.rooms.join_with_tracks("demo", JoinRequest("alice"), PEER, [AUDIO, VIDEO])
    assert alice.closed is CloseReason.DUPLICATE_IDENTITY
    assert len(again.publications) == 2


async def test_a_locked_room_keeps_strangers_out_and_nobody_in(world: World) -> None:
    alice, _ = await world.rooms.join_with_tracks("demo", JoinRequest("alice"), PEER, [AUDIO, VIDEO])
    room = alice.room
    with room.events.open() as mailbox:
        await world.rooms.update_room(room, locked=True)
        await world.rooms.update_room(room, locked=True)
        event = await mailbox.get()
    assert event is not None
    assert event.kind is RoomEventKind.ROOM_UPDATED
    assert room.events.last_seq == event.seq
    assert await refusal(join(world, "bob")) is Refusal.ROOM_LOCKED
    assert await refusal(world.rooms.knock("demo", JoinRequest("bob"))) is Refusal.ROOM_LOCKED
    assert await refusal(world.rooms.watch("demo", PEER, [SEE])) is Refusal.ROOM_LOCKED
    assert await refusal(join(world, "agent", Permissions(agent=True))) is Refusal.ROOM_LOCKED
    await join(world, "boss", MODERATOR)
    await join(world, "alice")
    await world.rooms.update_room(room, locked=False)
    await join(world, "bob")


async def test_a_lock_stops_those_on_their_way_in(world: World) -> None:
    await join(world, "alice")
    room = world.rooms.find("demo")
    world.link.stalled = True
    coming = asyncio.ensure_future(world.rooms.join_with_tracks("demo", JoinRequest("bob"), PEER, [AUDIO]))
    await world.settle()
    await world.rooms.update_room(room, locked=True)
    world.link.resume()
    assert await refusal(coming) is Refusal.ROOM_LOCKED
    await world.settle()
    assert list(room.participants) == ["alice"]
    assert world.objects() == {"Router": 1}


async def test_who_asks_is_admitted_by_a_decision_and_then_comes_and_goes(world: World) -> None:
    room = await world.rooms.create("demo", RoomOptions(lobby=True))
    boss = await join(world, "boss", MODERATOR)
    await join(world, "agent", Permissions(agent=True))
    assert await refusal(join(world, "alice")) is Refusal.MUST_ASK
    with room.events.open() as mailbox:
        knock = await world.rooms.knock("demo", JoinRequest("alice"))
        waiting = asyncio.ensure_future(knock.decided())
        await world.settle()
        assert not waiting.done()
        assert await refusal(join(world, "alice")) is Refusal.MUST_ASK
        world.rooms.admit(room, knock.id)
        assert await waiting is KnockDecision.ADMITTED
        asked, decided = await mailbox.get(), await mailbox.get()
    assert asked is not None
    assert decided is not None
    assert (asked.kind, asked.participant, asked.knock) == (RoomEventKind.LOBBY_KNOCK, "alice", knock.id)
    assert (decided.kind, decided.knock, decided.decision) == (
        RoomEventKind.LOBBY_DECIDED,
        knock.id,
        KnockDecision.ADMITTED,
    )
    alice = await join(world, "alice")
    await world.rooms.end(alice)
    alice = await join(world, "alice")
    await world.rooms.remove(alice)
    assert await refusal(join(world, "alice")) is Refusal.MUST_ASK, "who was sent out asks again"
    assert (await world.rooms.knock("demo", JoinRequest("boss"))).decision is KnockDecision.ADMITTED
    assert boss.closed is None
    assert not room.lobby


async def test_the_other_ends_of_a_knock(make_world: MakeWorld) -> None:
    world = await make_world(RoomLimits(lobby_size=2, lobby_timeout_s=0))
    room = await world.rooms.create("demo", RoomOptions(lobby=True))
    timed_out = await world.rooms.knock("demo", JoinRequest("slow"))
    assert await timed_out.decided() is KnockDecision.TIMED_OUT
    world = await make_world(RoomLimits(lobby_size=2))
    room = await world.rooms.create("demo", RoomOptions(lobby=True))
    first = await world.rooms.knock("demo", JoinRequest("alice"))
    second = await world.rooms.knock("demo", JoinRequest("alice"))
    assert await first.decided() is KnockDecision.WITHDRAWN
    denied = await world.rooms.knock("demo", JoinRequest("bob"))
    assert await refusal(world.rooms.knock("demo", JoinRequest("carol"))) is Refusal.LOBBY_FULL
    world.rooms.deny(room, denied.id)
    assert await denied.decided() is KnockDecision.DENIED
    assert await refusal(join(world, "bob")) is Refusal.MUST_ASK
    with pytest.raises(RoomError) as caught:
        world.rooms.admit(room, denied.id)
    assert caught.value.refusal is Refusal.NO_SUCH_KNOCK
    world.rooms.withdraw(denied)
    assert denied.decision is KnockDecision.DENIED
    await world.rooms.close_room(room)
    assert await second.decided() is KnockDecision.ROOM_CLOSED
    assert world.rooms.knocks_decided == {
        KnockDecision.WITHDRAWN: 1,
        KnockDecision.DENIED: 1,
        KnockDecision.ROOM_CLOSED: 1,
    }


async def test_a_lobby_that_is_done_away_with_lets_all_in(world: World) -> None:
    room = await world.rooms.create("demo", RoomOptions(lobby=True))
    knocks = [await world.rooms.knock("demo", JoinRequest(identity)) for identity in ("alice", "bob")]
    await world.rooms.update_room(room, lobby=False)
    assert [await knock.decided() for knock in knocks] == [KnockDecision.ADMITTED] * 2


async def test_a_lock_forgets_whom_the_lobby_let_in(world: World) -> None:
    room = await world.rooms.create("demo", RoomOptions(lobby=True))
    knock = await world.rooms.knock("demo", JoinRequest("alice"))
    world.rooms.admit(room, knock.id)
    await world.rooms.update_room(room, locked=True)
    assert await refusal(join(world, "alice")) is Refusal.ROOM_LOCKED


async def test_who_is_moved_ends_here_and_is_let_in_there(world: World) -> None:
    other = await world.rooms.create("other", RoomOptions(locked=True))
    alice = await join(world, "alice", movable=True)
    room, reasons = alice.room, []
    alice.when_closed(reasons.append)
    with room.events.open() as mailbox:
        assert await world.rooms.move(alice, "other") is other
        moved, left = await mailbox.get(), await mailbox.get()
    assert moved is not None
    assert left is not None
    assert (moved.kind, moved.participant, moved.to_room) == (RoomEventKind.PARTICIPANT_MOVED, "alice", "other")
    assert (left.kind, left.reason) == (RoomEventKind.PARTICIPANT_LEFT, CloseReason.MOVED)
    assert (reasons, alice.moved_to) == ([CloseReason.MOVED], "other")
    await world.rooms.join("other", alice.request)
    assert await refusal(world.rooms.join("other", JoinRequest("bob"))) is Refusal.ROOM_LOCKED


async def test_who_cannot_be_moved_stays(world: World) -> None:
    await world.rooms.create("full", RoomOptions(max_participants=1))
    await world.rooms.join("full", JoinRequest("bob"))
    fixed, alice = await join(world, "whip"), await join(world, "alice", movable=True)
    assert await refusal(world.rooms.move(fixed, "other")) is Refusal.NOT_MOVABLE
    assert await refusal(world.rooms.move(alice, "demo")) is Refusal.SAME_ROOM
    assert await refusal(world.rooms.move(alice, "full")) is Refusal.TOO_MANY_PARTICIPANTS
    assert await refusal(world.rooms.move(alice, "no/room")) is Refusal.BAD_NAME
    assert (fixed.closed, alice.closed, alice.moved_to) == (None, None, None)


async def test_an_encrypted_room_refuses_what_needs_media_in_the_clear(world: World) -> None:
    plain, encrypted = await world.rooms.create("plain"), await world.rooms.create("secret", RoomOptions(e2ee=True))
    world.rooms.require_clear(plain, "mixing")
    with pytest.raises(RoomError, match="mixing needs media in the clear") as caught:
        world.rooms.require_clear(encrypted, "mixing")
    assert caught.value.refusal is Refusal.ROOM_IS_ENCRYPTED
    assert not caught.value.retryable
