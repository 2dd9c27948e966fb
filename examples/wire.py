"""What the examples share: RTP packets by hand (RFC 3550, RFC 8285), an engine of one shard, sockets that wait."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.media import CoreLink, Engine
from roomtone.media.values import EngineConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ONE_BYTE = 0xBEDE
RTCP = range(192, 224)
KEYFRAME_REQUEST = {(206, 1), (206, 4)}
"""Packet type and format of PLI (RFC 4585) and FIR (RFC 5104)."""


@dataclass
class Rtp:
    """An RTP packet; ``extensions`` by their ids, each of one to sixteen bytes."""

    ssrc: int
    payload_type: int
    sequence: int
    timestamp: int
    payload: bytes
    marker: bool = True
    extensions: dict[int, bytes] = field(default_factory=dict)

    def write(self) -> bytes:
        """Write it with the one-byte form of extensions."""
        second = self.payload_type | self.marker << 7
        head = (0x80 | bool(self.extensions) << 4, second, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF)
        data = b"".join(bytes([id_ << 4 | len(value) - 1]) + value for id_, value in self.extensions.items())
        data += bytes(-len(data) % 4)
        block = struct.pack("!HH", ONE_BYTE, len(data) // 4) + data if self.extensions else b""
        return struct.pack("!BBHII", *head, self.ssrc) + block + self.payload

    @classmethod
    def read(cls, data: bytes) -> Rtp:
        """Read it, with extensions of the one-byte form."""
        first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
        at, extensions = 12 + 4 * (first & 15), {}
        if first & 0x10:
            end = at + 4 + 4 * int.from_bytes(data[at + 2 : at + 4])
            at += 4
            while at < end:
                id_, length = data[at] >> 4, (data[at] & 15) + 1
                if id_:
                    extensions[id_] = data[at + 1 : at + 1 + length]
                at += 1 + length if id_ else 1
        return cls(ssrc, second & 0x7F, sequence, timestamp, data[at:], bool(second >> 7), extensions)


def is_rtcp(data: bytes) -> bool:
    """RTP and RTCP share a port (RFC 5761)."""
    return data[1] in RTCP


@asynccontextmanager
async def engine(shards: int = 1) -> AsyncIterator[Engine]:
    """Run a media engine on loopback, on ports the kernel chooses."""
    running = Engine(
        CoreLink(EngineConfig(shards=shards, listen_ips=["127.0.0.1"], webrtc_ports=(0, 0), plain_ports=(0, 0)))
    )
    await running.start()
    try:
        yield running
    finally:
        await running.close()


def udp() -> socket.socket:
    """Open a UDP socket on loopback that does not block the loop."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(("127.0.0.1", 0))
    opened.setblocking(False)
    return opened


def port_of(sock: socket.socket) -> int:
    """Give the port a socket is bound to."""
    port: int = sock.getsockname()[1]
    return port


async def receive(sock: socket.socket, *, within_s: float = 10) -> bytes:
    """Wait for a datagram."""
    async with asyncio.timeout(within_s):
        return await asyncio.get_running_loop().sock_recv(sock, 2048)


def waiting(sock: socket.socket) -> list[bytes]:
    """Take what has come so far."""
    taken = []
    while True:
        try:
            taken.append(sock.recv(2048))
        except BlockingIOError:
            return taken


def asks_for_keyframe(data: bytes) -> bool:
    """Find PLI or FIR anywhere in an RTCP compound."""
    while len(data) >= 4:  # noqa: PLR2004 - an RTCP header
        if (data[1], data[0] & 31) in KEYFRAME_REQUEST:
            return True
        data = data[4 + 4 * int.from_bytes(data[2:4]) :]
    return False
