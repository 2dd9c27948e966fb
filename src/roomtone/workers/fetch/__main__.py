"""Fetch a stream by HLS and publish it: ``python -m roomtone.workers.fetch``.

From and to where is in ``ROOMTONE_FETCH_FROM`` and ``ROOMTONE_FETCH_TO``: secrets may be in both. It ends when its
standard input closes, when the source ends, and when the server lets it go; the last line of its standard error says
why.
"""

from __future__ import annotations

import os
import sys

import av

from roomtone.workers.fetch.guarded import Guard
from roomtone.workers.fetch.relay import NothingToRelayError, relay
from roomtone.workers.orphans import when_input_ends


def main() -> int:
    """Relay until standard input closes; give the exit status."""
    stop = when_input_ends()
    guard = Guard(allow_private=os.environ.get("ROOMTONE_FETCH_PRIVATE") == "1")
    try:
        relay(os.environ["ROOMTONE_FETCH_FROM"], os.environ["ROOMTONE_FETCH_TO"], guard, stop.wait)
    except (av.FFmpegError, OSError, NothingToRelayError) as error:
        print(guard.last_error or error, file=sys.stderr)  # noqa: T201 - whoever started it reads it
        return 1
    print(guard.last_error or "the stream has ended", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Not by way of destructors: FFmpeg's demuxer frees what it read last by means that are not those it was opened by.
    os._exit(status)
