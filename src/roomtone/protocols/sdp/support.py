"""What this server can forward: codecs, feedback, header extensions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.media.values import CodecFeedback, MediaKind

if TYPE_CHECKING:
    from collections.abc import Collection

    from roomtone.protocols.sdp.codecs import Codec

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
VIDEO_ORIENTATION = "urn:3gpp:video-orientation"
TRANSPORT_SEQUENCE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
ABS_CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
DEPENDENCY_DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
VIDEO_LAYERS_ALLOCATION = "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"

_BOTH = frozenset({MID, ABS_SEND_TIME, TRANSPORT_SEQUENCE, ABS_CAPTURE_TIME})
_SEND = {
    MediaKind.AUDIO: _BOTH | {AUDIO_LEVEL},
    MediaKind.VIDEO: _BOTH | {VIDEO_ORIENTATION, PLAYOUT_DELAY, DEPENDENCY_DESCRIPTOR},
}
_RECEIVE = {
    MediaKind.AUDIO: _SEND[MediaKind.AUDIO],
    MediaKind.VIDEO: _SEND[MediaKind.VIDEO] | {RID, REPAIRED_RID, VIDEO_LAYERS_ALLOCATION},
}


@dataclass(frozen=True, slots=True)
class Format:
    """A codec family this server forwards, of whatever profile."""

    kind: MediaKind
    name: str
    clock_rate: int
    channels: int = 1

    def covers(self, codec: Codec) -> bool:
        """Whether the codec is of this family."""
        mine = (self.kind, self.name, self.clock_rate, self.channels)
        return mine == (codec.kind, codec.name, codec.clock_rate, codec.channels)


FORMATS = (
    Format(MediaKind.AUDIO, "OPUS", 48000, 2),
    Format(MediaKind.AUDIO, "G722", 8000),
    Format(MediaKind.AUDIO, "PCMU", 8000),
    Format(MediaKind.AUDIO, "PCMA", 8000),
    Format(MediaKind.VIDEO, "VP8", 90000),
    Format(MediaKind.VIDEO, "VP9", 90000),
    Format(MediaKind.VIDEO, "AV1", 90000),
    Format(MediaKind.VIDEO, "H264", 90000),
    Format(MediaKind.VIDEO, "H265", 90000),
)

REDUNDANT_AUDIO = Format(MediaKind.AUDIO, "RED", 48000, 2)
"""RFC 2198, around Opus."""

_VIDEO_FEEDBACK = CodecFeedback(nack=True, pli=True, fir=True, transport_cc=True, remb=True)
_AUDIO_FEEDBACK = CodecFeedback(nack=True, transport_cc=True)


@dataclass(frozen=True, slots=True)
class Support:
    """Which formats an endpoint agrees to, and how many of each thing an offer may hold."""

    formats: tuple[Format, ...] = FORMATS
    max_media: int = 8
    max_tracks_per_kind: int = 1
    max_encodings: int = 4
    max_candidates: int = 64
    redundant_audio: bool = True
    """Whether redundant audio (RFC 2198) is agreed to."""
    audio_nack: bool = True
    """Whether lost audio may be asked for again."""

    def only(self, names: Collection[str]) -> Support:
        """Agree to no formats but those of these names; to all where there are none."""
        if not names:
            return self
        formats = tuple(known for known in self.formats if known.name in names)
        return replace(self, formats=formats, redundant_audio=self.redundant_audio and "OPUS" in names)

    def knows(self, codec: Codec) -> bool:
        """Whether the codec can be forwarded."""
        return any(known.covers(codec) for known in self.formats)

    def takes(self, codec: Codec) -> bool:
        """Whether the codec, or a wrapping of others, is agreed to in an offer."""
        return self.knows(codec) or (self.redundant_audio and REDUNDANT_AUDIO.covers(codec))

    def extensions(self, kind: MediaKind, *, sending: bool) -> frozenset[str]:
        """URIs of the header extensions agreed to, when we send or receive."""
        return frozenset(_SEND[kind] if sending else _RECEIVE[kind])

    def agree_feedback(self, offered: CodecFeedback, kind: MediaKind, *, transport_sequence: bool) -> CodecFeedback:
        """Feedback both sides know; transport-wide feedback needs its header extension."""
        ours = _AUDIO_FEEDBACK if kind is MediaKind.AUDIO else _VIDEO_FEEDBACK
        return CodecFeedback(
            nack=offered.nack and ours.nack and (kind is MediaKind.VIDEO or self.audio_nack),
            pli=offered.pli and ours.pli,
            fir=offered.fir and ours.fir,
            transport_cc=offered.transport_cc and ours.transport_cc and transport_sequence,
            remb=offered.remb and ours.remb,
        )
