"""What the transaction layer counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomtone.protocols.sip.errors import Fault
    from roomtone.protocols.sip.transaction.states import TransactionFailure


@dataclass(slots=True)
class TransactionCounters:
    """Sums since the start; what there is now is in `TransactionLayer.gauges`."""

    ignored: int = 0
    """Messages and timers that a state has no row for: late and repeated ones."""
    repeated: int = 0
    """Messages sent again, for a timer or because the peer repeated its request."""
    stray_responses: int = 0
    """Responses that belong to no transaction."""
    stray_cancels: int = 0
    """CANCELs of nothing, answered 481."""
    refused: int = 0
    """Requests answered 503 without keeping anything, because of a limit or overload."""
    refused_own: int = 0
    """Requests of ours that were not sent because of the limit."""
    dropped: int = 0
    """Messages that could be neither used nor answered."""
    malformed: Counter[Fault] = field(default_factory=Counter)
    failed: Counter[TransactionFailure] = field(default_factory=Counter)
