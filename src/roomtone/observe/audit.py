"""Who did what to whom: a line in the log at once, and a row in the database soon after."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from roomtone.observe.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = get_logger("roomtone.audit")

MAX_WAITING = 4_096
BATCH = 256
_MAX_TEXT = 64


class AuditKind(StrEnum):
    """What was done."""

    ACCOUNT_CREATED = "account_created"
    LOGIN = "login"
    LOGOUT = "logout"
    REFRESH = "refresh"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - no password
    RESET_REQUESTED = "reset_requested"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - no password
    RESET_LINK_MADE = "reset_link_made"
    """An administrator was given a link that sets a new password."""
    LOG_INS_ENDED = "log_ins_ended"
    """All of an account, at once."""
    TOTP_SET_UP = "totp_set_up"
    TOTP_CONFIRMED = "totp_confirmed"
    TOTP_REMOVED = "totp_removed"
    ACCOUNT_CHANGED = "account_changed"
    ROLE_CHANGED = "role_changed"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_ENABLED = "account_enabled"
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    ROOM_TOKEN = "room_token"  # noqa: S105 - no token


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing done or refused; ``outcome`` is ``ok`` or the reason of the refusal."""

    kind: AuditKind
    outcome: str
    at: float
    account: str = ""
    """The account it was done to; of a failed log-in the name that was given."""
    actor: str = ""
    """The account that did it, or ``server`` and ``command line``."""
    address: str = ""
    detail: str = ""


class AuditSink(Protocol):
    """Keeps events; `roomtone.store` has one in SQL."""

    async def write(self, events: Sequence[AuditEvent]) -> None:
        """Keep events; raise whatever went wrong."""
        ...


class AuditLog:
    """The audit trail. Limit: ``max_waiting`` events wait for the sink; further ones are logged only, and counted.

    ``recorded`` counts by kind, ``unkept`` what no row could be made of.
    """

    def __init__(self, sink: AuditSink | None = None, *, max_waiting: int = MAX_WAITING) -> None:
        self.recorded: Counter[AuditKind] = Counter()
        self.unkept = 0
        self._sink = sink
        self._waiting: list[AuditEvent] = []
        self._max_waiting = max_waiting
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._ending = False
        self._task: asyncio.Task[None] | None = None

    def record(self, event: AuditEvent) -> None:
        """Note an event."""
        self.recorded[event.kind] += 1
        _log.info(
            "audit",
            kind=event.kind.value,
            outcome=event.outcome,
            account=event.account[:_MAX_TEXT],
            actor=event.actor,
            address=event.address,
            detail=event.detail,
        )
        if self._sink is None:
            return
        if len(self._waiting) >= self._max_waiting:
            self.unkept += 1
            return
        self._waiting.append(event)
        self._news.set()

    def start(self) -> None:
        """Begin to hand events to the sink."""
        self._task = asyncio.create_task(self._keep_writing(), name="audit")

    async def close(self) -> None:
        """Hand over what waits, once, and end."""
        task, self._task = self._task, None
        self._ending = True
        self._news.set()
        if task is not None:
            # Not cancelled: a write under way would leave its connection in an unknown state.
            await task
        await self._write()

    async def flush(self) -> None:
        """Hand over what waits now; what is being written is kept too when this returns."""
        await self._write()

    async def _keep_writing(self) -> None:
        while not self._ending:
            await self._news.wait()
            self._news.clear()
            await self._write()

    async def _write(self) -> None:
        async with self._writing:
            while self._sink is not None and self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                try:
                    await self._sink.write(batch)
                except Exception as error:  # noqa: BLE001 - the trail is in the log already; the server goes on
                    self.unkept += len(batch)
                    _log.warning("audit rows were not kept", rows=len(batch), reason=str(error))
