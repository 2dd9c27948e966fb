"""Who speaks in a room."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Speaker:
    """A participant that speaks, or has just stopped; ``level`` is from 0 to 1 (full scale)."""

    identity: str
    level: float
    active: bool = True
