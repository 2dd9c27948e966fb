"""MPEG-TS of FFmpeg with a line of cues for splicing put in, which FFmpeg does not write (ANSI/SCTE 35 section 9)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

PACKET = 188
SYNC = 0x47
MAP_PID = 0x1000
"""Of the map that FFmpeg writes, and of its first stream."""
VIDEO_PID = 0x100
CUE_PID = 0x1F0
CUES = 0x86
OUT_BITS, IN_BITS = 0b1110_1111, 0b0100_1111
"""Out of the network or back, for the whole program; out with a duration."""


def crc_of(section: bytes) -> bytes:
    """CRC-32 as MPEG has it: polynomial 04c11db7, no bit is turned round (ISO/IEC 13818-1 annex A)."""
    crc = 0xFFFFFFFF
    for byte in section:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc.to_bytes(4, "big")


def with_cues(packet: bytes) -> bytes:
    """Give a packet with the program's map, in which the line of cues is named too."""
    section = packet[5 + packet[4] :]
    length = (section[1] & 0x0F) << 8 | section[2]
    body = section[3 : 3 + length - 4] + bytes([CUES, 0xE0 | CUE_PID >> 8, CUE_PID & 0xFF, 0xF0, 0])
    longer = length + 5
    made = bytes([section[0], section[1] & 0xF0 | longer >> 8, longer & 0xFF]) + body
    made += crc_of(made)
    return (packet[:4] + b"\0" + made).ljust(PACKET, b"\xff")


def insert(event: int, time: int, duration: int | None = None) -> bytes:
    """Make the section of a splice: out for so long, or without a duration back; ticks of 90 kHz."""
    command = event.to_bytes(4, "big") + bytes([0x7F, IN_BITS if duration is None else OUT_BITS])
    command += (0xFE << 32 | time & (1 << 33) - 1).to_bytes(5, "big")
    if duration is not None:
        command += (0xFE << 32 | duration).to_bytes(5, "big")
    command += bytes([0, 1, 0, 0])
    head = bytes(6) + bytes([0, 0xFF, 0xF0 | len(command) >> 8, len(command) & 0xFF, 5])
    length = len(head) + len(command) + 2 + 4
    section = bytes([0xFC, 0x30 | length >> 8, length & 0xFF]) + head + command + bytes(2)
    return section + crc_of(section)


def shown_at(packet: bytes) -> int | None:
    """Give the time at which the unit that begins in this packet is shown; None where none begins."""
    start = 5 + packet[4] if packet[3] & 0x20 else 4
    unit = packet[start:]
    if not packet[1] & 0x40 or unit[:3] != b"\0\0\1" or not unit[7] & 0x80:
        return None
    stamp = unit[9:14]
    return (stamp[0] >> 1 & 7) << 30 | stamp[1] << 22 | stamp[2] >> 1 << 15 | stamp[3] << 7 | stamp[4] >> 1


@dataclass
class Splicer:
    """Puts cues into a stream: out `out_after` ticks behind the first picture for `duration`, said three times."""

    event: int
    out_after: int
    duration: int
    first: int | None = None
    said: int = 0
    counter: int = 0

    def feed(self, packet: bytes) -> Iterator[bytes]:
        """Give what is to be sent where FFmpeg sent this packet."""
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        if pid == MAP_PID and packet[1] & 0x40:
            packet = with_cues(packet)
        yield packet
        shown = shown_at(packet) if pid == VIDEO_PID else None
        if shown is None:
            return
        if self.first is None:
            self.first = shown
        # A second apart, and the last of them ahead of its time.
        due = self.first + self.out_after - (4 - self.said) * 90_000
        if self.said < 3 and shown >= due:
            self.said += 1
            yield self.cue(insert(self.event, self.first + self.out_after, self.duration))

    def cue(self, section: bytes) -> bytes:
        """Give a section as a packet of the line of cues."""
        head = bytes([SYNC, 0x40 | CUE_PID >> 8, CUE_PID & 0xFF, 0x10 | self.counter & 0x0F, 0])
        self.counter += 1
        return (head + section).ljust(PACKET, b"\xff")
