"""Rooms that go live: their tracks are packaged for whoever reads `/live/NAME/index.m3u8`.

A stream has the name of its room and lives as long: it ends when it is stopped, when the room closes, and when nobody
has fed it for the grace time. Limits are `LiveLimits`; ``refused``, ``ended`` and ``warned`` count by reason.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from roomtone.control.live.choosing import carried
from roomtone.control.live.feeding import Feeding
from roomtone.control.live.listing import Listings
from roomtone.control.live.opening import Opener, Wanted, close_quietly
from roomtone.control.live.pressure import read_pressure, source_of
from roomtone.control.live.registry import MemoryRegistry
from roomtone.control.live.subtitles import show_line
from roomtone.control.live.sync import read_sync
from roomtone.control.live.values import (
    LiveEnd,
    LiveError,
    LiveEventKind,
    LiveLimits,
    LivePicture,
    LiveRefusal,
    LiveSound,
    LiveState,
    LiveTrack,
)
from roomtone.control.rooms import RoomError, RoomEventKind
from roomtone.media import MailboxClosed, MailboxOverflow, alignment_of, pressure_of, shift_sound
from roomtone.media.values import (
    MediaKind,
    MixerClosed,
    PackagerEnded,
    PackagerPressed,
    PackagerStarted,
    PackagerWarned,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from roomtone.control.live.listing import TermsWish
    from roomtone.control.live.pressure import StreamPressure
    from roomtone.control.live.registry import StreamRegistry
    from roomtone.control.live.stream import LiveStream
    from roomtone.control.live.subtitles import SubtitleLine
    from roomtone.control.live.sync import StreamSync
    from roomtone.control.live.transcoding import Transcodings
    from roomtone.control.rooms import Room, RoomEvent, Rooms
    from roomtone.media import Mailbox
    from roomtone.media.values import PackagerWarning

_log = logging.getLogger(__name__)
_CHANGES = frozenset({RoomEventKind.TRACK_PUBLISHED, RoomEventKind.TRACK_UNPUBLISHED})
_FLOWS = frozenset({RoomEventKind.TRACK_ACTIVE, RoomEventKind.TRACK_SILENT})
"""Of interest where one source is shown instead of another that is silent."""


class LiveStreams:
    """All live streams of this node."""

    def __init__(
        self,
        rooms: Rooms,
        limits: LiveLimits | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        transcodings: Transcodings | None = None,
        listings: Listings | None = None,
    ) -> None:
        self.limits = limits or LiveLimits()
        self.by_name: dict[str, LiveStream] = {}
        self.started = 0
        self.refused: Counter[LiveRefusal] = Counter()
        self.ended: Counter[LiveEnd] = Counter()
        self.warned: Counter[PackagerWarning] = Counter()
        give_up = partial(self.end, reason=LiveEnd.PUBLISHER_GONE)
        self.feeding = Feeding(rooms, self.limits.grace_s, give_up, monotonic)
        """What keeps streams in step with their rooms."""
        self._opener = Opener(rooms, listings or Listings(), self.feeding, transcodings, clock)
        self._rooms = rooms
        self._transcodings = transcodings
        self._opening: dict[str, asyncio.Task[LiveStream]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.registry: StreamRegistry = MemoryRegistry()
        """Where names are claimed."""
        self.is_taken: Callable[[str], bool] = lambda _name: False
        """Whether an encoder publishes a live stream of a name."""
        rooms.when_opened.append(self._follow)

    async def close(self) -> None:
        """End all streams and start no more."""
        self._closed = True
        for stream in tuple(self.by_name.values()):
            await self.end(stream, LiveEnd.SERVER_SHUTDOWN)
        await self.feeding.close()
        while self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def left_out(self) -> int:
        """Count tracks that came and could not be carried."""
        return self.feeding.left_out

    def find(self, name: str) -> LiveStream:
        """Give a stream that there is; raise `LiveError`."""
        stream = self.by_name.get(name)
        if stream is None:
            raise self._refuse(LiveRefusal.NO_SUCH_STREAM, "there is no such live stream")
        return stream

    async def go_live(
        self,
        name: str,
        pinned: str | None = None,
        sound: LiveSound = LiveSound.ONE,
        *,
        picture: LivePicture = LivePicture.FIRST,
        backups: Sequence[str] = (),
        terms: TermsWish | None = None,
    ) -> LiveStream:
        """Make a room's tracks a live stream; raise `LiveError`, or `RoomError` for what the room or engine refuses.

        ``picture`` says whom it shows where nobody is pinned. ``backups`` are shown where the ``pinned`` participant is
        not there, as `point` says. What ``terms`` do not say the settings do. The sound of a program is the mix.
        """
        self._check_may_start(name)
        if picture.follows and self._rooms.limits.speakers.top_n == 0:
            raise self._refuse(LiveRefusal.NOBODY_LISTENS, "nobody looks who speaks (speakers.top_n is 0)")
        wanted = Wanted(() if pinned is None else (pinned, *backups), sound, picture, terms)
        return await self._open(self._rooms.find(name), wanted)

    async def ensure_live(self, room: Room) -> LiveStream:
        """Give the stream of a room, started where there is none; errors are those of `go_live`."""
        stream = self.by_name.get(room.name)
        if stream is not None:
            return stream
        if room.name not in self._opening:
            self._check_may_start(room.name)
        return await self._open(room, Wanted())

    async def settle(self, name: str) -> None:
        """Wait until a room that is about to go live is, or is not."""
        opening = self._opening.get(name)
        if opening is not None:
            await asyncio.wait([opening])

    async def end(self, stream: LiveStream, reason: LiveEnd = LiveEnd.STOPPED) -> None:
        """End a stream: its playlists are closed and stay readable for a while."""
        if stream.ended is not None:
            return
        stream.ended, stream.state = reason, LiveState.ENDED
        self.ended[reason] += 1
        stream.emit(LiveEventKind.ENDED, reason.value)
        if self.by_name.get(stream.name) is stream:
            del self.by_name[stream.name]
            self._rooms.note_on_air(stream.room, on_air=False)
        for timer in (stream.grace, stream.looks_again):
            if timer is not None:
                timer.cancel()
        if stream.watching is not None and stream.watching is not asyncio.current_task():
            stream.watching.cancel()
        if self._transcodings is not None:
            await self._transcodings.stop(stream.transcoding)
        await close_quietly(stream.packager)
        if stream.mix is not None:
            await close_quietly(stream.mix)

    async def pause(self, stream: LiveStream) -> None:
        """Take what feeds a stream off it; once more is no error."""
        if not stream.paused:
            stream.paused = True
            stream.emit(LiveEventKind.PAUSED)
            await self.feeding.get_in_step(stream)

    async def resume(self, stream: LiveStream) -> None:
        """Go on with a stream that was paused; one that was not is no error."""
        if stream.paused:
            stream.paused = False
            stream.emit(LiveEventKind.RESUMED)
            await self.feeding.get_in_step(stream)

    async def point(self, stream: LiveStream, sources: Sequence[str]) -> None:
        """Show another participant, the first of ``sources`` that is there; the next where it goes or falls silent.

        It begins with its next keyframe, behind a discontinuity. With no sources what is shown stays, and who began
        first is next. Raise `LiveError` where none of them publishes what can be carried: then all stays as it was.
        """
        try:
            choice = self.feeding.choose(stream, tuple(sources))
        except LiveError as error:
            self.refused[error.refusal] += 1
            raise
        before, stream.sources = stream.sources, tuple(sources)
        await self.feeding.get_in_step(stream)
        # The engine may not take on what looked as if it could be carried.
        if sources and any(track.id in stream.left_out for track in choice.tracks()):
            stream.sources = before
            await self.feeding.get_in_step(stream)
            raise self._refuse(LiveRefusal.NEEDS_TRANSCODING, "the stream cannot go on with these tracks")
        stream.emit(LiveEventKind.POINTED, ", ".join(sources))

    async def sync(self, stream: LiveStream) -> StreamSync:
        """Say how sound and pictures of a stream lie; raise `EngineCommandError` where it is gone."""
        reports = await alignment_of(stream.room.router.engine, stream.packager.id)
        return read_sync(reports, stream.audio_offset_ms)

    async def pressure(self, stream: LiveStream) -> StreamPressure:
        """Say how full the queues of a stream are; raise `EngineCommandError` where it is gone."""
        reports = await pressure_of(stream.room.router.engine, stream.packager.id)
        return read_pressure(source_of(None), reports, ())

    async def show_line(self, stream: LiveStream, line: SubtitleLine) -> None:
        """Have a line of text shown with a stream; raise `LiveError` or `EngineCommandError`."""
        await show_line(stream.room.router.engine, stream.packager.id, line)

    async def shift_sound(self, stream: LiveStream, audio_offset_ms: int) -> None:
        """Have sound of a stream come later in its lists; raise `EngineCommandError`."""
        await shift_sound(stream.room.router.engine, stream.packager.id, audio_offset_ms)
        stream.audio_offset_ms = audio_offset_ms

    # --- starting ---

    def _check_may_start(self, name: str) -> None:
        if not self.limits.enabled:
            raise self._refuse(LiveRefusal.SWITCHED_OFF, "live streams are switched off (live.enabled)")
        if self.is_taken(name):
            raise self._refuse(LiveRefusal.ALREADY_LIVE, "an encoder publishes the live stream of this name")
        if name in self.by_name or name in self._opening:
            raise self._refuse(LiveRefusal.ALREADY_LIVE, "the room is live already")
        if len(self.by_name) + len(self._opening) >= self.limits.max_streams:
            raise self._refuse(
                LiveRefusal.TOO_MANY_STREAMS, f"there are {self.limits.max_streams} live streams already"
            )

    async def _open(self, room: Room, wanted: Wanted) -> LiveStream:
        opening = self._opening.get(room.name)
        if opening is None:
            opening = self._opening[room.name] = asyncio.ensure_future(self._make(room, wanted))
        # Shielded: one caller that gives up must not take the stream from the others who wait for it.
        return await asyncio.shield(opening)

    async def _make(self, room: Room, wanted: Wanted) -> LiveStream:
        try:
            await self._claim(room.name)
            stream, mailbox = await self._opener.open(room, wanted, lambda: self._closed)
        except LiveError as error:
            self.refused[error.refusal] += 1
            raise
        finally:
            del self._opening[room.name]
        self.by_name[stream.name] = stream
        self.started += 1
        stream.emit(LiveEventKind.CREATED)
        self._rooms.note_on_air(room, on_air=True)
        if stream.program and stream.transcoding is not None:
            stream.transcoding.when_given_up = lambda _why: self._spawn(self._end_without_pictures(stream))
        stream.watching = asyncio.ensure_future(self._watch(stream, mailbox))
        self.feeding.refresh(stream)  # what was published meanwhile, or withdrawn
        return stream

    async def _end_without_pictures(self, stream: LiveStream) -> None:
        """End a program whose process has said that it cannot make it: nothing of it would ever be seen."""
        if stream.transcoding is not None and not stream.transcoding.makes(MediaKind.VIDEO):
            _log.error("the program of %s cannot be made: it is ended", stream.name)
            await self.end(stream, LiveEnd.MEDIA_FAILED)

    async def _claim(self, name: str) -> None:
        if owner := await self.registry.claim(name):
            raise LiveError(LiveRefusal.ALREADY_LIVE, f"{owner} has a live stream of this name")

    # --- following the room ---

    def _follow(self, room: Room) -> None:
        room.events.listen(partial(self._on_room_event, room))

    def _on_room_event(self, room: Room, event: RoomEvent) -> None:
        stream = self.by_name.get(room.name)
        if stream is None:
            if event.kind is RoomEventKind.TRACK_PUBLISHED and self._is_wanted(room, event):
                self._spawn(self._start_by_itself(room))
        elif stream.room is room and event.kind is RoomEventKind.ROOM_CLOSED:
            self._spawn(self.end(stream, LiveEnd.ROOM_CLOSED))
        elif stream.room is room and _concerns(stream, event.kind):
            self.feeding.refresh(stream)

    def _is_wanted(self, room: Room, event: RoomEvent) -> bool:
        """Whether a room goes live by itself: with the first video that can be carried."""
        if not (self.limits.auto and self.limits.enabled) or self._closed or event.hidden or room.options.e2ee:
            return False
        if self.is_taken(room.name):
            return False
        publication = room.publication(event.track or "")
        return (
            publication is not None
            and publication.offer.kind is MediaKind.VIDEO
            and carried(publication, decodes=self._opener.decodes())
        )

    async def _start_by_itself(self, room: Room) -> None:
        try:
            await self.ensure_live(room)
        except (LiveError, RoomError) as error:
            _log.warning("room %s does not go live by itself: %s", room.name, error.message)

    # --- following the engine ---

    async def _watch(self, stream: LiveStream, mailbox: Mailbox) -> None:
        with mailbox:
            try:
                while stream.ended is None:
                    event = await mailbox.get()
                    if isinstance(event, PackagerStarted):
                        self._on_started(stream, event)
                    elif isinstance(event, PackagerWarned):
                        self._on_warned(stream, event)
                    elif isinstance(event, PackagerPressed):
                        stream.pressure = event.level
                        stream.emit(LiveEventKind.PRESSED, f"{event.level.value}: {event.queue}")
                    elif isinstance(event, PackagerEnded | MixerClosed):
                        gone = stream.room.closed is not None
                        await self.end(stream, LiveEnd.ROOM_CLOSED if gone else LiveEnd.MEDIA_FAILED)
            except MailboxClosed:
                return
            except MailboxOverflow:
                _log.error("events of live stream %s were lost: it is ended", stream.name)
                await self.end(stream, LiveEnd.MEDIA_FAILED)

    def _on_started(self, stream: LiveStream, event: PackagerStarted) -> None:
        tracks = [
            LiveTrack(
                name=track.name,
                kind=MediaKind.AUDIO if track.width is None else MediaKind.VIDEO,
                codec=track.codec,
                width=track.width,
                height=track.height,
                channels=track.channels,
            )
            for track in event.tracks
        ]
        stream.start(tuple(tracks))
        stream.emit(LiveEventKind.STARTED, ", ".join(track.codec for track in tracks))
        _log.info("%s is live: %s", stream.name, stream.master)

    def _on_warned(self, stream: LiveStream, event: PackagerWarned) -> None:
        stream.warnings[event.warning] += 1
        self.warned[event.warning] += 1
        track = "" if event.track is None else f"{event.track}: "
        stream.emit(LiveEventKind.WARNED, f"{track}{event.warning.value}")

    def _refuse(self, refusal: LiveRefusal, message: str) -> LiveError:
        self.refused[refusal] += 1
        return LiveError(refusal, message)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _concerns(stream: LiveStream, kind: RoomEventKind) -> bool:
    """Whether another may be shown, or heard, after something has happened in a stream's room."""
    if kind in _CHANGES:
        return True
    if kind in _FLOWS:
        return bool(stream.shown_sources)
    return kind is RoomEventKind.SPEAKERS_CHANGED and stream.spotlight is not None
