"""Events of Socket.IO clients: what each answers, what others are told, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sfu_world import SfuWorld, SocketClient, vector
from socketio.exceptions import ConnectionRefusedError as Refused

from roomtone.config.models import LimitSettings
from roomtone.control.accounts import AccountError, AccountRefusal
from roomtone.control.policy import AccessToken, IceServerRule, Role, VideoGrants
from roomtone.control.rooms import CloseReason, JoinRequest, Permissions, Protocol, RoomLimits
from roomtone.media import QueueFull
from roomtone.media.fake_objects import FakeChannel, FakeConsumer, FakeProducer, FakeRouter, FakeTransport
from roomtone.media.values import ChannelId, ChannelMessage, EngineCloseReason, EngineConfig

MakeSfu = Callable[..., Awaitable[SfuWorld]]


async def transport(client: SocketClient, direction: str, room: str = "demo") -> str:
    made = await client.do("create-transport", roomId=room, direction=direction)
    id_: str = made["id"]
    await client.do("connect-transport", **vector("connect-transport", roomId=room, transportId=id_))
    return id_


async def produce(client: SocketClient, over: str, name: str = "produce-video-simulcast", **more: Any) -> str:
    made = await client.do("produce", **vector(name, transportId=over, **more))
    id_: str = made["id"]
    return id_


async def published(sfu: SfuWorld) -> tuple[SocketClient, SocketClient, str, str]:
    """Alice publishes, Bob has a transport to receive: both clients, the producer, Bob's transport."""
    alice, bob = await sfu.join("alice"), await sfu.join("bob")
    video = await produce(alice, await transport(alice, "send"))
    over = await transport(bob, "recv")
    await sfu.settle()
    return alice, bob, video, over


async def test_a_join_answers_capabilities_and_who_is_there_with_what(sfu: SfuWorld) -> None:
    alice, _, video, _ = await published(sfu)
    joined = await (await sfu.connect("carol")).do("join-room", roomId="demo", fullName="Carol C.")
    assert (joined["success"], joined["peers"], joined["peerId"]) == (True, ["alice", "bob"], "carol")
    first, second = joined["mediasoup"]["peers"]
    assert first["peerId"] == "alice"
    assert first["isProducer"]
    assert not second["isProducer"]
    assert "email" not in first
    assert [(one["producerId"], one["kind"], one["appData"]) for one in first["producers"]] == [
        (video, "video", {"source": "camera"})
    ]
    await sfu.settle()
    (told,) = [one for one in alice.heard("participant-joined") if one["peerId"] == "carol"]
    assert (told["fullName"], told["role"], told["isProducer"]) == ("Carol C.", "participant", False)
    assert sfu.rooms.by_name["demo"].participants["carol"].protocol is Protocol.MEDIASOUP


async def test_only_moderators_are_told_addresses_of_mail(sfu: SfuWorld) -> None:
    await sfu.join("alice")
    moderator = await (await sfu.connect("chair", room_admin=True)).do("join-room", roomId="demo")
    assert "email" in moderator["mediasoup"]["peers"][0]
    listed = await (await sfu.join("bob")).do("get-participants", roomId="demo")
    assert {one["peerId"]: one["role"] for one in listed["participants"]} == {
        "alice": "participant",
        "chair": "moderator",
        "bob": "participant",
    }
    assert all("email" not in one for one in listed["participants"])


async def test_an_answer_is_an_event_too(sfu: SfuWorld) -> None:
    alice = await sfu.join("alice")
    answer = await alice.do("create-transport", room_id="demo", direction="send")
    assert alice.heard("transport-created") == [answer]
    assert answer["dtlsParameters"]["role"] == "auto"
    assert answer["sctpParameters"]["port"] == 5000
    assert answer["iceParameters"]["iceLite"]
    assert answer["iceCandidates"][0]["ip"] == "127.0.0.1"
    assert len(alice.heard("joined-room")) == 1


