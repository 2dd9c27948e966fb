"""Rooms that go live: their tracks are packaged for whoever reads `/live/NAME/index.m3u8`.

A stream has the name of its room and lives as long: it ends when it is stopped, when the room closes, and when nobody
has fed it for the grace time. Limits are `LiveLimits`; ``refused``, ``ended`` and ``warned`` count by reason.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from roomtone.control.live.choosing import carried, choose
from roomtone.control.live.mixing import StreamMix
from roomtone.control.live.stream import Feed, LiveStream
from roomtone.control.live.transcoding import WorkerStartError
from roomtone.control.live.values import (
    LiveEnd,
    LiveError,
    LiveEventKind,
    LiveLimits,
    LiveRefusal,
    LiveSound,
    LiveState,
    LiveTerms,
    LiveTrack,
    encryption_of,
)
from roomtone.control.rooms import RoomError, RoomEventKind
from roomtone.media import EngineCommandError, MailboxClosed, MailboxOverflow, Packager
from roomtone.media.values import MediaKind, MixerClosed, PackagerEnded, PackagerStarted, PackagerWarned

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from roomtone.control.live.choosing import Choice
    from roomtone.control.live.transcoding import Transcoding, Transcodings
    from roomtone.control.rooms import Publication, Room, RoomEvent, Rooms
    from roomtone.media import Mailbox
    from roomtone.media.values import PackagerTrackId, PackagerWarning

_log = logging.getLogger(__name__)
_CHANGES = frozenset({RoomEventKind.TRACK_PUBLISHED, RoomEventKind.TRACK_UNPUBLISHED})


class LiveStreams:
    """All live streams of this node."""

    def __init__(
        self,
        rooms: Rooms,
        limits: LiveLimits | None = None,
        *,
        clock: Callable[[], float] = time.time,
        transcodings: Transcodings | None = None,
    ) -> None:
        self.limits = limits or LiveLimits()
        self.by_name: dict[str, LiveStream] = {}
        self.started = 0
        self.refused: Counter[LiveRefusal] = Counter()
        self.ended: Counter[LiveEnd] = Counter()
        self.warned: Counter[PackagerWarning] = Counter()
        self.left_out = 0
        self._rooms = rooms
        self._clock = clock
        self._transcodings = transcodings
        self._opening: dict[str, asyncio.Task[LiveStream]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self.is_taken: Callable[[str], bool] = lambda _name: False
        """Whether an encoder publishes a live stream of a name."""
        rooms.when_opened.append(self._follow)

    async def close(self) -> None:
        """End all streams and start no more."""
        self._closed = True
        for stream in tuple(self.by_name.values()):
            await self.end(stream, LiveEnd.SERVER_SHUTDOWN)
        while self._tasks:
            await asyncio.wait(self._tasks)

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
        terms: LiveTerms | None = None,
    ) -> LiveStream:
        """Make a room's tracks a live stream; raise `LiveError`, or `RoomError` for what the room or engine refuses.

        Its encryption is that of the limits where there are no ``terms``.
        """
        self._check_may_start(name)
        return await self._open(self._rooms.find(name), pinned, sound, terms)

    async def ensure_live(self, room: Room) -> LiveStream:
        """Give the stream of a room, started where there is none; errors are those of `go_live`."""
        stream = self.by_name.get(room.name)
        if stream is not None:
            return stream
        if room.name not in self._opening:
            self._check_may_start(room.name)
        return await self._open(room, None, LiveSound.ONE)

    async def end(self, stream: LiveStream, reason: LiveEnd = LiveEnd.STOPPED) -> None:
        """End a stream: its playlists are closed and stay readable for a while."""
        if stream.ended is not None:
            return
        stream.ended, stream.state = reason, LiveState.ENDED
        self.ended[reason] += 1
        stream.emit(LiveEventKind.ENDED, reason.value)
        if self.by_name.get(stream.name) is stream:
            del self.by_name[stream.name]
        if stream.grace is not None:
            stream.grace.cancel()
        if stream.watching is not None and stream.watching is not asyncio.current_task():
            stream.watching.cancel()
        if self._transcodings is not None:
            await self._transcodings.stop(stream.transcoding)
        await _close_quietly(stream.packager)
        if stream.mix is not None:
            await _close_quietly(stream.mix)

    async def pause(self, stream: LiveStream) -> None:
        """Take what feeds a stream off it; once more is no error."""
        if not stream.paused:
            stream.paused = True
            stream.emit(LiveEventKind.PAUSED)
            await self._get_in_step(stream)

    async def resume(self, stream: LiveStream) -> None:
        """Go on with a stream that was paused; one that was not is no error."""
        if stream.paused:
            stream.paused = False
            stream.emit(LiveEventKind.RESUMED)
            await self._get_in_step(stream)

    async def _get_in_step(self, stream: LiveStream) -> None:
        stream.in_step.clear()
        self._refresh(stream)
        await stream.in_step.wait()

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

    async def _open(
        self, room: Room, pinned: str | None, sound: LiveSound, terms: LiveTerms | None = None
    ) -> LiveStream:
        opening = self._opening.get(room.name)
        if opening is None:
            opening = self._opening[room.name] = asyncio.ensure_future(self._make(room, pinned, sound, terms))
        # Shielded: one caller that gives up must not take the stream from the others who wait for it.
        return await asyncio.shield(opening)

    async def _make(self, room: Room, pinned: str | None, sound: LiveSound, terms: LiveTerms | None) -> LiveStream:
        terms = terms or LiveTerms(encryption=self.limits.encryption, segments_per_key=self.limits.segments_per_key)
        try:
            self._rooms.require_clear(room, "a live stream")
            try:
                choice = choose(room.visible(), pinned, sound, decodes=self._decodes())
            except LiveError as error:
                self.refused[error.refusal] += 1
                raise
            async with AsyncExitStack() as undo:
                with self._rooms.commands():
                    packager = await Packager.open(
                        room.router,
                        room.name,
                        window_ms=self.limits.window_s * 1000,
                        part_ms=self.limits.part_ms,
                        encryption=encryption_of(terms.encryption, terms.segments_per_key),
                    )
                    undo.push_async_callback(_close_quietly, packager)
                    transcoding = await self._make_anew(room, packager, choice, undo)
                    mix = await StreamMix.open(self._rooms, room) if sound is LiveSound.MIX else None
                    if mix is not None:
                        undo.push_async_callback(_close_quietly, mix)
                    stream = LiveStream(room, packager, self._clock, pinned=pinned, mix=mix, terms=terms)
                    stream.transcoding = transcoding
                    stream.decodes = choice.video is not None and not carried(choice.video)
                    ids = [packager.id] if mix is None else [packager.id, mix.mixer.id]
                    mailbox = room.router.engine.subscribe(*ids)
                    undo.callback(mailbox.close)
                    for publication in choice.tracks():
                        await self._feed(stream, publication)
                    if mix is not None:
                        stream.mix_track = await packager.add_track(mix.output)
                        self.left_out += await mix.follow()
                if self._closed or room.closed is not None:
                    raise self._refuse(LiveRefusal.NOTHING_PUBLISHED, "the room closed meanwhile")
                undo.pop_all()
        finally:
            del self._opening[room.name]
        self.by_name[stream.name] = stream
        self.started += 1
        stream.emit(LiveEventKind.CREATED)
        stream.watching = asyncio.ensure_future(self._watch(stream, mailbox))
        self._refresh(stream)  # what was published meanwhile, or withdrawn
        return stream

    def _decodes(self) -> bool:
        """Whether video that lists cannot have is made anew."""
        return self._transcodings is not None and self._transcodings.ready and self._transcodings.rules.rooms

    async def _make_anew(
        self, room: Room, packager: Packager, choice: Choice, undo: AsyncExitStack
    ) -> Transcoding | None:
        if self._transcodings is None or not self._transcodings.ready:
            return None
        keeps = choice.video is None or carried(choice.video)
        try:
            made = await self._transcodings.start(
                room.name, packager.id, keeps_video=keeps, video=choice.video is not None
            )
        except WorkerStartError as error:
            if keeps:
                _log.warning("%s is not made anew: %s", room.name, error)
                return None
            raise self._refuse(LiveRefusal.NEEDS_TRANSCODING, f"video cannot be made anew: {error}") from error
        undo.push_async_callback(self._transcodings.stop, made)
        return made

    async def _feed(self, stream: LiveStream, publication: Publication) -> None:
        producer = await self._rooms.routers.producer_on(publication, stream.room.router)
        track = await stream.packager.add_track(producer)
        kind = publication.offer.kind
        vacant = stream.feed_of(kind)
        if vacant is None:
            stream.feeds.append(Feed(track, kind, publication))
        else:
            vacant.track, vacant.publication = track, publication
        stream.emit(LiveEventKind.TRACK_FED, f"{kind.value} of {publication.participant.identity}")

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
        elif stream.room is room and event.kind in _CHANGES:
            self._refresh(stream)

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
            and carried(publication, decodes=self._decodes())
        )

    async def _start_by_itself(self, room: Room) -> None:
        try:
            await self.ensure_live(room)
        except (LiveError, RoomError) as error:
            _log.warning("room %s does not go live by itself: %s", room.name, error.message)

    def _refresh(self, stream: LiveStream) -> None:
        stream.again = True
        if not stream.busy:
            stream.busy = True
            self._spawn(self._bring_in_step(stream))

    async def _bring_in_step(self, stream: LiveStream) -> None:
        try:
            while stream.again and stream.ended is None:
                stream.again = False
                await self._drop_withdrawn(stream)
                await self._follow_mix(stream)
                if not stream.paused:
                    await self._fill_vacant(stream)
                self._mind_grace(stream)
        finally:
            stream.busy = False
            stream.in_step.set()

    async def _follow_mix(self, stream: LiveStream) -> None:
        if stream.mix is None:
            return
        self.left_out += await stream.mix.follow()
        if stream.paused and stream.mix_track is not None:
            track, stream.mix_track = stream.mix_track, None
            await _take_off(stream, track)
        elif not stream.paused and stream.mix_track is None:
            stream.mix_track = await stream.packager.add_track(stream.mix.output)

    async def _drop_withdrawn(self, stream: LiveStream) -> None:
        for feed in stream.feeds:
            publication = feed.publication
            there = publication is not None and publication.id in publication.participant.publications
            if publication is None or (there and not stream.paused):
                continue
            feed.publication = None
            stream.emit(LiveEventKind.TRACK_VACANT, feed.kind.value)
            await _take_off(stream, feed.track)

    async def _fill_vacant(self, stream: LiveStream) -> None:
        try:
            choice = choose(stream.room.visible(), stream.pinned, stream.sound, decodes=stream.decodes)
        except LiveError:
            return  # nobody is there who could feed it
        for publication in choice.tracks():
            feed = stream.feed_of(publication.offer.kind)
            if (feed is not None and feed.publication is not None) or publication.id in stream.left_out:
                continue
            try:
                await self._feed(stream, publication)
            except EngineCommandError as error:
                if publication.id in publication.participant.publications and stream.ended is None:
                    self.left_out += 1
                    stream.left_out.add(publication.id)
                    stream.emit(LiveEventKind.TRACK_LEFT_OUT, f"{publication.offer.kind.value}: {error.message}")
                    _log.warning("live stream %s goes on without a track: %s", stream.name, error)

    def _mind_grace(self, stream: LiveStream) -> None:
        """Let a stream that nobody feeds wait; end it when nobody comes. One that is paused waits without an end."""
        if stream.paused or stream.is_fed:
            if stream.grace is not None:
                stream.grace.cancel()
                stream.grace = None
            if stream.paused:
                stream.state = LiveState.PAUSED
            elif stream.state in {LiveState.WAITING, LiveState.PAUSED}:
                stream.state = LiveState.STARTING if stream.started_at is None else LiveState.LIVE
        elif stream.grace is None:
            stream.state = LiveState.WAITING
            give_up = partial(self._give_up, stream)
            stream.grace = asyncio.get_running_loop().call_later(self.limits.grace_s, give_up)

    def _give_up(self, stream: LiveStream) -> None:
        self._spawn(self.end(stream, LiveEnd.PUBLISHER_GONE))

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


async def _take_off(stream: LiveStream, track: PackagerTrackId) -> None:
    try:
        await stream.packager.remove_track(track)
    except EngineCommandError as error:
        _log.debug("a track left its packager before it was taken off: %s", error)


async def _close_quietly(opened: Packager | StreamMix) -> None:
    try:
        await opened.close()
    except EngineCommandError as error:
        _log.warning("closing a part of a live stream failed: %s", error)
