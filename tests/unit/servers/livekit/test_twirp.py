"""LiveKit's server API: who may call what, what becomes of rooms and participants, what is refused and how."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from google.protobuf.message import Message
from livekit.protocol import egress, models, room, rtc
from livekit_world import NOW, Keys, LiveKitWorld

from roomtone.control.policy import VideoGrants
from roomtone.control.rooms import JoinRequest, ParticipantKind, Permissions, Refusal, TrackSource
from roomtone.protocols.livekit import METHODS, TwirpCode
from roomtone.servers.livekit.twirp import CODES
from roomtone.servers.livekit.twirp_ingress import INGRESS_SERVICE
from roomtone.servers.livekit.twirp_rooms import ROOM_SERVICE
from roomtone.servers.livekit.twirp_sip import SIP_SERVICE

ADMIN = VideoGrants(room="demo", room_admin=True)
ALL = VideoGrants(room="demo", room_admin=True, room_create=True, room_list=True, destination_room="other")


async def post(
    world: LiveKitWorld, path: str, content: bytes, media_type: str, token: str | None, *, method: str = "POST"
) -> httpx.Response:
    headers = {"content-type": media_type} | ({} if token is None else {"authorization": f"Bearer {token}"})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=world.app), base_url="http://test") as http:
        return await http.request(method, f"/twirp/{path}", content=content, headers=headers)


def sign(grants: VideoGrants, age: float = 0, **more: Any) -> str:
    return Keys.sign("devkey", "", grants, NOW - age, 3600, **more)


async def ask(
    world: LiveKitWorld,
    name: str,
    request: Message,
    grants: VideoGrants = ALL,
    service: str = "RoomService",
    **more: Any,
) -> Any:
    """Call in protobuf; gives the answer, or the error's code and text."""
    path = f"livekit.{service}/{name}"
    answer = await post(world, path, request.SerializeToString(), "application/protobuf", sign(grants, **more))
    if answer.status_code == 200:
        assert answer.headers["content-type"] == "application/protobuf"
        made = METHODS[path].answer()
        made.ParseFromString(answer.content)
        return made
    told = answer.json()
    assert answer.status_code == TwirpCode(told["code"]).status
    return told["code"], told["msg"]


def test_every_method_of_the_room_service_is_there_and_every_refusal_has_a_code() -> None:
    named = {method.name for method in METHODS.values() if method.service == "RoomService"}
    assert named == set(ROOM_SERVICE)
    assert set(CODES) == set(Refusal)


async def test_a_room_is_made_listed_changed_and_deleted(livekit: LiveKitWorld) -> None:
    wanted = room.CreateRoomRequest(name="demo", empty_timeout=30, max_participants=5, metadata="first")
    made = await ask(livekit, "CreateRoom", wanted)
    assert (made.name, made.empty_timeout, made.max_participants, made.metadata) == ("demo", 30, 5, "first")
    again = await ask(livekit, "CreateRoom", room.CreateRoomRequest(name="demo", metadata="second"))
    assert (again.sid, again.metadata, again.max_participants) == (made.sid, "second", 5)
    await ask(livekit, "CreateRoom", room.CreateRoomRequest(name="other"))
    names = [held.name for held in (await ask(livekit, "ListRooms", room.ListRoomsRequest())).rooms]
    assert names == ["demo", "other"]
    some = await ask(livekit, "ListRooms", room.ListRoomsRequest(names=["other", "none"]))
    assert [held.name for held in some.rooms] == ["other"]
    changed = await ask(livekit, "UpdateRoomMetadata", room.UpdateRoomMetadataRequest(room="demo", metadata=""))
    assert (changed.metadata, livekit.rooms.by_name["demo"].metadata) == ("", "")
    await ask(livekit, "DeleteRoom", room.DeleteRoomRequest(room="demo"))
    assert list(livekit.rooms.by_name) == ["other"]
    assert (await ask(livekit, "DeleteRoom", room.DeleteRoomRequest(room="demo")))[0] == "not_found"


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (room.CreateRoomRequest(name="demo", egress=room.RoomEgress()), "egress"),
        (room.CreateRoomRequest(name="demo", agents=[{"agent_name": "a"}]), "agents"),
        (room.CreateRoomRequest(name="demo", room_preset="big"), "room_preset"),
        (room.CreateRoomRequest(name="demo", min_playout_delay=100), "min_playout_delay"),
        (room.CreateRoomRequest(name="demo", sync_streams=True), "sync_streams"),
    ],
)
async def test_what_a_room_cannot_have_is_refused_by_name(
    livekit: LiveKitWorld, request_: room.CreateRoomRequest, word: str
) -> None:
    code, text = await ask(livekit, "CreateRoom", request_)
    assert (code, text.partition(":")[0]) == ("unimplemented", word)
    assert not livekit.rooms.by_name


