"""Which codec of one side means which of the other."""

from __future__ import annotations

import pytest

from roomtone.media.values import MediaKind
from roomtone.protocols.sdp import Codec, map_payload_types
from roomtone.protocols.sdp.codecs import h264_profile


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
