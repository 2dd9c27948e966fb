"""A lobby for clients of Socket.IO: who must ask waits, hears the answer, and is in once admitted."""

from __future__ import annotations

from typing import Any

import pytest
from sfu_world import SfuWorld, SocketClient

from roomtone.control.rooms import KnockDecision, RoomOptions


async def lobby(sfu: SfuWorld, **options: Any) -> SocketClient:
    """Make a room with a lobby, with a moderator in it."""
    await sfu.rooms.create("demo", RoomOptions(lobby=True, **options))
    return await sfu.join("chair", room_admin=True)


async def waits(sfu: SfuWorld, identity: str = "alice") -> tuple[SocketClient, str]:
    """Connect somebody who must ask; gives the knock's id."""
    client = await sfu.connect(identity)
    answer = await client.do("join-room", roomId="demo", fullName=identity.title())
    assert (answer["waiting"], answer["peerId"]) == (True, identity)
    await sfu.settle()
    knock: str = answer["knockId"]
    return client, knock


async def test_who_is_admitted_joins_without_asking_again(sfu: SfuWorld) -> None:
    chair = await lobby(sfu)
    alice, knock = await waits(sfu)
    assert [one["knockId"] for one in alice.heard("knock-waiting")] == [knock]
    assert alice.heard("joined-room") == []
    (told,) = chair.heard("lobby-knock")
    assert told == {"roomId": "demo", "knockId": knock, "peerId": "alice", "fullName": "Alice"}
    assert "alice" not in sfu.rooms.by_name["demo"].participants
    await chair.do("admit-knock", roomId="demo", knockId=knock)
    await sfu.settle()
    assert [one["knockId"] for one in alice.heard("knock-admitted")] == [knock]
    (joined,) = alice.heard("joined-room")
    assert joined["peers"] == ["chair"]
    await alice.do("create-transport", roomId="demo", direction="send")
    assert [one["decision"] for one in chair.heard("lobby-decided")] == ["admitted"]
    assert [one["peerId"] for one in chair.heard("participant-joined")] == ["alice"]


async def test_who_is_refused_is_told_and_may_ask_again(sfu: SfuWorld) -> None:
    chair = await lobby(sfu)
    alice, knock = await waits(sfu)
    await chair.do("refuse-knock", roomId="demo", knockId=knock)
    await sfu.settle()
    assert alice.heard("knock-refused") == [{"roomId": "demo", "knockId": knock, "reason": "denied"}]
    again = await alice.do("join-room", roomId="demo")
    assert again["waiting"]
    assert again["knockId"] != knock


async def test_asking_twice_is_one_question_and_leaving_or_going_withdraws_it(sfu: SfuWorld) -> None:
    await lobby(sfu)
    alice, knock = await waits(sfu)
    assert (await alice.do("join-room", roomId="demo"))["knockId"] == knock
    await alice.do("leave-room", roomId="demo")
    await sfu.settle()
    assert await alice.refused("leave-room", roomId="demo") == "not_in_room"
    assert alice.heard("knock-refused") == []
    bob, _ = await waits(sfu, "bob")
    await bob.disconnect()
    assert sfu.rooms.by_name["demo"].lobby == {}
    assert sfu.rooms.knocks_decided[KnockDecision.WITHDRAWN] == 2


async def test_who_is_admitted_into_a_full_room_is_told_that_it_is_not_in(sfu: SfuWorld) -> None:
    chair = await lobby(sfu, max_participants=1)
    alice, knock = await waits(sfu)
    await chair.do("admit-knock", roomId="demo", knockId=knock)
    await sfu.settle()
    (refused,) = alice.heard("knock-refused")
    assert refused["reason"] == "too_many_participants"
    assert alice.heard("joined-room") == []


async def test_the_end_of_the_room_answers_who_waits(sfu: SfuWorld) -> None:
    await lobby(sfu)
    alice, _ = await waits(sfu)
    await sfu.rooms.close_room(sfu.rooms.by_name["demo"])
    await sfu.settle()
    assert [one["reason"] for one in alice.heard("knock-refused")] == ["room_closed"]


@pytest.mark.parametrize("event", ["admit-knock", "refuse-knock"])
async def test_only_moderators_are_told_and_answer(sfu: SfuWorld, event: str) -> None:
    chair = await lobby(sfu)
    bob, knock = await waits(sfu, "bob")
    await chair.do("admit-knock", roomId="demo", knockId=knock)
    await sfu.settle()
    _, other = await waits(sfu)
    assert bob.heard("lobby-knock") == []
    assert await bob.refused(event, roomId="demo", knockId=other) == "not_permitted"
    assert await chair.refused(event, roomId="demo", knockId=knock) == "no_such_knock"
