"""Codecs as negotiated: which of two descriptions mean the same stream, and which payload type maps to which.

Rules: H.264 by profile and packetization mode (RFC 6184 section 8.2.2), H.265 by profile, tier and
transmission mode (RFC 7798 section 7.2.2), VP9 by profile (RFC 9628 section 7), AV1 by profile and tier
(AV1 RTP specification section 7.2), the rest by name, clock rate and channels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from roomtone.media.values import AudioRedundancy, CodecFeedback, CodecParameters, MediaKind
from roomtone.protocols.sdp.attributes import Fmtp, RtcpFeedback, RtpMap

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from roomtone.protocols.sdp.lines import Line
    from roomtone.protocols.sdp.model import MediaDescription

# RFC 3551 section 6: the payload types a description may use without rtpmap, by the kind of its section. Table 5
# lists MP2T as both. This is the only registry of payload types: what is neither here nor named in the description
# is left out of it, and its packets are dropped and counted (`rtpPayloadType`).
_STATIC = {
    MediaKind.AUDIO: {
        0: RtpMap(0, "PCMU", 8000),
        3: RtpMap(3, "GSM", 8000),
        4: RtpMap(4, "G723", 8000),
        5: RtpMap(5, "DVI4", 8000),
        6: RtpMap(6, "DVI4", 16_000),
        7: RtpMap(7, "LPC", 8000),
        8: RtpMap(8, "PCMA", 8000),
        9: RtpMap(9, "G722", 8000),
        10: RtpMap(10, "L16", 44_100, 2),
        11: RtpMap(11, "L16", 44_100),
        12: RtpMap(12, "QCELP", 8000),
        13: RtpMap(13, "CN", 8000),
        14: RtpMap(14, "MPA", 90_000),
        15: RtpMap(15, "G728", 8000),
        16: RtpMap(16, "DVI4", 11_025),
        17: RtpMap(17, "DVI4", 22_050),
        18: RtpMap(18, "G729", 8000),
        33: RtpMap(33, "MP2T", 90_000),
    },
    MediaKind.VIDEO: {
        25: RtpMap(25, "CELB", 90_000),
        26: RtpMap(26, "JPEG", 90_000),
        28: RtpMap(28, "NV", 90_000),
        31: RtpMap(31, "H261", 90_000),
        32: RtpMap(32, "MPV", 90_000),
        33: RtpMap(33, "MP2T", 90_000),
        34: RtpMap(34, "H263", 90_000),
    },
}
_LIKE_RTCP = range(64, 96)
"""Payload types that cannot be told from RTCP on a shared port (RFC 5761 section 4)."""

_H264_DEFAULT_PROFILE = "420010"  # RFC 6184 section 8.1: Baseline, level 1
_CONSTRAINED_BASELINE, _BASELINE, _MAIN, _CONSTRAINED_HIGH, _HIGH = "CB", "B", "M", "CH", "H"
# What a decoder of the key also decodes, best match first. Plain Baseline stands last everywhere: its extra tools
# (FMO, ASO) are used by nobody, and x264 (so FFmpeg) marks what is Constrained Baseline as Baseline.
_H264_DECODES = {
    _BASELINE: (_BASELINE, _CONSTRAINED_BASELINE),
    _CONSTRAINED_BASELINE: (_CONSTRAINED_BASELINE, _BASELINE),
    _MAIN: (_MAIN, _CONSTRAINED_BASELINE, _BASELINE),
    _CONSTRAINED_HIGH: (_CONSTRAINED_HIGH, _CONSTRAINED_BASELINE, _BASELINE),
    _HIGH: (_HIGH, _CONSTRAINED_HIGH, _MAIN, _CONSTRAINED_BASELINE, _BASELINE),
}


NO_FEEDBACK = CodecFeedback()
RED = "RED"
MAX_REDUNDANT_BLOCKS = 4
"""Earlier packets the engine packs into one."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of a media section with all that belongs to it."""

    kind: MediaKind
    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    parameters: tuple[tuple[str, str | None], ...] = ()
    feedback: CodecFeedback = NO_FEEDBACK
    rtx_payload_type: int | None = None

    def __hash__(self) -> int:
        """Hash what two codecs of one description rarely share."""
        return hash((self.payload_type, self.name))

    def parameter(self, name: str, default: str = "") -> str:
        """Value of a format parameter."""
        return next((value or "" for key, value in self.parameters if key == name), default)

    @property
    def blocks(self) -> tuple[int, ...]:
        """Payload types of the blocks of redundant audio, the oldest first (RFC 2198 section 5); empty for others."""
        named = self.parameters[0][0].split("/") if self.name == RED and self.parameters else []
        return tuple(_payload_type(text) for text in named)

    @property
    def mime_type(self) -> str:
        """Such as ``video/VP8``."""
        return f"{self.kind.value}/{self.name}"

    def to_parameters(self) -> CodecParameters:
        """Give the engine's value."""
        return CodecParameters(
            payload_type=self.payload_type,
            name=self.name,
            clock_rate=self.clock_rate,
            channels=self.channels,
            rtx_payload_type=self.rtx_payload_type,
            feedback=self.feedback,
        )

    def match_quality(self, stream: Codec) -> int:
        """How well a receiver of this codec takes a stream of the other: 0 not at all, higher is better."""
        if (self.name, self.clock_rate, self.channels) != (stream.name, stream.clock_rate, stream.channels):
            return 0
        rule = _RULES.get(self.name)
        return 1 if rule is None else rule(self, stream)


