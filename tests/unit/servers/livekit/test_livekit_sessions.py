"""What a session outlives, what ends it, and what it says then."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from livekit.protocol import models, rtc
from livekit_world import NOW, Keys, LiveKitWorld, client_offer

from roomtone.control.policy import Pace
from roomtone.control.rooms import CloseReason, DataKind, DataOutcome, DataPacket
from roomtone.media.fake_objects import FakeConsumer, FakeTransport
from roomtone.media.values import EngineCloseReason
from roomtone.protocols.sdp import OfferedData, parse_session
from roomtone.servers.livekit import Trouble
from roomtone.servers.livekit.requests import REQUESTS

GONE = models.ParticipantInfo.State.DISCONNECTED

MakeLiveKit = Callable[..., Awaitable[LiveKitWorld]]
Reason = rtc.RequestResponse.Reason


def test_every_request_of_the_protocol_has_somebody_who_answers_it() -> None:
    (oneof,) = rtc.SignalRequest.DESCRIPTOR.oneofs
    assert set(REQUESTS) == {field.name for field in oneof.fields}


async def test_pings_are_answered_with_their_own_time(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    await alice.send(ping=5)
    assert alice.last("pong") == 1_000_000_000
    await alice.send(ping_req=rtc.Ping(timestamp=7))
    pong = alice.last("pong_resp")
    assert (pong.last_ping_timestamp, pong.timestamp) == (7, 1_000_000_000)


async def test_a_client_that_speaks_json_is_answered_in_json(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    await alice.send_frame(json.dumps({"pingReq": {"timestamp": "9"}}))
    assert json.loads(alice.texts[-1])["pongResp"]["lastPingTimestamp"] == "9"


@pytest.mark.parametrize(
    ("frame", "trouble"),
    [(b"\xff\xff\xff", Trouble.MALFORMED), ("{", Trouble.MALFORMED), (bytes(600_000), Trouble.TOO_LARGE)],
    ids=["no protobuf", "no JSON", "too much"],
)
async def test_what_is_no_message_ends_the_session_with_a_reason(
    livekit: LiveKitWorld, frame: bytes | str, trouble: Trouble
) -> None:
    alice = await livekit.connect()
    await alice.send_frame(frame)
    if isinstance(frame, bytes):
        leave = alice.last("leave")
        assert (leave.reason, leave.action) == (
            models.DisconnectReason.STATE_MISMATCH,
            rtc.LeaveRequest.Action.DISCONNECT,
        )
    assert alice.closed == (1007, "bad_signal")
    assert livekit.context.troubles[trouble] == 1
    assert livekit.rooms.ended[CloseReason.BAD_SIGNAL] == 1


async def test_a_message_of_a_newer_protocol_is_passed_over(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    await alice.send_frame(b"\x92\x3e\x02hi")  # field 994
    assert livekit.context.troubles[Trouble.EMPTY] == 1
    await alice.send(ping=1)
    assert alice.last("pong")


@pytest.mark.parametrize("text", ["", "v=0", "not sdp"])
async def test_an_offer_that_is_none_ends_the_session(livekit: LiveKitWorld, text: str) -> None:
    alice = await livekit.connect()
    await alice.send(offer=rtc.SessionDescription(type="offer", sdp=text))
    assert alice.last("leave").reason == models.DisconnectReason.STATE_MISMATCH
    assert livekit.context.troubles[Trouble.BAD_SDP] == 1


async def test_an_answer_nobody_waits_for_is_passed_over_and_counted(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect_single("alice")
    await alice.send(answer=rtc.SessionDescription(type="answer", sdp="v=0"))
    assert livekit.context.troubles[Trouble.UNEXPECTED] == 1
    assert alice.closed is None


async def test_a_candidate_that_is_none_is_refused_and_a_good_one_is_taken(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    target = rtc.SignalTarget.SUBSCRIBER
    await alice.send(trickle=rtc.TrickleRequest(candidateInit="{", target=target))
    assert alice.last("request_response").reason == Reason.INVALID_REQUEST
    line = "candidate:1 1 udp 2113937151 192.0.2.9 5000 typ host"
    await alice.send(trickle=rtc.TrickleRequest(candidateInit=json.dumps({"candidate": line}), target=target))
    (heard,) = [held for held in livekit.link.find(FakeTransport) if held.remote_candidates]
    assert ([one.ip for one in heard.remote_candidates], heard.remote_complete) == (["192.0.2.9"], False)
    await alice.send(trickle=rtc.TrickleRequest(candidateInit='{"candidate": ""}', target=target))
    assert (len(heard.remote_candidates), heard.remote_complete) == (1, True)
    assert "request_response" not in alice.kinds()


async def test_a_client_that_does_not_read_is_let_go_with_a_reason(make_livekit: MakeLiveKit) -> None:
    livekit = await make_livekit(signal_queue=10)
    slow = await livekit.connect("slow")
    slow.stalled.clear()
    alice = await livekit.connect("alice")
    participant = livekit.rooms.by_name["demo"].participants["alice"]
    for number in range(20):
        await livekit.rooms.update(participant, metadata=str(number))
        await livekit.settle()
    assert livekit.context.troubles[Trouble.SLOW] == 1
    assert livekit.rooms.ended[CloseReason.SLOW_CLIENT] == 1
    slow.stalled.set()
    await livekit.settle()
    assert slow.last("leave").action == rtc.LeaveRequest.Action.RECONNECT
    assert slow.closed == (1008, "slow_client")
    assert alice.closed is None


async def test_a_client_that_comes_back_in_time_goes_on_where_it_was(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob")
    await bob.answer()
    _, sid = await livekit.publisher("alice")
    await bob.answer()
    carol = await livekit.connect("carol")
    first = bob.messages[0].join.participant.sid
    consumers = livekit.link.find(FakeConsumer)
    await bob.drop()
    await carol.send(leave=rtc.LeaveRequest())
    assert "bob" in livekit.rooms.by_name["demo"].participants
    again = await livekit.connect("bob", reconnect="1", sid=first)
    assert again.messages.popleft().WhichOneof("message") == "reconnect"
    told = {info.identity: info.state for update in again.all("update") for info in update.participants}
    assert told["carol"] == models.ParticipantInfo.State.DISCONNECTED
    assert set(told) == {"alice", "bob", "carol"}
    offer = again.last("offer")
    assert parse_session(offer.sdp).media[0].ice_ufrag != parse_session(offer.sdp).media[0].mid
    assert dict(offer.mid_to_track_id) == {"1": sid}
    await again.answer(offer)
    assert livekit.link.find(FakeConsumer) == consumers  # media was never touched
    assert livekit.context.resumed == livekit.context.signals_lost == 1


async def test_who_resumes_what_is_over_is_told_to_join_anew(livekit: LiveKitWorld) -> None:
    client = await livekit.connect("bob", reconnect="1", sid="PA_gone")
    leave = client.last("leave")
    assert leave.reason == models.DisconnectReason.STATE_MISMATCH
    assert leave.action == rtc.LeaveRequest.Action.RECONNECT
    assert livekit.rooms.by_name == {}


async def test_nobody_resumes_the_session_of_another(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect("alice")
    sid = alice.messages[0].join.participant.sid
    thief = await livekit.connect("mallory", reconnect="1", sid=sid)
    assert thief.last("leave").reason == models.DisconnectReason.STATE_MISMATCH
    assert alice.closed is None


async def test_a_socket_that_is_replaced_is_closed_and_takes_nothing_along(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect("alice")
    again = await livekit.connect("alice", reconnect="1")
    assert alice.closed is not None
    await again.send(ping=1)
    assert again.last("pong")
    assert "alice" in livekit.rooms.by_name["demo"].participants


async def test_who_does_not_come_back_is_gone(make_livekit: MakeLiveKit) -> None:
    livekit = await make_livekit(resume_window_s=0)
    bob = await livekit.connect("bob")
    await livekit.connect("alice")
    await bob.drop()
    await livekit.settle()
    assert list(livekit.rooms.by_name["demo"].participants) == ["alice"]
    assert livekit.rooms.ended[CloseReason.SIGNAL_TIMEOUT] == 1


async def test_state_that_does_not_match_ends_in_a_fresh_start(livekit: LiveKitWorld) -> None:
    alice, sid = await livekit.publisher()
    known = rtc.TrackPublishedResponse(track=models.TrackInfo(sid=sid))
    await alice.send(sync_state=rtc.SyncState(publish_tracks=[known]))
    assert "leave" not in alice.kinds()
    unknown = rtc.TrackPublishedResponse(track=models.TrackInfo(sid="TR_other"))
    await alice.send(sync_state=rtc.SyncState(publish_tracks=[unknown]))
    assert alice.last("leave").action == rtc.LeaveRequest.Action.RECONNECT


@pytest.mark.parametrize(
    ("cause", "reason", "action"),
    [
        (EngineCloseReason.CONSENT_EXPIRED, "CONNECTION_TIMEOUT", "RECONNECT"),
        (EngineCloseReason.DTLS_CLOSED, "CLIENT_INITIATED", "DISCONNECT"),
    ],
)
async def test_a_lost_connection_ends_the_session_with_its_reason(
    livekit: LiveKitWorld, cause: EngineCloseReason, reason: str, action: str
) -> None:
    alice = await livekit.connect()
    (transport,) = livekit.rooms.by_name["demo"].participants["alice"].connections
    livekit.link.lose_peer(transport, cause)
    await livekit.settle()
    leave = alice.last("leave")
    assert (models.DisconnectReason.Name(leave.reason), rtc.LeaveRequest.Action.Name(leave.action)) == (reason, action)


async def test_a_closed_room_sends_everybody_out(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    await livekit.rooms.close_room(livekit.rooms.by_name["demo"])
    await livekit.settle()
    assert alice.last("leave").reason == models.DisconnectReason.ROOM_DELETED
    assert alice.closed == (1000, "room_closed")


async def test_an_older_client_that_is_moved_gets_a_token_for_the_other_room_and_comes_again(
    livekit: LiveKitWorld,
) -> None:
    alice = await livekit.connect(protocol="15")
    await livekit.rooms.move(livekit.rooms.by_name["demo"].participants["alice"], "other")
    await livekit.settle()
    token = alice.last("refresh_token")
    assert alice.last("leave").action == rtc.LeaveRequest.Action.RECONNECT
    again = await livekit.connect(token=token)
    assert again.messages[0].join.room.name == "other"


async def test_who_is_moved_goes_on_over_the_same_socket_and_hears_of_the_other_room(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob", token=livekit.token("bob", "other"))
    await bob.answer()
    alice, sid = await livekit.publisher()
    carol = await livekit.connect("carol")
    room = await livekit.rooms.move(livekit.rooms.by_name["demo"].participants["alice"], "other")
    await livekit.settle()
    moved = alice.last("room_moved")
    assert (moved.room.name, moved.room.sid) == ("other", room.id)
    assert (moved.participant.sid, moved.participant.state) == (
        room.participants["alice"].id,
        models.ParticipantInfo.State.JOINED,
    )
    assert [track.sid for track in moved.participant.tracks] == [sid]
    assert [one.identity for one in moved.other_participants] == ["bob"]
    assert Keys.verify(moved.token, NOW).grants.room == "other"
    assert (alice.all("leave"), alice.all("refresh_token"), alice.closed) == ([], [], None)
    gone = [one.identity for update in carol.all("update") for one in update.participants if one.state == GONE]
    assert gone == ["alice"]
    told = [one for update in bob.all("update") for one in update.participants]
    assert [track.sid for track in told[-1].tracks] == [sid]
    assert bob.all("offer")[-1].sdp.count("m=video") == 1
    alice.all("update")
    await livekit.connect("dave")
    assert alice.all("update") == []
    await alice.send(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    assert room.participants["alice"].publications[sid].publisher_muted  # type: ignore[index]
    await alice.send(leave=rtc.LeaveRequest())
    assert list(room.participants) == ["bob"]
    assert len(livekit.context.sessions) == 3


async def test_who_was_moved_resumes_in_the_other_room_with_the_token_it_was_given(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    await livekit.rooms.move(livekit.rooms.by_name["demo"].participants["alice"], "other")
    await livekit.settle()
    moved = alice.last("room_moved")
    await alice.drop()
    again = await livekit.connect(token=moved.token, reconnect="1", sid=moved.participant.sid)
    assert again.messages[0].WhichOneof("message") == "reconnect"
    await livekit.rooms.close_room(livekit.rooms.by_name["other"])
    await livekit.settle()
    assert again.last("leave").reason == models.DisconnectReason.ROOM_DELETED


async def test_who_has_no_socket_when_it_is_moved_joins_anew(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    await alice.drop()
    participant = livekit.rooms.by_name["demo"].participants["alice"]
    await livekit.rooms.move(participant, "other")
    assert participant.successor is None
    assert livekit.rooms.by_name["other"].participants == {}


async def test_metadata_changes_are_answered_by_their_request_id(livekit: LiveKitWorld) -> None:
    bob = await livekit.connect("bob")
    may = await livekit.connect("alice", token=livekit.token("alice", can_update_own_metadata=True))
    await may.send(update_metadata=rtc.UpdateParticipantMetadata(attributes={"hand": "up"}, request_id=3))
    answer = may.last("request_response")
    assert (answer.request_id, answer.reason) == (3, Reason.OK)
    assert [dict(info.attributes) for info in bob.last("update").participants] == [{"hand": "up"}]
    await bob.send(update_metadata=rtc.UpdateParticipantMetadata(metadata="x", request_id=4))
    answer = bob.last("request_response")
    assert (answer.request_id, answer.reason) == (4, Reason.NOT_ALLOWED)


async def test_data_goes_to_whom_it_is_for_with_the_senders_name_on_it(livekit: LiveKitWorld) -> None:
    for identity in ("bob", "carol"):
        client = await livekit.connect(identity)
        await client.answer()
        participant = livekit.rooms.by_name["demo"].participants[identity]
        for transport in participant.connections:
            livekit.link.connect_peer(transport)
    await livekit.publisher("alice")
    alice = livekit.rooms.by_name["demo"].participants["alice"]
    user = models.UserPacket(payload=b"hello", participant_identity="mallory")
    packet = models.DataPacket(user=user, participant_identity="mallory", sequence=1)
    await livekit.data_from("alice", packet)
    sent = livekit.sent_data()
    assert len(sent) == 2
    assert {(one.participant_identity, one.participant_sid, one.user.participant_identity) for one in sent} == {
        ("alice", alice.id, "alice")
    }
    await livekit.data_from("alice", packet)  # the same number again: it came already
    assert len(livekit.sent_data()) == 2
    only = models.DataPacket(user=models.UserPacket(payload=b"x"), destination_identities=["carol"], sequence=2)
    await livekit.data_from("alice", only)
    assert len(livekit.sent_data()) == 3
    assert livekit.rooms.data_outcomes[DataOutcome.DELIVERED] == 3


async def test_a_packet_that_is_none_or_not_allowed_is_dropped_and_counted(livekit: LiveKitWorld) -> None:
    await livekit.publisher("alice")
    await livekit.data_from("alice", models.DataPacket())
    await livekit.data_from("alice", models.DataPacket(transcription=models.Transcription(track_id="TR_1")))
    troubles = livekit.context.troubles
    assert (troubles[Trouble.BAD_PACKET], troubles[Trouble.PACKET_NOT_ALLOWED]) == (1, 1)


async def test_data_for_a_client_without_channels_makes_way_for_newer_data(make_livekit: MakeLiveKit) -> None:
    livekit = await make_livekit(data_queue=3)
    await livekit.connect("bob")
    await livekit.publisher("alice")
    for number in range(5):
        user = models.UserPacket(payload=b"%d" % number)
        await livekit.data_from("alice", models.DataPacket(user=user, sequence=number + 1))
    assert livekit.context.troubles[Trouble.PACKET_LOST] == 2
    bob = livekit.rooms.by_name["demo"].participants["bob"]
    (transport,) = bob.connections
    livekit.link.connect_peer(transport)
    await livekit.settle()
    assert [packet.user.payload for packet in livekit.sent_data()] == [b"2", b"3", b"4"]


async def test_a_client_whose_channel_does_not_move_is_told_to_come_anew(make_livekit: MakeLiveKit) -> None:
    livekit = await make_livekit(data_queue=3)
    bob = await livekit.connect("bob")
    (transport,) = livekit.rooms.by_name["demo"].participants["bob"].connections
    livekit.link.connect_peer(transport)
    await livekit.publisher("alice")
    livekit.link.stalled = True
    session = next(s for s in livekit.context.sessions if s.participant.identity == "bob")
    for kind in (DataKind.RELIABLE, DataKind.LOSSY, *[DataKind.RELIABLE] * 4):
        session.data.deliver(DataPacket(kind, b"x"))
    assert livekit.context.troubles[Trouble.PACKET_LOST] == 1
    assert livekit.context.troubles[Trouble.SLOW] == 1
    livekit.link.resume()
    await livekit.settle()
    assert bob.last("leave").action == rtc.LeaveRequest.Action.RECONNECT


async def test_a_defect_in_one_session_is_logged_and_begins_it_anew(
    livekit: LiveKitWorld, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await livekit.connect("alice")
    bob = await livekit.connect("bob")
    session = next(s for s in livekit.context.sessions if s.participant.identity == "alice")

    async def broken(_event: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(session.news, "handle", broken)
    await livekit.connect("carol")
    assert alice.last("leave").action == rtc.LeaveRequest.Action.RECONNECT
    assert "was not acted on" in caplog.text
    assert bob.closed is None


async def test_what_is_not_done_here_is_refused_by_name(livekit: LiveKitWorld) -> None:
    alice = await livekit.connect()
    await alice.send(publish_data_track_request=rtc.PublishDataTrackRequest(pub_handle=1, name="x"))
    await alice.send(unpublish_data_track_request=rtc.UnpublishDataTrackRequest(pub_handle=1))
    await alice.send(update_data_subscription=rtc.UpdateDataSubscription())
    await alice.send(store_data_blob_request=rtc.StoreDataBlobRequest(request_id=5))
    await alice.send(get_data_blob_request=rtc.GetDataBlobRequest(request_id=6))
    answers = alice.all("request_response")
    assert [answer.reason for answer in answers] == [Reason.UNSUPPORTED_TYPE] * 5
    assert [answer.request_id for answer in answers[-2:]] == [5, 6]


async def test_nothing_of_a_session_stays_behind(livekit: LiveKitWorld) -> None:
    offer = rtc.SessionDescription(type="offer", sdp=client_offer(OfferedData("0")), id=1)
    clients = [await livekit.connect("alice"), await livekit.connect_single("bob", publisher_offer=offer)]
    for client in clients:
        await client.send(leave=rtc.LeaveRequest())
    assert len(livekit.context.sessions) == 0
    assert livekit.rooms.connections == {}
    assert all(client.task.done() for client in clients)


async def test_who_asks_too_fast_is_told_which_requests_were_not_done(livekit: LiveKitWorld) -> None:
    livekit.context.pace = Pace(per_second=1_000, burst=2)
    alice = await livekit.connect()
    for cid in ("one", "two", "three"):
        request = rtc.AddTrackRequest(cid=cid, type=models.TrackType.AUDIO, source=models.TrackSource.MICROPHONE)
        await alice.send(add_track=request)
    assert [told.cid for told in alice.all("track_published")] == ["one", "two"]
    refused = alice.last("request_response")
    assert (refused.reason, refused.add_track.cid) == (rtc.RequestResponse.Reason.LIMIT_EXCEEDED, "three")
    assert livekit.context.troubles[Trouble.TOO_FAST] == 1
    bob = await livekit.connect("bob")
    await bob.announce("mic", "AUDIO")
    await alice.send(leave=rtc.LeaveRequest())
    await livekit.until(lambda: "alice" not in livekit.rooms.by_name["demo"].participants)


async def test_pings_and_what_is_not_known_count_too(livekit: LiveKitWorld) -> None:
    livekit.context.pace = Pace(per_second=1_000, burst=1)
    alice = await livekit.connect()
    for _ in range(2):
        await alice.send(ping=1)
    await livekit.until(lambda: alice.all("request_response"))
    assert len(alice.all("pong")) == 1
    await alice.send_frame(b"\xd2\x0f\x00")  # a field of a version to come
    await livekit.until(lambda: livekit.context.troubles[Trouble.TOO_FAST] == 2)
    assert livekit.context.troubles[Trouble.EMPTY] == 1
