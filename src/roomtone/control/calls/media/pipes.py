"""Producers of legs on other routers than those they are heard on: a leg that came from another call brings its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomtone.media import Producer, Router
    from roomtone.media.values import ProducerId, RouterId


class Pipes:
    """What was carried from one router to another. A pipe ends with its producer, or with either router."""

    def __init__(self) -> None:
        self._made: dict[tuple[ProducerId, RouterId], tuple[Producer, Producer]] = {}

    async def at(self, router: Router, producer: Producer, home: Router) -> Producer:
        """Give a producer of one router as it is to be had at another."""
        if router.id == home.id:
            return producer
        self._made = {key: pair for key, pair in self._made.items() if not pair[0].closed}
        key = producer.id, router.id
        if key not in self._made:
            self._made[key] = producer, await home.pipe_to(producer, router)
        return self._made[key][1]
