"""Which rooms there are: opened by name, closed when empty or told to."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from roomtone.control.rooms.ending import RoomEnds
from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.model import Room
from roomtone.control.rooms.reasons import CloseReason, Refusal, of_command
from roomtone.control.rooms.routers import NoRouter
from roomtone.control.rooms.tables import quietly
from roomtone.control.rooms.values import MAX_METADATA_LENGTH, RoomId, is_room_name
from roomtone.media import EngineCommandError
from roomtone.media.values import ErrorCode

if TYPE_CHECKING:
    from roomtone.control.rooms.options import RoomOptions
    from roomtone.media import AudioLevelObserver, Router
    from roomtone.media.values import RouterId

END_BATCH = 256
"""Members a closing room ends at once: well under the engine's command queue."""
_log = logging.getLogger(__name__)


class RoomDirectory(RoomEnds):
    """Rooms that open and close."""

    async def close_all(self) -> None:
        """Close all rooms and make no more."""
        self._closed = True
        for room in tuple(self.by_name.values()):
            await self.close_room(room, CloseReason.SERVER_SHUTDOWN)

    def find(self, name: str) -> Room:
        """Give a room that is open; raise `RoomError`."""
        room = self.by_name.get(name)
        if room is None:
            raise self.refuse(
                Refusal.NO_SUCH_ROOM, f"there is no room {name!r}" if is_room_name(name) else "no such room"
            )
        return room

    def codecs_of(self, name: str) -> frozenset[str]:
        """Names of the codecs that may be published in a room, open or to come; empty: all."""
        room = self.by_name.get(name)
        return (self.limits.defaults() if room is None else room.options).codecs

    def require_clear(self, room: Room, what: str) -> None:
        """Refuse what must see or hear the media of a room whose ends encrypt it; ``what`` begins the sentence."""
        if room.options.e2ee:
            raise self.refuse(
                Refusal.ROOM_IS_ENCRYPTED, f"{what} needs media in the clear, and this room is encrypted end to end"
            )

    async def create(self, name: str, options: RoomOptions | None = None) -> Room:
        """Give the room of this name; made with these options if it is not there, else as it is."""
        if options is not None:
            self._check_options(options)
        room = await self.open(name, options)
        if not room.was_ordered:
            room.was_ordered = True
            self._settle(room)
        return room

    def _check_options(self, options: RoomOptions) -> None:
        if unknown := options.unknown_codecs():
            raise self.refuse(Refusal.UNKNOWN_CODEC, f"no codec is called {' or '.join(unknown)}")
        if len(options.metadata) > MAX_METADATA_LENGTH:
            raise self.refuse(Refusal.TOO_LARGE, f"metadata is at most {MAX_METADATA_LENGTH} characters")

    async def open(self, name: str, options: RoomOptions | None = None, *, media_optional: bool = False) -> Room:
        """Give the room of this name, made if it is not there; without media if the engine may have no place for it."""
        self._check_room(name)
        if (room := self.by_name.get(name)) is not None:
            return room
        if (opening := self._opening.get(name)) is None:
            opening = self._opening[name] = asyncio.ensure_future(
                self._open_room(name, options or self.limits.defaults(), media_optional=media_optional)
            )
        # Shielded: one caller that gives up must not take the room from the others who wait for it.
        return await asyncio.shield(opening)

    def _check_room(self, name: str) -> None:
        """Refuse a name that no room can have, and one more room than there may be."""
        if self._closed:
            raise self.refuse(Refusal.SHUTTING_DOWN, "the server is shutting down")
        if not is_room_name(name):
            raise self.refuse(Refusal.BAD_NAME, "a room's name is 1 to 64 letters, digits, '.', '_' or '-'")
        there = name in self.by_name or name in self._opening
        if not there and len(self.by_name) + len(self._opening) >= self.limits.max_rooms:
            raise self.refuse(Refusal.TOO_MANY_ROOMS, f"there are {self.limits.max_rooms} rooms already")

    async def close_room(self, room: Room, reason: CloseReason = CloseReason.ROOM_CLOSED) -> None:
        """Send everybody out and close the room."""
        if room.closed is not None:
            return
        room.closed = reason
        if room.observer is not None:
            self.observed.pop(room.observer.id, None)
        if self.by_name.get(room.name) is room:
            del self.by_name[room.name]
        if room.empty_timer is not None:
            room.empty_timer.cancel()
        members = room.members()
        for start in range(0, len(members), END_BATCH):
            await asyncio.gather(*(self.end(member, reason) for member in members[start : start + END_BATCH]))
        if room.switching is not None:
            room.switching.cancel()
            await asyncio.gather(room.switching, return_exceptions=True)
        self.ended_log.add_room(room, reason)
        room.events.emit(RoomEventKind.ROOM_CLOSED, reason=reason)
        room.events.close()
        for router in room.routers():
            self.routers.forget(room, router)
            if self.routers.let_go(router):
                await quietly(router.close)
            elif router is room.router and room.observer is not None:
                await quietly(room.observer.close)  # the router goes on for who was moved elsewhere

    async def check_routers(self, room: Room) -> None:
        """Find out which routers the engine lost, after events that may have told of it were lost."""
        for router in room.routers():
            try:
                await router.stats()
            except EngineCommandError as error:
                if error.code is ErrorCode.NOT_FOUND:
                    self.lose_router(room, router)

    def on_router_closed(self, id_: RouterId) -> None:
        """React to the end of a router, which may hold nothing yet; one that was closed here is no router of a room."""
        for room in tuple(self.by_name.values()):
            for router in room.routers():
                if router.id == id_:
                    self.lose_router(room, router)

    def lose_router(self, room: Room, router: Router) -> None:
        """Do without a branch the engine lost; close a room that has lost its home.

        The next join, even one this very moment, makes a new room.
        """
        if router is not room.router:
            if router.id in room.branches or router.id in room.guests:
                _log.error("the engine lost a router of room %s: who was on it is gone", room.name)
                self.routers.forget(room, router)
                self.routers.let_go(router)
        elif room.closed is None and self.by_name.get(room.name) is room:
            _log.error("the engine lost the router of room %s: the room is closed", room.name)
            del self.by_name[room.name]
            self.spawn(self.close_room(room, CloseReason.MEDIA_FAILED))

    async def _open_room(self, name: str, options: RoomOptions, *, media_optional: bool) -> Room:
        try:
            router, observer = await self._open_router(media_optional=media_optional)
            if self._closed:
                await quietly(router.close)
                raise self.refuse(Refusal.SHUTTING_DOWN, "the server is shutting down")
            room = Room(RoomId(self._new_id("RM")), name, router, self._clock(), self._clock, options)
            self._watch_speakers(room, observer)
            self.by_name[name] = room
            for tell in self.when_opened:
                tell(room)
            room.events.emit(RoomEventKind.ROOM_OPENED)
            self._arm_empty_timer(room)  # whoever opened it may never come
            return room
        finally:
            del self._opening[name]

    async def _open_router(self, *, media_optional: bool) -> tuple[Router, AudioLevelObserver | None]:
        try:
            router = await self.routers.open()
            return router, await self.routers.observe(router, self.limits.speakers)
        except EngineCommandError as error:
            refused = of_command(error)
            if media_optional:
                _log.warning("a room has no media for now: %s", refused.message)
                return NoRouter(self.engine), None
            self.refused[refused.refusal] += 1
            raise refused from error

    async def _need_media(self, room: Room) -> None:
        """Give a room the router it was opened without; raise `RoomError` when the engine still has no place."""
        if room.has_media:
            return
        async with room.placing:
            if room.has_media:
                return
            router, observer = await self._open_router(media_optional=False)
            if room.closed is not None:
                await quietly(router.close)
                return
            room.router = router
            self._watch_speakers(room, observer)

    def _watch_speakers(self, room: Room, observer: AudioLevelObserver | None) -> None:
        room.observer = observer
        if observer is not None:
            self.observed[observer.id] = room

    async def _enter(self, name: str, *, media_optional: bool = False) -> Room:
        """Give the room somebody joins."""
        if self.limits.create_on_join or not is_room_name(name):
            return await self.open(name, media_optional=media_optional)
        return self.find(name)

    def _settle(self, room: Room) -> None:
        """Arm or stop the empty timer; a room that nobody ever got into goes at once."""
        if room.empty_timer is not None:
            room.empty_timer.cancel()
            room.empty_timer = None
        if room.in_use or room.closed is not None:
            return
        if not room.was_used and not room.was_ordered:
            self.spawn(self.close_room(room, CloseReason.ROOM_EMPTY))
            return
        self._arm_empty_timer(room)

    def _arm_empty_timer(self, room: Room) -> None:
        delay = self._empty_delay(room)
        room.empty_timer = asyncio.get_running_loop().call_later(delay, self._close_if_empty, room)

    def _empty_delay(self, room: Room) -> float:
        """How long a room without anybody waits: for the first to come, or for somebody to come back."""
        options, limits = room.options, self.limits
        if room.was_used:
            return limits.departure_timeout_s if options.departure_timeout_s is None else options.departure_timeout_s
        return limits.empty_timeout_s if options.empty_timeout_s is None else options.empty_timeout_s

    def _close_if_empty(self, room: Room) -> None:
        if not room.in_use:
            self.spawn(self.close_room(room, CloseReason.ROOM_EMPTY))
