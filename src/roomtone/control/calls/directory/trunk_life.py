"""How a trunk is: registered or not, when it is tried again, and whether calls may be sent there at all.

A pure machine: results and the time come in, states and due times come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

EXPIRES_S = 3_600
"""Registration asked for; the registrar may grant less, or ask for more."""
PROBE_EVERY_S = 30.0
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 300.0
LONGEST_RETRY_AFTER_S = 3_600
BREAKER = 3
"""Failures in a row after which no call is sent there, until it answers again."""
_MAX_DETAIL = 200
_OK, _MULTIPLE, _TOO_BRIEF = 200, 300, 423
_REFUSED = frozenset({401, 403, 404, 407})
"""Answers that another try does not change: what is configured is wrong."""
_AWAY = frozenset({408, 503})


class TrunkState(StrEnum):
    """How a trunk is."""

    UNREGISTERED = "unregistered"
    """It needs no registration, or none was tried yet."""
    REGISTERING = "registering"
    REGISTERED = "registered"
    BACKING_OFF = "backing_off"
    """The last registration failed; another follows. Calls are still tried."""
    DOWN = "down"
    """Calls are refused at once: it failed several times in a row, or refused what is configured."""


class TrunkInput(StrEnum):
    """What happens to a trunk."""

    BEGUN = "begun"
    """A registration is on its way."""
    ACCEPTED = "accepted"
    """It was granted."""
    REACHED = "reached"
    """A trunk that needs no registration answered."""
    FAILED = "failed"
    BROKEN = "broken"
    """It failed, and once too often."""


_S, _I = TrunkState, TrunkInput
TABLE = {
    (_S.UNREGISTERED, _I.BEGUN): _S.REGISTERING,
    (_S.BACKING_OFF, _I.BEGUN): _S.REGISTERING,
    # While it is refreshed, or tried again after it was down, it stays what it was until there is an answer.
    (_S.REGISTERING, _I.ACCEPTED): _S.REGISTERED,
    (_S.BACKING_OFF, _I.ACCEPTED): _S.REGISTERED,
    (_S.DOWN, _I.ACCEPTED): _S.REGISTERED,
    (_S.DOWN, _I.REACHED): _S.UNREGISTERED,
    (_S.REGISTERING, _I.FAILED): _S.BACKING_OFF,
    (_S.REGISTERED, _I.FAILED): _S.BACKING_OFF,
    (_S.UNREGISTERED, _I.BROKEN): _S.DOWN,
    (_S.REGISTERING, _I.BROKEN): _S.DOWN,
    (_S.REGISTERED, _I.BROKEN): _S.DOWN,
    (_S.BACKING_OFF, _I.BROKEN): _S.DOWN,
}
"""What is not here changes nothing."""


class TrunkDeed(StrEnum):
    """What is to be done for a trunk."""

    REGISTER = "register"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class TrunkReply:
    """What came of a REGISTER or OPTIONS."""

    status: int | None
    """None: no answer, or no way there."""
    detail: str = ""
    expires_s: int = 0
    """What was granted."""
    min_expires_s: int = 0
    retry_after_s: int = 0


class TrunkLife:
    """The state of one trunk.

    Inputs: `begin`, `handle_reply`, `note_call`, with the time in seconds. Outputs: ``state``, ``due_at`` and
    ``deed``. ``draw`` gives a random number from 0 to below 1: waits are spread, so that trunks of a provider that was
    away do not all come back at once.
    """

    def __init__(self, now: float, draw: Callable[[], float], *, registers: bool, probes: bool) -> None:
        self.state = TrunkState.UNREGISTERED
        self.failures = 0
        """In a row."""
        self.last_error = ""
        self.expires_s = EXPIRES_S
        self._draw = draw
        self._registers = registers
        self._probes = probes
        self._expires_at = 0.0
        self._register_at = now if registers else inf
        self._probe_at = now if probes and not registers else inf

    @property
    def is_usable(self) -> bool:
        """Whether calls are sent there."""
        return self.state is not TrunkState.DOWN

    @property
    def due_at(self) -> float:
        """When something is to be done; infinity: never."""
        return min(self._register_at, self._probe_at)

    @property
    def deed(self) -> TrunkDeed:
        """What is to be done then."""
        return TrunkDeed.REGISTER if self._register_at <= self._probe_at else TrunkDeed.PROBE

    def begin(self) -> TrunkDeed:
        """Say that what is due is being done; nothing is due until its reply."""
        deed = self.deed
        if deed is TrunkDeed.REGISTER:
            self._step(TrunkInput.BEGUN)
        self._register_at = self._register_at if deed is TrunkDeed.PROBE else inf
        self._probe_at = inf
        return deed

    def handle_reply(self, deed: TrunkDeed, reply: TrunkReply, now: float) -> None:
        """Take what came of it."""
        if deed is TrunkDeed.PROBE:
            self._on_probed(reply, now)
        elif reply.status is not None and _OK <= reply.status < _MULTIPLE:
            self._on_registered(reply, now)
        elif reply.status == _TOO_BRIEF and reply.min_expires_s > self.expires_s:
            self.expires_s, self._register_at = reply.min_expires_s, now
        else:
            self._fail(reply, now)

    def note_call(self, now: float, *, reached: bool) -> None:
        """Take whether a call was answered there at all: calls that nobody answers open the breaker too."""
        if reached:
            if self.state in {TrunkState.REGISTERED, TrunkState.UNREGISTERED}:
                self.failures = 0
        elif self.is_usable:
            self._fail(TrunkReply(None, "a call was not answered"), now)

    def _on_registered(self, reply: TrunkReply, now: float) -> None:
        self.failures, self.last_error = 0, ""
        self._step(TrunkInput.ACCEPTED)
        granted = max(reply.expires_s or self.expires_s, 1)
        self._expires_at = now + granted
        self._register_at = now + granted * (0.7 + 0.2 * self._draw())
        self._probe_at = self._next_probe(now)

    def _on_probed(self, reply: TrunkReply, now: float) -> None:
        if reply.status is None or reply.status in _AWAY:
            self._fail(reply, now)
            return
        self.failures, self.last_error = 0, ""
        if not self._registers:
            self._step(TrunkInput.REACHED)
        self._probe_at = self._next_probe(now)

    def _next_probe(self, now: float) -> float:
        return now + PROBE_EVERY_S * (0.8 + 0.4 * self._draw()) if self._probes else inf

    def _fail(self, reply: TrunkReply, now: float) -> None:
        self.failures += 1
        said = "no answer" if reply.status is None else f"answered {reply.status}"
        self.last_error = (f"{said}: {reply.detail}" if reply.detail else said)[:_MAX_DETAIL]
        refused = reply.status in _REFUSED
        broken = refused or self.failures >= BREAKER
        # A registration that has not run out is still good while OPTIONS and calls fail now and then.
        holds = self.state is TrunkState.REGISTERED and now < self._expires_at and self._register_at < inf
        if broken or not holds:
            self._step(TrunkInput.BROKEN if broken else TrunkInput.FAILED)
        wait = LONGEST_WAIT_S if refused else min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(self.failures - 1, 16))
        at = now + max(wait * (0.5 + 0.5 * self._draw()), min(reply.retry_after_s, LONGEST_RETRY_AFTER_S))
        if self._registers and not (holds and not broken):
            self._register_at, self._probe_at = at, inf
        elif self._probes or not self._registers:
            # A trunk that is never asked would stay down for good: it is asked until it answers.
            self._probe_at = at if self._probes or not self.is_usable else inf

    def _step(self, what: TrunkInput) -> None:
        self.state = TABLE.get((self.state, what), self.state)
