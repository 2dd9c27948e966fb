"""Publish the test card as a live stream: ``python -m roomtone.workers.livecard --to rtmp://127.0.0.1/live/demo``.

It ends when its standard input closes, so it never outlives the server that started it, and when the server lets it go.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

import av

from roomtone.workers.livecard.coders import LiveCard
from roomtone.workers.orphans import when_input_ends
from roomtone.workers.testcard.picture import FPS

if TYPE_CHECKING:
    import threading


def main(argv: list[str]) -> int:
    """Send until standard input closes; give the exit status."""
    parser = argparse.ArgumentParser(prog="roomtone.workers.livecard", description=__doc__)
    parser.add_argument("--to", required=True, help="URL that takes RTMP")
    stop = when_input_ends()
    try:
        _publish(parser.parse_args(argv).to, stop)
    except (av.FFmpegError, OSError) as error:
        print(f"the live test card ended: {error}", file=sys.stderr)  # noqa: T201 - the supervisor reads it
        return 1
    return 0


def _publish(url: str, stop: threading.Event) -> None:
    card = LiveCard(url)
    begun = time.monotonic()
    while not stop.wait(1 / FPS):
        card.advance(time.monotonic() - begun, time.time())
    card.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
