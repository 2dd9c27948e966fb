"""Coded pictures of one source into pictures, which keep their times."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av

from roomtone.workers.transcode.messages import Codec

if TYPE_CHECKING:
    from roomtone.workers.transcode.messages import Format, Unit

DECODERS = {Codec.H264: "h264", Codec.HEVC: "hevc", Codec.AV1: "libdav1d", Codec.VP8: "vp8", Codec.VP9: "vp9"}
"""What decodes which codec."""
_TICK = Fraction(1, 90_000)
_MAX_MARKS = 256
"""Keyframes whose pictures have not come out of the decoder."""


class UnsupportedError(Exception):
    """The source cannot be decoded here."""


class Decoder:
    """Decodes what comes, and remembers which pictures were keyframes."""

    def __init__(self) -> None:
        self.decoded = 0
        self.undecodable = 0
        self._context: Any = None
        self._format: Format | None = None
        self._marks: set[int] = set()

    @property
    def codec(self) -> str | None:
        """The codec of the source, as plans have it; None before it is known."""
        return None if self._format is None else self._format.codec.name.lower()

    def open(self, format_: Format) -> None:
        """Decode what is coded so from now on; raise `UnsupportedError`. What was held back is lost: `drain` before."""
        name = DECODERS.get(format_.codec)
        if name is None:
            raise UnsupportedError(f"{format_.codec.name} is not decoded here")
        self._format = format_
        self._marks.clear()
        self._context = av.CodecContext.create(name, "r")
        self._context.thread_count = min(4, os.cpu_count() or 1)
        self._context.thread_type = "SLICE"  # threads of pictures would hold some back
        if name == "libdav1d":
            self._context.options = {"max_frame_delay": "1"}

    def reopen(self) -> None:
        """Begin anew with what is coded as before."""
        if self._format is not None:
            self.open(self._format)

    def decode(self, unit: Unit) -> list[Any]:
        """Give the pictures that a unit brings, in the order of being shown, with times in ticks of 90 kHz."""
        if self._context is None:
            return []
        packet = av.Packet(unit.data)
        packet.pts, packet.dts, packet.time_base = unit.pts, unit.dts, _TICK
        if unit.keyframe and len(self._marks) < _MAX_MARKS:
            self._marks.add(unit.pts)
        return self._pictures(packet)

    def drain(self) -> list[Any]:
        """Give the pictures that were held back; nothing is decoded before `open` or `reopen`."""
        pictures = [] if self._context is None else self._pictures(None)
        self._context = None
        return pictures

    def take_mark(self, pts: int) -> bool:
        """Whether the picture of this time was a keyframe; said once."""
        marked = pts in self._marks
        self._marks.discard(pts)
        return marked

    def _pictures(self, packet: Any) -> list[Any]:
        try:
            frames = self._context.decode(packet)
        except av.FFmpegError:
            self.undecodable += 1
            return []
        timed = [frame for frame in frames if frame.pts is not None]
        self.undecodable += len(frames) - len(timed)
        self.decoded += len(timed)
        return timed
