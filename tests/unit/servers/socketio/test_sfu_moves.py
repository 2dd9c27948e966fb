"""Peers that an operator sends to another room: told by event or by answer, with a token, and in once they join."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from sfu_world import SfuWorld, vector

from roomtone.client import SfuRequestError
from roomtone.control.rooms import CloseReason, Permissions, RoomOptions
from roomtone.media.fake_objects import FakeProducer, FakeTransport
from roomtone.servers.socketio import moves

MakeSfu = Callable[..., Awaitable[SfuWorld]]


async def move(sfu: SfuWorld, identity: str, room: str = "demo", to: str = "other") -> None:
    """Send a participant to another room, as operators do."""
    await sfu.rooms.move(sfu.rooms.by_name[room].participants[identity], to)
    await sfu.settle()


async def test_who_is_moved_hears_where_and_joins_there_on_the_same_connection(sfu: SfuWorld) -> None:
    alice, bob = await sfu.join("alice"), await sfu.join("bob")
    over = (await alice.do("create-transport", roomId="demo", direction="send"))["id"]
    await alice.do("produce", **vector("produce-audio", transportId=over))
    carol = await sfu.connect("carol", room="other")
    await carol.do("join-room", roomId="other")
    before = sfu.rooms.by_name["demo"].participants["alice"]
    await move(sfu, "alice")
    assert (before.closed, before.moved_to) == (CloseReason.MOVED, "other")
    (told,) = alice.heard("moved")
    assert (told["roomId"], told["toRoomId"], told["peerId"]) == ("demo", "other", "alice")
    assert [one["reason"] for one in alice.heard("left-room")] == ["moved"]
    names = [name for name, _ in alice.told]
    assert names.index("moved") < names.index("left-room")
    assert [one["reason"] for one in bob.heard("participant-left")] == ["moved"]
    assert (sfu.link.find(FakeProducer), sfu.link.find(FakeTransport)) == ([], [])
    assert await alice.refused("produce", **vector("produce-audio", transportId=over)) == "not_in_room"
    assert await alice.refused("join-room", roomId="other") == "other_room"  # what it connected with is for its own
    joined = await alice.do("join-room", roomId=told["toRoomId"], peerId=told["peerId"], token=told["token"])
    assert (joined["peerId"], joined["peers"]) == ("alice", ["carol"])
    await sfu.settle()
    assert [one["peerId"] for one in carol.heard("participant-joined")] == ["alice"]
    over = (await alice.do("create-transport", roomId="other", direction="send"))["id"]
    await alice.do("produce", **vector("produce-audio", room="other", transportId=over))
    await sfu.settle()
    assert [one["peerId"] for one in carol.heard("newProducer")] == ["alice"]


async def test_a_token_for_the_other_room_says_what_the_peer_may_and_is_called_now(sfu: SfuWorld) -> None:
    alice = await sfu.join("alice")
    participant = sfu.rooms.by_name["demo"].participants["alice"]
    allowed = Permissions(can_publish_data=False, can_subscribe=False)
    await sfu.rooms.update(participant, name="Ada", metadata="m", attributes={"hand": "1"}, permissions=allowed)
    await move(sfu, "alice")
    await alice.do("join-room", roomId="other", token=alice.heard("moved")[0]["token"])
    there = sfu.rooms.by_name["other"].participants["alice"]
    assert (there.name, there.metadata, there.attributes) == ("Ada", "m", {"hand": "1"})
    assert there.permissions == allowed
    assert await alice.refused("join-room", roomId="third", token=alice.heard("moved")[0]["token"]) == "other_room"


async def test_lock_and_lobby_of_the_other_room_let_it_pass(sfu: SfuWorld) -> None:
    await sfu.rooms.create("other", RoomOptions(locked=True, lobby=True))
    alice = await sfu.join("alice")
    await move(sfu, "alice")
    joined = await alice.do("join-room", roomId="other", token=alice.heard("moved")[0]["token"])
    assert joined["success"]


@pytest.mark.parametrize("own", [True, False])
async def test_by_http_the_next_answer_says_where_a_peer_was_sent(sfu: SfuWorld, own: bool) -> None:
    token = sfu.token("alice") if own else None
    async with sfu.client(token) as client:
        await client.add_peer("demo", "alice")
        transport = await client.create_transport("demo", "alice", "send")
        await move(sfu, "alice")
        assert sfu.link.find(FakeTransport) == []
        assert "demo" not in sfu.rooms.by_name or sfu.rooms.by_name["demo"].participants == {}
        with pytest.raises(SfuRequestError) as raised:
            await client.connect_transport("demo", "alice", transport.id, vector("connect-transport")["dtlsParameters"])
        error = raised.value
        assert (error.status, error.code, error.to_room) == (409, "peer_moved", "other")
        assert not error.retryable
    async with sfu.client(error.to_token) as client:
        await client.add_peer("other", "alice")
        with pytest.raises(SfuRequestError) as raised:
            await client.add_peer("other", "bob")
        assert raised.value.code == "not_granted"  # the token is for the one peer, whoever asked
    assert not sfu.rooms.by_name["other"].participants["alice"].permissions.moderator


async def test_only_who_may_act_for_a_peer_hears_where_it_was_sent(sfu: SfuWorld) -> None:
    async with sfu.client(sfu.token("alice")) as client:
        await client.add_peer("demo", "alice")
    await sfu.join("bob")
    await move(sfu, "alice")
    async with sfu.client(sfu.token("bob")) as client:
        with pytest.raises(SfuRequestError) as raised:
            await client.create_transport("demo", "alice", "send")
    assert (raised.value.code, raised.value.to_token) == ("not_granted", None)


async def test_who_comes_back_is_moved_no_longer(sfu: SfuWorld) -> None:
    async with sfu.client() as client:
        await client.add_peer("demo", "alice")
        await move(sfu, "alice")
        await client.add_peer("demo", "alice")
        await client.create_transport("demo", "alice", "send")


async def test_so_many_moved_peers_are_remembered(sfu: SfuWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "MAX_MOVED", 2)
    codes = []
    async with sfu.client() as client:
        await sfu.join("host")
        for peer in ("a", "b", "c"):
            await client.add_peer("demo", peer)
            await move(sfu, peer)
        for peer in ("a", "b", "c"):
            with pytest.raises(SfuRequestError) as raised:
                await client.create_transport("demo", peer, "send")
            codes.append(raised.value.code)
    assert codes == ["no_such_peer", "peer_moved", "peer_moved"]
