"""Descriptions of phones as text: by what is remembered or not, they read and write as they would alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from roomtone.media.values import MediaKind
from roomtone.protocols.sdp import Direction, NegotiationError, SdpError, parse_session
from roomtone.protocols.sdp.crypto import CryptoLine
from roomtone.protocols.sdp.telephony import PhoneDescription, PhoneMedia, read_phone
from roomtone.protocols.sdp.telephony_codecs import default_audio
from roomtone.protocols.sdp.telephony_text import read_phone_text, write_answer_text, write_offer_text
from roomtone.protocols.sdp.telephony_write import LocalMedia, Origin, write_phone_answer, write_phone_offer


def text(port: object, *lines: str, origin: str = "- 1 1 IN IP4 192.0.2.7", end: str = "\r\n") -> str:
    head = ["v=0", f"o={origin}", "s=-", "c=IN IP4 192.0.2.7", "t=0 0", f"m=audio {port} RTP/AVP 0 8 101"]
    return end.join([*head, "a=rtpmap:101 telephone-event/8000", "a=ptime:20", *lines, ""])


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("a=rtcp-mux",),
        ("a=sendonly",),
        ("a=rtcp:53020",),
        ("a=maxptime:40", "a=silenceSupp:off - - - -"),
        ("m=video 40020 RTP/AVP 97", "a=rtpmap:97 H264/90000"),
        ("m=audio 40020 RTP/AVP 0",),
    ],
)
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_description_is_read_as_if_it_were_the_only_one(lines: tuple[str, ...], end: str) -> None:
    for port, origin in ((40000, "- 1 1 IN IP4 192.0.2.7"), (65535, "desk 99 3 IN IP6 ::1"), (1, "x 0 0 IN IP4 h")):
        given = text(port, *lines, origin=origin, end=end)
        read, alone = read_phone_text(given), read_phone(parse_session(given))
        assert read.media == alone.media
        assert [(one.kind, one.protocol, one.formats) for one in read.session.media] == [
            (one.kind, one.protocol, one.formats) for one in alone.session.media
        ]


def outcome(read: Callable[[str], PhoneDescription], given: str) -> object:
    """What is read, or the error in words."""
    try:
        return read(given).media
    except SdpError as error:
        return str(error)


def test_keys_belong_to_one_description_only() -> None:
    line = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{}JSoj"
    keys = [line.format("d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAw"), line.format("A0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAw")]
    read = [read_phone_text(text(4000, key).replace("RTP/AVP", "RTP/SAVP")).media[0].cryptos[0].key for key in keys]
    assert read[0] != read[1]


@pytest.mark.parametrize("port", ["0", "65536", "99999", "4000/2", "004000", "-1", "x"])
def test_odd_ports_are_taken_or_refused_as_they_would_be_alone(port: str) -> None:
    read_phone_text(text(4000))
    given = text(port)
    assert outcome(read_phone_text, given) == outcome(lambda whole: read_phone(parse_session(whole)), given)


@pytest.mark.parametrize("bad", ["a=rtpmap:300 X/1", "b=\0", "q=1", "a=maxptime:x"])
def test_what_is_wrong_is_said_of_the_line_that_it_is_in(bad: str) -> None:
    for port in (4000, 4001):
        given = text(port, bad)
        said = outcome(read_phone_text, given)
        assert isinstance(said, str)
        assert said == outcome(lambda whole: read_phone(parse_session(whole)), given)


def test_without_a_section_there_is_nothing_to_negotiate() -> None:
    with pytest.raises(NegotiationError):
        read_phone_text("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n")


def medias() -> list[LocalMedia]:
    plain = LocalMedia(MediaKind.AUDIO, 41000, 41001, default_audio())
    return [
        plain,
        replace(plain, port=42000, rtcp_port=42001),
        replace(plain, rtcp_port=41000),
        replace(plain, rtcp_port=50000),
        replace(plain, direction=Direction.SENDONLY, ptime_ms=20, max_ptime_ms=60),
        replace(plain, protocol="RTP/SAVP", cryptos=(CryptoLine(1, "AES_CM_128_HMAC_SHA1_80", bytes(30)),)),
    ]


@pytest.mark.parametrize("media", medias())
def test_offers_and_answers_are_written_alike_with_and_without_what_is_remembered(media: LocalMedia) -> None:
    origin = Origin(7, 2)
    for _ in range(2):
        whole = write_phone_offer(origin, "192.0.2.1", [media]).serialize()
        assert write_offer_text(origin, "192.0.2.1", [media]) == whole
    offer = read_phone(parse_session(text(4000, "m=video 40020 RTP/AVP 97", "a=rtpmap:97 H264/90000")))
    whole = write_phone_answer(offer, origin, "::1", {0: media}).serialize()
    assert write_answer_text(offer, origin, "::1", {0: media}) == whole


def test_a_section_at_other_ports_is_the_same_else() -> None:
    values = {one.name: object() for one in fields(PhoneMedia)}
    media = PhoneMedia(**values)  # type: ignore[arg-type]
    assert media.at_ports(1, 2) == replace(media, port=1, rtcp_port=2)
