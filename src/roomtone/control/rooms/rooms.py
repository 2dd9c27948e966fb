"""Rooms: who joins, publishes, subscribes, watches and leaves, over the façade.

Every operation that fails half way undoes what it did: no transport, participant or room remains of it.
Limits are `RoomLimits`; ``Rooms.refused`` counts refusals by reason, ``Rooms.ended`` ends by reason.
Each subject has a file: tables, ending, directory, connections, tracking, joining, watching, lobby, updating,
forwarding, mixing, data, chatting.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

from roomtone.control.rooms.chat_memory import MemoryChat
from roomtone.control.rooms.chatting import RoomChat
from roomtone.control.rooms.tables import random_id
from roomtone.control.rooms.watch import EngineWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.rooms.chat import ChatStore
    from roomtone.control.rooms.settings import RoomLimits
    from roomtone.media import Engine


class Rooms(RoomChat):
    """All rooms of this node."""

    def __init__(
        self,
        engine: Engine,
        limits: RoomLimits | None = None,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[str], str] = random_id,
        chat_store: ChatStore | None = None,
    ) -> None:
        super().__init__(engine, limits, clock=clock, new_id=new_id)
        self.forwarding_counts = Counter()
        self.when_opened.append(self.follow_forwarded)
        self.mixes = {}
        self.mix_counts = Counter()
        self.when_opened.append(self.follow_mixed)
        self.knocks_decided = Counter()
        self.data_outcomes = Counter()
        self.chat_counts = Counter()
        self.chat_store = chat_store or MemoryChat(self.limits.chat_history)
        self._allowances = OrderedDict()
        self._watch = EngineWatch(self)

    # --- lifetime ---

    def start(self) -> None:
        """Follow the engine's events; call once the engine runs."""
        self._watch.start()

    async def close(self) -> None:
        """End everything: members leave, rooms close."""
        await self.close_all()
        await self._watch.stop()
        await self.drain()

    @property
    def event_overflows(self) -> int:
        """Times engine events were lost because they were not read fast enough."""
        return self._watch.overflows
