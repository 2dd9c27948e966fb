"""The routers of a room: its home, where who joins to publish is, and branches on other shards for viewers.

Who is moved from another room brings along the router that it is on: a guest, shared with the room it came from.

A publication is piped to a branch when the first viewer there wants it, and stays piped until it or the branch ends.
Limits: ``per_room`` routers, at most one a shard, so at most ``per_room - 1`` pipes a publication.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import TYPE_CHECKING

from roomtone.control.rooms.pipes import end_late_pipe, end_pipe
from roomtone.media import EngineCommandError, Router
from roomtone.media.values import RouterId

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from roomtone.control.rooms.model import Room
    from roomtone.control.rooms.speakers import SpeakerRules
    from roomtone.control.rooms.tracks import Publication
    from roomtone.media import AudioLevelObserver, Engine, Producer, Report
    from roomtone.media.values import ProducerId

_log = logging.getLogger(__name__)


class NoRouter(Router):
    """Stands in a room for the router that the engine had no place for, until a connection needs one."""

    __slots__ = ()

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, RouterId(0), -1)

    async def close(self) -> None:
        """There is nothing to close."""

    async def stats(self) -> list[Report]:
        """There is nothing to tell."""
        return []


class RoomRouters:
    """Places members on routers and brings publications to them."""

    def __init__(
        self,
        engine: Engine,
        per_room: int,
        audio_top_n: int = 0,
        *,
        spawn: Callable[[Coroutine[None, None, None]], None],
    ) -> None:
        self.piped: dict[ProducerId, tuple[Publication, RouterId]] = {}
        """Producers on branches, and whose they are."""
        self._shared: Counter[RouterId] = Counter()
        """Of routers with guests, how many rooms and others hold them beside one."""
        self._spawn = spawn
        self._engine = engine
        self._per_room = per_room
        self._audio_top_n = audio_top_n

    async def open(self, shard: int | None = None) -> Router:
        """Open a router, told how many may be heard at once where that is limited."""
        router = await self._engine.open_router(shard)
        if self._audio_top_n:
            try:
                await router.set_audio_top_n(self._audio_top_n)
            except EngineCommandError:
                with contextlib.suppress(EngineCommandError):
                    await router.close()
                raise
        return router

    async def observe(self, router: Router, rules: SpeakerRules) -> AudioLevelObserver | None:
        """Have a router's audio watched for who speaks; a router that cannot is closed again."""
        if not rules.top_n:
            return None
        try:
            return await router.observe_audio_levels(
                interval_ms=rules.interval_ms,
                threshold_dbov=rules.threshold_dbov,
                percentile=rules.percentile,
                smoothing=rules.smoothing,
                hold_ms=rules.hold_ms,
                max_entries=rules.top_n,
            )
        except EngineCommandError:
            with contextlib.suppress(EngineCommandError):
                await router.close()
            raise

    async def place(self, room: Room, *, spread: bool) -> Router:
        """Choose a router and hold a place on it, which `release` gives back; who publishes stays at home."""
        router = room.router
        if spread and self._per_room > 1:
            async with room.placing:
                router = await self._least_loaded(room)
                room.load[router.id] += 1
        else:
            room.load[router.id] += 1
        return router

    def adopt(self, room: Room, router: Router) -> None:
        """Hold a place on the router of somebody who is moved here; `release` gives it back."""
        room.load[router.id] += 1
        if router is room.router or router.id in room.branches or router.id in room.guests:
            return
        room.guests[router.id] = router
        self._shared[router.id] += 1

    def hold(self, router: Router) -> None:
        """Keep a router for somebody outside its rooms; `let_go` gives it back."""
        self._shared[router.id] += 1

    def let_go(self, router: Router) -> bool:
        """Note that a room does without a router; True when no other room has it, and the caller shall close it."""
        if not self._shared[router.id]:
            del self._shared[router.id]
            return True
        self._shared[router.id] -= 1
        return False

    def release(self, room: Room, router: Router) -> bool:
        """Give a place back; True when nobody needs the branch or guest now, and the caller shall close it."""
        if router.id not in room.load:
            return False  # lost meanwhile
        room.load[router.id] -= 1
        if room.load[router.id] > 0 or not (router.id in room.branches or router.id in room.guests):
            return False
        self.forget(room, router)
        return self.let_go(router)

    def forget(self, room: Room, router: Router) -> None:
        """Take a branch or guest out of its room: it ends, the engine lost it, or only its own room needs it now."""
        was_guest = room.guests.pop(router.id, None) is not None
        room.branches.pop(router.id, None)
        room.load.pop(router.id, None)
        for id_, (publication, where) in tuple(self.piped.items()):
            if where == router.id and publication.participant.room is room:
                del self.piped[id_]
        for participant in room.participants.values():
            for publication in participant.publications.values():
                pipe = publication.pipes.pop(router.id, None)
                if was_guest and pipe is not None:
                    self._spawn(end_late_pipe(pipe))  # the router goes on, and so would the pipe

    async def producer_on(self, publication: Publication, router: Router) -> Producer:
        """Give a publication's producer on a router, piped there first where it is not yet."""
        if publication.router is router:
            return publication.producer
        pipe = publication.pipes.get(router.id)
        if pipe is None:
            pipe = publication.pipes[router.id] = asyncio.ensure_future(self._pipe(publication, router))
        # Shielded: one viewer that gives up must not take the pipe from the others who wait for it.
        return await asyncio.shield(pipe)

    def unpipe(self, piped: ProducerId) -> tuple[Publication, RouterId] | None:
        """Note that a piped producer has ended; gives whose it was, and where."""
        found = self.piped.pop(piped, None)
        if found is not None:
            found[0].pipes.pop(found[1], None)
        return found

    async def _pipe(self, publication: Publication, router: Router) -> Producer:
        try:
            piped = await publication.router.pipe_to(publication.producer, router)
        except EngineCommandError:
            publication.pipes.pop(router.id, None)
            raise
        participant = publication.participant
        if _has(participant.room, router) and participant.publications.get(publication.id) is publication:
            self.piped[piped.id] = (publication, router.id)
        else:
            # Branch or publication ended on the way, and the piped producer with it unless the track was moved.
            publication.pipes.pop(router.id, None)
            self._spawn(end_pipe(piped))
        return piped

    async def _least_loaded(self, room: Room) -> Router:
        routers = [room.router, *room.branches.values()]
        least = min(routers, key=lambda router: room.load[router.id])
        if not room.load[least.id] or len(routers) >= self._per_room:
            return least
        try:
            return await self._branch(room, {router.shard for router in routers}) or least
        except EngineCommandError as error:
            _log.warning("room %s gets no further router: %s", room.name, error)
            return least

    async def _branch(self, room: Room, used: set[int]) -> Router | None:
        """Open a router on the least loaded shard the room does not use; None when it uses all."""
        loads = {
            int(str(report["id"]).removeprefix("shard-")): (report.get("transports") or 0, report.get("routers") or 0)
            for report in await self._engine.stats()
            if report["type"] == "shard"
        }
        free = [shard for shard in loads if shard not in used]
        if not free:
            return None
        router = await self.open(min(free, key=lambda shard: loads[shard]))
        room.branches[router.id] = router
        return router


def _has(room: Room, router: Router) -> bool:
    return router is room.router or router.id in room.branches or router.id in room.guests
