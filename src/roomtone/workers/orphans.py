"""A process of the server's ends with it: its standard input closes then."""

from __future__ import annotations

import sys
import threading


def when_input_ends() -> threading.Event:
    """Give an event that is set once standard input has ended, whatever came by it. A thread of its own waits."""
    ended = threading.Event()
    threading.Thread(target=_read_to_the_end, args=(ended,), daemon=True).start()
    return ended


def _read_to_the_end(ended: threading.Event) -> None:
    while sys.stdin.buffer.read(1024):
        pass
    ended.set()