def h264_profile(profile_level_id: str) -> str | None:
    """Profile named by a ``profile-level-id``, after table 5 of RFC 6184; None when it is none of them."""
    try:
        profile, constraints = bytes.fromhex(profile_level_id)[:2]
    except ValueError:
        return None
    set0, set1 = constraints & 0x80, constraints & 0x40
    match profile:
        case 0x42:
            return _CONSTRAINED_BASELINE if set1 else _BASELINE
        case 0x4D:
            return _CONSTRAINED_BASELINE if set0 else _MAIN
        case 0x58 if set1:
            return _CONSTRAINED_BASELINE if set0 else _BASELINE
        case 0x64:
            return _CONSTRAINED_HIGH if constraints & 0x0C == 0x0C else _HIGH  # noqa: PLR2004 (set4 and set5)
        case _:
            return None


def _match_h264(sink: Codec, stream: Codec) -> int:
    sink_mode, stream_mode = (codec.parameter("packetization-mode", "0") for codec in (sink, stream))
    if sink_mode not in {"0", "1"} or stream_mode > sink_mode:
        return 0  # mode 2 is interleaved, nobody speaks it; mode 0 is a subset of mode 1
    sink_text, stream_text = (codec.parameter("profile-level-id", _H264_DEFAULT_PROFILE) for codec in (sink, stream))
    same_mode = int(sink_mode == stream_mode)
    sink_profile, stream_profile = h264_profile(sink_text), h264_profile(stream_text)
    if sink_profile is None or stream_profile is None:
        return 20 + same_mode if sink_text[:4].lower() == stream_text[:4].lower() else 0
    decodes = _H264_DECODES[sink_profile]
    if stream_profile not in decodes:
        return 0
    return 20 - 2 * decodes.index(stream_profile) + same_mode


def _match_h265(sink: Codec, stream: Codec) -> int:
    same = all(
        sink.parameter(name, default) == stream.parameter(name, default)
        for name, default in (("profile-id", "1"), ("tx-mode", "SRST"))
    )
    if not same or stream.parameter("tier-flag", "0") > sink.parameter("tier-flag", "0"):
        return 0
    return 2 if sink.parameter("tier-flag", "0") == stream.parameter("tier-flag", "0") else 1


def _match_vp9(sink: Codec, stream: Codec) -> int:
    return int(sink.parameter("profile-id", "0") == stream.parameter("profile-id", "0"))


def _match_av1(sink: Codec, stream: Codec) -> int:
    sink_profile, stream_profile = (codec.parameter("profile", "0") for codec in (sink, stream))
    if stream_profile > sink_profile or stream.parameter("tier", "0") > sink.parameter("tier", "0"):
        return 0  # a decoder of a higher profile takes the lower ones (AV1 specification, annex A)
    return 2 if sink_profile == stream_profile else 1


_RULES = {"H264": _match_h264, "H265": _match_h265, "VP9": _match_vp9, "AV1": _match_av1}


def map_payload_types(source: Sequence[Codec], sink: Sequence[Codec]) -> list[tuple[int, int]]:
    """Map each payload type a source may send to the sink's best one; what the sink cannot take is left out."""
    mapped: list[tuple[int, int]] = []
    for stream in source:
        ranked = [(codec.match_quality(stream), codec) for codec in sink]
        quality, best = max(ranked, key=lambda pair: pair[0], default=(0, None))
        if best is not None and quality:
            mapped.append((stream.payload_type, best.payload_type))
    return mapped


