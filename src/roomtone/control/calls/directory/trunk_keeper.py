"""Keeps trunks registered and asks whether they are there: one task that wakes when something is due."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from roomtone.control.calls.directory.trunk_life import TrunkDeed, TrunkReply, TrunkState
from roomtone.observe import get_logger

if TYPE_CHECKING:
    from roomtone.control.calls.directory.trunk import Trunk
    from roomtone.control.calls.directory.trunks import Trunks
    from roomtone.control.calls.ports import TrunkSignalling

GOODBYE_S = 2.0
"""How long a server that stops waits for its registrations to be taken back."""
_LONGEST_SLEEP_S = 60.0
_log = get_logger(__name__)


class TrunkKeeper:
    """Registers with trunks and probes them. Limit: one request a trunk at a time."""

    def __init__(self, trunks: Trunks, signalling: TrunkSignalling) -> None:
        self._trunks = trunks
        self._signalling = signalling
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._registered: dict[str, Trunk] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._loop = asyncio.create_task(self._keep(), name="trunks")

    async def close(self) -> None:
        """Stop, and take registrations back as far as that can be done quickly."""
        tasks = [*([] if self._loop is None else [self._loop]), *self._busy.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for trunk in list(self._registered.values()):
            known = self._trunks.find(trunk.name)
            if known is not trunk or self._trunks.life(trunk.name).state is TrunkState.REGISTERED:
                self._leave(trunk)  # others did not grant anything, and would only be waited for
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=GOODBYE_S)
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            self._trunks.changed.clear()
            wait = self.begin_due()
            try:
                async with asyncio.timeout(wait):
                    await self._trunks.changed.wait()
            except TimeoutError:
                pass

    def begin_due(self) -> float:
        """Begin all that is due; give the seconds until more is."""
        now = self._trunks.clock()
        for name, trunk in list(self._registered.items()):
            if self._trunks.find(name) is not trunk and name not in self._busy:
                self._leave(trunk)
        wait = _LONGEST_SLEEP_S
        for trunk in self._trunks.list():
            life = self._trunks.life(trunk.name)
            if trunk.name in self._busy:
                continue
            if life.due_at <= now:
                deed = life.begin()
                self._busy[trunk.name] = asyncio.create_task(self._do(trunk, deed), name="trunk")
            else:
                wait = min(wait, life.due_at - now)
        return wait

    async def _do(self, trunk: Trunk, deed: TrunkDeed) -> None:
        life = self._trunks.life(trunk.name)
        reply = TrunkReply(None, "it failed here")
        try:
            if deed is TrunkDeed.REGISTER:
                self._registered[trunk.name] = trunk
                reply = await self._signalling.register(trunk, life.expires_s)
            else:
                reply = await self._signalling.probe(trunk)
        except Exception:  # noqa: BLE001 - one trunk fails, and is tried again like any other
            _log.exception("a trunk could not be asked", trunk=trunk.name)
        finally:
            del self._busy[trunk.name]
            before = life.state
            life.handle_reply(deed, reply, self._trunks.clock())
            if life.state is not before:
                _log.info("a trunk has changed", trunk=trunk.name, state=life.state.value, error=life.last_error)
            self._trunks.changed.set()

    def _leave(self, trunk: Trunk) -> None:
        del self._registered[trunk.name]
        task = asyncio.create_task(self._unregister(trunk), name="trunk-leave")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _unregister(self, trunk: Trunk) -> None:
        await self._signalling.register(trunk, 0)
