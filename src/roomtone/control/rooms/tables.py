"""What all operations on rooms share: tables of what there is, refusals, work beside its caller."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from roomtone.control.rooms.ended_log import EndedLog
from roomtone.control.rooms.reasons import CloseReason, Refusal, RoomError, of_command
from roomtone.control.rooms.routers import RoomRouters
from roomtone.control.rooms.settings import RoomLimits
from roomtone.control.rooms.switching import Switching
from roomtone.media import EngineCommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from roomtone.control.rooms.model import AnyConnection, Connection, Member, Room
    from roomtone.control.rooms.tracks import Publication, Subscription
    from roomtone.media import Engine
    from roomtone.media.values import ChannelId, ObserverId, TransportId

_log = logging.getLogger(__name__)


def random_id(prefix: str) -> str:
    """Make an id that no other node makes too."""
    return f"{prefix}_{secrets.token_hex(8)}"


class RoomTables:
    """Rooms by name, and tables of what is in them."""

    def __init__(
        self,
        engine: Engine,
        limits: RoomLimits | None = None,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[str], str] = random_id,
    ) -> None:
        self.engine = engine
        self.limits = limits or RoomLimits()
        self.refused: Counter[Refusal] = Counter()
        self.ended: Counter[CloseReason] = Counter()
        self.ended_log = EndedLog(self.limits.max_ended, clock)
        self.by_name: dict[str, Room] = {}
        self.connections: dict[TransportId, AnyConnection] = {}
        self.channels: dict[ChannelId, Connection] = {}
        self.observed: dict[ObserverId, Room] = {}
        """Rooms by who listens for their speakers."""
        self.publications: dict[int, Publication] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self.when_opened: list[Callable[[Room], None]] = []
        """Called with each new room, before its first event."""
        self.routers = RoomRouters(engine, self.limits.routers_per_room, self.limits.audio_top_n, spawn=self.spawn)
        self.switching = Switching(self.routers)
        self._clock = clock
        self._new_id = new_id
        self._opening: dict[str, asyncio.Task[Room]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closings: set[asyncio.Future[list[None]]] = set()
        self._closed = False

    async def drain(self) -> None:
        """Wait for everything that runs beside its caller."""
        while self._tasks or self._closings:
            under_way: list[asyncio.Future[Any]] = [*self._tasks, *self._closings]
            await asyncio.wait(under_way)

    def _check_open(self, member: Member) -> None:
        """Fail when a member has ended meanwhile, or lost its room or its transport on its way in."""
        closed = member.closed or member.room.closed
        if closed is not None:
            self.refused[Refusal.CLOSED] += 1
            raise RoomError(Refusal.CLOSED, f"ended meanwhile: {closed.value}", closed=closed)

    def refuse(self, refusal: Refusal, message: str) -> RoomError:
        """Count a refusal and give its error."""
        self.refused[refusal] += 1
        return RoomError(refusal, message)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run something beside its caller; `close` waits for it."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @contextmanager
    def commands(self, *, on_transport: bool = False) -> Iterator[None]:
        """Say for rooms what the engine refused inside; see `of_command`."""
        try:
            yield
        except EngineCommandError as error:
            refused = of_command(error, on_transport=on_transport)
            self.refused[refused.refusal] += 1
            raise refused from error


async def quietly(close: Callable[[], Coroutine[None, None, None]]) -> None:
    """Close something of the engine; that it cannot be closed is logged, since nobody could do more about it."""
    try:
        await close()
    except EngineCommandError as error:
        _log.warning("closing in the engine failed: %s", error)
