"""What is shown of an encoder's stream while its encoder is away: a slate, sent as by an encoder, until it is back.

The stream is kept for the time of grace as ever; a slate that begins within it keeps it on. Whoever may publish under
the name takes the place of a slate at once. Inputs and pulls, which do not ask, have none.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from roomtone.control.live.ingests import Ingests, IngestStream
    from roomtone.media.values import PackagerTrack, Question

_log = logging.getLogger(__name__)
CARD = "card"
"""The slate of our own, which is no file."""
AGAIN_S = 1.0
"""Between two attempts to show one."""
MAKE_WAY_S = 1.5
"""So long an encoder that is back waits for the slate to go, at most; the engine asks for an answer within three."""


@dataclass(frozen=True, slots=True)
class SlateRules:
    """What the settings say."""

    shown: str = ""
    """``card``, a path, or nothing, where no name says otherwise."""
    by_name: Mapping[str, str] = field(default_factory=dict)
    after_s: float = 2.0
    """How long after its publisher was lost."""
    for_s: float = 600.0
    """How long at most."""

    def shown_of(self, name: str) -> str:
        """Give what is shown of a name; empty for nothing."""
        return self.by_name.get(name, self.shown)


@dataclass(frozen=True, slots=True)
class SlateLook:
    """A slate as it fits a stream; ``sound`` is aac, opus, or empty where the stream has none."""

    shown: str
    width: int
    height: int
    sound: str


def look_of(shown: str, tracks: list[PackagerTrack]) -> SlateLook | None:
    """Give how a slate fits the tracks of a stream; None where there are no pictures."""
    video = next((track for track in tracks if track.width and track.height), None)
    if video is None or video.width is None or video.height is None:
        return None
    heard = next((track.codec for track in tracks if track.width is None), "")
    sound = {"opus": "opus", "mp4a": "aac"}.get(heard.partition(".")[0], "")
    return SlateLook(shown, max(2, video.width // 2 * 2), max(2, video.height // 2 * 2), sound)


class SlateProcesses(Protocol):
    """Who sends slates."""

    def why_not(self, shown: str) -> str:
        """Say why this cannot be shown; empty where it can."""

    async def show(self, name: str, secret: str, look: SlateLook) -> str:
        """Show a slate under a name, by a secret, until it is let go; give why it is over. Ended by being cancelled."""


@dataclass(slots=True, eq=False)
class _Slate:
    stream: IngestStream
    secret: str
    task: asyncio.Task[None] | None = None
    let_in: bool = False
    """It publishes, or is about to."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Slates:
    """All slates of this node. ``begun`` counts those that were shown, ``failed`` those that ended by themselves."""

    def __init__(
        self,
        ingests: Ingests,
        rules: SlateRules,
        has_own_source: Callable[[str], bool],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.rules = rules
        self.begun = 0
        self.failed = 0
        self.processes: SlateProcesses | None = None
        """Set when the server listens for RTMP; without, none is shown."""
        self._ingests = ingests
        self._has_own_source = has_own_source
        self._sleep = sleep
        self._by_name: dict[str, _Slate] = {}
        self._leaving: dict[str, _Slate] = {}
        ingests.slates = self
        ingests.when_lost.append(self._on_lost)

    def shows(self, name: str) -> bool:
        """Whether a slate is what is published under a name."""
        slate = self._by_name.get(name)
        return slate is not None and slate.let_in and slate.stream.ingest is not None

    @property
    def shown(self) -> int:
        """Count those that are shown now."""
        return sum(self.shows(name) for name in self._by_name)

    def lets_in(self, question: Question) -> bool:
        """Whether it is a slate of ours that asks."""
        slate = self._by_name.get(question.subject)
        if slate is None or not secrets.compare_digest((question.credential or "").encode(), slate.secret.encode()):
            return False
        slate.let_in = True
        self.begun += 1
        return True

    async def make_way(self, name: str) -> None:
        """End the slate of a name, and wait until it is gone: its publisher is back."""
        slate = self._by_name.pop(name, None)
        if slate is None or slate.task is None:
            return
        if slate.let_in:
            self._leaving[name] = slate
        slate.task.cancel()
        await asyncio.gather(slate.task, return_exceptions=True)
        if slate.let_in:
            with suppress(TimeoutError):
                async with asyncio.timeout(MAKE_WAY_S):
                    await slate.gone.wait()
            self._leaving.pop(name, None)

    async def close(self) -> None:
        """Show none any more."""
        self.processes = None
        tasks = [slate.task for slate in self._by_name.values() if slate.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _on_lost(self, stream: IngestStream) -> None:
        for slate in (self._leaving.get(stream.name), self._by_name.get(stream.name)):
            if slate is not None:
                slate.gone.set()
        if stream.name in self._by_name or self._has_own_source(stream.name):
            return
        if stream.shows is not None:
            return  # another's encoder is shown: nobody would see it
        shown = self.rules.shown_of(stream.name)
        if shown and self.processes is not None and not self.processes.why_not(shown):
            slate = self._by_name[stream.name] = _Slate(stream, secrets.token_urlsafe(32))
            slate.task = asyncio.ensure_future(self._run(slate, shown))

    async def _run(self, slate: _Slate, shown: str) -> None:
        name = slate.stream.name
        limited: set[asyncio.Task[None]] = set()
        try:
            await self._sleep(self.rules.after_s)
            limited = {asyncio.ensure_future(one) for one in (self._keep(slate, shown), self._wait_enough())}
            await asyncio.wait(limited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in limited:
                one.cancel()
            await asyncio.gather(*limited, return_exceptions=True)
            if self._by_name.get(name) is slate:
                del self._by_name[name]

    async def _wait_enough(self) -> None:
        await self._sleep(self.rules.for_s)

    async def _keep(self, slate: _Slate, shown: str) -> None:
        while self._is_waiting(slate.stream):
            await self._show(slate, shown)
            await self._sleep(AGAIN_S)

    async def _show(self, slate: _Slate, shown: str) -> None:
        look = look_of(shown, slate.stream.tracks)
        if self.processes is None or look is None:
            return
        slate.let_in = False
        slate.gone.clear()
        name = slate.stream.name
        _log.info("%s shows a slate until its publisher is back", name)
        why = await self.processes.show(name, slate.secret, look)
        self.failed += 1
        _log.warning("the slate of %s ended: %s", name, why)
        if slate.let_in:  # what became of it is told by the engine, behind it
            with suppress(TimeoutError):
                async with asyncio.timeout(MAKE_WAY_S):
                    await slate.gone.wait()

    def _is_waiting(self, stream: IngestStream) -> bool:
        return self._ingests.by_name.get(stream.name) is stream and stream.ingest is None
