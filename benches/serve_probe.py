"""`roomtone` with a window into its process: on SIGUSR1 it writes what it holds to the file named by ROOMTONE_PROBE.

The figures are JSON: `malloc` (bytes in use by the C allocator: the engine's, and Python's objects over 512 B),
`blocks` (Python's own allocator), `traced` (bytes of Python's objects, where ROOMTONE_PROBE_TRACE is set: it slows the
process down), `tasks` (asyncio) and `time` (so that a reader knows that they are new).
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

from roomtone.app.main import main


class MallInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


def held() -> dict[str, float]:
    """What the process holds now."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = MallInfo
    info: Any = libc.mallinfo2()
    gc.collect()
    return {
        "malloc": info.uordblks + info.hblkhd,
        "blocks": sys.getallocatedblocks(),
        "tasks": sum(isinstance(value, asyncio.Task) and not value.done() for value in gc.get_objects()),
        "traced": tracemalloc.get_traced_memory()[0],
        "time": time.monotonic(),
    }


def write(*_: object) -> None:
    """Answer SIGUSR1; the file appears whole."""
    path = Path(os.environ["ROOMTONE_PROBE"])
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(held()))
    draft.replace(path)


if __name__ == "__main__":
    if "ROOMTONE_PROBE" in os.environ:
        signal.signal(signal.SIGUSR1, write)
    if "ROOMTONE_PROBE_TRACE" in os.environ:
        tracemalloc.start()
    main()
