"""Which encoders work on this machine: one picture is encoded, since that a device is there proves nothing."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av

HARDWARE = ("h264_nvenc", "h264_qsv", "h264_vaapi", "h264_amf")
SOFTWARE = ("libx264", "libopenh264")
PLANES = {"qsv": "nv12", "amf": "nv12"}
"""Encoders take yuv420p but for those of these makers."""
_SIZE = (320, 192)


def pixels(encoder: str) -> str:
    """Give how an encoder wants pictures."""
    return PLANES.get(encoder.rpartition("_")[2], "yuv420p")


def works(encoder: str) -> str | None:
    """Encode a picture; None where that gave one, and otherwise why not."""
    try:
        context: Any = av.CodecContext.create(encoder, "w")
        context.width, context.height = _SIZE
        context.pix_fmt = pixels(encoder)
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        frame = av.VideoFrame(*_SIZE, pixels(encoder))
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.pts = 0
        packets = [*context.encode(frame), *context.encode(None)]
    except (av.FFmpegError, ValueError, OSError) as error:
        return str(error)
    return None if any(bytes(packet) for packet in packets) else "nothing was encoded"


def first_working(encoders: tuple[str, ...]) -> tuple[str | None, dict[str, str]]:
    """Give the first that works, and why those before it do not."""
    refused: dict[str, str] = {}
    for encoder in encoders:
        why = works(encoder)
        if why is None:
            return encoder, refused
        refused[encoder] = why
    return None, refused
