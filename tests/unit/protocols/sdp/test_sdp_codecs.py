"""Which codec of one side means which of the other."""

from __future__ import annotations

import pytest

from roomtone.media.values import MediaKind
from roomtone.protocols.sdp import Codec, map_payload_types, parse_session
from roomtone.protocols.sdp.codecs import h264_profile, read_codecs


def video(name: str, payload_type: int = 96, **parameters: str) -> Codec:
    given = tuple((key.replace("_", "-"), value) for key, value in parameters.items())
    return Codec(MediaKind.VIDEO, payload_type, name, 90000, parameters=given)


@pytest.mark.parametrize(
    ("profile_level_id", "profile"),
    [
        ("42e01f", "CB"),
        ("42c01f", "CB"),
        ("42001f", "B"),
        ("4d001f", "M"),
        ("4d801f", "CB"),
        ("58c01f", "CB"),
        ("64001f", "H"),
        ("640c1f", "CH"),
        ("f4001f", None),
        ("zz", None),
        ("", None),
    ],
)
def test_profiles_are_read_as_table_5_of_rfc_6184_has_them(profile_level_id: str, profile: str | None) -> None:
    assert h264_profile(profile_level_id) == profile


@pytest.mark.parametrize(
    ("stream", "sink", "taken"),
    [
        (("42e01f", "1"), ("42e01f", "1"), True),
        (("42c028", "1"), ("42e01f", "1"), True),
        (("42e01f", "1"), ("42e01f", "0"), False),
        (("42e01f", "0"), ("42e01f", "1"), True),
        (("42001f", "1"), ("42e01f", "1"), True),
        (("42e01f", "1"), ("64001f", "1"), True),
        (("64001f", "1"), ("42e01f", "1"), False),
        (("640028", "1"), ("640c1f", "1"), False),
        (("640c1f", "1"), ("64001f", "1"), True),
        (("f4001f", "1"), ("f4001f", "1"), True),
        (("f4001f", "1"), ("64001f", "1"), False),
    ],
)
def test_h264_streams_go_only_where_they_are_decoded(
    stream: tuple[str, str], sink: tuple[str, str], *, taken: bool
) -> None:
    source = video("H264", 100, profile_level_id=stream[0], packetization_mode=stream[1])
    target = video("H264", 120, profile_level_id=sink[0], packetization_mode=sink[1])
    assert map_payload_types([source], [target]) == ([(100, 120)] if taken else [])


def test_the_same_profile_and_mode_win_over_what_is_merely_decodable() -> None:
    sinks = [
        video("H264", 1, profile_level_id="64001f", packetization_mode="1"),
        video("H264", 2, profile_level_id="42e01f", packetization_mode="1"),
        video("H264", 3, profile_level_id="42e01f", packetization_mode="0"),
    ]
    assert map_payload_types([video("H264", 9, profile_level_id="42c015", packetization_mode="1")], sinks) == [(9, 2)]
    assert map_payload_types([video("H264", 9, profile_level_id="42c015")], sinks) == [(9, 3)]
    assert map_payload_types([video("H264", 9, profile_level_id="640032", packetization_mode="1")], sinks) == [(9, 1)]


def test_h264_without_parameters_has_the_defaults_of_rfc_6184() -> None:
    assert map_payload_types([video("H264", 9)], [video("H264", 8, profile_level_id="42000a")]) == [(9, 8)]


@pytest.mark.parametrize(
    ("stream", "sink", "taken"),
    [
        (video("VP9", 1), video("VP9", 2, profile_id="0"), True),
        (video("VP9", 1, profile_id="2"), video("VP9", 2, profile_id="0"), False),
        (video("VP8", 1), video("VP8", 2), True),
        (video("VP8", 1), video("VP9", 2), False),
        (video("AV1", 1), video("AV1", 2, profile="0", level_idx="5", tier="0"), True),
        (video("AV1", 1, profile="1"), video("AV1", 2, profile="0"), False),
        (video("AV1", 1, profile="0"), video("AV1", 2, profile="1"), True),
        (video("AV1", 1, tier="1"), video("AV1", 2), False),
        (video("H265", 1, profile_id="1"), video("H265", 2, level_id="93"), True),
        (video("H265", 1, profile_id="2"), video("H265", 2), False),
        (video("H265", 1, tier_flag="1"), video("H265", 2), False),
        (video("H265", 1), video("H265", 2, tier_flag="1"), True),
        (video("H265", 1, tx_mode="MRST"), video("H265", 2), False),
    ],
)
def test_profiles_and_tiers_decide_for_other_codecs(stream: Codec, sink: Codec, *, taken: bool) -> None:
    assert map_payload_types([stream], [sink]) == ([(1, 2)] if taken else [])


