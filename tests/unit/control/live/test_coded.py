"""What tracks of encoders are in rooms, by their names in `CODECS`."""

from __future__ import annotations

import pytest

from roomtone.control.live.coded import codec_of, name_of, offer_of, why_barred
from roomtone.media.values import (
    IngestId,
    IngestListenerId,
    IngestTrack,
    IngestTrackId,
    MediaKind,
    PackagerId,
    TrackBar,
)
from roomtone.protocols.sdp.repertoire import VIDEO_CODECS


def told(codec: str, kind: MediaKind = MediaKind.VIDEO, bar: TrackBar | None = None, channels: int = 2) -> IngestTrack:
    return IngestTrack(
        ingest=IngestId(1),
        listener=IngestListenerId(2),
        packager=PackagerId(3),
        track=IngestTrackId(4),
        kind=kind,
        codec=codec,
        channels=channels,
        bar=bar,
    )


@pytest.mark.parametrize(
    ("codec", "name", "parameter", "value"),
    [
        ("avc1.42c01f", "H264", "profile-level-id", "42c01f"),
        ("avc1.640028", "H264", "packetization-mode", "1"),
        ("hvc1.1.6.L93.B0", "H265", "profile-id", "1"),
        ("hvc1.2.4.H150", "H265", "tier-flag", "1"),
        ("av01.0.04M.08", "AV1", "level-idx", "4"),
        ("av01.0.00M.08", "AV1", "level-idx", "0"),
    ],
)
def test_pictures_are_offered_with_their_profile(codec: str, name: str, parameter: str, value: str) -> None:
    found = codec_of(told(codec))
    assert found is not None
    assert (found.name, found.parameter(parameter)) == (name, value)
    offer = offer_of(told(codec))
    assert offer is not None
    assert (offer.fed_by, offer.kind) == (4, MediaKind.VIDEO)


@pytest.mark.parametrize("codec", ["avc1.42c01f", "avc1.4d401e", "avc1.640028", "hvc1.1.6.L93.B0", "av01.0.04M.08"])
def test_what_encoders_usually_send_is_taken_by_who_is_offered_it(codec: str) -> None:
    found = codec_of(told(codec))
    assert found is not None
    assert any(offered.match_quality(found) for offered in VIDEO_CODECS)


def test_sound_is_opus_or_that_of_the_telephone() -> None:
    assert [
        codec_of(told(name, MediaKind.AUDIO, channels=1)) is not None for name in ("opus", "pcmu", "mp4a.40.2")
    ] == [
        True,
        True,
        False,
    ]
    stereo = offer_of(told("opus", MediaKind.AUDIO))
    assert stereo is not None
    assert stereo.stereo


def test_what_is_barred_is_said_with_what_helps() -> None:
    aac = told("mp4a.40.2", MediaKind.AUDIO, TrackBar.CODEC)
    assert why_barred(aac) == "WebRTC does not carry AAC; have the encoder send Opus"
    reordered = why_barred(told("avc1.640028", bar=TrackBar.REORDERED))
    assert reordered is not None
    assert "B-frames" in reordered
    assert offer_of(told("avc1.640028", bar=TrackBar.REORDERED)) is None
    assert why_barred(told("avc1.640028")) is None
    assert "avc1.7a0028" in (why_barred(told("hvc9.avc1.7a0028")) or "")
    assert name_of("mp4a.40.34") == "MP3"
