"""Records of calls that have ended, handed to the store in batches."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from roomtone.store import StoreError

if TYPE_CHECKING:
    from roomtone.control.calls.ports import CallRecordTable
    from roomtone.store import CallRecord


class CallRecords:
    """Records on their way. Limit: ``most`` that wait; the oldest are dropped, and ``dropped`` counts them."""

    def __init__(self, table: CallRecordTable, *, most: int = 10_000) -> None:
        self.table = table
        self.dropped = 0
        self.kept = 0
        self.write_failures = 0
        self._most = most
        self._waiting: deque[CallRecord] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, record: CallRecord) -> None:
        """Have a record kept."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(record)

    async def flush(self) -> None:
        """Write what waits; raise `StoreError`, and then try the same again the next time."""
        batch = list(self._waiting)
        if not batch:
            return
        try:
            await self.table.add(batch)
        except StoreError:
            self.write_failures += 1
            raise
        self.kept += len(batch)
        for record in batch:
            if self._waiting and self._waiting[0] is record:
                self._waiting.popleft()