def test_clock_and_channels_are_part_of_a_codec() -> None:
    stereo = Codec(MediaKind.AUDIO, 1, "OPUS", 48000, 2)
    assert map_payload_types([stereo], [Codec(MediaKind.AUDIO, 2, "OPUS", 48000, 1)]) == []
    assert map_payload_types([stereo], [Codec(MediaKind.AUDIO, 2, "OPUS", 16000, 2)]) == []


def test_each_payload_type_of_a_source_is_mapped_on_its_own() -> None:
    source = [video("VP8", 96), video("VP9", 98), video("THEORA", 99)]
    assert map_payload_types(source, [video("VP9", 120), video("VP8", 121)]) == [(96, 121), (98, 120)]


def section(media: str, *lines: str, kind: MediaKind) -> list[Codec]:
    """Read the codecs of a description's one section."""
    head = ["v=0", "o=- 1 1 IN IP4 192.0.2.7", "s=-", "c=IN IP4 192.0.2.7", "t=0 0"]
    return read_codecs(parse_session("\r\n".join([*head, media, *lines, ""])).media[0], kind)


# Tables 4 and 5 of RFC 3551: type, name, clock rate, channels.
STATIC_AUDIO = """
0 PCMU 8000 1, 3 GSM 8000 1, 4 G723 8000 1, 5 DVI4 8000 1, 6 DVI4 16000 1, 7 LPC 8000 1, 8 PCMA 8000 1,
9 G722 8000 1, 10 L16 44100 2, 11 L16 44100 1, 12 QCELP 8000 1, 13 CN 8000 1, 14 MPA 90000 1, 15 G728 8000 1,
16 DVI4 11025 1, 17 DVI4 22050 1, 18 G729 8000 1, 33 MP2T 90000 1"""
STATIC_VIDEO = """
25 CELB 90000 1, 26 JPEG 90000 1, 28 NV 90000 1, 31 H261 90000 1, 32 MPV 90000 1, 33 MP2T 90000 1, 34 H263 90000 1"""


@pytest.mark.parametrize(("kind", "table"), [(MediaKind.AUDIO, STATIC_AUDIO), (MediaKind.VIDEO, STATIC_VIDEO)])
def test_the_static_types_of_rfc_3551_need_no_map_and_are_of_one_kind(kind: MediaKind, table: str) -> None:
    every = " ".join(map(str, range(128)))
    codecs = section(f"m={kind.value} 5004 RTP/AVP {every}", kind=kind)
    read = [f"{codec.payload_type} {codec.name} {codec.clock_rate} {codec.channels}" for codec in codecs]
    assert read == table.strip().replace("\n", " ").split(", ")
    assert all(codec.kind is kind for codec in codecs)


def test_a_named_type_hides_a_static_one_and_what_nothing_names_is_left_out() -> None:
    codecs = section("m=audio 5004 RTP/AVP 0 111 200", "a=rtpmap:0 opus/48000/2", kind=MediaKind.AUDIO)
    assert [(codec.payload_type, codec.name, codec.clock_rate) for codec in codecs] == [(0, "OPUS", 48_000)]


@pytest.mark.parametrize(("mux", "taken"), [((), [63, 72, 95, 96]), (("a=rtcp-mux",), [63, 96])])
def test_types_that_look_like_rtcp_are_taken_only_on_a_port_of_their_own(
    mux: tuple[str, ...], taken: list[int]
) -> None:
    named = [f"a=rtpmap:{number} opus/48000/2" for number in (63, 72, 95, 96)]
    codecs = section("m=audio 5004 RTP/AVP 63 72 95 96", *named, *mux, kind=MediaKind.AUDIO)
    assert [codec.payload_type for codec in codecs] == taken
