"""Two calls joined: each peer hears the other."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from roomtone.control.calls.media.bridge import codec_of, join
from roomtone.control.calls.media.pipes import Pipes
from roomtone.media import EngineCommandError
from roomtone.sip.errors import SipError
from roomtone.sip.media import media_step

if TYPE_CHECKING:
    from roomtone.control.calls.media.conversion import Conversion
    from roomtone.sip.call import Call
    from roomtone.sip.media import CallMedia


class Bridge:
    """What joins two calls; made by `Call.bridge`, over with either of them or by `close`."""

    def __init__(self, first: Call, second: Call, media: tuple[CallMedia, CallMedia], *, together: bool) -> None:
        self.calls = (first, second)
        self.together = together
        """Whether the end of one call ends the other."""
        self._media = media
        self._conversion: Conversion | None = None
        self._pipes = Pipes()
        self._over = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def is_over(self) -> bool:
        """Whether the two are apart again."""
        return self._over.is_set()

    @property
    def codec(self) -> str:
        """The codec that passes, such as ``PCMU/8000``; ``A to B`` where sound is converted."""
        return codec_of(self._media[0].leg, self._media[1].leg)

    async def wait_ended(self) -> None:
        """Wait until the two are apart."""
        await self._over.wait()

    async def join(self) -> None:
        """Join them, or bring them in step after either has changed. Raises `SipError`, and then they are apart."""
        async with self._turn:
            if self._over.is_set():
                return
            first, second = self._media
            try:
                self._conversion = await media_step(join(first.leg, second.leg, self._conversion, self._pipes))
            except SipError:
                await self._part()
                raise
            first.is_bridged = second.is_bridged = True

    async def close(self) -> None:
        """Take them apart: each hears again what is played to it. May be called twice."""
        async with self._turn:
            await self._part()

    async def _part(self) -> None:
        if self._over.is_set():
            return
        self._over.set()
        for call, media in zip(self.calls, self._media, strict=True):
            media.is_bridged = False
            call.joined = None
            if not call.is_over:
                with suppress(EngineCommandError, SipError):  # it may end in this very moment, with its ports
                    await media.feed_own()
        if self._conversion is not None:
            with suppress(EngineCommandError):
                await self._conversion.mixer.close()
