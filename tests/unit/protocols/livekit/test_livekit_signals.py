"""LiveKit's messages on the wire, joins, layers and data packets."""

from __future__ import annotations

import base64
import gzip
import json

import pytest
from livekit.protocol import models, rtc

from roomtone.protocols.livekit import (
    BadMessage,
    BadMessageError,
    JoinError,
    Sender,
    Wish,
    describe_layers,
    quality_of,
    read_join,
    read_packet,
    read_request,
    read_wish,
    sign,
    topic_of,
    wanted_qualities,
    write_response,
)

LOW, MEDIUM, HIGH = models.VideoQuality.LOW, models.VideoQuality.MEDIUM, models.VideoQuality.HIGH
SIMULCAST = ("q", "h", "f")


def test_a_request_reads_alike_from_protobuf_and_json() -> None:
    request = rtc.SignalRequest(mute=rtc.MuteTrackRequest(sid="TR_1", muted=True))
    assert read_request(request.SerializeToString(), 100) == request
    assert read_request('{"mute": {"sid": "TR_1", "muted": true}, "news": 1}', 100) == request


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"\xff", BadMessage.MALFORMED),
        ("[]", BadMessage.EMPTY),
        ('{"mute": {"sid": 5}}', BadMessage.MALFORMED),
        ("\ud800", BadMessage.MALFORMED),
        ("[" * 90, BadMessage.MALFORMED),
        (b"", BadMessage.EMPTY),
        ("{}", BadMessage.EMPTY),
        (bytes(101), BadMessage.TOO_LARGE),
        ("é" * 51, BadMessage.TOO_LARGE),
    ],
)
def test_what_is_no_request_has_a_reason(frame: bytes | str, reason: BadMessage) -> None:
    with pytest.raises(BadMessageError) as caught:
        read_request(frame, 100)
    assert caught.value.reason is reason


def test_a_response_is_written_as_the_client_speaks() -> None:
    response = rtc.SignalResponse(pong=4)
    assert write_response(response) == response.SerializeToString()
    text = write_response(response, as_text=True)
    assert json.loads(text) == {"pong": "4"}


def test_a_data_packet_needs_something_in_it() -> None:
    packet = models.DataPacket(user=models.UserPacket(payload=b"x"))
    assert read_packet(packet.SerializeToString(), 100) == packet
    for data, reason in (
        (b"\xff", BadMessage.MALFORMED),
        (b"", BadMessage.EMPTY),
        (bytes(101), BadMessage.TOO_LARGE),
    ):
        with pytest.raises(BadMessageError) as caught:
            read_packet(data, 100)
        assert caught.value.reason is reason


# --- joins ---


def wrap(request: rtc.JoinRequest, *, zipped: bool = False) -> str:
    inner = request.SerializeToString()
    compression = rtc.WrappedJoinRequest.Compression.GZIP if zipped else rtc.WrappedJoinRequest.Compression.NONE
    packed = rtc.WrappedJoinRequest(compression=compression, join_request=gzip.compress(inner) if zipped else inner)
    return base64.urlsafe_b64encode(packed.SerializeToString()).decode()


def test_query_parameters_say_who_connects_and_how() -> None:
    attributes = base64.urlsafe_b64encode(b'{"a": "b"}').decode()
    join = read_join(
        {
            "sdk": "js",
            "version": "2.5.0",
            "protocol": "16",
            "client_protocol": "1",
            "browser": "Chrome",
            "capabilities": "CAP_PACKET_TRAILER,CAP_OF_TOMORROW",
            "reconnect": "1",
            "sid": "PA_1",
            "adaptive_stream": "true",
            "attributes": attributes,
        },
        needs_request=False,
    )
    assert join.client.sdk == models.ClientInfo.SDK.JS
    assert (join.client.protocol, join.client.client_protocol) == (16, 1)
    assert list(join.client.capabilities) == [models.ClientInfo.Capability.CAP_PACKET_TRAILER]
    assert (join.single, join.reconnect, join.participant_sid) == (False, True, "PA_1")
    assert (join.auto_subscribe, join.adaptive_stream, dict(join.attributes)) == (True, True, {"a": "b"})
    assert not read_join({"auto_subscribe": "0"}, needs_request=False).auto_subscribe
    assert read_join({"protocol": "x", "sdk": "new"}, needs_request=False).client.protocol == 0


