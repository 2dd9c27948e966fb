"""Descriptions of plain RTP streams (RFC 8866), for players that open an SDP file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.protocols.sdp.attributes import Fmtp, RtpMap
from roomtone.protocols.sdp.lines import Line, attribute
from roomtone.protocols.sdp.model import MediaDescription, SessionDescription, media_section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.media.values import MediaKind
    from roomtone.protocols.sdp.codecs import Codec


@dataclass(frozen=True, slots=True)
class PlainStream:
    """One stream and where it arrives."""

    kind: MediaKind
    codec: Codec
    ip: str
    port: int
    rtcp_port: int | None = None
    rtcp_mux: bool = True


def describe_plain(name: str, streams: Sequence[PlainStream]) -> SessionDescription:
    """Describe streams as they arrive at their receiver."""
    lines = (Line("v", "0"), Line("o", "- 0 0 IN IP4 127.0.0.1"), Line("s", name), Line("t", "0 0"))
    return SessionDescription(lines, tuple(_section(stream) for stream in streams))


def _section(stream: PlainStream) -> MediaDescription:
    codec = stream.codec
    family = "IP6" if ":" in stream.ip else "IP4"
    spelled = "opus" if codec.name == "OPUS" else codec.name
    rtp_map = RtpMap(codec.payload_type, spelled, codec.clock_rate, codec.channels)
    lines = [Line("c", f"IN {family} {stream.ip}"), attribute("rtpmap", rtp_map.serialize())]
    if codec.parameters:
        lines.append(attribute("fmtp", Fmtp(codec.payload_type, codec.parameters).serialize()))
    if stream.rtcp_mux:
        lines.append(attribute("rtcp-mux"))
    elif stream.rtcp_port is not None:
        lines.append(attribute("rtcp", stream.rtcp_port))
    lines.append(attribute("recvonly"))
    return media_section(stream.kind.value, stream.port, "RTP/AVP", [str(codec.payload_type)], lines)
