"""Plain RTP by hand: packets are built and read byte by byte (RFC 3550, RFC 8285), ports are opened by the API."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from conftest import Server

VP8 = {"name": "VP8", "payload_type": 96, "clock_rate": 90_000}
H264 = {
    "name": "H264",
    "payload_type": 96,
    "clock_rate": 90_000,
    "parameters": {"packetization-mode": "1", "profile-level-id": "42e01f", "level-asymmetry-allowed": "1"},
}
OPUS = {"name": "opus", "payload_type": 97, "clock_rate": 48_000, "channels": 2}
RTCP_TYPES = range(192, 224)


@dataclass(frozen=True)
class Packet:
    """One RTP packet."""

    sequence: int
    timestamp: int
    payload: bytes
    marker: bool = False
    payload_type: int = 96
    ssrc: int = 0x1234_5678
    padding: int = 0
    extension: tuple[int, bytes] | None = None

    def write(self) -> bytes:
        first = 0x80 | (0x20 if self.padding else 0) | (0x10 if self.extension else 0)
        head = struct.pack(
            "!BBHII",
            first,
            self.payload_type | (0x80 if self.marker else 0),
            self.sequence & 0xFFFF,
            self.timestamp & 0xFFFF_FFFF,
            self.ssrc,
        )
        if self.extension:
            profile, data = self.extension
            assert len(data) % 4 == 0
            head += struct.pack("!HH", profile, len(data) // 4) + data
        pad = bytes(self.padding - 1) + bytes([self.padding]) if self.padding else b""
        return head + self.payload + pad

    @classmethod
    def read(cls, data: bytes) -> Packet:
        first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
        assert first >> 6 == 2
        at = 12 + 4 * (first & 0x0F)
        extension = None
        if first & 0x10:
            profile, words = struct.unpack_from("!HH", data, at)
            extension = (profile, data[at + 4 : at + 4 + 4 * words])
            at += 4 + 4 * words
        padding = data[-1] if first & 0x20 else 0
        payload = data[at : len(data) - padding]
        return cls(sequence, timestamp, payload, bool(second & 0x80), second & 0x7F, ssrc, padding, extension)


def is_rtcp(data: bytes) -> bool:
    return len(data) >= 2 and data[1] in RTCP_TYPES


@contextmanager
def receiving() -> Iterator[socket.socket]:
    """A UDP socket on a port of its own, with room for a burst."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sink.bind(("127.0.0.1", 0))
        yield sink


def stream(kind: str, codec: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"kind": kind, "codec": codec, **more}


def open_source(server: Server, room: str, *streams: dict[str, Any], identity: str = "plain") -> list[Any]:
    """Let a source join; its streams with the ports to send to."""
    opened = server.room(room, "/plain", "POST", {"identity": identity, "publish": list(streams)})
    assert opened["participant"] == identity
    return opened["streams"]


def open_sink(server: Server, room: str, *streams: dict[str, Any]) -> Any:
    """Let a sink watch; what was made, with the SDP for a player."""
    return server.room(room, "/plain", "POST", {"subscribe": list(streams)})
