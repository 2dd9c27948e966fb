"""A room's router that something outside the room needs too: it ends with whoever has it last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.media import Router

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class HeldRouter(Router):
    """A router that its room may be done with before who holds it, and the other way round.

    Closing it gives the hold back, once. What was opened on it is to be closed by itself: the router may go on.
    """

    __slots__ = ("_give_back",)

    def __init__(self, router: Router, give_back: Callable[[], Awaitable[None]]) -> None:
        super().__init__(router.engine, router.id, router.shard)
        self._give_back = give_back

    async def close(self) -> None:
        """Give the hold back."""
        if not self.closed:
            self.closed = True
            await self._give_back()

    async def close_quietly(self) -> None:
        """Give the hold back."""
        await self.close()
