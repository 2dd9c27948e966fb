"""Processes that make live streams anew: one a track, started with the stream, watched, started again when they end.

A process that is gone costs its rungs what it would have made meanwhile; the stream goes on. One that says that it
cannot is not started again: its stream goes on without.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from roomtone.control.live.ladders import RoomMaking, SoundCodec, TranscodeRules
from roomtone.media import EngineCommandError, MediaError, TrackTranscoder, Transcoder
from roomtone.media.values import ErrorCode, MediaKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from roomtone.media import Engine
    from roomtone.media.values import IngestTrack, PackagerId

_log = logging.getLogger(__name__)
MAX_EVENTS = 50
"""Events of one stream's processes that are remembered; the oldest go."""
STALL_S = 15.0
"""A process says every two seconds that it is alive; one that says nothing for so long is ended."""


class WorkerStartError(Exception):
    """A process cannot be started; the message says why."""


class Worker(Protocol):
    """A process that is kept running."""

    async def close(self) -> None:
        """End it."""

    def kill(self) -> None:
        """End it now, by force; it is started again."""


class Workers(Protocol):
    """Who starts processes."""

    def socket_path(self) -> str:
        """Give a path for a Unix socket, at which there is nothing."""

    async def start(
        self,
        name: str,
        socket: str,
        plan: Mapping[str, Any],
        on_said: Callable[[Mapping[str, Any]], None],
        on_restart: Callable[[], None],
    ) -> Worker:
        """Start a process and keep it running; raise `WorkerStartError`."""


class TranscodeEventKind(StrEnum):
    """What happened to the processes of a stream."""

    STARTED = "started"
    """It makes these rungs."""
    CHANGED = "changed"
    """A rung is made otherwise from now on, or not at all, as the processor is too busy, or is no more."""
    SHED = "shed"
    """A rung is not made any more."""
    ENCODER_REFUSED = "encoder_refused"
    """An encoder that was tried first does not work here."""
    LEFT_OUT = "left_out"
    """Rungs of a codec for which no encoder works here are not made."""
    SLATE_REFUSED = "slate_refused"
    """What a program is to show where nobody sends cannot be read: it shows our own."""
    RESTARTED = "restarted"
    """The process ended and was started again."""
    STALLED = "stalled"
    """The process hung, and was ended."""
    CANNOT = "cannot"
    """This machine or the source does not allow it: the stream goes on without."""


@dataclass(frozen=True, slots=True)
class TranscodeEvent:
    """One of them."""

    kind: TranscodeEventKind
    detail: str


