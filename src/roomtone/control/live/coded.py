"""Tracks of encoders as a room offers them: codecs by their names in `CODECS` (RFC 6381), and why some are barred."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from roomtone.control.rooms import TrackOffer, usual_source
from roomtone.media.values import CodecFeedback, MediaKind, TrackBar
from roomtone.protocols.sdp import repertoire
from roomtone.protocols.sdp.codecs import Codec

if TYPE_CHECKING:
    from roomtone.media.values import IngestTrack

_NUMBERS = {codec.name: codec.payload_type for codec in reversed(repertoire.VIDEO_CODECS)}
_TIERS = {"L": "0", "M": "0", "H": "1"}
_NAMES = {
    "avc1": "H.264",
    "hvc1": "HEVC",
    "av01": "AV1",
    "mp4a": "AAC",
    "opus": "Opus",
    "vp8": "VP8",
    "vp9": "VP9",
    "ac-3": "AC-3",
    "ec-3": "E-AC-3",
    "pcmu": "PCMU",
    "pcma": "PCMA",
}
_MP3 = "mp4a.40.34"
_STEREO = 2


def name_of(codec: str) -> str:
    """Give the name by which people know a codec."""
    return "MP3" if codec == _MP3 else _NAMES.get(codec.split(".", 1)[0], codec)


def why_barred(track: IngestTrack) -> str | None:
    """Say why nobody in a room can be given a track, and what helps; None where they can."""
    name = name_of(track.codec)
    match track.bar:
        case TrackBar.CODEC:
            instead = "Opus" if track.kind is MediaKind.AUDIO else "H.264, HEVC or AV1"
            return f"WebRTC does not carry {name}; have the encoder send {instead}"
        case TrackBar.REORDERED:
            return f"the {name} has B-frames, which WebRTC does not carry; have the encoder send none (zero latency)"
        case None:
            return (
                None if codec_of(track) is not None else f"no client is offered {name} of this profile ({track.codec})"
            )
        case _:
            assert_never(track.bar)


def offer_of(track: IngestTrack) -> TrackOffer | None:
    """Give what a track is in a room; None where it cannot be there."""
    codec = codec_of(track)
    if codec is None or track.bar is not None:
        return None
    stereo = track.channels == _STEREO
    return TrackOffer(
        kind=track.kind,
        codecs=(codec,),
        source=usual_source(track.kind),
        name=track.kind.value,
        stereo=stereo,
        fed_by=track.track,
    )


def codec_of(track: IngestTrack) -> Codec | None:
    """Give a track's codec with the parameters of SDP that say of which profile it is; None for what has none."""
    sort, *parts = track.codec.split(".")
    match sort, parts:
        case "avc1", [profile]:
            parameters = (
                ("level-asymmetry-allowed", "1"),
                ("packetization-mode", "1"),
                ("profile-level-id", profile.lower()),
            )
            return _video("H264", parameters)
        case "hvc1", [profile, _, tier_level, *_] if profile.isdigit() and tier_level[:1] in _TIERS:
            tier, level = _TIERS[tier_level[0]], tier_level[1:]
            return _video(
                "H265", (("level-id", level), ("profile-id", profile), ("tier-flag", tier), ("tx-mode", "SRST"))
            )
        case "av01", [profile, level_tier, *_] if level_tier[-1:] in _TIERS:
            level, tier = level_tier[:-1].lstrip("0") or "0", _TIERS[level_tier[-1]]
            return _video("AV1", (("level-idx", level), ("profile", profile), ("tier", tier)))
        case "opus", []:
            return repertoire.OPUS_STEREO if track.channels == _STEREO else repertoire.OPUS
        case (("pcmu" | "pcma"), []):
            return next(codec for codec in repertoire.OTHER_AUDIO if codec.name == sort.upper())
        case _:
            return None


def _video(name: str, parameters: tuple[tuple[str, str], ...]) -> Codec:
    number = _NUMBERS[name]
    # Encoders make keyframes when they do, and repeat nothing.
    return replace(Codec(MediaKind.VIDEO, number, name, 90_000, 1, parameters), feedback=CodecFeedback())
