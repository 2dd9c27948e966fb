"""Descriptions of what a source sends (RFC 8866), without an answer: for inputs of RTP."""

from __future__ import annotations

import base64
import binascii

from roomtone.media.values import IngestRtpTrack, MediaKind
from roomtone.protocols.sdp.codecs import Codec, read_codecs
from roomtone.protocols.sdp.model import MediaDescription, parse_session

_KINDS = {"audio": MediaKind.AUDIO, "video": MediaKind.VIDEO}
_SETS = ("sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets")
_TRANSPORT_STREAM = "MP2T"
_TRANSPORT_STREAM_FORMAT = "33"  # RFC 3551, table 5
_AAC = "MPEG4-GENERIC"
_REPAIRS = {"RED", "ULPFEC", "FLEXFEC", "FLEXFEC-03", "CN", "TELEPHONE-EVENT"}


class DescriptionError(ValueError):
    """The description says nothing of which a stream could be made."""


def read_tracks(text: str) -> tuple[IngestRtpTrack, ...]:
    """Read what a source sends; none where that is MPEG-TS. Raise `SdpError` or `DescriptionError`."""
    sections = [section for section in parse_session(text).media if section.is_rtp and section.kind in _KINDS]
    tracks: list[IngestRtpTrack] = []
    for section in sections:
        codecs = read_codecs(section, _KINDS[section.kind])
        if _TRANSPORT_STREAM_FORMAT in section.formats or any(codec.name == _TRANSPORT_STREAM for codec in codecs):
            if len(sections) > 1:
                raise DescriptionError("MPEG-TS beside other streams is two inputs")
            return ()
        tracks += [_track(codec, section) for codec in codecs if codec.name not in _REPAIRS]
    if not tracks:
        raise DescriptionError("no stream of RTP is described")
    if len({track.payload_type for track in tracks}) < len(tracks):
        raise DescriptionError("payload types tell the streams apart: each may stand once")
    return tuple(tracks)


def _track(codec: Codec, section: MediaDescription) -> IngestRtpTrack:
    return IngestRtpTrack(
        payload_type=codec.payload_type,
        codec=codec.name,
        is_video=section.kind == "video",
        clock_rate=codec.clock_rate,
        channels=0 if section.kind == "video" else codec.channels,
        config=_aac_config(codec) if codec.name == _AAC else b"",
        parameter_sets=_parameter_sets(codec),
    )


def _aac_config(codec: Codec) -> bytes:
    """Read the configuration of AAC (RFC 3640, section 4.1), which must be of the mode of high rates."""
    lengths = tuple(_given(codec, name) for name in ("sizelength", "indexlength", "indexdeltalength"))
    if _given(codec, "mode").lower() != "aac-hbr" or lengths != ("13", "3", "3"):
        raise DescriptionError("AAC comes by the mode AAC-hbr of RFC 3640, with sizes of 13 bits and indices of 3")
    try:
        return bytes.fromhex(_given(codec, "config"))
    except ValueError:
        raise DescriptionError("config of AAC is not hexadecimal") from None


def _parameter_sets(codec: Codec) -> list[bytes]:
    try:
        return [
            base64.b64decode(part, validate=True)
            for name in _SETS
            for part in codec.parameter(name).split(",")
            if part.strip()
        ]
    except (binascii.Error, ValueError):
        raise DescriptionError(f"parameter sets of {codec.name} are not base64") from None


def _given(codec: Codec, name: str) -> str:
    """Give a parameter whose name is written in any case, as encoders do."""
    return next((value or "" for key, value in codec.parameters if key.lower() == name), "")
