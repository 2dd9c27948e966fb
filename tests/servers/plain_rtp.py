"""A plain RTP source and sink for tests: packets with known payloads, and a socket that sorts what comes."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

SSRC = 0x11223344


@dataclass(frozen=True)
class Packet:
    """What a receiver can see of an RTP packet without extensions."""

    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    payload: bytes

    def encode(self) -> bytes:
        second = (self.marker << 7) | self.payload_type
        return struct.pack("!BBHII", 0x80, second, self.sequence, self.timestamp, SSRC) + self.payload

    @classmethod
    def decode(cls, data: bytes) -> Packet:
        first, second, sequence, timestamp, _ = struct.unpack("!BBHII", data[:12])
        assert first == 0x80, "no padding, extension or contributing source was put in"
        return cls(bool(second & 0x80), second & 0x7F, sequence, timestamp, data[12:])


def frames(count: int) -> Iterator[list[Packet]]:
    """VP8 frames of three packets each; the first is a keyframe (RFC 7741). Numbers wrap on the way."""
    source = random.Random(1)  # noqa: S311 - a seeded source is the point
    sequence, timestamp = 0xFFFA, 0xFFFFF000
    for frame in range(count):
        made = []
        for part in range(3):
            descriptor = 0x10 if part == 0 else 0x00
            header = (0x00 if frame == 0 else 0x01) if part == 0 else source.randrange(256)
            payload = bytes([descriptor, header]) + source.randbytes(source.randint(200, 1100))
            made.append(Packet(part == 2, 96, sequence, timestamp, payload))
            sequence = (sequence + 1) & 0xFFFF
        yield made
        timestamp = (timestamp + 3000) & 0xFFFFFFFF


class Sink:
    """A socket that sorts what comes into RTP packets and RTCP."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)

    @property
    def port(self) -> int:
        port: int = self.socket.getsockname()[1]
        return port

    async def next(self, *, rtcp: bool = False) -> bytes:
        async with asyncio.timeout(20):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self.socket, 2048)
                if (192 <= data[1] <= 223) is rtcp:
                    return data
