"""The demo stream: the test card published to this server as an encoder does it, by RTMP."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from roomtone.app.demo import require_installed
from roomtone.app.errors import StartError
from roomtone.app.supervisor import Supervisor, WorkerError
from roomtone.control.policy import VideoGrants

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.control.policy import KeyTable
    from roomtone.observe import Verdict

IDENTITY = "livecard"
WORKER = (sys.executable, "-m", "roomtone.workers.livecard")
_TOKEN_LIFETIME_S = 60.0


class LiveDemo:
    """Keeps the test card published under a name: started again when it ends."""

    def __init__(
        self,
        address: str,
        name: str,
        keys: KeyTable,
        *,
        on_restart: Callable[[], None] = lambda: None,
        command: Sequence[str] = WORKER,
    ) -> None:
        """Publish to ``host:port`` of the server's RTMP, with a token of one of its keys."""
        self._address = address
        self._name = name
        self._keys = keys
        self._command = tuple(command)
        self._supervisor = Supervisor(IDENTITY, self._prepare, on_restart=on_restart)

    async def start(self) -> None:
        """Start to send; raise `StartError` when this installation cannot."""
        require_installed()
        try:
            await self._supervisor.start()
        except WorkerError as error:
            raise StartError(f"the demo stream did not start: {error}") from error

    async def close(self) -> None:
        """Stop sending."""
        await self._supervisor.close()

    def verdict(self) -> Verdict:
        """Whether the publisher runs."""
        return self._supervisor.verdict()

    async def _prepare(self) -> list[str]:
        key = next(iter(self._keys.secrets), None)
        if key is None:
            message = "there is no API key to publish with"
            raise WorkerError(message)
        grants = VideoGrants(room_join=True, room=self._name, can_publish=True)
        token = self._keys.sign(key, IDENTITY, grants, time.time(), _TOKEN_LIFETIME_S)
        return [*self._command, "--to", f"rtmp://{self._address}/live/{self._name}?token={token}"]
