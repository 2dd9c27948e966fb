"""Keeps live streams in step with their rooms: who is shown, what is vacant, and for how long nobody is waited for."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

from roomtone.control.live.choosing import choose, showable, shown_of
from roomtone.control.live.stream import Feed
from roomtone.control.live.values import LiveError, LiveEventKind, LiveState
from roomtone.media import EngineCommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from roomtone.control.live.choosing import Choice
    from roomtone.control.live.stream import LiveStream
    from roomtone.control.rooms import Publication, Rooms
    from roomtone.media.values import PackagerTrackId

_log = logging.getLogger(__name__)


class Feeding:
    """Feeds streams. ``give_up`` ends one that nobody has fed for the grace time.

    ``left_out`` counts tracks that could not be carried, ``switches`` how often another source was shown.
    """

    def __init__(
        self,
        rooms: Rooms,
        grace_s: float,
        give_up: Callable[[LiveStream], Coroutine[None, None, None]],
        monotonic: Callable[[], float],
    ) -> None:
        self.left_out = 0
        self.switches = 0
        self._rooms = rooms
        self._grace_s = grace_s
        self._give_up = give_up
        self.monotonic = monotonic
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait for what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def choose(self, stream: LiveStream, sources: tuple[str, ...]) -> Choice:
        """Choose the tracks of a stream that is to show these; raise `LiveError`."""
        people = stream.room.visible()
        pinned = shown_of(people, sources, decodes=stream.decodes, barred=stream.left_out)
        return choose(people, pinned, stream.sound, decodes=stream.decodes)

    def look_who_speaks(self, stream: LiveStream) -> None:
        """Note whom a stream is to show that follows who speaks, and look again when that may change by itself."""
        if stream.spotlight is None:
            return
        people = showable(stream.room.visible(), decodes=stream.decodes, barred=stream.left_out)
        now = self.monotonic()
        stream.spotlight.handle(stream.room.dominant, people, now)
        if stream.looks_again is not None:
            stream.looks_again.cancel()
            stream.looks_again = None
        due = stream.spotlight.next_timeout()
        if due is not None:
            stream.looks_again = asyncio.get_running_loop().call_later(due - now, self.refresh, stream)

    async def feed(self, stream: LiveStream, publication: Publication) -> None:
        """Have a stream carry a track; raise `EngineCommandError` where it cannot."""
        producer = await self._rooms.routers.producer_on(publication, stream.room.router)
        track = await stream.packager.add_track(producer)
        kind = publication.offer.kind
        vacant = stream.feed_of(kind)
        if vacant is None:
            stream.feeds.append(Feed(track, kind, publication))
        else:
            vacant.track, vacant.publication = track, publication
        stream.emit(LiveEventKind.TRACK_FED, f"{kind.value} of {publication.participant.identity}")

    def refresh(self, stream: LiveStream) -> None:
        """Look what has changed in the room."""
        stream.again = True
        if not stream.busy:
            stream.busy = True
            self._spawn(self._bring_in_step(stream))

    async def get_in_step(self, stream: LiveStream) -> None:
        """Look what has changed, and wait until it is done."""
        stream.in_step.clear()
        self.refresh(stream)
        await stream.in_step.wait()

    async def _bring_in_step(self, stream: LiveStream) -> None:
        try:
            while stream.again and stream.ended is None:
                stream.again = False
                self.look_who_speaks(stream)
                await self._drop_withdrawn(stream)
                await self._follow_mix(stream)
                if not stream.paused:
                    await self._switch(stream)
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
            if publication is not None and (not there or stream.paused):
                await _vacate(stream, feed)

    async def _switch(self, stream: LiveStream) -> None:
        """Have another shown where that is to be; what could not wait for it is vacant, and filled then."""
        if not stream.shown_sources:
            return
        try:
            choice = self.choose(stream, stream.shown_sources)
        except LiveError:
            return  # nobody of them is there: what is shown stays
        wanted = choice.tracks()
        if not wanted or any(publication.id in stream.left_out for publication in wanted):
            return
        shown = wanted[0].participant
        others = [
            feed for feed in stream.feeds if feed.publication is not None and feed.publication.participant is not shown
        ]
        for feed in others:
            successor = next((one for one in wanted if one.offer.kind is feed.kind), None)
            if successor is None or not await self._succeed(stream, feed, successor):
                await _vacate(stream, feed)
        if others:
            self.switches += 1
            stream.emit(LiveEventKind.SWITCHED, shown.identity)
            _log.info("live stream %s shows %s from now on", stream.name, shown.identity)

    async def _succeed(self, stream: LiveStream, feed: Feed, publication: Publication) -> bool:
        """Have a track go on with another publication once that can be shown; False where it has to be taken off."""
        if stream.started_at is None:
            return False
        try:
            producer = await self._rooms.routers.producer_on(publication, stream.room.router)
            await stream.packager.switch_track(feed.track, producer)
        except EngineCommandError as error:
            _log.debug("a track of %s does not wait for its successor: %s", stream.name, error)
            return False
        feed.publication = publication
        stream.emit(LiveEventKind.TRACK_FED, f"{feed.kind.value} of {publication.participant.identity}")
        return True

    async def _fill_vacant(self, stream: LiveStream) -> None:
        try:
            choice = self.choose(stream, stream.shown_sources)
        except LiveError:
            return  # nobody is there who could feed it
        for publication in choice.tracks():
            feed = stream.feed_of(publication.offer.kind)
            if (feed is not None and feed.publication is not None) or publication.id in stream.left_out:
                continue
            try:
                await self.feed(stream, publication)
            except EngineCommandError as error:
                if publication.id in publication.participant.publications and stream.ended is None:
                    self.left_out += 1
                    stream.left_out.add(publication.id)
                    stream.emit(LiveEventKind.TRACK_LEFT_OUT, f"{publication.offer.kind.value}: {error.message}")
                    _log.warning("live stream %s goes on without a track: %s", stream.name, error)

    def _mind_grace(self, stream: LiveStream) -> None:
        """Let a stream that nobody feeds wait; end it when nobody comes.

        One that is paused waits without an end, and a program goes on with its slate.
        """
        if stream.paused or stream.is_fed or stream.program:
            if stream.grace is not None:
                stream.grace.cancel()
                stream.grace = None
            if stream.paused:
                stream.state = LiveState.PAUSED
            elif stream.state in {LiveState.WAITING, LiveState.PAUSED}:
                stream.state = LiveState.STARTING if stream.started_at is None else LiveState.LIVE
        elif stream.grace is None:
            stream.state = LiveState.WAITING
            give_up = partial(self._spawn_give_up, stream)
            stream.grace = asyncio.get_running_loop().call_later(self._grace_s, give_up)

    def _spawn_give_up(self, stream: LiveStream) -> None:
        self._spawn(self._give_up(stream))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _vacate(stream: LiveStream, feed: Feed) -> None:
    feed.publication = None
    stream.emit(LiveEventKind.TRACK_VACANT, feed.kind.value)
    await _take_off(stream, feed.track)


async def _take_off(stream: LiveStream, track: PackagerTrackId) -> None:
    try:
        await stream.packager.remove_track(track)
    except EngineCommandError as error:
        _log.debug("a track left its packager before it was taken off: %s", error)
