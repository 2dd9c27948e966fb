"""Playlists and boxes are read whole, and what is wrong with them is said instead of raised."""

from __future__ import annotations

import pytest

from roomtone.checks.hls.attributes import number, parse_attributes, whole
from roomtone.checks.hls.boxes import BoxError, read_boxes, read_media
from roomtone.checks.hls.playlist import merge_delta, parse_media, parse_multivariant

WHOLE = """#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.002,CAN-SKIP-UNTIL=24.0
#EXT-X-PART-INF:PART-TARGET=0.334
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:2
#EXT-X-MAP:URI="i0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.500Z
#EXTINF:4.00000,
s7.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="i1.mp4"
#EXT-X-PART:DURATION=0.33333,URI="p12.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.33333,URI="p13.m4s",GAP=YES
#EXT-X-GAP
#EXTINF:0.66667,
s8.m4s
#EXT-X-PART:DURATION=0.2,URI="all.mp4",BYTERANGE="100@50"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p15.m4s"
#EXT-X-RENDITION-REPORT:URI="../audio/index.m3u8",LAST-MSN=9,LAST-PART=3
#EXT-X-DATERANGE:ID="a",START-DATE="2026-01-01T00:00:00Z",X-COM-EXAMPLE="b"
"""


def test_a_playlist_is_read_with_all_its_tags() -> None:
    playlist = parse_media(WHOLE)
    assert (playlist.version, playlist.target_duration, playlist.part_target) == (9, 4.0, 0.334)
    first, second = playlist.segments
    assert (first.number, first.uri, first.duration, first.map_uri, first.discontinuities) == (
        (7, "s7.m4s", 4.0, "i0.mp4", 2)
    )
    assert first.date_time == 1767225600.5
    assert (second.number, second.gap, second.discontinuity, second.map_uri, second.discontinuities) == (
        (8, True, True, "i1.mp4", 3)
    )
    assert [(part.uri, part.independent, part.gap) for part in second.parts] == [
        ("p12.m4s", True, False),
        ("p13.m4s", False, True),
    ]
    assert playlist.open is not None
    assert (playlist.open.number, playlist.open.uri) == (9, None)
    assert playlist.open.parts[0].byte_range is not None
    assert (playlist.open.parts[0].byte_range.length, playlist.open.parts[0].byte_range.start) == (100, 50)
    assert (playlist.last, playlist.next, playlist.end_uri) == ((9, 1), (9, 1), "all.mp4")
    assert playlist.behind_s(first) == pytest.approx(0.86667)
    assert playlist.reports[0]["LAST-PART"] == "3"
    assert playlist.date_ranges == ({"ID": "a", "START-DATE": "2026-01-01T00:00:00Z", "X-COM-EXAMPLE": "b"},)
    assert playlist.problems == ()


def test_a_delta_is_put_together_with_what_was_held() -> None:
    delta = parse_media(
        WHOLE.replace("#EXTINF:4.00000,\ns7.m4s\n", "").replace(
            '#EXT-X-MAP:URI="i0.mp4"', "#EXT-X-SKIP:SKIPPED-SEGMENTS=1"
        )
    )
    assert delta.segments[0].number == 8
    merged = merge_delta(parse_media(WHOLE), delta)
    assert merged is not None
    assert [segment.uri for segment in merged] == ["s7.m4s", "s8.m4s"]
    assert merge_delta(parse_media("#EXTM3U\n"), delta) is None


def test_what_cannot_be_read_is_a_problem_of_the_playlist() -> None:
    playlist = parse_media('#EXT-X-MEDIA-SEQUENCE:x\n#EXT-X-PART:URI="a"\n#EXTINF:nan?,\ns.m4s\n#EXT-X-SKIP:A=1\n')
    assert playlist.problems == (
        "it does not begin with #EXTM3U",
        "EXT-X-MEDIA-SEQUENCE is no whole number: x",
        "an EXT-X-PART lacks DURATION or URI",
        "EXTINF is no number: nan?,",
        "a segment has no EXTINF: s.m4s",
        "EXT-X-SKIP has no SKIPPED-SEGMENTS",
    )


def test_a_multivariant_playlist_names_variants_and_renditions() -> None:
    text = (
        '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="a/index.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="avc1.42c01e,opus"\nv/index.m3u8\n'
    )
    playlist = parse_multivariant(text)
    assert playlist is not None
    assert playlist.uris == ("v/index.m3u8", "a/index.m3u8")
    assert playlist.variants[0].attributes["CODECS"] == "avc1.42c01e,opus"
    assert parse_multivariant(WHOLE) is None


def test_attributes_with_commas_in_quotes_stay_whole() -> None:
    attributes = parse_attributes('A="x,y=z",B=1.5,C=7')
    assert attributes == {"A": "x,y=z", "B": "1.5", "C": "7"}
    assert (number(attributes, "B"), whole(attributes, "C"), whole(attributes, "B"), number(attributes, "A")) == (
        (1.5, 7, None, None)
    )


@pytest.mark.parametrize("data", [b"\0\0\0", b"\0\0\0\x07moof", b"\0\0\0\xffmoof", b"\0\0\0\x08moof\0"])
def test_boxes_that_are_cut_short_are_an_error(data: bytes) -> None:
    with pytest.raises(BoxError):
        list(read_boxes(data))


def test_a_fragment_that_is_cut_short_is_an_error() -> None:
    inside = b"\0\0\0\x0ctfhd\0\0\0\0"
    traf = (8 + len(inside)).to_bytes(4) + b"traf" + inside
    moof = (8 + len(traf)).to_bytes(4) + b"moof" + traf
    with pytest.raises(BoxError):
        read_media(moof, ())
