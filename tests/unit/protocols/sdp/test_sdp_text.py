"""SDP as text: every line survives, every error names its line, nothing else is ever raised."""

from __future__ import annotations

import random
import string
from pathlib import Path

import pytest

from roomtone.protocols.sdp import SdpError, parse_session
from roomtone.protocols.sdp.attributes import ExtMap, Fmtp, RtcpFeedback, RtpMap
from roomtone.protocols.sdp.attributes_ice import IceCandidate
from roomtone.protocols.sdp.attributes_streams import Group, Msid, Rid, Simulcast, SsrcAttribute, SsrcGroup
from roomtone.protocols.sdp.lines import MAX_LINE_LENGTH, MAX_LINES
from roomtone.protocols.sdp.model import MAX_MEDIA

VECTORS = sorted((Path(__file__).parents[3] / "vectors" / "sdp").glob("*.sdp"))
HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_an_offer_of_a_real_client_survives_byte_by_byte(path: Path) -> None:
    body = path.read_bytes()
    assert parse_session(body).serialize().encode() == body


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_typed_attributes_write_what_they_read(path: Path) -> None:
    session = parse_session(path.read_bytes())
    lines = [*session.lines, *(line for media in session.media for line in media.lines)]
    kinds = (ExtMap, Fmtp, Group, IceCandidate, Msid, Rid, RtcpFeedback, RtpMap, Simulcast, SsrcAttribute, SsrcGroup)
    checked = 0
    for line in lines:
        if isinstance(line.typed, kinds):
            assert type(line.typed).parse(line.typed.serialize()) == line.typed
            checked += 1
    assert checked > 3


def test_unknown_lines_and_attributes_keep_their_place() -> None:
    text = (
        HEAD
        + "a=x-session-thing:1 2 3\r\nb=AS:500\r\n"
        + AUDIO
        + "i=a title\r\na=x-thing\r\nk=clear:old\r\na=mid:0\r\n"
    )
    assert parse_session(text).serialize() == text


def test_bare_line_feeds_and_blank_ends_are_taken() -> None:
    text = (HEAD + AUDIO).replace("\r\n", "\n") + "\n\r\n"
    assert parse_session(text).serialize() == HEAD + AUDIO


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("hello", 1),
        ("v=1\r\n", 1),
        ("o=- 1 1 IN IP4 127.0.0.1\r\n", 1),
        ("v=0\r\nnonsense\r\n", 2),
        ("v=0\r\ns=-\r\nt=0 0\r\n", 3),
        (HEAD + "m=audio\r\n", 5),
        (HEAD + "m=audio nine UDP/TLS/RTP/SAVPF 0\r\n", 5),
        (HEAD + "m=audio 70000 UDP/TLS/RTP/SAVPF 0\r\n", 5),
        (HEAD + AUDIO + "a=rtpmap:111\r\n", 6),
        (HEAD + AUDIO + "a=rtpmap:200 opus/48000/2\r\n", 6),
        (HEAD + AUDIO + "a=rtpmap:111 opus/0\r\n", 6),
        (HEAD + AUDIO + "a=candidate:1 1 udp 1 10.0.0.1\r\n", 6),
        (HEAD + AUDIO + "a=candidate:1 1 udp x 10.0.0.1 1 typ host\r\n", 6),
        (HEAD + AUDIO + "a=fingerprint:sha-256 AB:CD\r\n", 6),
        (HEAD + AUDIO + "a=fingerprint:sha-256 zz\r\n", 6),
        (HEAD + AUDIO + "a=setup:both\r\n", 6),
        (HEAD + AUDIO + "a=ice-ufrag:a\r\n", 6),
        (HEAD + AUDIO + "a=ice-pwd:short\r\n", 6),
        (HEAD + AUDIO + "a=extmap:0 urn:x\r\n", 6),
        (HEAD + AUDIO + "a=extmap:1\r\n", 6),
        (HEAD + AUDIO + "a=extmap:1/sideways urn:x\r\n", 6),
        (HEAD + AUDIO + "a=ssrc:4294967296 cname:x\r\n", 6),
        (HEAD + AUDIO + "a=rid:1 both\r\n", 6),
        (HEAD + AUDIO + "a=rid:a/b send\r\n", 6),
        (HEAD + AUDIO + "a=simulcast:send\r\n", 6),
        (HEAD + AUDIO + "a=simulcast:send a send b\r\n", 6),
        (HEAD + AUDIO + "a=mid\r\n", 6),
        (HEAD + AUDIO + "a=:x\r\n", 6),
        (HEAD + AUDIO + "a=x\0y\r\n", 6),
        (HEAD + AUDIO + "a=mid:0\r\n" + AUDIO + "a=mid:0\r\n", 8),
        (HEAD + "\r\n" + AUDIO, 5),
        (HEAD + AUDIO + "a=" + "x" * MAX_LINE_LENGTH, 6),
    ],
)
def test_an_error_names_its_line(text: str, line: int) -> None:
    with pytest.raises(SdpError) as caught:
        parse_session(text)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"line {line}: ")


