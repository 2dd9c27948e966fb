"""Is the server alive, started, ready: a small state machine and the checks behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class ServerState(StrEnum):
    """Where the server is between start and stop."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


class ServerInput(StrEnum):
    """What moves the server on."""

    STARTED = "started"
    STOP = "stop"
    CLOSED = "closed"
    FAIL = "fail"


_TABLE: dict[tuple[ServerState, ServerInput], ServerState] = {
    (ServerState.STARTING, ServerInput.STARTED): ServerState.READY,
    (ServerState.STARTING, ServerInput.STOP): ServerState.DRAINING,
    (ServerState.STARTING, ServerInput.FAIL): ServerState.FAILED,
    (ServerState.READY, ServerInput.STOP): ServerState.DRAINING,
    (ServerState.READY, ServerInput.FAIL): ServerState.FAILED,
    (ServerState.DRAINING, ServerInput.STOP): ServerState.DRAINING,
    (ServerState.DRAINING, ServerInput.CLOSED): ServerState.STOPPED,
    (ServerState.DRAINING, ServerInput.FAIL): ServerState.FAILED,
    (ServerState.FAILED, ServerInput.STOP): ServerState.DRAINING,
    (ServerState.FAILED, ServerInput.CLOSED): ServerState.STOPPED,
    (ServerState.FAILED, ServerInput.FAIL): ServerState.FAILED,
}


class WrongTransition(Exception):  # noqa: N818 - names what happened
    """An input that has no meaning in the state; a defect of the caller."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Outcome of one check; ``reason`` is empty when all is well."""

    ok: bool
    reason: str = ""


OK = Verdict(ok=True)
Check = Callable[[], Verdict]


@dataclass(slots=True)
class Health:
    """State of the server and the named checks of its parts.

    A *vital* check that fails makes the server not alive (restart it); any failing check makes it not ready
    (send it no new clients).
    """

    clock: Callable[[], float]
    state: ServerState = ServerState.STARTING
    started_at: float | None = None
    warnings: list[str] = field(default_factory=list)
    _checks: dict[str, tuple[Check, bool]] = field(default_factory=dict)

    def advance(self, input_: ServerInput) -> ServerState:
        """Move on; raise `WrongTransition` where the table has no row."""
        try:
            self.state = _TABLE[self.state, input_]
        except KeyError as error:
            raise WrongTransition(f"{input_} means nothing to a server that is {self.state}") from error
        if input_ is ServerInput.STARTED:
            self.started_at = self.clock()
        return self.state

    def watch(self, name: str, check: Check, *, vital: bool = False) -> None:
        """Add or replace a check."""
        self._checks[name] = (check, vital)

    def verdicts(self) -> dict[str, Verdict]:
        """Run all checks; one that raises has failed."""
        return {name: _run(check) for name, (check, _) in self._checks.items()}

    @property
    def live(self) -> bool:
        """Nothing vital is broken."""
        vital = (check for check, vital in self._checks.values() if vital)
        return self.state not in {ServerState.FAILED, ServerState.STOPPED} and all(_run(check).ok for check in vital)

    @property
    def started(self) -> bool:
        """The start came to its end once."""
        return self.started_at is not None

    @property
    def ready(self) -> bool:
        """New clients are welcome."""
        return self.state is ServerState.READY and all(verdict.ok for verdict in self.verdicts().values())

    @property
    def uptime_s(self) -> float:
        """Seconds since the server was ready first."""
        return 0.0 if self.started_at is None else self.clock() - self.started_at


def _run(check: Check) -> Verdict:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - a broken check is a failing check
        return Verdict(ok=False, reason=f"check failed: {type(error).__name__}")
