"""What webhooks tell of rooms: LiveKit's events, in the order in which they happened."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pytest
from google.protobuf.json_format import Parse
from livekit.protocol import models, rtc
from livekit.protocol.webhook import WebhookEvent
from livekit_world import NOW, LiveKitWorld

from roomtone.control.rooms import CloseReason, JoinRequest, PlainAddress, TrackOffer
from roomtone.control.webhooks import Webhook
from roomtone.media.values import EncodingParameters, MediaKind
from roomtone.protocols.sdp import Codec
from roomtone.servers.livekit import report_rooms


@dataclass
class Sender:
    """Keeps what it is told."""

    told: list[Webhook] = field(default_factory=list)

    def send(self, webhook: Webhook) -> None:
        self.told.append(webhook)

    def events(self) -> list[WebhookEvent]:
        return [Parse(one.body, WebhookEvent()) for one in self.told]

    def names(self) -> list[str]:
        return [one.event for one in self.told]


@pytest.fixture
def sender(livekit: LiveKitWorld) -> Sender:
    made = Sender()
    numbers = itertools.count(1)
    report_rooms(livekit.context, made, lambda: f"EV_{next(numbers)}")
    return made


async def connect(world: LiveKitWorld, identity: str) -> None:
    for connection in world.rooms.by_name["demo"].participants[identity].connections:
        world.link.connect_peer(connection)
    await world.settle()


async def test_a_room_from_its_first_to_its_last_event(livekit: LiveKitWorld, sender: Sender) -> None:
    alice, sid = await livekit.publisher("alice")
    assert sender.names() == ["room_started"]  # she is not connected yet
    await connect(livekit, "alice")
    await alice.send(mute=rtc.MuteTrackRequest(sid=sid, muted=True))
    await livekit.rooms.unpublish(livekit.rooms.publications[next(iter(livekit.rooms.publications))])
    await alice.send(leave=rtc.LeaveRequest())
    await livekit.rooms.close_room(livekit.rooms.by_name["demo"])
    assert sender.names() == [
        "room_started",
        "participant_joined",
        "track_published",
        "track_unpublished",
        "participant_left",
        "room_finished",
    ]
    started, joined, published, unpublished, left, finished = sender.events()
    assert [one.id for one in sender.events()] == [f"EV_{number}" for number in range(1, 7)]
    assert {one.room.sid for one in sender.events()} == {started.room.sid}
    assert (started.created_at, started.room.name) == (int(NOW), "demo")
    assert (joined.participant.identity, joined.participant.state) == ("alice", models.ParticipantInfo.State.ACTIVE)
    assert (published.track.sid, published.track.muted) == (sid, False)
    assert (unpublished.track.sid, unpublished.track.muted, unpublished.track.name) == (sid, True, "cam")
    assert left.participant.sid == joined.participant.sid
    assert left.participant.disconnect_reason == models.DisconnectReason.CLIENT_INITIATED
    assert finished.room_end_reason == models.RoomEndReason.ROOM_END_API_DELETE
    assert {one.room for one in sender.told} == {"demo"}


async def test_who_leaves_takes_its_tracks_along_before_it_is_gone(livekit: LiveKitWorld, sender: Sender) -> None:
    await livekit.publisher("alice")
    await connect(livekit, "alice")
    await livekit.rooms.remove(livekit.rooms.by_name["demo"].participants["alice"])
    assert sender.names()[-2:] == ["track_unpublished", "participant_left"]
    assert sender.events()[-1].participant.disconnect_reason == models.DisconnectReason.PARTICIPANT_REMOVED


async def test_who_never_connects_is_told_as_that_and_nothing_else_of_it(livekit: LiveKitWorld, sender: Sender) -> None:
    await livekit.publisher("alice")
    await livekit.rooms.end(livekit.rooms.by_name["demo"].participants["alice"], CloseReason.NEVER_CONNECTED)
    assert sender.names() == ["room_started", "participant_connection_aborted"]
    assert sender.events()[-1].participant.disconnect_reason == models.DisconnectReason.JOIN_FAILURE


async def test_who_comes_again_under_its_identity_is_another_participant(livekit: LiveKitWorld, sender: Sender) -> None:
    for _ in range(2):
        alice = await livekit.connect("alice")
        await alice.answer()
        await connect(livekit, "alice")
    first, gone, second = (one for one in sender.events() if one.event.startswith("participant"))
    assert [one.event for one in (first, gone, second)] == [
        "participant_joined",
        "participant_left",
        "participant_joined",
    ]
    assert first.participant.sid == gone.participant.sid != second.participant.sid
    assert gone.participant.disconnect_reason == models.DisconnectReason.DUPLICATE_IDENTITY


async def test_a_room_that_ends_by_itself_says_why_and_what_came_otherwise_is_told_of_too(
    livekit: LiveKitWorld, sender: Sender
) -> None:
    phone = await livekit.rooms.join("demo", JoinRequest("phone"))
    connection = await livekit.rooms.open_connection(phone)
    livekit.link.connect_peer(connection.transport.id)
    await livekit.settle()
    await livekit.rooms.close_room(phone.room, CloseReason.ROOM_EMPTY)
    assert sender.names() == ["room_started", "participant_joined", "participant_left", "room_finished"]
    assert sender.events()[-1].room_end_reason == models.RoomEndReason.ROOM_END_IDLE_TIMEOUT


async def test_who_comes_by_plain_rtp_has_joined_at_once(livekit: LiveKitWorld, sender: Sender) -> None:
    codec = Codec(kind=MediaKind.AUDIO, payload_type=8, name="PCMA", clock_rate=8000)
    offer = TrackOffer(MediaKind.AUDIO, (codec,), encodings=(EncodingParameters(ssrc=1),))
    address = PlainAddress(ip="192.0.2.1", port=5004)
    phone, _ = await livekit.rooms.publish_plain("demo", JoinRequest("phone"), [(offer, address)])
    await livekit.rooms.end(phone)
    assert sender.names() == [
        "room_started",
        "participant_joined",
        "track_published",
        "track_unpublished",
        "participant_left",
    ]


async def test_a_sender_that_breaks_disturbs_no_room(livekit: LiveKitWorld, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def send(self, webhook: Webhook) -> None:
            raise RuntimeError(webhook.id)

    report_rooms(livekit.context, Broken())
    await livekit.rooms.join("demo", JoinRequest("phone"))
    assert "a listener of room demo failed" in caplog.text
