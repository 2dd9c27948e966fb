"""Calls that may last so long and no longer, whatever becomes of them meanwhile."""

from __future__ import annotations

import asyncio

from roomtone.control.calls.parties.call import Call
from roomtone.control.calls.reasons import CallEnd


class TimedCall(Call):
    """A call whose time may be bounded; its legs take that along into other calls."""

    ends_at: float | None = None
    """When it ends at the latest, by the loop's clock; None: whenever it likes."""
    _end_timer: asyncio.TimerHandle | None = None

    def end_by(self, when: float | None) -> None:
        """End it at a time, unless it has to end sooner."""
        if when is None or (self.ends_at is not None and self.ends_at <= when):
            return
        self._stop_clock()
        self.ends_at = when
        self._end_timer = asyncio.get_running_loop().call_at(when, self.ask_to_end, CallEnd.TOO_LONG)

    def _stop_clock(self) -> None:
        if self._end_timer is not None:
            self._end_timer.cancel()
            self._end_timer = None

    async def _finish(self, end: CallEnd) -> None:
        self._stop_clock()
        await super()._finish(end)