async def test_what_one_produces_the_other_consumes_paused_until_resumed(sfu: SfuWorld) -> None:
    alice, bob, video, over = await published(sfu)
    (told,) = bob.heard("newProducer")
    assert (told["producerId"], told["peerId"], told["kind"]) == (video, "alice", "video")
    assert alice.heard("newProducer") == []
    made = await bob.do("consume", **vector("consume", transportId=over, producerId=video))
    assert (made["producerId"], made["kind"], made["type"]) == (video, "video", "simulcast")
    assert not made["producerPaused"]
    assert made["rtpParameters"]["encodings"][0]["scalabilityMode"] == "L3T3"
    (consumer,) = sfu.link.find(FakeConsumer)
    assert consumer.paused
    assert consumer.payload_types == [(96, 96)]
    await bob.do("resume-consumer", roomId="demo", consumerId=made["id"])
    assert not consumer.paused
    await bob.do("set-preferred-layers", roomId="demo", consumerId=made["id"], spatialLayer=1, temporalLayer=0)
    assert (consumer.spatial, consumer.temporal, consumer.paused) == (1, 0, False)
    await bob.do("pause-consumer", roomId="demo", consumerId=made["id"])
    assert consumer.paused
    second = await bob.do("consume", **vector("consume", transportId=over, producerId=video, paused=False))
    assert [one.paused for one in sfu.link.find(FakeConsumer)] == [True, False]
    assert (made["rtpParameters"]["mid"], second["rtpParameters"]["mid"]) == ("0", "1")
    await bob.do("close-consumer", roomId="demo", consumerId=made["id"])
    assert len(sfu.link.find(FakeConsumer)) == 1


async def test_a_transport_names_the_ice_servers_with_credentials_of_the_peer(sfu: SfuWorld) -> None:
    alice = await sfu.join("alice")
    assert (await alice.do("create-transport", roomId="demo", direction="send"))["iceServers"] == []
    sfu.sfu.context.ice_rules = (
        IceServerRule(("stun:stun.example.org",)),
        IceServerRule(("turn:turn.example.org",), secret="north"),
    )
    stun, turn = (await alice.do("create-transport", roomId="demo", direction="recv"))["iceServers"]
    assert stun == {"urls": ["stun:stun.example.org"]}
    assert (turn["urls"], turn["username"].partition(":")[2]) == (["turn:turn.example.org"], "alice")
    assert turn["credential"]


async def test_tracks_of_one_peer_are_played_in_step_and_those_of_others_are_not(sfu: SfuWorld) -> None:
    alice, bob, carol = [await sfu.join(name) for name in ("alice", "bob", "carol")]
    over, into = await transport(carol, "send"), await transport(bob, "recv")
    sending = await transport(alice, "send")
    made = [
        await produce(alice, sending),
        await produce(alice, sending, "produce-audio"),
        await produce(alice, sending, "produce-video-h264", appData={"source": "screen"}),
        await produce(carol, over, "produce-audio"),
    ]
    names = []
    for producer in made:
        answer = await bob.do("consume", **vector("consume", transportId=into, producerId=producer))
        names.append(answer["rtpParameters"]["rtcp"]["cname"])
    assert names[0] == names[1]
    assert len(set(names)) == 3


async def test_a_producer_pauses_goes_on_and_ends_with_its_consumers(sfu: SfuWorld) -> None:
    alice, bob, video, over = await published(sfu)
    made = await bob.do("consume", **vector("consume", transportId=over, producerId=video))
    (producer,) = sfu.link.find(FakeProducer)
    await alice.do("pause-producer", roomId="demo", producerId=video)
    assert producer.paused
    await alice.do("resume-producer", roomId="demo", producerId=video)
    assert not producer.paused
    await sfu.settle()
    assert [len(bob.heard(event)) for event in ("producer-paused", "producer-resumed")] == [1, 1]
    await alice.do("close-producer", roomId="demo", producerId=video)
    await sfu.settle()
    assert [one["producerId"] for one in bob.heard("producer-closed")] == [video]
    assert [one["consumerId"] for one in bob.heard("consumer-closed")] == [made["id"]]
    assert sfu.link.find(FakeConsumer) == []
    assert await bob.refused("resume-consumer", roomId="demo", consumerId=made["id"]) == "no_such_consumer"


async def test_several_transports_and_producers_of_a_kind(sfu: SfuWorld) -> None:
    alice = await sfu.join("alice")
    first, second = await transport(alice, "send"), await transport(alice, "send")
    made = [
        await produce(alice, over, name) for over in (first, second) for name in ("produce-audio", "produce-video-h264")
    ]
    assert len(set(made)) == 4
    assert len(sfu.rooms.by_name["demo"].participants["alice"].publications) == 4


