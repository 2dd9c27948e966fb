"""Which publication feeds which viewer, as publishers come and go.

A change in a room only marks it; one task a room then brings all its viewers to the wanted state, in batches,
until nothing is left to do. So a join answers at once however many viewers there are.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.model import Member, Room, Viewer
from roomtone.control.rooms.values import LayerWish
from roomtone.media import EngineCommandError
from roomtone.media.values import ErrorCode
from roomtone.protocols.sdp import map_payload_types

if TYPE_CHECKING:
    from roomtone.control.rooms.routers import RoomRouters
    from roomtone.control.rooms.tracks import Publication, Subscription
    from roomtone.media.values import MediaKind

BATCH = 64
_log = logging.getLogger(__name__)


class Switching:
    """Moves viewers between sources; counts refused switches, and sources with no common codec."""

    def __init__(self, routers: RoomRouters) -> None:
        self._routers = routers
        self.switches = 0
        self.failures = 0
        self.unservable = 0

    def wanted(self, viewer: Viewer, kind: MediaKind) -> Publication | None:
        """Find what a viewer shall get now."""
        source = viewer.source()
        publication = None if source is None else source.publication_of(kind)
        if publication is None or not publication.participant.subscription_rules.allows(None, publication.id):
            return None
        return publication

    def refresh(self, room: Room) -> None:
        """Bring a room's viewers up to date soon."""
        if room.closed is not None or not room.viewers:
            return
        room.switch_again = True
        if room.switching is None or room.switching.done():
            room.switching = asyncio.ensure_future(self._bring_up_to_date(room))

    async def settled(self, room: Room) -> None:
        """Wait until no switch is under way."""
        while room.switching is not None and not room.switching.done():
            # Not awaited itself: a room that closes cancels it, which is no cancellation of who waits here.
            await asyncio.wait({room.switching})

    def spatial_of(self, source: Publication | None, wish: LayerWish) -> int | None:
        """Index of the wanted encoding; None when the wish names none, or one the source has not."""
        if wish.rid is None:
            return wish.spatial
        return source.rids.index(wish.rid) if source is not None and wish.rid in source.rids else None

    async def _bring_up_to_date(self, room: Room) -> None:
        while room.switch_again:
            room.switch_again = False
            stale = [
                subscription
                for viewer in room.viewers.values()
                for subscription in viewer.subscriptions.values()
                if self.wanted(viewer, subscription.offer.kind) is not subscription.source
            ]
            for start in range(0, len(stale), BATCH):
                await asyncio.gather(*(self._switch(subscription) for subscription in stale[start : start + BATCH]))

    async def _switch(self, subscription: Subscription) -> None:
        viewer = subscription.member
        if viewer.closed is not None or not isinstance(viewer, Viewer):
            return
        source = self.wanted(viewer, subscription.offer.kind)
        mapped = map_payload_types(source.offer.codecs, subscription.offer.codecs) if source is not None else []
        subscription.source = source
        subscription.unservable = source is not None and not mapped
        self.unservable += subscription.unservable
        try:
            producer = None
            if source is not None and mapped:
                producer = await self._routers.producer_on(source, subscription.router)
            await subscription.consumer.switch_source(producer, mapped)
            if subscription.layer != LayerWish():
                spatial = self.spatial_of(source, subscription.layer)
                await subscription.consumer.set_preferred_layers(spatial, subscription.layer.temporal)
        except EngineCommandError as error:
            self._on_failure(viewer, error)
            return
        self.switches += 1
        viewer.room.events.emit(
            RoomEventKind.SOURCE_SWITCHED,
            viewer=viewer.id,
            participant=None if source is None else source.participant.identity,
            track=None if source is None else source.id,
        )

    def _on_failure(self, viewer: Member, error: EngineCommandError) -> None:
        # A producer or viewer that ended meanwhile has its own event, which refreshes the room again.
        if error.code is not ErrorCode.NOT_FOUND:
            self.failures += 1
            _log.warning("switching a viewer of room %s failed: %s", viewer.room.name, error)