@pytest.mark.parametrize("zipped", [False, True])
def test_a_wrapped_join_request_says_all_that_too(*, zipped: bool) -> None:
    request = rtc.JoinRequest(
        client_info=models.ClientInfo(sdk="RUST"),
        connection_settings=rtc.ConnectionSettings(auto_subscribe=True, adaptive_stream=True),
        metadata="m",
        participant_attributes={"a": "b"},
        add_track_requests=[rtc.AddTrackRequest(cid="x")],
        publisher_offer=rtc.SessionDescription(type="offer", sdp="v=0"),
        reconnect=True,
        participant_sid="PA_2",
    )
    join = read_join({"join_request": wrap(request, zipped=zipped)}, needs_request=True)
    assert join.single
    assert join.offer is not None
    assert (join.offer.sdp, join.metadata, dict(join.attributes)) == ("v=0", "m", {"a": "b"})
    assert [track.cid for track in join.tracks] == ["x"]
    assert (join.reconnect, join.participant_sid) == (True, "PA_2")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, "join_request is required"),
        ({"join_request": "*"}, "cannot base64 decode wrapped join request"),
        ({"join_request": base64.b64encode(b"\xff").decode()}, "cannot base64 decode|cannot unmarshal wrapped"),
        ({"join_request": base64.urlsafe_b64encode(b"\x08\x01\x12\x01x").decode()}, "cannot read decompressed"),
        ({"join_request": base64.urlsafe_b64encode(b"\x12\x01\xff").decode()}, "cannot unmarshal join request"),
    ],
)
def test_what_is_no_join_request_is_said_to_be_none(query: dict[str, str], text: str) -> None:
    with pytest.raises(JoinError, match=text):
        read_join(query, needs_request=True)


@pytest.mark.parametrize("text", ["*", base64.b64encode(b"[]").decode(), base64.b64encode(b'{"a": 1}').decode()])
def test_attributes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(JoinError, match="cannot decode attributes"):
        read_join({"attributes": text}, needs_request=False)


# --- layers ---


def test_encodings_are_named_by_rid_or_by_their_place() -> None:
    assert [quality_of(SIMULCAST, index) for index in range(3)] == [LOW, MEDIUM, HIGH]
    assert [quality_of(("h", "f"), index) for index in range(2)] == [MEDIUM, HIGH]
    assert [quality_of((), index) for index in range(4)] == [LOW, MEDIUM, HIGH, HIGH]


@pytest.mark.parametrize(
    ("rids", "wanted", "enabled"),
    [
        (SIMULCAST, (7, None, None), [True, False, False]),
        (SIMULCAST, (7, 7, 0), [True, True, True]),
        (("q", "h"), (None, 7), [False, True, False]),
        ((), (7,), [True, True, True]),
        ((), (None,), [False, False, False]),
        ((), (), [False, False, False]),
    ],
)
def test_what_nobody_wants_is_switched_off(
    rids: tuple[str, ...], wanted: tuple[int | None, ...], enabled: list[bool]
) -> None:
    qualities = wanted_qualities(rids, wanted)
    assert [quality.quality for quality in qualities] == [LOW, MEDIUM, HIGH]
    assert [quality.enabled for quality in qualities] == enabled