@pytest.mark.parametrize(
    ("name", "request_", "grants"),
    [
        ("CreateRoom", room.CreateRoomRequest(name="demo"), ADMIN),
        ("ListRooms", room.ListRoomsRequest(), VideoGrants(room_admin=True)),
        ("DeleteRoom", room.DeleteRoomRequest(room="demo"), ADMIN),
        ("ListParticipants", room.ListParticipantsRequest(room="other"), ADMIN),
        ("ListParticipants", room.ListParticipantsRequest(room="demo"), VideoGrants(room="demo", room_join=True)),
        ("MoveParticipant", room.MoveParticipantRequest(room="demo", destination_room="third"), ALL),
        ("ForwardParticipant", room.ForwardParticipantRequest(room="demo", destination_room="other"), ADMIN),
    ],
)
async def test_a_call_needs_the_grant_that_livekit_wants_for_it(
    livekit: LiveKitWorld, name: str, request_: Message, grants: VideoGrants
) -> None:
    assert await ask(livekit, name, request_, grants) == ("unauthenticated", "permissions denied")


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (None, "invalid authorization header. Must start with Bearer "),
        ("nonsense", "invalid authorization token"),
        (sign(ALL, age=7200), "invalid authorization token: token is expired"),
        (sign(ALL) + "x", "invalid authorization token: signature is invalid"),
    ],
    ids=["none", "nonsense", "expired", "forged"],
)
async def test_a_call_without_a_good_token_is_unauthenticated(
    livekit: LiveKitWorld, token: str | None, text: str
) -> None:
    answer = await post(livekit, "livekit.RoomService/ListRooms", b"{}", "application/json", token)
    assert (answer.status_code, answer.json()) == (401, {"code": "unauthenticated", "msg": text})
    assert livekit.context.twirp_answers == {"unauthenticated": 1}


@pytest.mark.parametrize(
    ("route", "media_type", "body", "answered"),
    [
        (("GET", "livekit.RoomService/ListRooms"), "application/json", b"", (404, "bad_route")),
        (("POST", "livekit.RoomService/Nothing"), "application/json", b"{}", (404, "bad_route")),
        (("POST", "nothing"), "application/json", b"{}", (404, "bad_route")),
        (("POST", "livekit.RoomService/ListRooms"), "text/plain", b"{}", (404, "bad_route")),
        (("POST", "livekit.RoomService/ListRooms"), "application/json", b"{", (400, "malformed")),
        (("POST", "livekit.RoomService/ListRooms"), "application/protobuf", b"\xff\xff", (400, "malformed")),
        (("POST", "livekit.RoomService/ListRooms"), "application/json", b" " * 2000, (400, "invalid_argument")),
    ],
)
async def test_what_is_no_call_is_answered_in_twirps_words(
    make_livekit: Any, route: tuple[str, str], media_type: str, body: bytes, answered: tuple[int, str]
) -> None:
    world = await make_livekit(max_call_bytes=1000)
    method, path = route
    answer = await post(world, path, body, media_type, sign(ALL), method=method)
    assert (answer.status_code, answer.json()["code"]) == answered
    assert answer.headers["content-type"] == "application/json"


