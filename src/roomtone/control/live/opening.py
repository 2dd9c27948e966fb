"""How a room goes live: a packager, what is made anew of it, a mix, and the first tracks; all of it or nothing."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.live.choosing import Choice, carried, choose, showable, shown_of
from roomtone.control.live.mixing import StreamMix
from roomtone.control.live.spotlight import Spotlight
from roomtone.control.live.stream import LiveStream
from roomtone.control.live.transcoding import WorkerStartError
from roomtone.control.live.values import LiveError, LivePicture, LiveRefusal, LiveSound
from roomtone.media import EngineCommandError, Packager

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.live.feeding import Feeding
    from roomtone.control.live.listing import Listings, TermsWish
    from roomtone.control.live.transcoding import Transcoding, Transcodings
    from roomtone.control.rooms import Room, Rooms
    from roomtone.media import Mailbox

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a stream is to be; ``sources`` are those of `LiveStream`."""

    sources: tuple[str, ...] = ()
    sound: LiveSound = LiveSound.ONE
    picture: LivePicture = LivePicture.FIRST
    terms: TermsWish | None = None
    """None: as the settings say."""


class Opener:
    """Makes streams of rooms."""

    def __init__(
        self,
        rooms: Rooms,
        listings: Listings,
        feeding: Feeding,
        transcodings: Transcodings | None,
        clock: Callable[[], float],
    ) -> None:
        self._rooms = rooms
        self._listings = listings
        self._feeding = feeding
        self._transcodings = transcodings
        self._clock = clock

    def decodes(self) -> bool:
        """Whether video that lists cannot have is made anew."""
        return self._transcodings is not None and self._transcodings.ready and self._transcodings.rules.rooms

    async def open(self, room: Room, wanted: Wanted, is_closed: Callable[[], bool]) -> tuple[LiveStream, Mailbox]:
        """Make a stream, and what tells of it; raise `LiveError` or `RoomError`, and leave nothing then."""
        terms = self._listings.terms_of(room.name, wanted.terms)
        self._rooms.require_clear(room, "a live stream")
        program = wanted.picture is LivePicture.PROGRAM
        if program:
            self._require_processes()
        people, decodes = room.visible(), program or self.decodes()
        sound = LiveSound.MIX if program else wanted.sound
        spotlight = Spotlight() if wanted.picture.follows else None
        sources = wanted.sources
        if spotlight is not None and not sources:
            spotlight.handle(room.dominant, showable(people, decodes=decodes), self._feeding.monotonic())
            sources = () if spotlight.shown is None else (spotlight.shown,)
        try:
            choice = choose(people, shown_of(people, sources, decodes=decodes), sound, decodes=decodes)
        except LiveError:
            if not program:
                raise
            choice = Choice(None, None)
        async with AsyncExitStack() as undo:
            with self._rooms.commands():
                listing = self._listings.of(terms)
                packager = await Packager.open(room.router, room.name, **listing.for_engine())
                undo.push_async_callback(close_quietly, packager)
                transcoding = await self._make_anew(room, packager, choice, undo, program=program)
                mix = await StreamMix.open(self._rooms, room) if sound is LiveSound.MIX else None
                if mix is not None:
                    undo.push_async_callback(close_quietly, mix)
                stream = LiveStream(
                    room,
                    packager,
                    self._clock,
                    sources=wanted.sources,
                    spotlight=spotlight,
                    program=program,
                    mix=mix,
                    terms=terms,
                )
                stream.transcoding = transcoding
                stream.decodes = program or (choice.video is not None and not carried(choice.video))
                ids = [packager.id] if mix is None else [packager.id, mix.mixer.id]
                mailbox = room.router.engine.subscribe(*ids)
                undo.callback(mailbox.close)
                for publication in choice.tracks():
                    await self._feeding.feed(stream, publication)
                if mix is not None:
                    stream.mix_track = await packager.add_track(mix.output)
                    self._feeding.left_out += await mix.follow()
            if is_closed() or room.closed is not None:
                raise LiveError(LiveRefusal.NOTHING_PUBLISHED, "the room closed meanwhile")
            undo.pop_all()
        return stream, mailbox

    def _require_processes(self) -> None:
        """Raise `LiveError` where no program can be made."""
        if self._transcodings is None or not self._transcodings.ready:
            detail = "no process makes programs here: it takes roomtone[transcode], and live.webrtc_making"
            raise LiveError(LiveRefusal.NEEDS_TRANSCODING, detail)

    async def _make_anew(
        self, room: Room, packager: Packager, choice: Choice, undo: AsyncExitStack, *, program: bool
    ) -> Transcoding | None:
        if self._transcodings is None or not self._transcodings.ready:
            return None
        keeps = not program and (choice.video is None or carried(choice.video))
        try:
            made = await self._transcodings.start(
                room.name, packager.id, keeps_video=keeps, video=choice.video is not None, program=program
            )
        except WorkerStartError as error:
            if keeps:
                _log.warning("%s is not made anew: %s", room.name, error)
                return None
            raise LiveError(LiveRefusal.NEEDS_TRANSCODING, f"video cannot be made anew: {error}") from error
        undo.push_async_callback(self._transcodings.stop, made)
        return made


async def close_quietly(opened: Packager | StreamMix) -> None:
    """Close what may be gone already."""
    try:
        await opened.close()
    except EngineCommandError as error:
        _log.warning("closing a part of a live stream failed: %s", error)