def test_what_is_not_utf8_is_an_error_with_its_line() -> None:
    with pytest.raises(SdpError) as caught:
        parse_session(HEAD.encode() + b"i=\xff\xfe\r\n")
    assert caught.value.line == 5


def test_lines_and_media_sections_have_limits() -> None:
    with pytest.raises(SdpError, match=str(MAX_LINES)):
        parse_session(HEAD + "a=x\r\n" * MAX_LINES)
    with pytest.raises(SdpError, match=str(MAX_MEDIA)):
        parse_session(HEAD + AUDIO * (MAX_MEDIA + 1))


def test_formats_of_old_data_channels_are_no_payload_types() -> None:
    text = HEAD + "m=application 9 DTLS/SCTP 5000\r\na=sctpmap:5000 webrtc-datachannel 1024\r\na=fmtp:webrtc x\r\n"
    assert parse_session(text).serialize() == text


def _random_session(source: random.Random) -> str:
    def word(letters: str = string.ascii_letters + string.digits, longest: int = 12) -> str:
        return "".join(source.choices(letters, k=source.randint(1, longest)))

    def attribute() -> str:
        makers = [
            lambda: f"a={word()}",
            lambda: f"a=x-{word()}:{word(string.printable.replace(chr(13), '').replace(chr(10), ''), 40)}",
            lambda: f"a=rtpmap:{source.randint(0, 127)} {word()}/{source.randint(1, 90000)}",
            lambda: f"a=fmtp:{source.randint(0, 127)} {word()}={word()};{word()}",
            lambda: f"a=rtcp-fb:{source.choice(['*', '96'])} {word()} {word()}",
            lambda: f"a=extmap:{source.randint(1, 255)}/{source.choice(['sendonly', 'recvonly'])} urn:{word()}",
            lambda: f"a=ssrc:{source.getrandbits(32)} cname:{word()}",
            lambda: f"a=ssrc-group:FID {source.getrandbits(32)} {source.getrandbits(32)}",
            lambda: (
                f"a=candidate:{word()} 1 udp {source.getrandbits(31)} 192.0.2.1 {source.randint(0, 65535)} typ host"
            ),
            lambda: f"a=ice-ufrag:{word(longest=8)}xxxx",
            lambda: f"a=ice-pwd:{word()}{'x' * 22}",
            lambda: f"a=msid:{word()} {word()}",
            lambda: f"b=AS:{source.randint(1, 9999)}",
        ]
        return source.choice(makers)()

    rows = ["v=0", f"o={word()} 1 1 IN IP4 127.0.0.1", f"s={word()}", "t=0 0"]
    rows += [attribute() for _ in range(source.randint(0, 6))]
    for index in range(source.randint(0, 5)):
        rows.append(f"m={source.choice(['audio', 'video', 'text'])} {source.randint(0, 65535)} RTP/AVP 0 96")
        rows.append(f"a=mid:{index}")
        rows += [attribute() for _ in range(source.randint(0, 12))]
    return "".join(row + "\r\n" for row in rows)


@pytest.mark.parametrize("seed", range(200))
def test_whatever_parses_is_written_back_unchanged(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - a seeded source is the point
    text = _random_session(source)
    # A vertical tab or form feed at a line's end is data, not a line end.
    assert parse_session(text).serialize() == text


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_mutated_offer_parses_or_is_an_sdp_error(path: Path) -> None:
    body = path.read_bytes()
    source = random.Random(path.stem)  # noqa: S311 - a seeded source is the point
    refused = unnumbered = 0
    for _ in range(400):
        mutated = bytearray(body)
        for _ in range(source.randint(1, 8)):
            where = source.randrange(len(mutated))
            action = source.randrange(5)
            if action == 0:
                mutated[where] = source.randrange(256)
            elif action == 1:
                del mutated[where : where + source.randint(1, 60)]
            elif action == 2:
                mutated[where:where] = bytes(source.choices(range(256), k=source.randint(1, 20)))
            elif action == 3:
                mutated[where:where] = mutated[: source.randint(1, 200)]
            else:
                mutated[where:where] = source.choice([b"\r\n", b":", b"=", b"99999999999999999999999", b"\0", b" "])
            mutated = mutated or bytearray(b"x")
        try:
            parse_session(bytes(mutated))
        except SdpError as error:
            refused += error.line >= 1
            unnumbered += error.line < 1
    assert refused > 0
    assert not unnumbered