class Transcoding:
    """What is made anew of one stream."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.encoder: str | None = None
        self.rungs: tuple[str, ...] = ()
        self.events: deque[TranscodeEvent] = deque(maxlen=MAX_EVENTS)
        self.figures: dict[MediaKind, Mapping[str, Any]] = {}
        """What the processes said last of how they do."""
        self.restarts = 0
        self.jobs: list[_Job] = []
        self.closed = False
        self.when_given_up: Callable[[str], None] = lambda _why: None
        """Told why something of it is made no more."""

    def makes(self, kind: MediaKind) -> bool:
        """Whether tracks of a kind are made, by a process or the next one; not once it was given up."""
        return any(job.kind is kind for job in self.jobs)

    @property
    def runs(self) -> bool:
        """Whether a process is there."""
        return any(job.worker is not None for job in self.jobs)


class TrackMaking(Transcoding):
    """What is made anew of one track of an encoder for its room; ``track`` is what its feed is given."""

    def __init__(self, name: str, source: IngestTrack, transcoder: TrackTranscoder, path: str) -> None:
        super().__init__(name)
        self.source = source
        self.track = transcoder.track
        self.path = path
        """Of the socket at which the engine listens for the process."""
        self.jobs.append(_Job(source.kind, transcoder))


class _Job:
    def __init__(self, kind: MediaKind, transcoder: Transcoder | TrackTranscoder) -> None:
        self.kind = kind
        self.transcoder = transcoder
        self.worker: Worker | None = None
        self.heard_at: float | None = None


class Transcodings:
    """All processes of this node that make live streams anew."""

    def __init__(self, engine: Engine, rules: TranscodeRules | None = None) -> None:
        self.rules = rules or TranscodeRules()
        self.workers: Workers | None = None
        """Set when the server starts; without, nothing is made anew."""
        self.events: Counter[TranscodeEventKind] = Counter()
        self.open = 0
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def ready(self) -> bool:
        """Whether anything is made anew."""
        return self.workers is not None and self.rules.wanted

    async def start(
        self,
        name: str,
        packager: PackagerId,
        *,
        keeps_video: bool = True,
        video: bool = True,
        sound: bool = True,
        program: bool = False,
    ) -> Transcoding | None:
        """Begin to make a stream anew that has not begun; None where nothing is to be made.

        With ``program`` its pictures are one program, whatever comes of its sources.
        Raise `EngineCommandError`, or `WorkerStartError`; then nothing of it remains.
        """
        workers, rules = self.workers, self.rules
        plans: dict[MediaKind, tuple[Mapping[str, Any], bool]] = {}
        if program:
            plans[MediaKind.VIDEO] = (rules.program_plan(name), False)
        elif video and (rules.rungs or not keeps_video):
            plans[MediaKind.VIDEO] = (rules.video_plan(keeps_source=keeps_video), keeps_video)
        if sound and rules.sound is not SoundCodec.NONE:
            plans[MediaKind.AUDIO] = (rules.sound_plan(), True)
        if workers is None or not plans:
            return None
        transcoding = Transcoding(name)
        self.open += 1
        try:
            for kind, (plan, keep) in plans.items():
                path = workers.socket_path()
                paces = program and kind is MediaKind.VIDEO
                opened = await Transcoder.open(self._engine, packager, kind, path, keep=keep, paces=paces)
                job = _Job(kind, opened)
                transcoding.jobs.append(job)
                await self._run(workers, transcoding, job, path, plan)
        except BaseException:
            await self.stop(transcoding)
            raise
        self._spawn(self._watch(transcoding))
        return transcoding

    async def prepare(self, name: str, track: IngestTrack) -> TrackMaking:
        """Have a track of an encoder ready to be made anew for its room, without a process yet.

        Raise `EngineCommandError`, or `WorkerStartError` where nothing is made anew here.
        """
        if self.workers is None or self.rules.making is RoomMaking.OFF:
            raise WorkerStartError("nothing is made anew for rooms (live.webrtc_making)")
        path = self.workers.socket_path()
        transcoder = await TrackTranscoder.open(self._engine, track.track, path)
        making = TrackMaking(name, track, transcoder, path)
        self.open += 1
        self._spawn(self._watch(making))
        return making

    async def run(self, making: TrackMaking) -> None:
        """Start the process of a track; one that runs goes on. Raise `WorkerStartError`."""
        if self.workers is None or making.closed or making.runs or not making.jobs:
            return
        (job,) = making.jobs
        plan = self.rules.room_plan(making.source.kind)
        await self._run(self.workers, making, job, making.path, plan)

    async def rest(self, making: TrackMaking) -> None:
        """End the process of a track, which may run again."""
        for job in making.jobs:
            worker, job.worker, job.heard_at = job.worker, None, None
            if worker is not None:
                await worker.close()

    async def _run(
        self, workers: Workers, transcoding: Transcoding, job: _Job, path: str, plan: Mapping[str, Any]
    ) -> None:
        worker = await workers.start(
            f"{transcoding.name} {job.kind.value}",
            path,
            plan,
            lambda said: self._heed(transcoding, job, said),
            lambda: self._on_restart(transcoding, job),
        )
        if transcoding.closed:
            await worker.close()
        else:
            job.worker = worker

    async def stop(self, transcoding: Transcoding | None) -> None:
        """End what makes a stream anew; may be called twice."""
        if transcoding is None or transcoding.closed:
            return
        transcoding.closed = True
        self.open -= 1
        for job in transcoding.jobs:
            await self._end(job)

    async def _end(self, job: _Job) -> None:
        try:
            await job.transcoder.close()
        except EngineCommandError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                _log.warning("a transcoder was not closed: %s", error)
        except MediaError as error:
            _log.debug("the engine is gone before its transcoder: %s", error)
        if job.worker is not None:
            await job.worker.close()

    def stop_soon(self, transcoding: Transcoding | None) -> None:
        """End what makes a stream anew, without waiting for it."""
        if transcoding is not None and not transcoding.closed:
            self._spawn(self.stop(transcoding))

    async def close(self) -> None:
        """Wait for what is being ended."""
        for task in tuple(self._tasks):
            if task.get_name() == "watch-transcoding":
                task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Any) -> None:
        name = "watch-transcoding" if work.__name__ == "_watch" else None
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, transcoding: Transcoding, kind: TranscodeEventKind, detail: str) -> None:
        self.events[kind] += 1
        transcoding.events.append(TranscodeEvent(kind, detail))
        _log.info("%s: transcoding %s: %s", transcoding.name, kind.value, detail)

    def _on_restart(self, transcoding: Transcoding, job: _Job) -> None:
        transcoding.restarts += 1
        job.heard_at = None
        self._note(transcoding, TranscodeEventKind.RESTARTED, job.kind.value)

    def _heed(self, transcoding: Transcoding, job: _Job, said: Mapping[str, Any]) -> None:
        """Take what a process said."""
        job.heard_at = asyncio.get_running_loop().time()
        match said.get("event"):
            case "stats":
                transcoding.figures[job.kind] = said
            case "rungs":
                transcoding.encoder = str(said.get("encoder"))
                transcoding.rungs = tuple(map(str, said.get("rungs", ())))
                detail = f"{', '.join(transcoding.rungs) or 'no rungs'} by {transcoding.encoder}"
                self._note(transcoding, TranscodeEventKind.STARTED, detail)
            case "changed":
                kind = TranscodeEventKind.CHANGED if said.get("on") else TranscodeEventKind.SHED
                how = f"{said.get('bps')} bit/s, one of {said.get('every')} pictures, size {said.get('size')}"
                self._note(transcoding, kind, f"{said.get('rung')}: {how}: {said.get('why')}")
            case "stalled":
                self._note(transcoding, TranscodeEventKind.STALLED, job.kind.value)
            case "refused":
                detail = f"{said.get('encoder')}: {said.get('why')}"
                self._note(transcoding, TranscodeEventKind.ENCODER_REFUSED, detail)
            case "slate_refused":
                self._note(transcoding, TranscodeEventKind.SLATE_REFUSED, str(said.get("why")))
            case "left_out":
                detail = f"{said.get('codec')}: {said.get('why')}"
                self._note(transcoding, TranscodeEventKind.LEFT_OUT, detail)
            case "cannot":
                self._note(transcoding, TranscodeEventKind.CANNOT, f"{job.kind.value}: {said.get('why')}")
                self._spawn(self._give_up(transcoding, job))
                transcoding.when_given_up(str(said.get("why")))
            case _:
                pass

    async def _give_up(self, transcoding: Transcoding, job: _Job) -> None:
        if job in transcoding.jobs:
            transcoding.jobs.remove(job)
            await self._end(job)

    async def _watch(self, transcoding: Transcoding) -> None:
        """End processes that hang."""
        loop = asyncio.get_running_loop()
        while not transcoding.closed:
            await asyncio.sleep(STALL_S / 2)
            for job in transcoding.jobs:
                if job.heard_at is not None and loop.time() - job.heard_at > STALL_S and job.worker is not None:
                    self._note(transcoding, TranscodeEventKind.STALLED, job.kind.value)
                    job.heard_at = None
                    job.worker.kill()
