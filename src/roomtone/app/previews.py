"""Pictures of live streams, each made by a worker process that ends with it."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from roomtone.control.live import LiveError, LiveRefusal

AT_ONCE = 2
MAX_WAITING = 16
"""Pictures that may be asked for at once; one more is refused."""
PATIENCE_S = 10.0


class Previews:
    """Makes JPEGs of keyframes. ``made`` and ``failed`` count."""

    def __init__(self) -> None:
        self.made = 0
        self.failed = 0
        self._waiting = 0
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, keyframe: bytes) -> bytes:
        """Make a JPEG of an MP4 file of one picture; raise `LiveError`."""
        if self._waiting >= MAX_WAITING:
            self.failed += 1
            raise LiveError(LiveRefusal.PREVIEW_FAILED, "too many pictures are being made: ask again later")
        self._waiting += 1
        try:
            async with self._turns:
                picture = await self._make(keyframe)
        except LiveError:
            self.failed += 1
            raise
        finally:
            self._waiting -= 1
        self.made += 1
        return picture

    async def _make(self, keyframe: bytes) -> bytes:
        pipe = asyncio.subprocess.PIPE
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "roomtone.workers.preview", stdin=pipe, stdout=pipe, stderr=pipe
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                picture, trouble = await worker.communicate(keyframe)
        except TimeoutError:
            raise LiveError(LiveRefusal.PREVIEW_FAILED, "the keyframe was not decoded in time") from None
        finally:
            if worker.returncode is None:
                with suppress(ProcessLookupError):
                    worker.kill()
                await worker.wait()
        if worker.returncode != 0 or not picture:
            lines = trouble.decode(errors="replace").strip().splitlines()
            raise LiveError(LiveRefusal.PREVIEW_FAILED, lines[-1] if lines else "the keyframe was not decoded")
        return picture
