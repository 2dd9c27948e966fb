"""Who reads live streams by SRT, and plays them by RTMP: who may, who does, and those that are sent away.

A stream is played out as MPEG-TS or FLV by the ports on which encoders are let in. ``refused`` and ``ended`` count by
reason. Limits: ``max_readers`` at a time; of `MAX_AWAITED` that were let in and have not come yet the oldest are
forgotten, who then have no identity in lists.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.live.values import LiveError, LiveRefusal
from roomtone.control.policy import AccessDenial, AccessError
from roomtone.media import EngineCommandError
from roomtone.media.values import Answer, Denial, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.live.access import Holder
    from roomtone.control.live.play_rights import PlayRights
    from roomtone.media import IngestListener
    from roomtone.media.values import IngestProtocol, PlayoutEnd, PlayoutEnded, PlayoutId, PlayoutStarted, Question

_log = logging.getLogger(__name__)
PLAY = "play"
"""Topic of the engine's question whether a stream may be read."""
MAX_AWAITED = 1_024


@dataclass(frozen=True, slots=True)
class Playout:
    """One who reads a stream, with the identity in the token where it showed one."""

    id: PlayoutId
    name: str
    protocol: IngestProtocol
    remote: str
    started_at: float
    listener: IngestListener
    holder: Holder | None

    @property
    def identity(self) -> str | None:
        """Who it is, where its credential says so."""
        return None if self.holder is None else self.holder.identity or None


class Playouts:
    """All readers of this node."""

    def __init__(self, rights: PlayRights, *, max_readers: int = 256, clock: Callable[[], float] = time.time) -> None:
        self.by_id: dict[PlayoutId, Playout] = {}
        self.accepted = 0
        self.kicked = 0
        self.refused: Counter[AccessDenial | LiveRefusal] = Counter()
        self.ended: Counter[PlayoutEnd] = Counter()
        self._rights = rights
        self._max_readers = max_readers
        self._clock = clock
        self._awaited: OrderedDict[tuple[str, str], Holder] = OrderedDict()

    async def decide(self, question: Question) -> Answer:
        """Decide whether a stream may be read."""
        if len(self.by_id) >= self._max_readers:
            self.refused[LiveRefusal.TOO_MANY_READERS] += 1
            detail = f"{self._max_readers} read streams already"
            return Answer(id=question.id, allowed=False, detail=detail, denial=Denial.LIMIT)
        try:
            holder = await self._rights.require(question)
        except AccessError as error:
            self.refused[error.denial] += 1
            _log.info("refused %s to %s: %s", question.subject, question.remote, error)
            return Answer(id=question.id, allowed=False, detail=str(error), denial=denial_of(error))
        self.accepted += 1
        if holder is not None:
            while len(self._awaited) >= MAX_AWAITED:
                self._awaited.popitem(last=False)
            self._awaited[question.subject, question.remote or ""] = holder
        return Answer(id=question.id, allowed=True)

    def of(self, name: str) -> list[Playout]:
        """Give who reads a stream."""
        return [playout for playout in self.by_id.values() if playout.name == name]

    async def kick(self, name: str, id_: int) -> None:
        """Send a reader away: the token that it showed opens this stream no more; raise `LiveError`."""
        playout = next((one for one in self.of(name) if one.id == id_), None)
        if playout is None:
            raise LiveError(LiveRefusal.NO_SUCH_VIEWER, "there is no such reader of this stream")
        self._rights.keep_away(name, playout.holder)
        try:
            await playout.listener.end_playout(playout.id)
        except EngineCommandError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            self.by_id.pop(playout.id, None)
            raise LiveError(LiveRefusal.NO_SUCH_VIEWER, "this reader is gone already") from error
        self.kicked += 1

    def on_started(self, event: PlayoutStarted, listener: IngestListener) -> None:
        """Note that a stream is read."""
        holder = self._awaited.pop((event.name, event.remote), None)
        self.by_id[event.playout] = Playout(
            id=event.playout,
            name=event.name,
            protocol=event.protocol,
            remote=event.remote,
            started_at=self._clock(),
            listener=listener,
            holder=holder,
        )
        _log.info("%s reads %s by %s", event.remote, event.name, event.protocol.value)

    def on_ended(self, event: PlayoutEnded) -> None:
        """Note that one reads no more."""
        playout = self.by_id.pop(event.playout, None)
        if playout is None:
            return
        self.ended[event.reason] += 1
        _log.info(
            "%s reads %s no more: %s %s; %d bytes, %d units dropped",
            playout.remote,
            playout.name,
            event.reason.value,
            event.detail,
            event.bytes,
            event.units_dropped,
        )


def denial_of(error: AccessError) -> Denial:
    """Say of what sort a refusal is."""
    return Denial.RIGHTS if error.denial.is_forbidden else Denial.CREDENTIAL