async def test_who_hides_goes_for_the_others_with_its_tracks_and_comes_with_them_again(sfu: SfuWorld) -> None:
    _, bob, video, over = await published(sfu)
    await bob.do("consume", **vector("consume", transportId=over, producerId=video))
    participant = sfu.rooms.by_name["demo"].participants["alice"]
    await sfu.rooms.update(participant, permissions=Permissions(hidden=True))
    await sfu.settle()
    assert [one["peerId"] for one in bob.heard("participant-left")] == ["alice"]
    assert video in [one["producerId"] for one in bob.heard("producer-closed")]
    assert not sfu.rooms.by_name["demo"].participants["bob"].subscriptions
    told = len(bob.heard("newProducer"))
    await sfu.rooms.update(participant, permissions=Permissions())
    await sfu.settle()
    assert "alice" in [one["peerId"] for one in bob.heard("participant-joined")]
    assert video in [one["producerId"] for one in bob.heard("newProducer")[told:]]


async def test_a_disconnect_cleans_everything_up_at_once(sfu: SfuWorld) -> None:
    alice, bob, video, over = await published(sfu)
    await bob.do("consume", **vector("consume", transportId=over, producerId=video))
    await alice.disconnect()
    await sfu.settle()
    assert [one["peerId"] for one in bob.heard("participant-left")] == ["alice"]
    assert len(sfu.link.find(FakeTransport)) == 1
    assert sfu.link.find(FakeProducer) == []
    await bob.disconnect()
    await sfu.settle()
    assert sfu.link.find(FakeTransport) == []
    assert (len(sfu.sfu), len(sfu.sockets)) == (0, 0)
    assert sfu.sfu.news._readers == {}


async def test_a_lost_transport_is_told_and_the_peer_stays(sfu: SfuWorld) -> None:
    alice, bob, video, over = await published(sfu)
    made = await bob.do("consume", **vector("consume", transportId=over, producerId=video))
    connection = sfu.sfu.peer("demo", "bob").transports[over].connection
    sfu.link.lose_peer(connection.transport.id, EngineCloseReason.CONSENT_EXPIRED)
    await sfu.settle()
    assert [one["transportId"] for one in bob.heard("transport-closed")] == [over]
    assert await bob.refused("resume-consumer", roomId="demo", consumerId=made["id"]) == "no_such_consumer"
    assert "bob" in sfu.rooms.by_name["demo"].participants
    del alice


async def test_a_transport_is_closed_on_request_with_what_goes_over_it(sfu: SfuWorld) -> None:
    alice, bob, video, _ = await published(sfu)
    (over,) = sfu.sfu.peer("demo", "alice").transports
    await alice.do("close-transport", roomId="demo", transportId=over)
    await sfu.settle()
    assert [one["producerId"] for one in bob.heard("producer-closed")] == [video]
    assert await alice.refused("restart-ice", roomId="demo", transportId=over) == "no_such_transport"


async def test_ice_restarts_with_new_credentials(sfu: SfuWorld) -> None:
    alice = await sfu.join("alice")
    made = await alice.do("create-transport", roomId="demo", direction="send")
    again = await alice.do("restart-ice", roomId="demo", transportId=made["id"])
    assert again["iceParameters"]["usernameFragment"] != made["iceParameters"]["usernameFragment"]


async def test_messages_go_from_a_data_producer_to_its_consumers(sfu: SfuWorld) -> None:
    alice, bob = await sfu.join("alice"), await sfu.join("bob")
    sending, receiving = await transport(alice, "send"), await transport(bob, "recv")
    made = await alice.do("produce-data", **vector("produce-data", transportId=sending))
    await sfu.settle()
    (told,) = bob.heard("newDataProducer")
    assert (told["dataProducerId"], told["label"]) == (made["id"], "game")
    consumed = await bob.do("consume-data", roomId="demo", transportId=receiving, dataProducerId=made["id"])
    assert consumed["sctpStreamParameters"] == {"streamId": 0, "ordered": True}
    for peer in ("alice", "bob"):
        for held in sfu.sfu.peer("demo", peer).transports.values():
            sfu.link.connect_peer(held.connection.transport.id)
    await sfu.settle()
    source, sink = sfu.link.find(FakeChannel)
    sfu.link.emit(ChannelMessage(channel=ChannelId(source.id), data=b"hello", text=True))
    sfu.link.emit(ChannelMessage(channel=ChannelId(source.id), data=b"\x00\xff", text=False))
    await sfu.settle()
    assert sink.sent == [b"hello", b"\x00\xff"]
    await alice.do("close-producer", roomId="demo", producerId=made["id"])
    await sfu.settle()
    assert [one["dataConsumerId"] for one in bob.heard("data-consumer-closed")] == [consumed["id"]]
    assert sfu.link.find(FakeChannel) == []