def media_feedback(codecs: Sequence[Codec]) -> CodecFeedback:
    """Feedback agreed for a section: that of its first codec which is not a wrapping of others."""
    return next((codec.feedback for codec in codecs if codec.name != RED), NO_FEEDBACK)


def drop_orphans(codecs: Sequence[Codec]) -> tuple[Codec, ...]:
    """Leave out redundant audio that does not wrap one codec of the same section."""
    known = {codec.payload_type for codec in codecs if codec.name != RED}
    return tuple(
        codec for codec in codecs if codec.name != RED or (len(set(codec.blocks)) == 1 and codec.blocks[0] in known)
    )


def redundancy_wanted(codecs: Sequence[Codec]) -> AudioRedundancy | None:
    """Find the redundancy a receiver asks for: it prefers redundant audio to the codec inside by naming it first."""
    seen: set[int] = set()
    for codec in codecs:
        if codec.name == RED and len(codec.blocks) > 1 and codec.blocks[0] not in seen:
            blocks = min(len(codec.blocks) - 1, MAX_REDUNDANT_BLOCKS)
            return AudioRedundancy(payload_type=codec.payload_type, protects=codec.blocks[0], blocks=blocks)
        seen.add(codec.payload_type)
    return None


def rtx_payload_types(codecs: Iterable[Codec]) -> list[tuple[int, int]]:
    """Media and RTX payload types of each codec that has both (RFC 4588)."""
    return [(codec.payload_type, codec.rtx_payload_type) for codec in codecs if codec.rtx_payload_type is not None]


def read_codecs(section: MediaDescription, kind: MediaKind) -> list[Codec]:
    """All codecs of a media section in its order, RTX attached to what it repairs.

    Left out are payload types that nothing names, and those that RTCP on the same port would be mistaken for.
    """
    about = tuple(line for line in section.lines if line.attribute in _ABOUT_CODECS)
    return list(_read_codecs(section.formats, about, kind, section.has("rtcp-mux")))


_ABOUT_CODECS = frozenset({"rtpmap", "fmtp", "rtcp-fb"})


@lru_cache(256)  # phones of one make describe the same codecs in each call
def _read_codecs(
    formats: tuple[str, ...],
    lines: tuple[Line, ...],
    kind: MediaKind,
    muxed: bool,
) -> tuple[Codec, ...]:
    typed = [line.typed for line in lines]
    maps = {one.payload_type: one for one in reversed(typed) if isinstance(one, RtpMap)}
    parameters = {one.payload_type: one.parameters for one in typed if isinstance(one, Fmtp)}
    feedback = [one for one in typed if isinstance(one, RtcpFeedback)]
    codecs: list[Codec] = []
    rtx: dict[int, int] = {}
    for text in formats:
        number = _payload_type(text)
        rtp_map = maps.get(number) or _STATIC.get(kind, {}).get(number)
        if rtp_map is None or (muxed and number in _LIKE_RTCP):
            continue
        name = rtp_map.name.upper()
        given = parameters.get(number, ())
        if name == "RTX":
            apt = dict(given).get("apt") or ""
            rtx.setdefault(_payload_type(apt), number)
            continue
        codecs.append(
            Codec(kind, number, name, rtp_map.clock_rate, rtp_map.channels, given, _feedback(feedback, number))
        )
    return tuple(replace(codec, rtx_payload_type=rtx.get(codec.payload_type)) for codec in codecs)


def _payload_type(text: str) -> int:
    """Read a payload type; -1 for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else -1  # noqa: PLR2004


def _feedback(lines: Sequence[RtcpFeedback], payload_type: int) -> CodecFeedback:
    named = {line.feedback for line in lines if line.payload_type in {None, payload_type}}
    return CodecFeedback(
        nack="nack" in named,
        pli="nack pli" in named,
        fir="ccm fir" in named,
        transport_cc="transport-cc" in named,
        remb="goog-remb" in named,
    )


def feedback_lines(feedback: CodecFeedback) -> list[str]:
    """Names of agreed feedback, as ``a=rtcp-fb`` writes them."""
    named = [
        (feedback.remb, "goog-remb"),
        (feedback.transport_cc, "transport-cc"),
        (feedback.fir, "ccm fir"),
        (feedback.nack, "nack"),
        (feedback.pli, "nack pli"),
    ]
    return [text for agreed, text in named if agreed]
