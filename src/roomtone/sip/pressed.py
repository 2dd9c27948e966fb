"""Keys that the peer of a call presses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomtone.sip.errors import SipCode, UseError
from roomtone.sip.stock import StockOver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roomtone.sip.stock import Stock

KEYS = frozenset("0123456789*#ABCD")


class Pressed:
    """Keys of a peer, in their order."""

    def __init__(self, keys: Stock[str]) -> None:
        self._keys = keys

    async def next_key(self, timeout_s: float | None = None) -> str:
        """Take the next key the peer pressed (telephone events, tones in the sound, INFO).

        Raises `TimeoutError`; `UseError` when the call is over.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._keys.get()
        except StockOver:
            raise UseError(SipCode.WRONG_STATE, "the call is over") from None

    async def gather_keys(self, most: int, *, until: str = "#", pause_s: float = 5.0) -> str:
        """Take keys until there are ``most``, one is ``until`` (which is left out), or none came for ``pause_s``."""
        found = ""
        while len(found) < most:
            try:
                key = await self.next_key(pause_s)
            except TimeoutError:
                break
            if key == until:
                break
            found += key
        return found

    async def keys(self) -> AsyncIterator[str]:
        """Go over the keys the peer presses, until the call ends."""
        async for key in self._keys:
            yield key

    def take_key(self, key: str) -> None:
        """Note a key of the peer."""
        self._keys.put(key)