async def test_json_is_answered_in_json_with_every_field_by_its_name_in_the_protocol(livekit: LiveKitWorld) -> None:
    body = json.dumps({"name": "demo", "emptyTimeout": 7, "not_known": 1}).encode()
    answer = await post(livekit, "livekit.RoomService/CreateRoom", body, "application/json; charset=utf-8", sign(ALL))
    told = answer.json()
    assert (answer.status_code, told["empty_timeout"], told["num_participants"]) == (200, 7, 0)


def test_each_method_of_sip_is_there_but_the_one_of_old_trunks() -> None:
    named = {name.partition("/")[2] for name in METHODS if name.startswith("livekit.SIP/")}
    assert named - set(SIP_SERVICE) == {"ListSIPTrunk"}
    assert set(SIP_SERVICE) <= named


@pytest.mark.parametrize("name", sorted(SIP_SERVICE))
async def test_a_server_without_phones_says_so_to_who_may_ask(livekit: LiveKitWorld, name: str) -> None:
    request = METHODS[f"livekit.SIP/{name}"].request()
    if name == "TransferSIPParticipant":
        request.room_name = "demo"
    for claims in ({}, {"admin": False, "call": False}):
        code, _ = await ask(livekit, name, request, ALL, "SIP", sip=claims)
        assert code == "unauthenticated"
    wanted = {"call": True} if name in {"CreateSIPParticipant", "TransferSIPParticipant"} else {"admin": True}
    other = {"admin": True} if "call" in wanted else {"call": True}
    assert (await ask(livekit, name, request, ALL, "SIP", sip=other))[0] == "unauthenticated"
    code, text = await ask(livekit, name, request, ALL, "SIP", sip=wanted)
    assert code in {"unavailable", "not_found", "invalid_argument"}, text


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in METHODS
        if "RoomService" not in name and name.partition("/")[2] not in {*SIP_SERVICE, *INGRESS_SERVICE}
    ],
)
async def test_services_that_are_not_there_say_so(livekit: LiveKitWorld, name: str) -> None:
    service, _, method = name.removeprefix("livekit.").partition("/")
    code, text = await ask(livekit, method, METHODS[name].request(), ALL, service)
    assert (code, text.partition(":")[0]) == ("unimplemented", f"{service}.{method}")


