"""Viewers: who watches without being anybody."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.joining import RoomJoins
from roomtone.control.rooms.model import Connection, PlainConnection, Viewer
from roomtone.control.rooms.reasons import Refusal, RoomError
from roomtone.control.rooms.values import (
    ViewerId,
    is_room_name,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from roomtone.control.rooms.model import Participant, Room
    from roomtone.control.rooms.values import PlainAddress, SubscriptionOffer
    from roomtone.media.values import MediaKind
    from roomtone.protocols.sdp import RemotePeer


class RoomViewers(RoomJoins):
    """Rooms with viewers."""

    async def watch(
        self,
        name: str,
        peer: RemotePeer,
        offers: Sequence[SubscriptionOffer],
        follows: str | None = None,
        *,
        moderator: bool = False,
    ) -> tuple[Viewer, Connection]:
        """Let somebody watch who is live; the first subscription is of the first offer, and so on.

        Lock and lobby keep viewers out too, but for a ``moderator``.
        """
        async with self._viewer_place(name, follows, moderator=moderator) as viewer:
            self._check_any_source(viewer, [offer.kind for offer in offers])
            connection = await self.open_connection(viewer, peer)
            for offer in offers:
                await self.subscribe(viewer, connection, offer, self.switching.wanted(viewer, offer.kind))
            await self.connect(connection, peer)
        return viewer, connection

    async def watch_plain(
        self, name: str, sinks: Sequence[tuple[SubscriptionOffer, PlainAddress]], follows: str | None = None
    ) -> tuple[Viewer, list[PlainConnection]]:
        """Send a room's tracks to plain RTP addresses, each from ports of its own; an operator's doing."""
        opened: list[PlainConnection] = []
        async with self._viewer_place(name, follows, moderator=True) as viewer:
            for offer, address in sinks:
                connection = await self.open_plain_connection(viewer, address)
                await self.subscribe(viewer, connection, offer, self.switching.wanted(viewer, offer.kind))
                connection.connected = True
                opened.append(connection)
        return viewer, opened

    @asynccontextmanager
    async def _viewer_place(self, name: str, follows: str | None, *, moderator: bool) -> AsyncIterator[Viewer]:
        """Make a viewer, let the caller set it up, then admit it; all undone when the caller fails."""
        room = self.by_name.get(name)
        if room is None and not is_room_name(name):
            raise self.refuse(Refusal.BAD_NAME, "a room's name is 1 to 64 letters, digits, '.', '_' or '-'")
        if room is None and not self.limits.create_on_join:
            raise self.refuse(Refusal.NO_SUCH_ROOM, "there is no such room")
        if room is not None and not moderator:
            self._check_viewers_may_enter(room)
        viewer = None if room is None else Viewer(room, ViewerId(self._new_id("VW")), follows, self._clock())
        source = None if viewer is None else viewer.source()
        if source is not None and source.unavailable and not source.publications:
            raise self._refuse_unavailable(source)
        if room is None or viewer is None or source is None or not source.publications:
            raise self.refuse(
                Refusal.NOT_LIVE, "nobody publishes here yet" if follows is None else "not publishing yet"
            )
        taken = len(room.viewers) + room.reserved.viewers
        if taken >= self.limits.max_viewers:
            raise self.refuse(Refusal.TOO_MANY_VIEWERS, f"the room has {taken} viewers already")
        room.reserved.viewers += 1
        try:
            async with AsyncExitStack() as undo:
                undo.push_async_callback(self._abandon, viewer)
                yield viewer
                self._check_open(viewer)
                if not moderator:
                    self._check_viewers_may_enter(room)  # it may have been locked meanwhile
                room.viewers[viewer.id] = viewer
                undo.pop_all()
        finally:
            room.reserved.viewers -= 1
            self._settle(room)
        viewer.emit(RoomEventKind.VIEWER_JOINED)
        # The source may have changed while the viewer was on its way in.
        self.switching.refresh(room)

    def _check_viewers_may_enter(self, room: Room) -> None:
        if room.options.locked:
            raise self.refuse(Refusal.ROOM_LOCKED, "the room is locked")
        if room.options.lobby:
            raise self.refuse(Refusal.MUST_ASK, "the room has a lobby, which viewers cannot pass")

    def _check_any_source(self, viewer: Viewer, kinds: Sequence[MediaKind]) -> None:
        if all(self.switching.wanted(viewer, kind) is None for kind in kinds):
            source = viewer.source()
            if source is not None and any(kind in source.unavailable for kind in kinds):
                raise self._refuse_unavailable(source)
            raise self.refuse(Refusal.NOT_LIVE, f"no {' and no '.join(kinds)} is published here yet")

    def _refuse_unavailable(self, source: Participant) -> RoomError:
        why = "; ".join(f"{kind.value}: {reason}" for kind, reason in sorted(source.unavailable.items()))
        return self.refuse(Refusal.NO_COMMON_CODEC, f"nothing of it can be watched by WebRTC: {why}")
