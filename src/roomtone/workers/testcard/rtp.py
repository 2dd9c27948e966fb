"""RTP as this sender needs it: VP8 (RFC 7741) and Opus (RFC 7587) packets."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAX_PAYLOAD = 1100
"""Bytes of payload a packet: room is left for SRTP, extensions and TURN under a 1,280 byte path."""

PICTURE_ID_MASK = 0x7FFF


@dataclass(slots=True)
class RtpStream:
    """Numbering of one outgoing stream; all numbers start where the caller says (RFC 3550 section 5.1: at random)."""

    ssrc: int
    payload_type: int
    sequence: int
    packets: int = 0
    octets: int = 0
    last_timestamp: int = 0

    def packet(self, payload: bytes, timestamp: int, *, marker: bool) -> bytes:
        """Write the next packet."""
        header = struct.pack(
            "!BBHII",
            0x80,
            (0x80 if marker else 0) | self.payload_type,
            self.sequence,
            timestamp & 0xFFFF_FFFF,
            self.ssrc,
        )
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        self.last_timestamp = timestamp & 0xFFFF_FFFF
        return header + payload


def vp8_payloads(frame: bytes, picture_id: int) -> list[bytes]:
    """Split a frame into payloads of nearly equal size, each with a descriptor with a 15 bit picture id.

    Descriptor (RFC 7741 section 4.2): X=1, S=1 on the first packet of the frame, PID=0; then I=1; then the id.
    """
    count = max(1, -(-len(frame) // MAX_PAYLOAD))
    size = -(-len(frame) // count)
    identifier = 0x8000 | (picture_id & PICTURE_ID_MASK)
    return [
        struct.pack("!BBH", 0x90 if number == 0 else 0x80, 0x80, identifier)
        + frame[number * size : (number + 1) * size]
        for number in range(count)
    ]
