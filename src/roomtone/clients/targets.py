"""Where streams may be fetched from: public addresses, unless others are allowed."""

from __future__ import annotations

import asyncio

from roomtone.clients.webhooks.addresses import Resolver, is_public, look_up
from roomtone.control.live import PullRefusal, PullRefusedError

TIMEOUT_S = 5.0
"""How long a name may take."""


class GuardedTargets:
    """Looks names up and leaves out addresses that are not public; webhooks go by the same rule."""

    def __init__(self, *, allow_private: bool, resolver: Resolver = look_up) -> None:
        self._allow_private = allow_private
        self._resolver = resolver

    async def find(self, host: str, port: int) -> list[str]:
        """Give the addresses that may be connected to; raise `PullRefusedError` where there is none, or ``OSError``."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                found = await self._resolver(host, port)
        except TimeoutError as error:
            raise OSError(f"the name {host} was not found in time") from error
        allowed = [address for address in found if self._allow_private or is_public(address)]
        if found and not allowed:
            message = f"{host} is {', '.join(found)}: streams come from public addresses only (pull.allow_private)"
            raise PullRefusedError(PullRefusal.PRIVATE, message)
        return allowed
