"""mediasoup's JSON against what `mediasoup-client` in Chromium sent: read, agreed, written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from roomtone.media.values import Candidate, DtlsRole, Fingerprint, MediaKind
from roomtone.protocols.mediasoup import (
    ANSWERS,
    ConsumerType,
    Event,
    Payload,
    PayloadCode,
    PayloadError,
    Sending,
    choose_received_media,
    consumer_type,
    read_capabilities,
    read_request,
    read_sent_media,
    router_capabilities,
    write_candidates,
    write_received_media,
    write_sent_media,
)
from roomtone.protocols.mediasoup import requests as ask
from roomtone.protocols.sdp import Codec, Support

VECTORS = Path(__file__).parents[3] / "vectors" / "mediasoup"
SUPPORT = Support()
OPUS = Codec(MediaKind.AUDIO, 96, "OPUS", 48000, 2, (("useinbandfec", "1"), ("sprop-stereo", "1")))
VP8 = Codec(MediaKind.VIDEO, 120, "VP8", 90000, rtx_payload_type=121)
H264 = Codec(
    MediaKind.VIDEO,
    98,
    "H264",
    90000,
    1,
    (("packetization-mode", "1"), ("profile-level-id", "42e01f")),
    VP8.feedback,
    99,
)


def vector(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text())
    return read


def refused(event: Event, payload: object) -> PayloadError:
    with pytest.raises(PayloadError) as raised:
        read_request(event, payload)
    return raised.value


def test_a_routers_payload_types_and_extension_numbers_mean_one_thing_each() -> None:
    given = router_capabilities(SUPPORT)
    types = [codec["preferredPayloadType"] for codec in given["codecs"]]
    assert len(set(types)) == len(types)
    names = {codec["mimeType"] for codec in given["codecs"]}
    assert {"audio/opus", "video/VP8", "video/VP9", "video/AV1", "video/H264", "video/rtx"} <= names
    numbers = {(ext["preferredId"], ext["uri"]) for ext in given["headerExtensions"]}
    assert len({number for number, _ in numbers}) == len({uri for _, uri in numbers}) == len(numbers)
    assert max(number for number, _ in numbers) <= 14
    for codec in given["codecs"]:
        if codec["mimeType"].endswith("rtx"):
            assert codec["parameters"]["apt"] in types


def test_a_room_with_few_codecs_offers_only_these() -> None:
    names = {codec["mimeType"] for codec in router_capabilities(SUPPORT, {"OPUS", "VP8"})["codecs"]}
    assert names == {"audio/opus", "video/VP8", "video/rtx"}


@pytest.mark.parametrize("asked_again", [True, False])
def test_lost_audio_may_be_asked_for_again_only_where_the_settings_say_so(asked_again: bool) -> None:
    given = router_capabilities(Support(audio_nack=asked_again))
    (opus,) = [codec for codec in given["codecs"] if codec["mimeType"] == "audio/opus"]
    assert ({"type": "nack", "parameter": ""} in opus["rtcpFeedback"]) is asked_again


def test_what_a_client_sends_is_read_with_its_repairs_extensions_and_encodings() -> None:
    request = read_request(Event.PRODUCE, vector("produce-video-simulcast"))
    assert isinstance(request, ask.Produce)
    assert (request.kind, request.app_data) == (MediaKind.VIDEO, {"source": "camera"})
    media = read_sent_media(request.parameters, request.kind, SUPPORT)
    (codec,) = media.codecs
    assert (codec.name, codec.payload_type, codec.rtx_payload_type) == ("VP8", 96, 97)
    assert codec.feedback.transport_cc
    assert codec.feedback.pli
    assert [encoding.rid for encoding in media.encodings] == ["r0", "r1", "r2"]
    assert media.scalability == "L1T3"
    assert {ext.uri: ext.id for ext in media.extensions}["urn:ietf:params:rtp-hdrext:sdes:mid"] == 9
    written = write_sent_media(media)
    again = read_sent_media(Payload(written), MediaKind.VIDEO, SUPPORT)
    assert (again.codecs, again.encodings, again.extensions) == (media.codecs, media.encodings, media.extensions)


def test_names_are_taken_in_snake_case_too() -> None:
    def snake(value: Any) -> Any:
        if isinstance(value, list):
            return [snake(item) for item in value]
        if not isinstance(value, dict):
            return value
        keep = {"parameters", "appData"}
        return {
            "".join("_" + c.lower() if c.isupper() else c for c in key): (item if key in keep else snake(item))
            for key, item in value.items()
        }

    for name in ("produce-audio", "produce-video-h264"):
        camel, other = read_request(Event.PRODUCE, vector(name)), read_request(Event.PRODUCE, snake(vector(name)))
        assert isinstance(camel, ask.Produce)
        assert isinstance(other, ask.Produce)
        assert read_sent_media(camel.parameters, camel.kind, SUPPORT) == read_sent_media(
            other.parameters, other.kind, SUPPORT
        )
    assert read_request(Event.CONSUME, snake(vector("consume"))) == read_request(Event.CONSUME, vector("consume"))


def test_a_consumer_gets_the_routers_numbers_and_what_its_client_can_do() -> None:
    request = read_request(Event.CONSUME, vector("consume"))
    assert isinstance(request, ask.Consume)
    received = choose_received_media((H264, VP8), MediaKind.VIDEO, request.capabilities, SUPPORT)
    router = {codec["preferredPayloadType"]: codec["mimeType"] for codec in router_capabilities(SUPPORT)["codecs"]}
    assert [router[codec.payload_type] for codec in received.codecs] == ["video/H264", "video/VP8"]
    written = write_received_media(received, Sending("3", 1111, 2222, "name", encodings=3, scalability="L1T3"))
    assert written["encodings"] == [{"ssrc": 1111, "rtx": {"ssrc": 2222}, "scalabilityMode": "L3T3"}]
    assert written["mid"] == "3"
    feedback = {(one["type"], one["parameter"]) for one in written["codecs"][0]["rtcpFeedback"]}
    assert ("transport-cc", "") in feedback
    assert ("goog-remb", "") not in feedback
    assert all(ext["id"] <= 14 for ext in written["headerExtensions"])


def test_sound_keeps_what_its_publisher_says_of_it() -> None:
    client = read_capabilities(Payload(vector("consume")["rtpCapabilities"]))
    (codec,) = choose_received_media((OPUS,), MediaKind.AUDIO, client, SUPPORT).codecs
    assert codec.parameters == OPUS.parameters
    assert codec.payload_type == 111


def test_a_client_without_the_codec_gets_nothing() -> None:
    client = read_capabilities(
        Payload(
            {"codecs": [{"mimeType": "audio/opus", "clockRate": 48000, "channels": 2, "preferredPayloadType": 100}]}
        )
    )
    with pytest.raises(PayloadError) as raised:
        choose_received_media((VP8,), MediaKind.VIDEO, client, SUPPORT)
    assert raised.value.code is PayloadCode.NO_COMMON_CODEC


@pytest.mark.parametrize(
    ("encodings", "mode", "codec", "kind"),
    [
        (1, None, "VP8", ConsumerType.SIMPLE),
        (3, "L1T3", "VP8", ConsumerType.SIMULCAST),
        (1, "L1T3", "VP8", ConsumerType.SIMULCAST),
        (1, "L3T3_KEY", "VP9", ConsumerType.SVC),
        (1, "L1T2", "AV1", ConsumerType.SVC),
        (1, "L1T1", "VP9", ConsumerType.SIMPLE),
        (1, "nonsense", "VP9", ConsumerType.SIMPLE),
    ],
)
def test_how_a_stream_can_change_follows_encodings_and_mode(
    encodings: int, mode: str | None, codec: str, kind: ConsumerType
) -> None:
    assert consumer_type(encodings, mode, codec) is kind


@pytest.mark.parametrize(("role", "ours"), [("client", DtlsRole.PASSIVE), ("server", DtlsRole.ACTIVE)])
def test_our_dtls_role_is_the_other_one(role: str, ours: DtlsRole) -> None:
    payload = vector("connect-transport")
    payload["dtlsParameters"]["role"] = role
    request = read_request(Event.CONNECT_TRANSPORT, payload)
    assert isinstance(request, ask.ConnectTransport)
    assert request.remote.dtls_role is ours
    assert all(isinstance(print_, Fingerprint) for print_ in request.remote.fingerprints)


def test_candidates_have_both_names_of_the_address() -> None:
    tcp = Candidate(
        foundation="2", component=1, protocol="tcp", priority=1, ip="192.0.2.1", port=9, kind="host", tcp_type="passive"
    )
    (one,) = write_candidates([tcp])
    assert (one["ip"], one["address"], one["tcpType"], one["type"]) == ("192.0.2.1", "192.0.2.1", "passive", "host")


def test_each_event_has_an_answer() -> None:
    assert set(ANSWERS) == set(Event)


@pytest.mark.parametrize("payload", [None, [], "text", 3, True])
def test_what_is_no_object_is_refused(payload: object) -> None:
    for event in Event:
        assert refused(event, payload).code is PayloadCode.MALFORMED


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("produce-audio", "rtpParameters"),
        ("produce-audio", "transportId"),
        ("produce-audio", "kind"),
        ("produce-audio", "roomId"),
    ],
)
def test_a_missing_field_is_named(name: str, missing: str) -> None:
    payload = vector(name)
    del payload[missing]
    error = refused(Event.PRODUCE, payload)
    assert error.code is PayloadCode.MISSING_FIELD
    assert missing in error.message


def sent(change: dict[str, Any], name: str = "produce-video-simulcast") -> PayloadError:
    payload = vector(name)
    payload["rtpParameters"] |= change
    request = read_request(Event.PRODUCE, payload)
    assert isinstance(request, ask.Produce)
    with pytest.raises(PayloadError) as raised:
        read_sent_media(request.parameters, request.kind, SUPPORT)
    return raised.value


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"codecs": []}, PayloadCode.MISSING_FIELD),
        ({"codecs": "VP8"}, PayloadCode.BAD_FIELD),
        ({"codecs": [{"mimeType": "video/VP8"}]}, PayloadCode.MISSING_FIELD),
        ({"codecs": [{"mimeType": "text/x", "payloadType": 1, "clockRate": 1}]}, PayloadCode.BAD_FIELD),
        ({"codecs": [{"mimeType": "audio/opus", "payloadType": 1, "clockRate": 48000}]}, PayloadCode.BAD_FIELD),
        ({"codecs": [{"mimeType": "video/x9", "payloadType": 1, "clockRate": 90000}]}, PayloadCode.NO_COMMON_CODEC),
        ({"codecs": [{"mimeType": "video/VP8", "payloadType": 128, "clockRate": 90000}]}, PayloadCode.BAD_FIELD),
        ({"codecs": [{}] * 200}, PayloadCode.TOO_LARGE),
        ({"encodings": [{"rid": str(n)} for n in range(9)]}, PayloadCode.TOO_LARGE),
        ({"encodings": [{"rid": "a"}, {"rid": "a"}]}, PayloadCode.BAD_FIELD),
        ({"encodings": [{"rid": "a"}, {}]}, PayloadCode.BAD_FIELD),
        ({"mid": None, "encodings": []}, PayloadCode.BAD_FIELD),
        ({"mid": "m" * 17}, PayloadCode.TOO_LARGE),
        ({"headerExtensions": [{"uri": "urn:x", "id": 0}]}, PayloadCode.BAD_FIELD),
    ],
)
def test_parameters_that_cannot_be_served_are_refused(change: dict[str, Any], code: PayloadCode) -> None:
    assert sent(change).code is code


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        ({}, PayloadCode.MISSING_FIELD),
        ({"streamId": 65535}, PayloadCode.BAD_FIELD),
        ({"streamId": True}, PayloadCode.BAD_FIELD),
        ({"streamId": 1, "maxPacketLifeTime": 5, "maxRetransmits": 5}, PayloadCode.BAD_FIELD),
    ],
)
def test_a_data_stream_out_of_range_is_refused(stream: dict[str, Any], code: PayloadCode) -> None:
    payload = vector("produce-data") | {"sctpStreamParameters": stream}
    assert refused(Event.PRODUCE_DATA, payload).code is code


def test_what_an_application_says_is_bounded() -> None:
    assert (
        refused(Event.PRODUCE, vector("produce-audio") | {"appData": {"x": "y" * 5000}}).code is PayloadCode.TOO_LARGE
    )
    assert refused(Event.PRODUCE, vector("produce-audio") | {"appData": [1]}).code is PayloadCode.BAD_FIELD
