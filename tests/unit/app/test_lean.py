"""The server loads without what its libraries do not need, and finds that afterwards."""

from __future__ import annotations

import subprocess
import sys

from roomtone.app.lean import UNUSED

SCRIPT = """
import sys
from roomtone.app.lean import UNUSED, without_unused
with without_unused():
    from roomtone.app.server import Server
assert not [name for name in sys.modules if name.split(".")[0] in UNUSED], "nothing of it was loaded"
from redis.asyncio import Redis
import aiohttp, h2.connection
from roomtone.store.redis_streams import RedisStreams
print("ok")
"""


def test_nothing_of_what_is_not_used_is_loaded_and_all_of_it_is_found_later() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("ok\n", ""), UNUSED
