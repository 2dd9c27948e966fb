"""Payload types and extension numbers of our own offers: the same in every section, as one bundle asks for.

RFC 9143 section 9.2: within a bundle a payload type means one codec with one configuration, an extension number one
extension. So all that is ever offered has its number here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from roomtone.media.values import CodecFeedback, HeaderExtension, MediaKind
from roomtone.protocols.sdp import support
from roomtone.protocols.sdp.codecs import RED, Codec

if TYPE_CHECKING:
    from collections.abc import Sequence

_VIDEO = CodecFeedback(nack=True, pli=True, fir=True, transport_cc=True, remb=True)
_AUDIO = CodecFeedback(nack=True, transport_cc=True)
_PCM = CodecFeedback(transport_cc=True)
_H264 = (("level-asymmetry-allowed", "1"), ("packetization-mode", "1"))
_H264_MODE_0 = (("level-asymmetry-allowed", "1"), ("packetization-mode", "0"))
_STEREO = (("stereo", "1"), ("sprop-stereo", "1"))
_OPUS = (("minptime", "10"), ("useinbandfec", "1"))


def _audio(number: int, name: str, rate: int, channels: int = 1, parameters: tuple[tuple[str, str], ...] = ()) -> Codec:
    feedback = _AUDIO if name == "OPUS" else _PCM
    return Codec(MediaKind.AUDIO, number, name, rate, channels, parameters, feedback)


def _video(number: int, repair: int, name: str, *parameters: tuple[str, str]) -> Codec:
    return Codec(MediaKind.VIDEO, number, name, 90_000, 1, parameters, _VIDEO, repair)


OPUS = _audio(111, "OPUS", 48_000, 2, _OPUS)
OPUS_STEREO = _audio(112, "OPUS", 48_000, 2, (*_OPUS, *_STEREO))
VIDEO_CODECS = (
    _video(96, 97, "VP8"),
    _video(98, 99, "VP9", ("profile-id", "0")),
    _video(100, 101, "VP9", ("profile-id", "2")),
    _video(45, 46, "AV1", ("level-idx", "5"), ("profile", "0"), ("tier", "0")),
    _video(47, 48, "AV1", ("level-idx", "5"), ("profile", "1"), ("tier", "0")),
    _video(102, 103, "H264", *_H264, ("profile-level-id", "42e01f")),
    _video(104, 105, "H264", *_H264_MODE_0, ("profile-level-id", "42e01f")),
    _video(106, 107, "H264", *_H264, ("profile-level-id", "42001f")),
    _video(108, 109, "H264", *_H264_MODE_0, ("profile-level-id", "42001f")),
    _video(113, 114, "H264", *_H264, ("profile-level-id", "4d001f")),
    _video(115, 116, "H264", *_H264, ("profile-level-id", "64001f")),
    _video(117, 118, "H264", *_H264, ("profile-level-id", "640c1f")),
    _video(49, 50, "H265", ("level-id", "180"), ("profile-id", "1"), ("tier-flag", "0"), ("tx-mode", "SRST")),
    _video(51, 52, "H265", ("level-id", "180"), ("profile-id", "2"), ("tier-flag", "0"), ("tx-mode", "SRST")),
)
_REDUNDANT = {111: 63, 112: 62}
OTHER_AUDIO = (_audio(9, "G722", 8_000), _audio(0, "PCMU", 8_000), _audio(8, "PCMA", 8_000))
_NUMBERS = {
    support.MID: 1,
    support.ABS_SEND_TIME: 2,
    support.TRANSPORT_SEQUENCE: 3,
    support.AUDIO_LEVEL: 4,
    support.VIDEO_ORIENTATION: 5,
    support.PLAYOUT_DELAY: 6,
    support.ABS_CAPTURE_TIME: 7,
    support.DEPENDENCY_DESCRIPTOR: 8,
}


def offered_codecs(
    source: Sequence[Codec], *, stereo: bool = False, redundancy: bool = False, audio_nack: bool = True
) -> tuple[Codec, ...]:
    """Choose what to offer for a stream, best first; empty when nothing here carries it.

    With ``redundancy`` redundant audio (RFC 2198) comes first, which asks for it. ``audio_nack``: lost audio may be
    asked for again.
    """
    opus = OPUS_STEREO if stereo else OPUS
    opus = opus if audio_nack else replace(opus, feedback=_PCM)
    known = (opus, *OTHER_AUDIO, *VIDEO_CODECS)
    chosen: dict[int, Codec] = {}
    for stream in source:
        quality, best = max(((codec.match_quality(stream), codec) for codec in known), key=lambda pair: pair[0])
        if quality:
            chosen.setdefault(best.payload_type, best)
    if redundancy and opus.payload_type in chosen:
        inner = opus.payload_type
        red = Codec(MediaKind.AUDIO, _REDUNDANT[inner], RED, 48_000, 2, ((f"{inner}/{inner}", None),))
        return (red, *chosen.values())
    return tuple(chosen.values())


def offered_extensions(kind: MediaKind) -> tuple[HeaderExtension, ...]:
    """Header extensions of a section in which we send."""
    known = support.Support().extensions(kind, sending=True)
    return tuple(HeaderExtension(id=number, uri=uri) for uri, number in _NUMBERS.items() if uri in known)
