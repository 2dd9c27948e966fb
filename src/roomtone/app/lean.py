"""Loading the server without what its libraries could use and it does not: a tenth of the time until it is ready."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

UNUSED = ("redis", "aiohttp", "h2")
"""What python-socketio and httpcore import where it is installed: managers over Redis, a client of Socket.IO, HTTP/2.

What shares state by Redis here imports it when it is wanted.
"""


@contextmanager
def without_unused() -> Iterator[None]:
    """Have libraries that are imported meanwhile find nothing of `UNUSED` but what is loaded already."""
    absent = [name for name in UNUSED if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