async def test_offers_and_candidates_go_to_whom_they_name_and_to_nobody_else(sfu: SfuWorld) -> None:
    alice, bob, carol = [await sfu.join(name) for name in ("alice", "bob", "carol")]
    await alice.do("webrtc-offer", roomId="demo", to="bob", offer={"type": "offer", "sdp": "v=0"})
    await bob.do("webrtc-answer", roomId="demo", to="alice", answer={"type": "answer", "sdp": "v=0"})
    await alice.do("ice-candidate", roomId="demo", to="bob", candidate={"candidate": "candidate:1"})
    await sfu.settle()
    assert bob.heard("webrtc-offer")[0]["from"] == "alice"
    assert bob.heard("webrtc-offer")[0]["offer"] == {"type": "offer", "sdp": "v=0"}
    assert alice.heard("webrtc-answer")[0]["from"] == "bob"
    assert bob.heard("ice-candidate")[0]["candidate"] == {"candidate": "candidate:1"}
    assert not [name for name, _ in carol.told if name.startswith(("webrtc", "ice"))]
    assert await alice.refused("webrtc-offer", roomId="demo", to="nobody", offer={}) == "no_such_peer"


async def test_a_token_of_another_room_or_without_grants_opens_nothing(sfu: SfuWorld) -> None:
    for auth in (None, {"token": "x"}, {"token": 3}, "text"):
        with pytest.raises(Refused):
            await sfu.sockets._on_connect("nobody", {}, auth)
    other = await sfu.connect("alice", room="elsewhere")
    assert await other.refused("join-room", roomId="demo") == "other_room"
    stranger = await sfu.connect("alice", room_join=False)
    assert await stranger.refused("join-room", roomId="demo") == "not_granted"
    mute = await sfu.join("mute", can_publish=False)
    over = await transport(mute, "send")
    assert await mute.refused("produce", **vector("produce-audio", transportId=over)) == "not_permitted"
    assert sfu.link.find(FakeProducer) == []


async def test_nobody_takes_anothers_peer_id_and_the_same_caller_replaces_itself(sfu: SfuWorld) -> None:
    alice = await sfu.join("alice")
    mallory = await sfu.connect("mallory")
    assert await mallory.refused("join-room", roomId="demo", peerId="alice") == "duplicate_peer"
    again = await sfu.join("alice")
    await sfu.settle()
    assert alice.heard("left-room")[0]["reason"] == CloseReason.DUPLICATE_IDENTITY.value
    assert await alice.refused("get-room-info", roomId="demo") == "not_in_room"
    assert (await again.do("get-room-info", roomId="demo"))["peers"] == 1
    assert await again.refused("join-room", roomId="demo") == "already_joined"
    named = await (await sfu.connect("carol")).do("join-room", roomId="demo", peer_id="carol-2")
    assert named["peerId"] == "carol-2"


async def test_who_is_removed_or_whose_room_closes_is_told(sfu: SfuWorld) -> None:
    alice, bob = await sfu.join("alice"), await sfu.join("bob")
    room = sfu.rooms.by_name["demo"]
    await sfu.rooms.remove(room.participants["alice"])
    await sfu.settle()
    assert alice.heard("left-room")[0]["reason"] == "removed"
    await sfu.rooms.close_room(room)
    await sfu.settle()
    assert bob.heard("left-room")[0]["reason"] == "room_closed"


async def test_participants_of_other_protocols_are_peers_and_hidden_ones_are_not(sfu: SfuWorld) -> None:
    alice = await sfu.join("alice")
    await sfu.rooms.join("demo", JoinRequest("caller", name="A phone"))
    await sfu.join("ghost", hidden=True)
    await sfu.settle()
    assert [one["peerId"] for one in alice.heard("participant-joined")] == ["caller"]
    listed = await alice.do("get-participants", roomId="demo")
    assert [one["fullName"] for one in listed["participants"]] == ["alice", "A phone"]


