"""Encoders that publish by SRT and RTMP: who may, and what becomes of their streams.

A stream is under the name that the encoder gave, at `/live/NAME/index.m3u8`. The engine moves its media; this decides
the question whether it may be published, and knows what there is. ``refused``, ``ended`` and
``warned`` count by reason.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.control.live.attendance import Attendance, Attendances
from roomtone.control.live.listing import Listings
from roomtone.control.live.making import Makings
from roomtone.control.live.playouts import PLAY, denial_of
from roomtone.control.live.pressure import read_pressure, source_of
from roomtone.control.live.registry import MemoryRegistry
from roomtone.control.live.subtitles import show_line
from roomtone.control.live.sync import read_sync
from roomtone.control.live.transcoding import WorkerStartError
from roomtone.control.live.values import LiveError, LiveRefusal
from roomtone.control.policy import AccessError
from roomtone.media import (
    EngineCommandError,
    IngestListener,
    MailboxClosed,
    MailboxOverflow,
    alignment_of,
    pressure_of,
    set_encryption,
    shift_sound,
)
from roomtone.media.values import (
    Answer,
    Denial,
    ErrorCode,
    IngestEnd,
    IngestEnded,
    IngestPace,
    IngestPaced,
    IngestProtocol,
    IngestPullEnded,
    IngestStarted,
    IngestStranger,
    IngestTrack,
    IngestTrackEnded,
    IngestWarned,
    MediaKind,
    PackagerEnded,
    PackagerPointed,
    PackagerPressed,
    PackagerStarted,
    PackagerWarned,
    PlayoutEnded,
    PlayoutStarted,
    PressureLevel,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from roomtone.control.live.playouts import Playouts
    from roomtone.control.live.pressure import StreamPressure
    from roomtone.control.live.publish_rights import PublishRights
    from roomtone.control.live.registry import NameKeeper, StreamRegistry
    from roomtone.control.live.slates import Slates
    from roomtone.control.live.subtitles import SubtitleLine
    from roomtone.control.live.sync import StreamSync
    from roomtone.control.live.transcoding import TrackMaking, Transcoding, Transcodings
    from roomtone.control.live.values import LiveTerms
    from roomtone.control.rooms import Rooms
    from roomtone.media import Engine, Mailbox
    from roomtone.media.values import (
        AnyEvent,
        IngestCertificate,
        IngestId,
        LiveListing,
        PackagerId,
        PackagerTrack,
        PackagerWarning,
        Question,
    )

_log = logging.getLogger(__name__)
PackagerEvent = PackagerStarted | PackagerWarned | PackagerPointed | PackagerPressed | PackagerEnded
"""What the engine says of a packager."""
_POINTING = {ErrorCode.WRONG_STATE: LiveRefusal.NOTHING_PUBLISHED, ErrorCode.UNSUPPORTED: LiveRefusal.NEEDS_TRANSCODING}
"""Why the engine does not point a stream at another; otherwise one of them is gone."""
PUBLISH = "publish"
"""Topic of the engine's question whether something may be published."""
TOO_MANY = "too_many_streams"
ELSEWHERE = "published_elsewhere"
"""Why an encoder is refused that may publish, as metrics say it."""
MAX_DECIDED = 256
"""Encoders that were let in and have not begun; as many as may ask at a time. The oldest are forgotten."""


@dataclass(slots=True)
class IngestStream:
    """A stream that an encoder publishes, or did until a moment ago."""

    name: str
    packager: PackagerId
    listener: IngestListener
    protocol: IngestProtocol
    remote: str
    encoder: str
    started_at: float
    ingest: IngestId | None
    """Who publishes; none while the stream waits for the encoder to come back."""
    tracks: list[PackagerTrack] = field(default_factory=list)
    """None before the first playlist can be read."""
    warnings: Counter[str] = field(default_factory=Counter)
    watching: asyncio.Task[None] | None = None
    transcoding: Transcoding | None = None
    """What is made anew of it."""
    audio_offset_ms: int = 0
    """How much later than its source says sound is to be, as an operator wants it."""
    pressure: PressureLevel = PressureLevel.NORMAL
    """Of its fullest queue."""
    shows: str | None = None
    """The stream whose encoder is to be shown instead of its own."""
    shown: str | None = None
    """The one whose encoder is shown by now."""
    pace: IngestPace = IngestPace.FREE
    slowdowns: int = 0
    """How often who publishes it was slowed down."""


