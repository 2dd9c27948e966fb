"""Who gets in, what it is told first, and why others do not get in."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Awaitable, Callable

import pytest
from livekit.protocol import models, rtc
from livekit_world import NOW, LiveKitWorld, client_offer, receiving, validate

from roomtone.control.policy import IceServerRule, JoinLimiter, KeyTable, VideoGrants
from roomtone.control.rooms import Permissions, RoomLimits, RoomOptions
from roomtone.media.values import MediaKind
from roomtone.protocols.livekit import PROTOCOL_VERSION
from roomtone.protocols.sdp import OfferedData, parse_session

MakeLiveKit = Callable[..., Awaitable[LiveKitWorld]]


async def test_the_first_message_says_where_the_client_is_and_the_second_offers_it_media(livekit: LiveKitWorld) -> None:
    await livekit.connect("bob")
    alice = await livekit.connect("alice")
    join = alice.messages.popleft().join
    assert (join.room.name, join.participant.identity, join.participant.name) == ("demo", "alice", "Alice")
    assert join.participant.sid.startswith("PA_")
    assert [other.identity for other in join.other_participants] == ["bob"]
    assert join.subscriber_primary
    assert (join.ping_interval, join.ping_timeout) == (5, 15)
    assert (join.server_info.protocol, join.server_info.version) == (PROTOCOL_VERSION, join.server_version)
    assert "video/VP8" in [codec.mime for codec in join.enabled_publish_codecs]
    offer = alice.last("offer")
    assert (offer.type, offer.id) == ("offer", 1)
    assert [section.kind for section in parse_session(offer.sdp).media] == ["application"]


async def test_the_join_names_the_ice_servers_with_credentials_of_the_client(
    livekit: LiveKitWorld,
) -> None:
    livekit.context.ice_rules = (
        IceServerRule(("stun:stun.example.org",)),
        IceServerRule(("turn:turn.example.org",), secret="north"),
    )
    alice = await livekit.connect("alice")
    stun, turn = alice.messages.popleft().join.ice_servers
    assert (list(stun.urls), stun.username, stun.credential) == (["stun:stun.example.org"], "", "")
    assert (list(turn.urls), turn.username) == (["turn:turn.example.org"], f"{int(NOW) + 86_400}:alice")
    assert turn.credential


async def test_others_are_told_of_who_comes_connects_and_goes(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect("alice")
    bob = await livekit.connect("bob")
    (joined,) = alice.last("update").participants
    assert (joined.identity, joined.state) == ("bob", models.ParticipantInfo.State.JOINED)
    await bob.answer()
    (subscriber,) = livekit.rooms.by_name["demo"].participants["bob"].connections
    livekit.link.connect_peer(subscriber)
    await livekit.settle()
    (active,) = alice.last("update").participants
    assert (active.identity, active.state) == ("bob", models.ParticipantInfo.State.ACTIVE)
    await bob.send(leave=rtc.LeaveRequest(reason=models.DisconnectReason.CLIENT_INITIATED))
    (gone,) = alice.last("update").participants
    assert (gone.sid, gone.state) == (active.sid, models.ParticipantInfo.State.DISCONNECTED)
    assert gone.disconnect_reason == models.DisconnectReason.CLIENT_INITIATED
    assert bob.closed is not None
    assert bob.closed[0] == 1000
    assert len(livekit.context.sessions) == 1


async def test_hidden_participants_are_shown_to_nobody(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect("alice")
    await livekit.connect("ghost", token=livekit.token("ghost", hidden=True))
    carol = await livekit.connect("carol")
    assert [other.identity for other in carol.messages[0].join.other_participants] == ["alice"]
    assert [info.identity for update in alice.all("update") for info in update.participants] == ["carol"]


async def test_who_hides_is_gone_for_the_others_until_it_shows_itself(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect("alice")
    await livekit.connect("bob")
    bob = livekit.rooms.find("demo").participants["bob"]
    await livekit.rooms.update(bob, permissions=Permissions(hidden=True))
    await livekit.settle()
    (gone,) = alice.last("update").participants
    assert (gone.identity, gone.state) == ("bob", models.ParticipantInfo.State.DISCONNECTED)
    await livekit.rooms.update(bob, permissions=Permissions())
    await livekit.settle()
    (back,) = alice.last("update").participants
    assert (back.identity, back.state) == ("bob", models.ParticipantInfo.State.JOINED)


async def test_a_client_with_one_connection_is_answered_right_after_its_join(livekit: LiveKitWorld) -> None:
    offer = rtc.SessionDescription(
        type="offer", sdp=client_offer(OfferedData("0"), receiving("1", MediaKind.AUDIO)), id=7
    )
    alice = await livekit.connect_single("alice", publisher_offer=offer)
    assert not alice.messages.popleft().join.subscriber_primary
    answer = alice.last("answer")
    assert (answer.type, answer.id) == ("answer", 7)
    assert [section.port for section in parse_session(answer.sdp).media] == [9, 9]
    assert "offer" not in alice.kinds()


@pytest.mark.parametrize(
    ("make", "status", "text"),
    [
        (lambda _: "", 401, "no permissions to access the room"),
        (lambda _: "garbage", 401, "invalid authorization token"),
        (lambda world: world.token() + "x", 401, "invalid authorization token: signature is invalid"),
        (lambda world: world.token(age=10_000), 401, "invalid authorization token: token is expired"),
        (lambda world: world.token(room_join=False), 401, "permissions denied"),
        (lambda world: world.token(""), 400, "identity cannot be empty"),
        (lambda world: world.token(room=""), 400, "no room name"),
        (lambda world: world.token(room="a room"), 400, "a room's name"),
    ],
)
async def test_who_has_no_good_token_is_refused_before_the_upgrade(
    livekit: LiveKitWorld, make: Callable[[LiveKitWorld], str], status: int, text: str
) -> None:
    token = make(livekit)
    client = await livekit.connect(token=token)
    assert (client.accepted, client.status) == (False, status)
    assert text in client.body.decode()
    asked = await validate(livekit, "/rtc/validate", access_token=token)
    assert (asked.status_code, asked.text) == (status, client.body.decode())
    assert asked.headers["access-control-allow-origin"] == "*"
    assert livekit.rooms.by_name == {}


async def test_a_token_of_a_key_that_is_not_here_is_refused(livekit: LiveKitWorld) -> None:
    other = KeyTable({"other": "s" * 32}).sign("other", "alice", VideoGrants(room="demo", room_join=True), 1_000_000)
    assert (await livekit.connect(token=other)).body == b"invalid API key"


async def test_validate_says_success_where_nothing_is_wrong(livekit: LiveKitWorld) -> None:
    asked = await validate(livekit, "/rtc/validate", access_token=livekit.token())
    assert (asked.status_code, asked.text) == (200, "success")
    asked = await validate(livekit, "/rtc/v1/validate", access_token=livekit.token())
    assert (asked.status_code, asked.text) == (400, "join_request is required")


async def test_a_room_that_is_not_there_is_not_made_where_joining_makes_none(make_livekit: MakeLiveKit) -> None:
    livekit = await make_livekit(RoomLimits(create_on_join=False))
    client = await livekit.connect()
    assert (client.status, client.body) == (404, b"requested room does not exist")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (RoomOptions(lobby=True), "ask by POST /api/v1/rooms/demo/knock, then join"),
        (RoomOptions(locked=True), "the room is locked"),
    ],
)
async def test_who_may_not_enter_is_told_why_and_how_it_may(
    livekit: LiveKitWorld, options: RoomOptions, text: str
) -> None:
    room = await livekit.rooms.create("demo", options)
    client = await livekit.connect()
    assert (client.accepted, client.status) == (False, 403)
    assert text in client.body.decode()
    asked = await validate(livekit, "/rtc/validate", access_token=livekit.token())
    assert (asked.status_code, asked.text) == (403, client.body.decode())
    moderator = livekit.token("chair", room_admin=True)
    assert (await validate(livekit, "/rtc/validate", access_token=moderator)).text == "success"
    livekit.rooms.invite(room, "alice")
    assert (await livekit.connect()).accepted


async def test_a_full_room_answers_that_it_is_full(make_livekit: MakeLiveKit) -> None:
    livekit = await make_livekit(RoomLimits(max_participants=1))
    await livekit.connect("alice")
    client = await livekit.connect("bob")
    assert client.status == 503
    assert b"participants already" in client.body
    asked = await validate(livekit, "/rtc/validate", access_token=livekit.token("bob"))
    assert (asked.status_code, asked.text, asked.headers["retry-after"]) == (503, client.body.decode(), "5")
    assert (await validate(livekit, "/rtc/validate", access_token=livekit.token("alice"))).text == "success"
    assert livekit.rooms.by_name["demo"].participants.keys() == {"alice"}


async def test_validate_says_what_joining_would_say(make_livekit: MakeLiveKit) -> None:
    livekit = await make_livekit(RoomLimits(max_rooms=1))
    asked = await validate(livekit, "/rtc/validate", access_token=livekit.token())
    assert (asked.text, livekit.rooms.by_name) == ("success", {})
    await livekit.rooms.create("other")
    asked = await validate(livekit, "/rtc/validate", access_token=livekit.token())
    assert (asked.status_code, asked.text) == (503, "there are 1 rooms already")
    asked = await validate(livekit, "/rtc/validate", access_token=livekit.token("a" * 300))
    assert (asked.status_code, "identity" in asked.text) == (400, True)
    livekit.context.limiter = JoinLimiter(1, 0)
    livekit.context.limiter.take("127.0.0.1", livekit.context.clock())
    asked = await validate(livekit, "/rtc/validate", access_token=livekit.token())
    assert asked.status_code == 503


async def test_the_older_of_one_identity_is_told_to_go(livekit: LiveKitWorld) -> None:
    older = await livekit.connect("alice")
    bob = await livekit.connect("bob")
    await livekit.connect("alice")
    leave = older.last("leave")
    assert leave.reason == models.DisconnectReason.DUPLICATE_IDENTITY
    assert leave.action == rtc.LeaveRequest.Action.DISCONNECT
    states = [(info.identity, info.state) for update in bob.all("update") for info in update.participants]
    disconnected, joined = models.ParticipantInfo.State.DISCONNECTED, models.ParticipantInfo.State.JOINED
    assert states == [("alice", disconnected), ("alice", joined)]


@pytest.mark.parametrize("join_request", ["***", "AAAA", base64.urlsafe_b64encode(b"\x0a\xff").decode()])
async def test_a_join_request_that_is_none_is_refused(livekit: LiveKitWorld, join_request: str) -> None:
    client = await livekit.connect(path="/rtc/v1", join_request=join_request)
    assert client.status == 400
    assert livekit.rooms.by_name == {}


async def test_a_join_request_that_unpacks_to_too_much_is_refused(livekit: LiveKitWorld) -> None:
    bomb = rtc.WrappedJoinRequest(
        compression=rtc.WrappedJoinRequest.Compression.GZIP, join_request=gzip.compress(bytes(8_000_000))
    )
    text = base64.urlsafe_b64encode(bomb.SerializeToString()).decode()
    client = await livekit.connect(path="/rtc/v1", join_request=text)
    assert (client.status, client.body) == (400, b"join request too large")


async def test_metadata_of_the_join_needs_a_grant(livekit: LiveKitWorld) -> None:
    refused = await livekit.connect_single("alice", metadata="mine")
    assert (refused.status, refused.body) == (401, b"permissions denied")


async def test_a_development_server_alone_simulates_scenarios(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    await alice.send(simulate=rtc.SimulateScenario(server_leave=True))
    assert alice.last("request_response").reason == rtc.RequestResponse.Reason.NOT_ALLOWED
    livekit.context.dev = True
    await alice.send(simulate=rtc.SimulateScenario(server_leave=True))
    assert alice.last("leave").action == rtc.LeaveRequest.Action.RECONNECT
