"""Offers and answers of phone legs: read, compared, written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roomtone.media.values import MediaKind
from roomtone.protocols.sdp import Direction, NegotiationCode, NegotiationError, SdpError, parse_session
from roomtone.protocols.sdp.crypto import SUITES, CryptoLine, read_crypto
from roomtone.protocols.sdp.telephony import MediaSecurity, PhoneDescription, choose_audio, read_phone
from roomtone.protocols.sdp.telephony_codecs import default_audio, first_choice, passing, shared_codecs
from roomtone.protocols.sdp.telephony_write import (
    LocalMedia,
    Origin,
    answered_codecs,
    directed,
    reverse,
    write_phone_answer,
    write_phone_offer,
)

DESK = """v=0
o=desk 1 1 IN IP4 192.0.2.7
s=-
c=IN IP4 192.0.2.7
t=0 0
m=audio 40000 RTP/AVP 8 0 18 101
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=fmtp:18 annexb=no
a=ptime:20
"""
KEY = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
"""The key of RFC 4568 section 9.1 (30 bytes)."""


def phone(text: str) -> PhoneDescription:
    return read_phone(parse_session(text))


def audio(*lines: str, head: str = "m=audio 40000 RTP/AVP 0", place: str = "IN IP4 192.0.2.7") -> str:
    return "\r\n".join(["v=0", "o=- 1 1 IN IP4 192.0.2.7", "s=-", f"c={place}", "t=0 0", head, *lines, ""])


def test_static_payload_types_need_no_map() -> None:
    media = phone(DESK).media[0]
    assert [(codec.payload_type, codec.name) for codec in media.codecs] == [
        (8, "PCMA"),
        (0, "PCMU"),
        (18, "G729"),
        (101, "TELEPHONE-EVENT"),
    ]
    assert (media.address, media.port, media.rtcp_port, media.ptime_ms) == ("192.0.2.7", 40000, 40001, 20)
    assert media.codecs[2].parameters == (("annexb", "no"),)


@pytest.mark.parametrize(
    ("lines", "place", "seen"),
    [
        ((), "IN IP4 192.0.2.7", Direction.SENDRECV),
        (("a=sendonly",), "IN IP4 192.0.2.7", Direction.SENDONLY),
        (("a=recvonly",), "IN IP4 192.0.2.7", Direction.RECVONLY),
        (("a=inactive",), "IN IP4 192.0.2.7", Direction.INACTIVE),
        ((), "IN IP4 0.0.0.0", Direction.SENDONLY),
        (("a=inactive",), "IN IP4 0.0.0.0", Direction.INACTIVE),
        (("a=recvonly",), "IN IP4 0.0.0.0", Direction.INACTIVE),
        ((), "IN IP6 ::", Direction.SENDONLY),
    ],
)
def test_hold_has_two_forms(lines: tuple[str, ...], place: str, seen: Direction) -> None:
    assert phone(audio(*lines, place=place)).media[0].direction is seen


def test_a_direction_above_the_sections_holds_for_those_without() -> None:
    text = audio().replace("t=0 0", "t=0 0\r\na=inactive")
    assert phone(text).media[0].direction is Direction.INACTIVE


@pytest.mark.parametrize(
    ("line", "mux", "port"),
    [
        ("a=rtcp-mux", True, 40000),
        ("a=rtcp:50001", False, 50001),
        ("a=rtcp:7 IN IP4 192.0.2.8", False, 7),
        ("", False, 40001),
    ],
)
def test_where_rtcp_goes(line: str, mux: bool, port: int) -> None:
    media = phone(audio(*([line] if line else []))).media[0]
    assert (media.rtcp_mux, media.rtcp_port) == (mux, port)


@pytest.mark.parametrize(
    ("head", "place", "why"),
    [
        ("m=audio 0 RTP/AVP 0", "IN IP4 192.0.2.7", "port zero"),
        ("m=image 4000 udptl t38", "IN IP4 192.0.2.7", "image is not served"),
        ("m=audio 4000 UDP/TLS/RTP/SAVPF 0", "IN IP4 192.0.2.7", "DTLS without a fingerprint"),
        ("m=audio 4000 RTP/AVP 0", "IN IP4 phone.example.org", "no usable address"),
        ("m=audio 4000 RTP/AVP 0", "IN IP4 224.2.1.1/127", "no usable address"),
        ("m=audio 4000 RTP/AVP 0", "IN IP4 2001:db8::1", "no usable address"),
        ("m=audio 4000 RTP/AVP 77", "IN IP4 192.0.2.7", "no codec with a name"),
        ("m=audio 4000 RTP/SAVP 0", "IN IP4 192.0.2.7", "no SRTP key of a known suite"),
    ],
)
def test_what_cannot_be_served_says_why(head: str, place: str, why: str) -> None:
    media = phone(audio(head=head, place=place)).media[0]
    assert (media.is_usable, media.unusable) == (False, why)


def test_a_packet_time_that_is_none_is_refused_with_its_line() -> None:
    with pytest.raises(SdpError, match="ptime"):
        phone(audio("a=ptime:often"))


@pytest.mark.parametrize(
    ("security", "offered", "refused"),
    [
        (MediaSecurity.OFF, "RTP/AVP", None),
        (MediaSecurity.OFF, "RTP/SAVP", NegotiationCode.SECURITY_REFUSED),
        (MediaSecurity.OPTIONAL, "RTP/AVP", None),
        (MediaSecurity.OPTIONAL, "RTP/SAVP", None),
        (MediaSecurity.SDES, "RTP/AVP", NegotiationCode.SECURITY_REFUSED),
        (MediaSecurity.SDES, "RTP/SAVP", None),
        (MediaSecurity.OPTIONAL, "UDP/TLS/RTP/SAVP", NegotiationCode.PROTOCOL_UNSUPPORTED),
    ],
)
def test_media_security_decides(security: MediaSecurity, offered: str, refused: NegotiationCode | None) -> None:
    text = audio(f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}", head=f"m=audio 40000 {offered} 0")
    if refused is None:
        assert choose_audio(phone(text), security).protocol == offered
        return
    with pytest.raises(NegotiationError) as caught:
        choose_audio(phone(text), security)
    assert caught.value.code is refused


def test_both_kinds_of_security_may_be_offered_side_by_side() -> None:
    secure = f"m=audio 40002 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}"
    both = phone(audio(secure))
    assert choose_audio(both, MediaSecurity.SDES).index == 1
    assert choose_audio(both, MediaSecurity.OFF).index == 0


@pytest.mark.parametrize(("suite", "length"), list(SUITES.items()))
def test_each_suite_goes_there_and_back(suite: str, length: int) -> None:
    line = CryptoLine(1, suite, bytes(range(length)))
    read = CryptoLine.parse(line.serialize())
    assert read == line
    assert read.known_suite == suite
    assert read.keys.key == bytes(range(length))


@pytest.mark.parametrize("suite", [one for one in SUITES if one.startswith(("AES_192_CM", "AES_256_CM"))])
def test_suites_are_known_by_the_wrong_name_that_is_common(suite: str) -> None:
    _, bits, _, *rest = suite.split("_")
    line = CryptoLine(1, "_".join(["AES", "CM", bits, *rest]), bytes(SUITES[suite]))
    assert line.suite not in SUITES
    assert (line.known_suite, line.keys.suite) == (suite, suite)


@pytest.mark.parametrize(
    "text",
    [
        "1 AES_CM_128_HMAC_SHA1_80",
        "x AES_CM_128_HMAC_SHA1_80 " + KEY,
        "1 AES_CM_128_HMAC_SHA1_80 inline:%%%",
        "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
        "1 UNKNOWN_SUITE " + KEY,
        f"1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20|1:4",
        f"1 AES_CM_128_HMAC_SHA1_80 {KEY};{KEY}",
        f"1 AES_CM_128_HMAC_SHA1_80 {KEY} UNENCRYPTED_SRTP",
    ],
)
def test_keys_that_cannot_be_used_are_passed_over(text: str) -> None:
    good = f"7 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20 WSH=64"
    assert [line.tag for line in read_crypto([text, good])] == [7]


def test_a_key_shows_in_no_representation() -> None:
    assert "d0Rm" not in repr(read_crypto([f"1 AES_CM_128_HMAC_SHA1_80 {KEY}"]))


def test_shared_codecs_keep_the_order_of_the_offer_and_events_of_their_clock() -> None:
    offered = phone(DESK).media[0].codecs
    answered = (
        phone(
            audio(
                "a=rtpmap:96 telephone-event/8000",
                "a=rtpmap:97 telephone-event/48000",
                head="m=audio 5 RTP/AVP 0 8 96 97",
            )
        )
        .media[0]
        .codecs
    )
    pairs = shared_codecs(offered, answered)
    assert [(pair.ours.payload_type, pair.theirs.payload_type) for pair in pairs] == [(8, 8), (0, 0), (101, 96)]
    assert passing(answered, offered) == [(0, 0), (8, 8), (96, 101)]


def test_events_alone_are_nothing_in_common() -> None:
    events = phone(audio("a=rtpmap:101 telephone-event/8000", head="m=audio 5 RTP/AVP 9 101")).media[0].codecs
    assert shared_codecs(phone(DESK).media[0].codecs, events) == ()


def test_forms_of_amr_that_differ_do_not_pass() -> None:
    one = phone(audio("a=rtpmap:96 AMR/8000", "a=fmtp:96 octet-align=1", head="m=audio 5 RTP/AVP 96")).media[0].codecs
    other = phone(audio("a=rtpmap:97 AMR/8000", head="m=audio 5 RTP/AVP 97")).media[0].codecs
    assert shared_codecs(one, other) == ()
    assert len(shared_codecs(one, one)) == 1


def test_the_first_choice_keeps_events_of_its_clock() -> None:
    assert [codec.payload_type for codec in first_choice(default_audio())] == [96, 102]
    assert [codec.payload_type for codec in first_choice(default_audio()[1:])] == [9, 101]
    assert first_choice(default_audio()[4:]) == ()


def local(port: int, *numbers: int, **more: object) -> LocalMedia:
    codecs = tuple(codec for codec in default_audio() if codec.payload_type in numbers)
    made = LocalMedia(MediaKind.AUDIO, port, port + 1, codecs)
    return replace(made, **more)  # type: ignore[arg-type]


def test_an_offer_is_read_back_as_it_was_meant() -> None:
    crypto = CryptoLine(1, "AES_CM_128_HMAC_SHA1_80", bytes(30))
    ours = local(
        41000, 96, 0, 101, 102, protocol="RTP/SAVP", cryptos=(crypto,), ptime_ms=20, direction=Direction.SENDONLY
    )
    text = write_phone_offer(Origin(7), "192.0.2.1", [ours]).serialize()
    assert "a=rtpmap:101 telephone-event/8000" in text
    assert "a=rtpmap:96 opus/48000/2" in text
    read = phone(text).media[0]
    assert read.codecs == ours.codecs
    assert (read.port, read.rtcp_port, read.address, read.direction) == (41000, 41001, "192.0.2.1", Direction.SENDONLY)
    assert read.cryptos == (crypto,)


@pytest.mark.parametrize(
    ("ip", "line"), [("192.0.2.1", "c=IN IP4 192.0.2.1\r\n"), ("2001:db8::1", "c=IN IP6 2001:db8::1\r\n")]
)
def test_addresses_are_written_by_their_version(ip: str, line: str) -> None:
    assert line in write_phone_offer(Origin(1), ip, [local(41000, 0)]).serialize()


def test_a_port_for_rtcp_is_said_where_it_is_not_the_next_one() -> None:
    assert "a=rtcp:42001\r\n" in write_phone_offer(Origin(1), "::1", [local(41000, 0, rtcp_port=42001)]).serialize()
    assert "a=rtcp-mux\r\n" in write_phone_offer(Origin(1), "::1", [local(41000, 0, rtcp_port=41000)]).serialize()


def test_an_answer_has_the_sections_of_the_offer_and_port_zero_for_what_is_not_served() -> None:
    fax = "m=image 40010 udptl t38"
    offer = phone(audio(fax, "m=video 40020 RTP/AVP 97", "a=rtpmap:97 H264/90000", head="m=audio 40000 RTP/AVP 0 8"))
    answer = write_phone_answer(offer, Origin(3), "192.0.2.1", {0: local(41000, 0)})
    assert [(section.kind, section.port) for section in answer.media] == [("audio", 41000), ("image", 0), ("video", 0)]
    assert answer.media[1].formats == ("t38",)
    assert parse_session(answer.serialize()) == parse_session(answer.serialize())


def test_an_answer_keeps_the_order_and_numbers_of_the_offer() -> None:
    offered = phone(DESK).media[0]
    wanted = [codec for codec in reversed(offered.codecs) if codec.payload_type in {0, 8, 101}]
    assert [codec.payload_type for codec in answered_codecs(offered, wanted)] == [8, 0, 101]


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (Direction.SENDRECV, Direction.SENDRECV),
        (Direction.SENDONLY, Direction.RECVONLY),
        (Direction.RECVONLY, Direction.SENDONLY),
        (Direction.INACTIVE, Direction.INACTIVE),
    ],
)
def test_a_direction_is_answered_by_its_reverse(asked: Direction, granted: Direction) -> None:
    assert reverse(asked) is granted
    assert directed(sends=granted.sends, receives=granted.receives) is granted


def test_a_changed_description_has_a_higher_version() -> None:
    assert Origin(5, 1).next() == Origin(5, 2)


def test_a_description_without_media_is_refused() -> None:
    with pytest.raises(NegotiationError) as caught:
        phone("v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\n")
    assert caught.value.code is NegotiationCode.NO_MEDIA