async def test_participants_are_listed_hidden_ones_too_described_and_removed(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect("alice")
    await livekit.connect("ghost", token=livekit.token("ghost", hidden=True))
    listed = await ask(livekit, "ListParticipants", room.ListParticipantsRequest(room="demo"))
    assert [one.identity for one in listed.participants] == ["alice", "ghost"]
    assert (
        not (await ask(livekit, "ListParticipants", room.ListParticipantsRequest(room="demo"), ADMIN))
        .participants[0]
        .permission.hidden
    )
    one = await ask(livekit, "GetParticipant", room.RoomParticipantIdentity(room="demo", identity="alice"))
    assert (one.sid, one.name) == (listed.participants[0].sid, "Alice")
    revoke = room.RoomParticipantIdentity(room="demo", identity="alice", revoke_token_ts=5)
    assert (await ask(livekit, "RemoveParticipant", revoke))[0] == "unimplemented"
    assert alice.closed is None
    await ask(livekit, "RemoveParticipant", room.RoomParticipantIdentity(room="demo", identity="alice"))
    await livekit.settle()
    assert alice.last("leave").reason == models.DisconnectReason.PARTICIPANT_REMOVED
    missing = await ask(livekit, "GetParticipant", room.RoomParticipantIdentity(room="demo", identity="alice"))
    assert missing[0] == "not_found"
    empty = VideoGrants(room="nowhere", room_admin=True)
    nobody = await ask(livekit, "ListParticipants", room.ListParticipantsRequest(room="nowhere"), empty)
    assert not nobody.participants


async def test_permissions_take_effect_before_the_call_is_answered(livekit: LiveKitWorld) -> None:
    alice, sid = await livekit.publisher("alice")
    permission = models.ParticipantPermission(
        can_subscribe=True, can_publish=True, can_publish_sources=[models.TrackSource.MICROPHONE]
    )
    request = room.UpdateParticipantRequest(
        room="demo", identity="alice", metadata="m", name="Al", attributes={"hand": "up"}, permission=permission
    )
    changed = await ask(livekit, "UpdateParticipant", request)
    assert (changed.metadata, changed.name, dict(changed.attributes)) == ("m", "Al", {"hand": "up"})
    assert list(changed.permission.can_publish_sources) == [models.TrackSource.MICROPHONE]
    assert not changed.tracks
    assert not changed.permission.can_publish_data
    await livekit.settle()
    assert alice.last("track_unpublished").track_sid == sid
    kept = await ask(livekit, "UpdateParticipant", room.UpdateParticipantRequest(room="demo", identity="alice"))
    assert (kept.metadata, kept.name, kept.permission) == ("m", "Al", changed.permission)
    held = livekit.rooms.by_name["demo"].participants["alice"].permissions
    assert held == Permissions(publish_sources=frozenset({TrackSource.MICROPHONE}), can_publish_data=False)
    metrics = models.ParticipantPermission(can_subscribe_metrics=True)
    refused = room.UpdateParticipantRequest(room="demo", identity="alice", permission=metrics)
    assert (await ask(livekit, "UpdateParticipant", refused))[0] == "unimplemented"


async def test_a_track_is_muted_and_unmuted_and_its_publisher_is_told(livekit: LiveKitWorld) -> None:
    alice, sid = await livekit.publisher("alice")
    request = room.MuteRoomTrackRequest(room="demo", identity="alice", track_sid=sid, muted=True)
    assert (await ask(livekit, "MutePublishedTrack", request)).track.muted
    await livekit.settle()
    assert alice.last("mute").muted
    await alice.send(mute=rtc.MuteTrackRequest(sid=sid, muted=True))  # as clients do when they are muted
    request.muted = False
    unmuting = asyncio.ensure_future(ask(livekit, "MutePublishedTrack", request))
    await livekit.settle()
    assert not alice.last("mute").muted
    assert not unmuting.done()
    await alice.send(mute=rtc.MuteTrackRequest(sid=sid, muted=False))
    assert not (await unmuting).track.muted
    request.track_sid = "TR_none"
    assert (await ask(livekit, "MutePublishedTrack", request))[0] == "not_found"


async def test_a_publishers_own_mute_is_not_undone(make_livekit: Any) -> None:
    world = await make_livekit(unmute_wait_s=0)
    alice, sid = await world.publisher("alice")
    await alice.send(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    request = room.MuteRoomTrackRequest(room="demo", identity="alice", track_sid=sid, muted=False)
    assert (await ask(world, "MutePublishedTrack", request))[0] == "failed_precondition"
    request.muted = True
    assert (await ask(world, "MutePublishedTrack", request)).track.muted
    request.muted = False
    code, text = await ask(world, "MutePublishedTrack", request)
    assert (code, "publisher has not unmuted" in text) == ("failed_precondition", True)


async def test_subscriptions_are_chosen_for_a_participant(livekit: LiveKitWorld) -> None:
    _, sid = await livekit.publisher("alice")
    bob = await livekit.connect("bob", auto_subscribe="0")
    await bob.answer()
    request = room.UpdateSubscriptionsRequest(room="demo", identity="bob", track_sids=[sid], subscribe=True)
    await ask(livekit, "UpdateSubscriptions", request)
    await livekit.settle()
    await bob.answer()
    participant = livekit.rooms.by_name["demo"].participants["bob"]
    assert [held.source.id for held in participant.subscriptions.values() if held.source] == [sid]
    request.subscribe = False
    await ask(livekit, "UpdateSubscriptions", request)
    assert not participant.subscriptions
    request.track_sids[:] = ["TR_none"]
    assert (await ask(livekit, "UpdateSubscriptions", request))[0] == "not_found"
    request.track_sids[:] = [sid]
    await livekit.rooms.join("demo", JoinRequest("phone", kind=ParticipantKind.SIP))
    request.identity = "phone"
    assert (await ask(livekit, "UpdateSubscriptions", request))[0] == "failed_precondition"


async def ready_for_data(world: LiveKitWorld, identity: str) -> Any:
    client = await world.connect(identity)
    await client.answer()
    for connection in world.rooms.by_name["demo"].participants[identity].connections:
        world.link.connect_peer(connection)
    await world.settle()
    return client


async def test_data_goes_to_those_named_once_or_to_all(livekit: LiveKitWorld) -> None:
    for identity in ("alice", "bob"):
        await ready_for_data(livekit, identity)
    request = room.SendDataRequest(
        room="demo", data=b"hello", topic="t", destination_identities=["bob"], nonce=b"n" * 16
    )
    for _ in range(2):
        await ask(livekit, "SendData", request)
    await livekit.settle()
    (packet,) = livekit.sent_data()
    assert (packet.user.payload, packet.user.topic, packet.participant_identity) == (b"hello", "t", "")
    assert list(packet.destination_identities) == ["bob"]
    await ask(livekit, "SendData", room.SendDataRequest(room="demo", data=b"all"))
    await livekit.settle()
    assert sum(packet.user.payload == b"all" for packet in livekit.sent_data()) == 2
    gone = room.SendDataRequest(room="demo", data=b"x", destination_identities=["eve"])
    assert (await ask(livekit, "SendData", gone))[0] == "not_found"
    await livekit.rooms.join("demo", JoinRequest("phone"))
    deaf = room.SendDataRequest(room="demo", data=b"x", destination_identities=["phone"])
    assert (await ask(livekit, "SendData", deaf))[0] == "failed_precondition"
    large = room.SendDataRequest(room="demo", data=b"x" * 70_000)
    assert (await ask(livekit, "SendData", large))[0] == "invalid_argument"


async def begin_call(world: LiveKitWorld, **more: Any) -> tuple[asyncio.Future[Any], models.RpcRequest]:
    request = room.PerformRpcRequest(room="demo", destination_identity="bob", method="greet", payload="p", **more)
    answer = asyncio.ensure_future(ask(world, "PerformRpc", request))
    await world.settle()
    call = next(packet for packet in world.sent_data() if packet.HasField("rpc_request"))
    assert call.participant_identity == call.rpc_request.id
    return answer, call.rpc_request


async def test_a_method_of_a_participant_is_called_and_nobody_else_sees_the_answer(livekit: LiveKitWorld) -> None:
    for identity in ("alice", "bob"):
        await ready_for_data(livekit, identity)
    answer, call = await begin_call(livekit)
    assert (call.method, call.payload, call.response_timeout_ms) == ("greet", "p", 10_000)
    ack = models.DataPacket(rpc_ack=models.RpcAck(request_id=call.id), destination_identities=[call.id])
    response = models.DataPacket(rpc_response=models.RpcResponse(request_id=call.id, payload="hi"))
    before = len(livekit.sent_data())
    assert not livekit.context.method_calls.take("PA_other", response)  # only who was asked answers
    sid = livekit.rooms.by_name["demo"].participants["bob"].id
    assert livekit.context.method_calls.take(sid, ack)
    assert livekit.context.method_calls.take(sid, response)
    assert (await answer).payload == "hi"
    assert len(livekit.sent_data()) == before
    assert not livekit.context.method_calls.take(sid, response)
    assert len(livekit.context.method_calls) == 0


async def test_what_a_called_method_raises_is_an_error_with_its_number(livekit: LiveKitWorld) -> None:
    await ready_for_data(livekit, "bob")
    answer, call = await begin_call(livekit)
    error = models.RpcError(code=1400, message="Method not supported at destination", data="d")
    packet = models.DataPacket(rpc_response=models.RpcResponse(request_id=call.id, error=error))
    livekit.context.method_calls.take(livekit.rooms.by_name["demo"].participants["bob"].id, packet)
    assert await answer == ("invalid_argument", "Method not supported at destination")


async def test_a_call_ends_when_its_participant_leaves_or_says_nothing(make_livekit: Any) -> None:
    world = await make_livekit(calls_to_participants=1)
    bob = await ready_for_data(world, "bob")
    slow, _ = await begin_call(world, response_timeout_ms=1)
    assert await slow == ("canceled", "Response timeout")
    gone, _ = await begin_call(world)
    many = room.PerformRpcRequest(room="demo", destination_identity="bob", method="greet")
    assert (await ask(world, "PerformRpc", many))[0] == "resource_exhausted"
    await bob.send(leave=rtc.LeaveRequest())
    assert await gone == ("unavailable", "Recipient disconnected")
    await world.rooms.join("demo", JoinRequest("phone"))
    deaf = room.PerformRpcRequest(room="demo", destination_identity="phone", method="greet")
    assert (await ask(world, "PerformRpc", deaf))[0] == "failed_precondition"
    large = room.PerformRpcRequest(room="demo", destination_identity="phone", payload="x" * 15_361)
    assert (await ask(world, "PerformRpc", large))[0] == "malformed"


async def test_a_participant_is_forwarded_once_and_not_into_its_own_room(livekit: LiveKitWorld) -> None:
    await livekit.connect("alice")
    forward = room.ForwardParticipantRequest(room="demo", identity="alice", destination_room="other")
    assert await ask(livekit, "ForwardParticipant", forward) == room.ForwardParticipantResponse()
    grants = VideoGrants(room="other", room_admin=True)
    there = await ask(livekit, "GetParticipant", room.RoomParticipantIdentity(room="other", identity="alice"), grants)
    assert list(there.kind_details) == [models.ParticipantInfo.KindDetail.FORWARDED]
    assert (await ask(livekit, "ForwardParticipant", forward))[0] == "already_exists"
    for request_, code in (
        (room.ForwardParticipantRequest(room="demo", identity="bob", destination_room="other"), "not_found"),
        (room.ForwardParticipantRequest(room="gone", identity="bob", destination_room="other"), "not_found"),
        (room.ForwardParticipantRequest(room="demo", identity="alice", destination_room="demo"), "invalid_argument"),
    ):
        grants = VideoGrants(room=request_.room, room_admin=True, destination_room=request_.destination_room)
        assert (await ask(livekit, "ForwardParticipant", request_, grants))[0] == code


async def test_a_participant_is_moved_and_its_client_told_where(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect("alice")
    move = room.MoveParticipantRequest(room="demo", identity="alice", destination_room="other")
    await ask(livekit, "MoveParticipant", move)
    await livekit.settle()
    assert Keys.verify(alice.last("room_moved").token, NOW).grants.room == "other"
    same = room.MoveParticipantRequest(room="demo", identity="bob", destination_room="demo")
    await livekit.connect("bob")
    grants = VideoGrants(room="demo", room_admin=True, destination_room="demo")
    assert (await ask(livekit, "MoveParticipant", same, grants))[0] == "invalid_argument"
    await livekit.rooms.join("demo", JoinRequest("phone"))
    move.identity = "phone"
    assert (await ask(livekit, "MoveParticipant", move))[0] == "failed_precondition"


def test_egress_is_known_by_name() -> None:
    assert METHODS["livekit.Egress/StartRoomCompositeEgress"].request is egress.RoomCompositeEgressRequest
