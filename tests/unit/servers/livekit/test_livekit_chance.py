"""Requests of chance: whatever a client sends and in whatever order, it is answered or sent away, and others go on."""

from __future__ import annotations

import json
import logging
import random
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from livekit.protocol import room, rtc
from livekit_world import Client, LiveKitWorld, camera, client_offer, microphone
from test_twirp import ask

from roomtone.control.policy import Pace
from roomtone.protocols.sdp import OfferedData
from roomtone.servers.livekit.twirp_rooms import ROOM_SERVICE

SDP = client_offer(camera(), microphone(), OfferedData("0"))
CANDIDATE = json.dumps({"candidate": "candidate:1 1 udp 1 192.0.2.7 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0})
TEXTS = (
    "",
    "cam",
    "mic",
    "alice",
    "bob",
    "mallory",
    "demo",
    "other",
    "lk.chat",
    "vp8",
    "video/AV1",
    "offer",
    "answer",
    SDP,
    SDP[:300],
    SDP.replace("VP8", "XX"),
    SDP.replace("a=mid:1", "a=mid:0"),
    CANDIDATE,
    "{}",
    "[1]",
    "\0",
    "é" * 70,
    "x" * 70_000,
)
NUMBERS = (0, 1, 2, 3, 7, 255, 65_535, 2**31 - 1)
_FLOATS = {FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE}


class Chance:
    """Messages of chance from a seed, with ids in them that mean something."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)  # noqa: S311 - a seeded source is the point
        self.ids: list[str] = []

    def fill(self, message: Message, depth: int = 0) -> Message:
        """Say something in about half of the fields."""
        for field in message.DESCRIPTOR.fields:
            if depth > 4 or self.source.random() < 0.5:
                continue
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                continue
            if field.is_repeated:
                for _ in range(self.source.randrange(4)):
                    held = getattr(message, field.name)
                    if field.message_type is None:
                        held.append(self.value(field))
                    else:
                        self.fill(held.add(), depth + 1)
            elif field.message_type is not None:
                self.fill(getattr(message, field.name), depth + 1)
                getattr(message, field.name).SetInParent()
            else:
                setattr(message, field.name, self.value(field))
        return message

    def value(self, field: FieldDescriptor) -> Any:
        """Give a plain value."""
        pick = self.source.choice
        if field.enum_type is not None:
            return pick([value.number for value in field.enum_type.values])
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return pick(TEXTS).encode()
            case FieldDescriptor.CPPTYPE_STRING:
                return pick(self.ids) if self.ids and self.source.random() < 0.4 else pick(TEXTS)
            case FieldDescriptor.CPPTYPE_BOOL:
                return self.source.random() < 0.5
            case _:
                return float(pick(NUMBERS)) if field.type in _FLOATS else pick(NUMBERS)

    def frame(self) -> bytes | str:
        """Make a request, as clients frame it, or garbled."""
        request = rtc.SignalRequest()
        kind = self.source.choice([one.name for one in rtc.SignalRequest.DESCRIPTOR.oneofs_by_name["message"].fields])
        if kind not in {"ping", "leave"} or self.source.random() < 0.1:
            content = getattr(request, kind)
            if isinstance(content, Message):
                self.fill(content)
                content.SetInParent()
            else:
                setattr(request, kind, 1)
        frame = bytearray(request.SerializeToString())
        if frame and self.source.random() < 0.1:
            frame[self.source.randrange(len(frame))] = self.source.randrange(256)
        return bytes(frame)


async def carried_on(world: LiveKitWorld, bystander: Client, sid: str) -> None:
    """See that somebody else is answered and has its track."""
    await bystander.send(ping_req=rtc.Ping(timestamp=7))
    assert bystander.last("pong_resp").last_ping_timestamp == 7
    assert bystander.closed is None
    assert world.rooms.by_name["demo"].publication(sid) is not None


@pytest.mark.parametrize("seed", range(6))
async def test_requests_of_chance_end_their_session_at_most(
    livekit: LiveKitWorld, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    livekit.context.pace = Pace(1e9, 1e9)
    livekit.context.limiter = type(livekit.context.limiter)(0, 0)
    chance = Chance(seed)
    bob, sid = await livekit.publisher("bob")
    before = livekit.link.objects.keys()
    mallory: Client | None = None
    with caplog.at_level(logging.WARNING):
        for turn in range(150):
            if mallory is None or mallory.closed is not None:
                single = chance.source.random() < 0.5
                connect = livekit.connect_single if single else livekit.connect
                mallory = await connect("mallory")
                assert mallory.accepted
                participant = livekit.rooms.by_name["demo"].participants["mallory"]
                chance.ids = [sid, participant.id, livekit.rooms.by_name["demo"].participants["bob"].id]
                bob.messages.clear()
            await mallory.send_frame(chance.frame())
            chance.ids[3:] = [
                told.track_published.track.sid for told in mallory.messages if told.HasField("track_published")
            ]
            if turn % 30 == 0:
                await carried_on(livekit, bob, sid)
    assert len(livekit.context.troubles) >= 3  # it was no polite client
    assert mallory is not None
    if mallory.closed is None:
        await mallory.send(leave=rtc.LeaveRequest())
    await carried_on(livekit, bob, sid)
    assert livekit.rooms.by_name["demo"].participants.keys() == {"bob"}
    assert set(before) == set(livekit.link.objects)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_calls_of_chance_are_answered_and_never_by_an_internal_error(
    livekit: LiveKitWorld, caplog: pytest.LogCaptureFixture
) -> None:
    chance = Chance(1)
    _, sid = await livekit.publisher("alice")
    codes = set()
    with caplog.at_level(logging.ERROR):
        for _ in range(300):
            name = chance.source.choice([name for name in ROOM_SERVICE if name != "PerformRpc"])
            chance.ids = [sid, "alice", "demo", "demo", "demo"]
            request = chance.fill(getattr(room, _REQUESTS.get(name, f"{name}Request"))())
            answer = await ask(livekit, name, request)
            codes.add(answer[0] if isinstance(answer, tuple) else "ok")
            if "demo" not in livekit.rooms.by_name:
                _, sid = await livekit.publisher("alice")
    assert {"ok", "not_found", "unauthenticated"} <= codes
    assert "internal" not in codes
    assert caplog.records == []


_REQUESTS = {
    "GetParticipant": "RoomParticipantIdentity",
    "RemoveParticipant": "RoomParticipantIdentity",
    "MutePublishedTrack": "MuteRoomTrackRequest",
}


async def test_metadata_over_its_limit_is_refused_by_each_way_to_say_it(livekit: LiveKitWorld) -> None:
    grown = "x" * 70_000
    client = await livekit.connect(token=livekit.token("alice", can_update_own_metadata=True))
    for change in ({"metadata": grown}, {"attributes": {"a": grown}}, {"name": grown}):
        await client.send(update_metadata=rtc.UpdateParticipantMetadata(request_id=3, **change))
        refused = client.last("request_response")
        assert (refused.request_id, refused.reason) == (3, rtc.RequestResponse.Reason.LIMIT_EXCEEDED)
    assert livekit.rooms.by_name["demo"].participants["alice"].metadata == ""
    update = room.UpdateParticipantRequest(room="demo", identity="alice", metadata=grown)
    assert (await ask(livekit, "UpdateParticipant", update))[0] == "invalid_argument"
    whole = room.UpdateRoomMetadataRequest(room="demo", metadata=grown)
    assert (await ask(livekit, "UpdateRoomMetadata", whole))[0] == "invalid_argument"
    made = room.CreateRoomRequest(name="another", metadata=grown)
    assert (await ask(livekit, "CreateRoom", made))[0] == "invalid_argument"
    assert isinstance(await ask(livekit, "ListParticipants", room.ListParticipantsRequest(room="demo")), Message)
    assert livekit.rooms.refused[next(one for one in livekit.rooms.refused if one.value == "too_large")] == 6
