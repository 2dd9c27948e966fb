"""Targets that failed a moment ago are tried last (RFC 3263, 4.3): a dead server costs one time-out, not one a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.clients.resolver.locating import Target

AVOIDED_MS = 30_000
REMEMBERED = 4_096
"""Failed targets remembered; the one that failed longest ago makes room."""


class FailedTargets:
    """Remembers failures. Inputs: `failed`, `succeeded`, with the time in milliseconds. Limits: ``REMEMBERED``."""

    def __init__(self, avoided_ms: int = AVOIDED_MS) -> None:
        self._avoided_ms = avoided_ms
        self._until: dict[Target, int] = {}

    def failed(self, target: Target, now: int) -> None:
        """Note that a target could not be reached, did not answer, or answered 503."""
        self._until.pop(target, None)
        if len(self._until) >= REMEMBERED:
            del self._until[next(iter(self._until))]
        self._until[target] = now + self._avoided_ms

    def succeeded(self, target: Target) -> None:
        """Note that a target answered."""
        self._until.pop(target, None)

    def sort(self, targets: Sequence[Target], now: int) -> list[Target]:
        """Put those that failed lately behind the others; none is left out."""
        return sorted(targets, key=lambda target: self._until.get(target, 0) > now)