class Ingests:
    """All encoders of this node."""

    def __init__(
        self,
        engine: Engine,
        rights: PublishRights,
        *,
        max_streams: int = 100,
        rooms: Rooms | None = None,
        clock: Callable[[], float] = time.time,
        listings: Listings | None = None,
        transcodings: Transcodings | None = None,
    ) -> None:
        self.by_name: dict[str, IngestStream] = {}
        self.listeners: list[IngestListener] = []
        self.accepted = 0
        self.strangers = 0
        """Sources of datagrams that belong to no input, or may not begin."""
        self.refused: Counter[str] = Counter()
        self.ended: Counter[IngestEnd] = Counter()
        self.warned: Counter[PackagerWarning] = Counter()
        makings = None if transcodings is None else Makings(transcodings)
        self.attendances = None if rooms is None else Attendances(rooms, self._send_away, self._warn, makings)
        """Encoders in the rooms of their streams' names."""
        self.listings = listings or Listings()
        self.when_started: list[Callable[[IngestStream], None]] = []
        """Told of each encoder that begins to publish, or comes back; must not block."""
        self.when_lost: list[Callable[[IngestStream], None]] = []
        """Told of each stream whose encoder is gone; must not block."""
        self.registry: StreamRegistry = MemoryRegistry()
        """Where names are claimed."""
        self.names: NameKeeper | None = None
        """Keeps them claimed, where others could have them."""
        self.slates: Slates | None = None
        """What is shown meanwhile, where anything is."""
        self.playouts: Playouts | None = None
        """Who reads streams by the same ports; nobody may while there are none."""
        self._engine = engine
        self._rights = rights
        self._max_streams = max_streams
        self._clock = clock
        self._inputs: dict[int, asyncio.Task[None]] = {}
        self._transcodings = transcodings
        self._decided: dict[str, LiveTerms] = {}
        """How streams were to be listed that were let in, by name."""
        self._tasks: set[asyncio.Task[None]] = set()
        engine.answer_questions(self.decide)

    async def listen(
        self,
        protocol: IngestProtocol,
        address: str,
        *,
        passphrase: str | None = None,
        latency_ms: int = 120,
        certificate: IngestCertificate | None = None,
    ) -> IngestListener:
        """Take encoders in at ``IP:PORT``; raise `EngineCommandError` where the address cannot be had."""
        listener = await IngestListener.open(
            self._engine,
            protocol,
            address,
            passphrase=passphrase,
            latency_ms=latency_ms,
            certificate=certificate,
            **self.listings.default.for_engine(),
        )
        self.listeners.append(listener)
        self._follow(listener.id, listener)
        return listener

    async def set_certificate(self, certificate: IngestCertificate) -> None:
        """Show callers of RTMPS another certificate from now on; raise `EngineCommandError` where it cannot be used."""
        for listener in self.listeners:
            if listener.protocol is IngestProtocol.RTMPS:
                await listener.set_certificate(certificate)

    def adopt(self, listener: IngestListener) -> None:
        """Follow what is published through an input."""
        self.listeners.append(listener)
        self._inputs[listener.id] = self._follow(listener.id, listener)

    def forget(self, listener: IngestListener) -> None:
        """Follow a pull no more, which is over; its stream waits for another."""
        self.listeners.remove(listener)
        self._inputs.pop(listener.id)  # which ends with what is told last of the pull

    async def abandon(self, listener: IngestListener) -> None:
        """Close an input and end what it publishes."""
        self.listeners.remove(listener)
        for stream in [one for one in self.by_name.values() if one.listener is listener]:
            await self.end(stream)
        with suppress(EngineCommandError):
            await listener.close()
        self._inputs.pop(listener.id).cancel()

    async def close(self) -> None:
        """Take nobody in any more and send away who publishes."""
        self._engine.answer_questions(None)
        if self.attendances is not None:
            await self.attendances.close()
        for listener in self.listeners:
            with suppress(EngineCommandError):
                await listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._transcodings is not None:
            for stream in self.by_name.values():
                await self._transcodings.stop(stream.transcoding)

    async def end(self, stream: IngestStream) -> None:
        """End a stream and send away who publishes it; one that is gone already is no error."""
        try:
            await stream.listener.end_stream(stream.packager)
        except EngineCommandError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise

    async def point(self, stream: IngestStream, name: str) -> None:
        """Show what another stream's encoder sends, or its own again, from the next keyframe on; raise `LiveError`."""
        other = self.by_name.get(name)
        if other is None:
            raise LiveError(LiveRefusal.NO_SUCH_STREAM, f"no encoder publishes a live stream {name}")
        own = other is stream
        try:
            await stream.listener.point_stream(stream.packager, None if own else other.packager)
        except EngineCommandError as error:
            refusal = _POINTING.get(error.code, LiveRefusal.NO_SUCH_STREAM)
            raise LiveError(refusal, f"{stream.name} cannot show {name}: {error.message}") from error
        if self.by_name.get(name) is not other:
            raise LiveError(LiveRefusal.NO_SUCH_STREAM, f"the live stream {name} has just ended")
        stream.shows = None if own else name

    def is_in_room(self, stream: IngestStream) -> bool:
        """Whether who publishes a stream is a participant of the room of its name."""
        attendance = self._attendance_of(stream)
        return attendance is not None and attendance.participant is not None

    def unavailable(self, stream: IngestStream) -> dict[MediaKind, str]:
        """Say which tracks of a stream nobody in its room can be given, and why."""
        attendance = self._attendance_of(stream)
        return {} if attendance is None else attendance.unavailable()

    def made(self, stream: IngestStream) -> dict[MediaKind, TrackMaking]:
        """Give what is made of tracks that the room of a stream cannot have as they are."""
        attendance = self._attendance_of(stream)
        return {} if attendance is None else {one.source.kind: one.making for one in attendance.made.values()}

    async def sync(self, stream: IngestStream) -> StreamSync:
        """Say how sound and pictures of a stream lie; raise `EngineCommandError` where it is gone."""
        return read_sync(await alignment_of(self._engine, stream.packager), stream.audio_offset_ms)

    async def pressure(self, stream: IngestStream) -> StreamPressure:
        """Say how full the queues of a stream are; raise `EngineCommandError` where it is gone."""
        attendance = self._attendance_of(stream)
        tracks = () if attendance is None else [track.track for track in attendance.tracks.values()]
        reports = await pressure_of(self._engine, stream.packager, tracks)
        readers = [
            one
            for one in await self._engine.stats()
            if one["type"] == "playout" and str(one["packager"]) == str(stream.packager)
        ]
        return read_pressure(source_of(stream.protocol, stream.pace, stream.slowdowns), reports, readers)

    async def show_line(self, stream: IngestStream, line: SubtitleLine) -> None:
        """Have a line of text shown with a stream; raise `LiveError` or `EngineCommandError`."""
        await show_line(self._engine, stream.packager, line)

    async def shift_sound(self, stream: IngestStream, audio_offset_ms: int) -> None:
        """Have sound of a stream come later, in its lists and in its room; raise `EngineCommandError`."""
        attendance = self._attendance_of(stream)
        told = () if attendance is None else attendance.tracks.values()
        tracks = [track.track for track in told if track.kind is MediaKind.AUDIO]
        await shift_sound(self._engine, stream.packager, audio_offset_ms, tracks)
        stream.audio_offset_ms = audio_offset_ms

    async def _shift_again(self, stream: IngestStream) -> None:
        with suppress(EngineCommandError):  # it has ended meanwhile
            await self.shift_sound(stream, stream.audio_offset_ms)

    def _attendance_of(self, stream: IngestStream) -> Attendance | None:
        if self.attendances is None or stream.ingest is None:
            return None
        return self.attendances.by_ingest.get(stream.ingest)

    # --- who may ---

    async def decide(self, question: Question) -> Answer:
        """Decide whether an encoder may publish under a name, or somebody read the stream of it."""
        if question.topic == PLAY and self.playouts is not None:
            return await self.playouts.decide(question)
        if question.topic != PUBLISH:
            return Answer(id=question.id, allowed=False, detail=f"nobody decides {question.topic}")
        if self.slates is not None and self.slates.lets_in(question):
            return Answer(id=question.id, allowed=True)
        if (refused := await self._refuse(question)) is not None:
            return refused
        self.accepted += 1
        if self.slates is not None:
            await self.slates.make_way(question.subject)
        return Answer(id=question.id, allowed=True, listing=self._listing_of(question.subject))

    async def _refuse(self, question: Question) -> Answer | None:
        """Refuse who may not publish, and what cannot be published; None for others, whose name is claimed then."""
        if question.subject not in self.by_name and len(self.by_name) >= self._max_streams:
            self.refused[TOO_MANY] += 1
            detail = f"{self._max_streams} streams are published already"
            return Answer(id=question.id, allowed=False, detail=detail, denial=Denial.LIMIT)
        try:
            await self._rights.require(question)
        except AccessError as error:
            self.refused[error.denial.value] += 1
            _log.info("refused %s of %s: %s", question.subject, question.remote, error)
            return Answer(id=question.id, allowed=False, detail=str(error), denial=denial_of(error))
        if owner := await self.registry.claim(question.subject):
            self.refused[ELSEWHERE] += 1
            detail = f"{owner} has a live stream of this name"
            return Answer(id=question.id, allowed=False, detail=detail, denial=Denial.LIMIT)
        return None

    def _listing_of(self, name: str) -> LiveListing | None:
        """Give how what begins now under a name is listed, and note it: that may change before it has begun."""
        self._decided.pop(name, None)
        self._decided[name] = self.listings.current(name)
        while len(self._decided) > MAX_DECIDED:
            del self._decided[next(iter(self._decided))]
        return self.listings.pushed(name)

    async def _encrypt_again(self, stream: IngestStream, terms: LiveTerms) -> None:
        with suppress(EngineCommandError):  # it has ended meanwhile
            await set_encryption(self._engine, stream.packager, self.listings.of(terms).for_engine()["encryption"])

    # --- what there is ---

    def _follow(self, id_: int, listener: IngestListener) -> asyncio.Task[None]:
        return self._keep(self._read(self._engine.subscribe(id_), id_, listener))

    def _keep(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _read(self, mailbox: Mailbox, id_: int, listener: IngestListener) -> None:
        while True:
            with mailbox:
                try:
                    while not self._heed(await mailbox.get(), id_, listener):
                        pass
                except MailboxOverflow:
                    _log.error("events of encoders were lost: what is listed may be out of date")
                except MailboxClosed:
                    return
                else:
                    return
            mailbox = self._engine.subscribe(id_)

    def _heed(self, event: AnyEvent, id_: int, listener: IngestListener) -> bool:
        """Note what happened; whether it was the last of its stream."""
        if isinstance(event, PackagerEvent):
            return self._on_packager(event)
        if id_ != listener.id:
            return False  # the listener is told it too: once, and in order
        match event:
            case IngestStarted():
                self._on_started(event, listener)
            case IngestWarned() | IngestPaced():
                self._on_manner(event)
            case IngestStranger():
                self.strangers += 1
                _log.warning("not taken, from %s: %s", event.remote, event.detail)
            case IngestTrack() | IngestTrackEnded():
                self._on_track(event)
            case IngestEnded():
                self._on_ended(event)
            case PlayoutStarted() | PlayoutEnded():
                self._on_playout(event, listener)
            case IngestPullEnded():
                return True
            case _:
                pass
        return False

    def _on_playout(self, event: PlayoutStarted | PlayoutEnded, listener: IngestListener) -> None:
        if self.playouts is None:
            return
        if isinstance(event, PlayoutStarted):
            self.playouts.on_started(event, listener)
        else:
            self.playouts.on_ended(event)

    def _on_track(self, event: IngestTrack | IngestTrackEnded) -> None:
        if self.attendances is None:
            return
        if isinstance(event, IngestTrack):
            self.attendances.tell_track(event)
            stream = self._of(event.packager)
            if stream is not None and stream.audio_offset_ms:
                self._keep(self._shift_again(stream))
        else:
            self.attendances.end_track(event.ingest, event.track)

    async def _send_away(self, name: str) -> None:
        """End the stream of an encoder that was removed from its room."""
        stream = self.by_name.get(name)
        if stream is not None:
            await self.end(stream)

    def _warn(self, name: str, detail: str) -> None:
        stream = self.by_name.get(name)
        if stream is not None:
            stream.warnings[detail] += 1

    def _on_started(self, event: IngestStarted, listener: IngestListener) -> None:
        if self.attendances is not None:
            self.attendances.begin(event.name, event.ingest)
        stream = self.by_name.get(event.name)
        if stream is not None and stream.packager == event.packager:
            if event.ingest != stream.ingest:
                stream.ingest, stream.remote, stream.listener = event.ingest, event.remote, listener
                self._tell_started(stream)
            return
        stream = IngestStream(
            name=event.name,
            packager=event.packager,
            listener=listener,
            protocol=event.protocol,
            remote=event.remote,
            encoder=event.encoder,
            started_at=self._clock(),
            ingest=event.ingest,
        )
        self.by_name[event.name] = stream
        stream.watching = self._follow(event.packager, listener)
        decided, terms = self._decided.pop(event.name, None), self.listings.current(event.name)
        if decided is not None and decided != terms:
            self._keep(self._encrypt_again(stream, terms))
        if self._transcodings is not None and self._transcodings.ready:
            self._keep(self._make_anew(stream, self._transcodings))
        _log.info("%s publishes %s by %s", event.remote, event.name, event.protocol.value)
        self._tell_started(stream)

    def _tell_started(self, stream: IngestStream) -> None:
        for told in self.when_started:
            told(stream)

    async def _make_anew(self, stream: IngestStream, transcodings: Transcodings) -> None:
        try:
            made = await transcodings.start(stream.name, stream.packager)
        except (EngineCommandError, WorkerStartError) as error:
            _log.warning("%s is not made anew: %s", stream.name, error)
            stream.warnings[f"not made anew: {error}"] += 1
            return
        stream.transcoding = made
        if self.by_name.get(stream.name) is not stream:
            await transcodings.stop(made)

    def _of(self, packager: PackagerId) -> IngestStream | None:
        return next((stream for stream in self.by_name.values() if stream.packager == packager), None)

    def _on_warned(self, event: IngestWarned) -> None:
        stream = self._of(event.packager)
        if stream is not None and event.detail not in stream.warnings:
            _log.warning("%s: %s", stream.name, event.detail)
            stream.warnings[event.detail] += 1

    def _on_manner(self, event: IngestWarned | IngestPaced) -> None:
        if isinstance(event, IngestPaced):
            self._on_paced(event)
        else:
            self._on_warned(event)

    def _on_paced(self, event: IngestPaced) -> None:
        stream = self._of(event.packager)
        if stream is None or stream.ingest != event.ingest:
            return
        stream.pace = event.pace
        stream.slowdowns += event.pace is IngestPace.SLOWED
        _log.warning("%s is sent at another pace: %s", stream.name, event.pace.value)

    def _on_ended(self, event: IngestEnded) -> None:
        if self.attendances is not None:
            unreadable = event.reason in {IngestEnd.PROTOCOL, IngestEnd.FAILED}
            self.attendances.end(event.ingest, (event.detail or event.reason.value) if unreadable else "")
        stream = self._of(event.packager)
        if stream is None or stream.ingest != event.ingest:
            return
        stream.ingest, stream.pace = None, IngestPace.FREE
        self.ended[event.reason] += 1
        _log.info("%s is no longer published: %s %s", stream.name, event.reason.value, event.detail)
        for told in self.when_lost:
            told(stream)

    def _on_packager(self, event: PackagerEvent) -> bool:
        """Note what a packager says; whether it was its last word."""
        stream = self._of(event.packager)
        if stream is None:
            return isinstance(event, PackagerEnded)
        match event:
            case PackagerStarted():
                stream.tracks = event.tracks
            case PackagerWarned():
                self.warned[event.warning] += 1
                stream.warnings[event.warning.value] += 1
            case PackagerPressed():
                stream.pressure = event.level
                _log.info("queues of %s are %s: %s", stream.name, event.level.value, event.queue)
            case PackagerPointed():
                source = None if event.source is None else self._of(event.source)
                stream.shown = None if source is None else source.name
                _log.info("%s shows %s from now on", stream.name, stream.shown or "its own encoder")
            case PackagerEnded():
                self._forget(stream)
                return True
        return False

    def _forget(self, stream: IngestStream) -> None:
        del self.by_name[stream.name]
        for other in self.by_name.values():
            if other.shows == stream.name:
                other.shows = None  # its own again
            if other.shown == stream.name:
                other.shown = None
        if self._transcodings is not None:
            self._transcodings.stop_soon(stream.transcoding)
