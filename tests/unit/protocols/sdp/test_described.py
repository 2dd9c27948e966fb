"""Descriptions of what a source of RTP sends."""

from __future__ import annotations

import pytest

from roomtone.protocols.sdp import SdpError
from roomtone.protocols.sdp.described import DescriptionError, read_tracks

HEAD = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
AAC = "profile-level-id=1;mode=AAC-hbr;sizeLength=13;indexlength=3;indexdeltalength=3; config=1190"


def described(*lines: str) -> str:
    return HEAD + "".join(f"{line}\r\n" for line in lines)


def test_codecs_their_rates_and_what_is_said_beforehand_are_read() -> None:
    video, sound, speech = read_tracks(
        described(
            *("m=video 5004 RTP/AVP 96", "a=rtpmap:96 H264/90000"),
            "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IAH5WoFAFuQA==,aM48gA==",
            *("m=audio 5006 RTP/AVP 97", "a=rtpmap:97 mpeg4-generic/48000/2", f"a=fmtp:97 {AAC}"),
            "m=audio 5008 RTP/AVP 0",
        )
    )
    assert (video.payload_type, video.codec, video.is_video, video.clock_rate) == (96, "H264", True, 90_000)
    assert [nal[0] & 0x1F for nal in video.parameter_sets] == [7, 8]
    assert (sound.codec, sound.clock_rate, sound.channels, sound.config) == ("MPEG4-GENERIC", 48_000, 2, b"\x11\x90")
    assert (speech.codec, speech.clock_rate, speech.is_video) == ("PCMU", 8_000, False)


@pytest.mark.parametrize("lines", [("m=video 1 RTP/AVP 33",), ("m=video 1 RTP/AVP 99", "a=rtpmap:99 MP2T/90000")])
def test_mpeg_ts_behind_rtp_has_no_tracks_of_its_own(lines: tuple[str, ...]) -> None:
    assert read_tracks(described(*lines)) == ()


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((), "no stream"),
        (("m=application 9 UDP/DTLS/SCTP webrtc-datachannel",), "no stream"),
        (
            ("m=video 1 RTP/AVP 96", "a=rtpmap:96 H264/90000", "m=audio 1 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"),
            "once",
        ),
        (("m=video 1 RTP/AVP 33", "m=audio 1 RTP/AVP 0"), "two inputs"),
        (("m=audio 1 RTP/AVP 97", "a=rtpmap:97 mpeg4-generic/48000/2"), "AAC-hbr"),
        (("m=audio 1 RTP/AVP 97", "a=rtpmap:97 mpeg4-generic/48000/2", f"a=fmtp:97 {AAC}zz"), "hexadecimal"),
        (("m=video 1 RTP/AVP 96", "a=rtpmap:96 H265/90000", "a=fmtp:96 sprop-vps=%%"), "base64"),
    ],
)
def test_what_no_stream_could_be_made_of_is_refused_with_a_sentence(lines: tuple[str, ...], why: str) -> None:
    with pytest.raises(DescriptionError, match=why):
        read_tracks(described(*lines))


def test_what_is_no_description_names_its_line() -> None:
    with pytest.raises(SdpError, match="line 1"):
        read_tracks("hello")