async def test_who_is_forwarded_from_another_room_is_a_peer_whose_tracks_are_consumed(sfu: SfuWorld) -> None:
    alice, _, video, _ = await published(sfu)
    carol = await sfu.connect("carol", room="other")
    await carol.do("join-room", roomId="other")
    over = await transport(carol, "recv", room="other")
    mirror = await sfu.rooms.forward(sfu.rooms.by_name["demo"].participants["alice"], "other")
    await sfu.settle()
    assert [one["peerId"] for one in carol.heard("participant-joined")] == ["alice"]
    (told,) = carol.heard("newProducer")
    assert (told["peerId"], told["producerId"]) == ("alice", next(iter(mirror.publications)))
    wish = vector("consume", roomId="other", transportId=over, producerId=told["producerId"])
    assert (await carol.do("consume", **wish))["producerId"] == told["producerId"]
    await alice.do("pause-producer", roomId="demo", producerId=video)
    await sfu.settle()
    assert [one["producerId"] for one in carol.heard("producer-paused")] == [told["producerId"]]
    await sfu.rooms.remove(mirror)
    await sfu.settle()
    assert [one["peerId"] for one in carol.heard("participant-left")] == ["alice"]
    assert sfu.rooms.by_name["demo"].participants.keys() == {"alice", "bob"}


async def test_requests_out_of_order_are_refused_and_change_nothing(sfu: SfuWorld) -> None:
    early = await sfu.connect("early")
    assert await early.refused("create-transport", roomId="demo", direction="send") == "not_in_room"
    alice = await sfu.join("alice")
    assert await alice.refused("produce", **vector("produce-audio", transportId="TP_none")) == "no_such_transport"
    receiving = await transport(alice, "recv")
    assert await alice.refused("produce", **vector("produce-audio", transportId=receiving)) == "wrong_direction"
    again = vector("connect-transport", transportId=receiving)
    assert await alice.refused("connect-transport", **again) == "already_connected"
    missing = vector("consume", transportId=receiving, producerId="TR_none")
    assert await alice.refused("consume", **missing) == "no_such_producer"
    assert await alice.refused("create-transport", roomId="demo", direction="up") == "bad_field"
    assert await alice.refused("create-transport", roomId="demo") == "missing_field"
    assert await alice.refused("produce", roomId="demo", transportId=receiving, kind="smell") == "bad_field"
    assert sfu.sfu.context.counters.errors["bad_field"] == 2
    assert sfu.link.find(FakeProducer) == []


async def test_transports_of_a_peer_are_limited(sfu: SfuWorld) -> None:
    alice = await sfu.join("alice")
    for _ in range(16):
        await alice.do("create-transport", roomId="demo", direction="send")
    assert await alice.refused("create-transport", roomId="demo", direction="send") == "too_many_transports"


async def test_a_full_engine_refuses_media_and_a_full_room_refuses_peers(make_sfu: MakeSfu) -> None:
    sfu = await make_sfu(EngineConfig(max_transports=1), RoomLimits(max_participants=2))
    alice = await sfu.join("alice")
    await transport(alice, "send")
    assert await alice.refused("create-transport", roomId="demo", direction="recv") == "engine_busy"
    await sfu.join("bob")
    carol = await sfu.connect("carol")
    assert await carol.refused("join-room", roomId="demo") == "too_many_participants"


async def test_chat_reaches_everybody_and_its_sender(sfu: SfuWorld) -> None:
    alice, bob = await sfu.join("alice"), await sfu.join("bob")
    sent = await alice.do("chat-message", roomId="demo", message="Hello")
    await sfu.settle()
    for client in (alice, bob):
        (told,) = client.heard("chat-message")
        assert (told["id"], told["peerId"], told["message"]) == (sent["id"], "alice", "Hello")
    assert await alice.refused("chat-message", roomId="demo") == "missing_field"


