"""Make a JPEG of the first picture of a file: ``python -m roomtone.workers.preview < keyframe.mp4 > picture.jpg``.

A process of its own: what strangers publish is decoded here, and a decoder that falls over takes nothing with it.
"""

from __future__ import annotations

import io
import sys
from fractions import Fraction

import av

MAX_WIDTH = 640
MAX_FILE_BYTES = 16 << 20


def picture(file: bytes) -> bytes:
    """Write the first picture as JPEG, at most `MAX_WIDTH` wide; raise `ValueError` where there is none."""
    try:
        with av.open(io.BytesIO(file), mode="r", options={"threads": "1"}) as container:
            frame = next(container.decode(video=0), None)
    except (av.FFmpegError, IndexError) as error:
        raise ValueError(f"nothing can be decoded: {error}") from error
    if frame is None:
        raise ValueError("there is no picture")
    width = min(frame.width, MAX_WIDTH)
    height = max(2, frame.height * width // frame.width)
    coder = av.CodecContext.create("mjpeg", "w")
    coder.width, coder.height = width // 2 * 2, height // 2 * 2
    coder.pix_fmt, coder.time_base = "yuvj420p", Fraction(1, 25)
    small = frame.reformat(coder.width, coder.height, "yuvj420p", dst_color_range="JPEG")
    small.pts = 0
    packets = [*coder.encode(small), *coder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


def main() -> int:
    """Read standard input, write standard output."""
    try:
        made = picture(sys.stdin.buffer.read(MAX_FILE_BYTES))
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
