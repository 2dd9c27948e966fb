"""RTCP as this sender needs it: sender reports out, keyframe requests in (RFC 3550, 4585, 5104)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roomtone.workers.testcard.rtp import RtpStream

SENDER_REPORT, SOURCE_DESCRIPTION, GOODBYE, PAYLOAD_FEEDBACK = 200, 202, 203, 206
PLI, FIR = 1, 4
RTP_VERSION = 2
NTP_EPOCH_OFFSET = 2_208_988_800
"""Seconds from 1900 to 1970."""

_HEADER = struct.Struct("!BBH")
_HEADER_SIZE = 4
_FIRST_MEDIA_SSRC = 8
_FIR_ENTRIES = 12
_FIR_ENTRY = 8


def sender_report(stream: RtpStream, cname: str, wall_s: float, timestamp: int) -> bytes:
    """Write a compound packet: what was sent, and that ``timestamp`` is the moment ``wall_s``."""
    seconds = int(wall_s)
    fraction = int((wall_s - seconds) * (1 << 32))
    report = _HEADER.pack(0x80, SENDER_REPORT, 6) + struct.pack(
        "!IIIIII",
        stream.ssrc,
        (seconds + NTP_EPOCH_OFFSET) & 0xFFFF_FFFF,
        fraction,
        timestamp & 0xFFFF_FFFF,
        stream.packets & 0xFFFF_FFFF,
        stream.octets & 0xFFFF_FFFF,
    )
    item = struct.pack("!IBB", stream.ssrc, 1, len(cname)) + cname.encode()
    item += bytes(4 - len(item) % 4)  # the item list ends with at least one zero
    return report + _HEADER.pack(0x81, SOURCE_DESCRIPTION, len(item) // 4) + item


def goodbye(stream: RtpStream) -> bytes:
    """Write a BYE after an empty receiver report (RFC 3550 section 6.1: a compound starts with a report)."""
    empty_report = _HEADER.pack(0x80, 201, 1) + struct.pack("!I", stream.ssrc)
    return empty_report + _HEADER.pack(0x81, GOODBYE, 1) + struct.pack("!I", stream.ssrc)


def asks_for_keyframe(data: bytes, ssrc: int) -> bool:
    """Whether a compound packet has a PLI or FIR for this SSRC; what is malformed asks for nothing."""
    return any(
        (kind == PLI and media == ssrc) or (kind == FIR and ssrc in targets) for kind, media, targets in _feedback(data)
    )


def _feedback(data: bytes) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Give (format, media SSRC, FIR targets) of each payload-specific feedback packet."""
    while len(data) >= _HEADER_SIZE:
        first, kind, words = _HEADER.unpack_from(data)
        size = (words + 1) * 4
        if first >> 6 != RTP_VERSION or size > len(data):
            return
        if kind == PAYLOAD_FEEDBACK and size >= _FIR_ENTRIES:
            (media,) = struct.unpack_from("!I", data, _FIRST_MEDIA_SSRC)
            targets = tuple(
                struct.unpack_from("!I", data, offset)[0] for offset in range(_FIR_ENTRIES, size - 7, _FIR_ENTRY)
            )
            yield first & 0x1F, media, targets
        data = data[size:]
