"""Send a slate: ``python -m roomtone.workers.slate --show card --size 640x360 --sound aac``.

Where to is in ``ROOMTONE_SLATE_TO``, since a secret is in it. It ends when its standard input closes, and when the
server lets it go; the last line of its standard error says why.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

import av

from roomtone.workers.orphans import when_input_ends
from roomtone.workers.slate.pictures import FPS, NoPictureError, pictures
from roomtone.workers.slate.sender import SAMPLES, Sender

if TYPE_CHECKING:
    import threading


def main(argv: list[str]) -> int:
    """Send until standard input closes; give the exit status."""
    parser = argparse.ArgumentParser(prog="roomtone.workers.slate", description=__doc__)
    parser.add_argument("--show", required=True, help="card, or the path of a picture or a clip")
    parser.add_argument("--size", required=True, help="WIDTHxHEIGHT, both even")
    parser.add_argument("--sound", default="", choices=["", *SAMPLES], help="how silence is coded; none without")
    told = parser.parse_args(argv)
    stop = when_input_ends()
    width, _, height = told.size.partition("x")
    size = int(width), int(height)
    try:
        _send(Sender(os.environ["ROOMTONE_SLATE_TO"], pictures(told.show, *size), size, told.sound), stop)
    except (av.FFmpegError, OSError, NoPictureError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - whoever started it reads it
        return 1
    return 0


def _send(sender: Sender, stop: threading.Event) -> None:
    begun = time.monotonic()
    while not stop.wait(1 / FPS):
        sender.advance(time.monotonic() - begun)
    sender.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
