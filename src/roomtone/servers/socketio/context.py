"""What the application hands to this interface."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.protocols.sdp import Support

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from roomtone.config import Settings
    from roomtone.control.accounts import Accounts
    from roomtone.control.policy import IceServerRule, JoinLimiter, KeyTable
    from roomtone.control.rooms import Rooms


@dataclass(eq=False, slots=True)
class SfuCounters:
    """What happened since the start."""

    events: Counter[str] = field(default_factory=Counter)
    """Events of Socket.IO clients, by name."""
    errors: Counter[str] = field(default_factory=Counter)
    """Requests refused, by code."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Clients of Socket.IO that were dropped, by reason."""
    messages: int = 0
    messages_dropped: int = 0
    messages_unknown: int = 0
    messages_refused: int = 0


@dataclass(eq=False, slots=True)
class SfuContext:
    """Everything Socket.IO and the SFU's HTTP interface need."""

    settings: Settings
    rooms: Rooms
    keys: KeyTable
    limiter: JoinLimiter
    accounts: Accounts | None = None
    ice_rules: Sequence[IceServerRule] = ()
    support: Support = field(default_factory=Support)
    wall_clock: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    counters: SfuCounters = field(default_factory=SfuCounters)