async def test_an_engine_without_a_place_lets_people_meet_and_gives_media_once_it_has_one(sfu: SfuWorld) -> None:
    real = sfu.link.submit

    def full(_: bytes) -> None:
        raise QueueFull("busy")

    sfu.link.submit = full  # type: ignore[method-assign]
    alice, bob = await sfu.connect("alice"), await sfu.connect("bob")
    joined = await alice.do("join-room", roomId="demo")
    assert joined["mediaOff"] == ["produce", "consume", "produce-data", "consume-data"]
    assert joined["mediasoup"]["rtpCapabilities"]["codecs"]
    assert await alice.refused("create-transport", roomId="demo", direction="send") == "engine_busy"
    await bob.do("join-room", roomId="demo")
    await alice.do("chat-message", roomId="demo", message="no picture?")
    await sfu.settle()
    assert bob.heard("chat-message")[0]["message"] == "no picture?"
    sfu.link.submit = real  # type: ignore[method-assign]
    await produce(alice, await transport(alice, "send"))
    await sfu.settle()
    assert len(bob.heard("newProducer")) == 1
    again = await (await sfu.connect("carol")).do("join-room", roomId="demo")
    assert again["mediaOff"] == []
    assert len(sfu.link.find(FakeRouter)) == 1


async def test_a_room_that_never_had_media_closes_like_any_other(sfu: SfuWorld) -> None:
    await sfu.rooms.engine.close()
    alice = await sfu.connect("alice")
    assert (await alice.do("join-room", roomId="demo"))["mediaOff"]
    await sfu.rooms.close_room(sfu.rooms.by_name["demo"])
    await sfu.settle()
    assert alice.heard("left-room")[0]["reason"] == "room_closed"


async def test_a_token_that_was_good_at_the_handshake_must_be_so_at_each_join(sfu: SfuWorld) -> None:
    alice = await sfu.join("alice")
    sfu.sfu.context.wall_clock = lambda: time.time() + 10_000
    assert await alice.refused("join-room", roomId="demo") == "already_joined"
    await alice.do("leave-room", roomId="demo")
    assert await alice.refused("join-room", roomId="demo") == "token_expired"


@dataclass
class Account:
    """What is read of an account."""

    email: str
    name: str
    username: str = "someone"


class People:
    """Accounts by id, and tokens that name them."""

    def __init__(self, sfu: SfuWorld) -> None:
        self.signed = sfu.sfu.context.keys

    def verify(self, token: str | None, now: float) -> AccessToken:
        if token is None or not token.startswith("account:"):
            return self.signed.verify(token, now)
        _, role, name = token.split(":")
        return AccessToken("@account", name, VideoGrants(), account_id=f"AC_{name}", role=Role(role))

    async def find(self, account_id: str) -> Account:
        if account_id == "AC_gone":
            raise AccountError(AccountRefusal.NO_ACCOUNT, "gone")
        return Account(f"{account_id}@example.org", account_id.removeprefix("AC_").title())


async def test_accounts_join_with_their_name_and_role_and_only_moderators_see_their_mail(sfu: SfuWorld) -> None:
    people = People(sfu)
    sfu.sfu.context.keys = people  # type: ignore[assignment]
    sfu.sfu.context.accounts = people  # type: ignore[assignment]

    async def join(token: str) -> tuple[SocketClient, dict[str, Any]]:
        client = SocketClient(sfu.sockets, f"sid-{len(sfu.clients)}")
        sfu.clients[client.sid] = client
        await sfu.sockets._on_connect(client.sid, {}, {"token": token})
        return client, await client.do("join-room", roomId="demo")

    member, _ = await join("account:member:ann")
    _, seen = await join("account:admin:root")
    (there,) = seen["mediasoup"]["peers"]
    assert (there["email"], there["fullName"], there["role"], there["userId"]) == (
        "AC_ann@example.org",
        "Ann",
        "member",
        "AC_ann",
    )
    await join("account:member:gone")
    await sfu.settle()
    root, gone = member.heard("participant-joined")
    assert (root["role"], root["userId"]) == ("admin", "AC_root")
    assert "email" not in root
    assert gone["fullName"] == "gone"


async def test_who_asks_too_fast_is_refused_until_it_slows_down(make_sfu: MakeSfu) -> None:
    sfu = await make_sfu(addresses=LimitSettings(signals_per_second=1_000, signal_burst=2))
    now = 0.0
    sfu.sfu.context.clock = lambda: now
    alice = await sfu.join("alice")
    await alice.do("get-room-info", roomId="demo")
    assert await alice.refused("get-room-info", roomId="demo") == "too_many_requests"
    assert await alice.refused("create-transport", roomId="demo", direction="send") == "too_many_requests"
    assert sfu.sfu.peer("demo", "alice").transports == {}
    assert sfu.sfu.context.counters.errors["too_many_requests"] == 2
    await sfu.join("bob")
    now = 1.0
    await alice.do("get-room-info", roomId="demo")