@pytest.mark.parametrize(
    ("settings", "rids", "wish"),
    [
        ({"disabled": True, "width": 100}, SIMULCAST, Wish(paused=True)),
        ({"quality": "OFF"}, SIMULCAST, Wish(paused=True)),
        ({"width": 640, "height": 360, "fps": 10}, SIMULCAST, Wish(max_width=640, max_height=360, max_fps=10)),
        ({"quality": "LOW"}, SIMULCAST, Wish(spatial=0)),
        ({"quality": "MEDIUM"}, SIMULCAST, Wish(spatial=1)),
        ({"quality": "HIGH"}, SIMULCAST, Wish(spatial=2)),
        ({"quality": "LOW"}, ("h", "f"), Wish(spatial=0)),
        ({"quality": "LOW"}, (), Wish()),
    ],
)
def test_settings_of_a_track_say_what_is_wanted_of_it(
    settings: dict[str, object], rids: tuple[str, ...], wish: Wish
) -> None:
    assert read_wish(rtc.UpdateTrackSettings(**settings), rids) == wish  # type: ignore[arg-type]


def test_the_quality_of_one_scalable_encoding_is_a_spatial_layer() -> None:
    qualities = [rtc.UpdateTrackSettings(quality=quality) for quality in (LOW, MEDIUM, HIGH)]
    assert [read_wish(settings, (), 3).spatial for settings in qualities] == [0, 1, 2]
    assert [read_wish(settings, ("f",), 2).spatial for settings in qualities] == [0, 1, 1]


def test_announced_layers_get_the_rids_that_are_sent() -> None:
    announced = [models.VideoLayer(quality=LOW, width=320), models.VideoLayer(quality=HIGH, rid="own")]
    assert [layer.rid for layer in describe_layers(announced, SIMULCAST)] == ["q", "own"]
    assert [layer.rid for layer in describe_layers(announced, ())] == ["", "own"]
    assert announced[0].rid == ""


# --- data packets ---

ALICE = Sender("alice", "PA_1")
AGENT = Sender("agent", "PA_2", agent=True)


def test_a_packet_says_who_sent_it_whatever_it_said_before() -> None:
    packet = models.DataPacket(user=models.UserPacket(payload=b"x", participant_sid="PA_9"), participant_identity="eve")
    assert sign(packet, ALICE, reliable=True) == ()
    assert (packet.participant_identity, packet.participant_sid, packet.user.participant_sid) == (
        "alice",
        "PA_1",
        "PA_1",
    )
    assert packet.kind == models.DataPacket.RELIABLE
    sign(packet, Sender("ghost", "PA_3", hidden=True), reliable=False)
    assert (packet.participant_identity, packet.user.participant_identity) == ("", "")
    assert packet.kind == models.DataPacket.LOSSY


def test_destinations_of_old_and_new_clients_are_one_thing() -> None:
    old = models.DataPacket(user=models.UserPacket(destination_identities=["bob", "bob"]))
    assert sign(old, ALICE, reliable=True) == ("bob",)
    new = models.DataPacket(user=models.UserPacket(destination_identities=["x"]), destination_identities=["carol"])
    assert sign(new, ALICE, reliable=True) == ("carol",)
    assert list(new.user.destination_identities) == ["carol"]


def test_an_agent_alone_speaks_for_others_and_it_shows() -> None:
    chat = models.DataPacket(chat_message=models.ChatMessage(message="x"), participant_identity="bob")
    sign(chat, AGENT, reliable=True)
    assert (chat.participant_identity, chat.chat_message.generated) == ("bob", True)
    sign(chat, ALICE, reliable=True)
    assert chat.participant_identity == "alice"
    header = models.DataStream.Header(topic="notes", text_header=models.DataStream.TextHeader())
    stream = models.DataPacket(stream_header=header, participant_identity="bob")
    sign(stream, AGENT, reliable=True)
    assert stream.participant_identity == "bob"
    assert topic_of(stream) == "notes"
    call = models.DataPacket(rpc_request=models.RpcRequest(), participant_identity="bob")
    sign(call, AGENT, reliable=True)
    assert call.participant_identity == "agent"
    assert topic_of(call) == ""
