"""Participants that are present in further rooms: forwarded there, while they stay in their own.

In the other room stands a mirror: a participant without a connection, whose tracks are the source's, piped from router
to router. It only publishes. What others may see change of the source changes there too; a mute and a removal there
are that room's own. It ends with its source, its room, when it is removed, and when one of its identity joins there.

Limits: ``MAX_FORWARDINGS`` a participant; ``MAX_REPAIRS`` of broken pipes, after which a forwarding ends.
``forwarding_counts`` counts what became of forwardings and tracks.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.mirrors import (
    Forwarding,
    ForwardingCount,
    permissions_of,
    request_of,
    rules_of,
)
from roomtone.control.rooms.model import Participant
from roomtone.control.rooms.moving import RoomMoves
from roomtone.control.rooms.pipes import end_late_pipe, end_pipe
from roomtone.control.rooms.reasons import CloseReason, Refusal, RoomError
from roomtone.control.rooms.tracks import Publication
from roomtone.control.rooms.values import ParticipantId, TrackId

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from roomtone.control.rooms.events import RoomEvent
    from roomtone.control.rooms.model import Room
    from roomtone.control.rooms.permissions import Permissions

MAX_FORWARDINGS = 16
"""Other rooms that one participant is present in."""
MAX_REPAIRS = 8
"""Pipes of one forwarding that may break and are made anew."""
_CHANGES = frozenset(
    {
        RoomEventKind.PARTICIPANT_UPDATED,
        RoomEventKind.TRACK_PUBLISHED,
        RoomEventKind.TRACK_MUTED,
        RoomEventKind.TRACK_UNMUTED,
        RoomEventKind.SUBSCRIPTION_RULES_CHANGED,
    }
)
_log = logging.getLogger(__name__)


class RoomForwardings(RoomMoves):
    """Rooms whose participants are forwarded."""

    forwarding_counts: Counter[ForwardingCount]

    @property
    def forwardings(self) -> int:
        """How many there are."""
        return sum(len(held) for room in self.by_name.values() for held in room.forwards.values())

    async def forward(self, participant: Participant, to_room: str) -> Participant:
        """Have a participant be present in another room too, made if it is not there; gives its mirror there.

        Lock and lobby there let it pass. Raise `RoomError` when it cannot be there with all its tracks.
        """
        self._check_forwardable(participant, to_room)
        source_room = participant.room
        # A new room is like the one the tracks come from, so that they can be read there.
        options = replace(self.limits.defaults(), e2ee=source_room.options.e2ee)
        room = await self.open(to_room, options)
        mirror = Participant(room, ParticipantId(self._new_id("PA")), request_of(participant), self._clock())
        mirror.origin = participant
        forwarding = Forwarding(participant, mirror)
        with self._hold_place(room, mirror.request):
            self._check_place_for_mirror(forwarding)
            async with AsyncExitStack() as undo:
                undo.push_async_callback(self._abandon, mirror)
                mirror.when_closed(partial(self._on_mirror_closed, forwarding))
                for track in tuple(participant.publications.values()):
                    await self._mirror_track(forwarding, track)
                # What was true before the engine was asked may be so no longer.
                self._check_open(mirror)
                self._check_forwardable(participant, to_room)
                self._check_place_for_mirror(forwarding)
                undo.pop_all()
            mirror.subscription_rules = rules_of(forwarding)
            source_room.forwards.setdefault(participant.identity, {})[room.name] = forwarding
            self.forwarding_counts[ForwardingCount.STARTED] += 1
            self._let_in(mirror)
        self.switching.refresh(room)
        self._refresh(forwarding)  # what has changed while tracks were piped
        return mirror

    async def update(
        self,
        participant: Participant,
        *,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
        permissions: Permissions | None = None,
    ) -> None:
        """Change a participant, see `RoomUpdates.update`; a mirror only shows what its source is."""
        if participant.origin is not None:
            where = participant.origin.room.name
            raise self.refuse(Refusal.IS_FORWARDED, f"it is forwarded from the room {where}: change it there")
        await super().update(participant, name=name, metadata=metadata, attributes=attributes, permissions=permissions)

    def follow_forwarded(self, room: Room) -> None:
        """Bring what happens to a room's participants to where they are forwarded; called with each new room."""
        room.events.listen(partial(self._on_room_event, room))

    # --- checks ---

    def _check_forwardable(self, participant: Participant, to_room: str) -> None:
        self._check_open(participant)
        if participant.origin is not None:
            where = participant.origin.room.name
            raise self.refuse(Refusal.IS_FORWARDED, f"it is forwarded from the room {where}: forward it from there")
        if to_room == participant.room.name:
            raise self.refuse(Refusal.SAME_ROOM, "it is in that room")
        held = participant.room.forwards.get(participant.identity, {})
        if len(held) >= MAX_FORWARDINGS and to_room not in held:
            text = f"a participant is forwarded to at most {MAX_FORWARDINGS} rooms"
            raise self.refuse(Refusal.TOO_MANY_FORWARDINGS, text)

    def _check_place_for_mirror(self, forwarding: Forwarding) -> None:
        source, room = forwarding.source, forwarding.mirror.room
        if source.identity in room.participants:
            raise self.refuse(Refusal.IDENTITY_TAKEN, "a participant of that identity is in the other room already")
        if source.room.options.e2ee != room.options.e2ee:
            text = "only one of the two rooms is encrypted end to end: its tracks would not be understood in the other"
            raise self.refuse(Refusal.ROOM_IS_ENCRYPTED, text)

    # --- what happens ---

    def _on_room_event(self, room: Room, event: RoomEvent) -> None:
        if event.participant is None:
            return
        for forwarding in tuple(room.forwards.get(event.participant, {}).values()):
            self._on_source_event(forwarding, event)
        here = room.participants.get(event.participant)
        if event.kind is RoomEventKind.TRACK_UNPUBLISHED and here is not None and here.origin is not None:
            forwarded = here.origin.room.forwards.get(here.identity, {}).get(room.name)
            if forwarded is not None and forwarded.mirror is here:
                self._refresh(forwarded)  # its pipe may have broken

    def _on_source_event(self, forwarding: Forwarding, event: RoomEvent) -> None:
        mirror, track = forwarding.mirror, TrackId(event.track or "")
        match event.kind:
            case RoomEventKind.PARTICIPANT_LEFT:
                self._detach(mirror, event.reason or CloseReason.LEFT)
            case RoomEventKind.TRACK_UNPUBLISHED:
                mirrored = forwarding.tracks.pop(track, None)
                if mirrored is not None:
                    self._withdraw_mirrored(mirrored, event.reason or CloseReason.LEFT)
            case RoomEventKind.TRACK_UPDATED:
                mirrored = forwarding.tracks.get(track)
                if mirrored is not None and mirrored.origin is not None:
                    mirrored.layers = mirrored.origin.layers
                    self.tell_track(mirrored)
            case RoomEventKind.QUALITY_CHANGED if event.track is None:
                mirror.quality = event.quality
                details = {"quality": event.quality, "score": event.score, "degradation": event.degradation}
                mirror.emit(RoomEventKind.QUALITY_CHANGED, **details)  # type: ignore[arg-type]
            case kind if kind in _CHANGES:
                self._refresh(forwarding)
            case _:
                pass

    def _on_mirror_closed(self, forwarding: Forwarding, reason: CloseReason) -> None:
        """End the pipes: no transport of the mirror's does."""
        source, mirror = forwarding.source, forwarding.mirror
        held = source.room.forwards.get(source.identity, {})
        if held.get(mirror.room.name) is forwarding:
            del held[mirror.room.name]
            if not held:
                del source.room.forwards[source.identity]
            self.forwarding_counts[ForwardingCount.ENDED] += 1
            _log.info("a participant is in room %s no longer: %s", mirror.room.name, reason.value)
        tracks, forwarding.tracks = forwarding.tracks, {}
        for track in tracks.values():
            self.spawn(end_pipe(track.producer))

    # --- steps ---

    def _refresh(self, forwarding: Forwarding) -> None:
        """Bring a mirror up to date soon."""
        forwarding.again = True
        if not forwarding.under_way:
            forwarding.under_way = True
            self.spawn(self._keep_up(forwarding))

    async def _keep_up(self, forwarding: Forwarding) -> None:
        try:
            while forwarding.again and forwarding.mirror.closed is None and forwarding.source.closed is None:
                forwarding.again = False
                await self._bring_up_to_date(forwarding)
        except RoomError as error:
            if forwarding.mirror.closed is None and forwarding.source.closed is None:
                _log.warning("room %s does not follow a forwarded participant: %s", forwarding.mirror.room.name, error)
                self._detach(forwarding.mirror, CloseReason.MEDIA_FAILED)
        finally:
            forwarding.under_way = False

    async def _bring_up_to_date(self, forwarding: Forwarding) -> None:
        source, mirror = forwarding.source, forwarding.mirror
        gone = dict.fromkeys(mirror.attributes.keys() - source.attributes.keys(), "")
        await super().update(
            mirror,
            name=source.name,
            metadata=source.metadata,
            attributes=gone | source.attributes,
            permissions=permissions_of(source),
        )
        fresh = [await self._mirror_missing(forwarding, track) for track in self._missing(forwarding)]
        await self.set_subscription_permissions(mirror, rules_of(forwarding))
        for publication in fresh:
            if publication is not None and publication.id in mirror.publications:
                self._announce(publication)
        self.switching.refresh(mirror.room)
        for track, publication in tuple(forwarding.tracks.items()):
            if track in source.publications and publication.id in mirror.publications:
                await self._mirror_mute(publication, muted=source.publications[track].muted)

    async def _mirror_mute(self, publication: Publication, *, muted: bool) -> None:
        try:
            await self.mute(publication, muted=muted, by_server=False)
        except RoomError as error:
            if error.refusal is not Refusal.CLOSED:  # a pipe that has ended has an event, which is still to come
                raise

    def _missing(self, forwarding: Forwarding) -> list[Publication]:
        """Tracks of the source that the mirror has not, or no longer."""
        source, mirror = forwarding.source, forwarding.mirror
        for track, publication in tuple(forwarding.tracks.items()):
            if publication.id in mirror.publications:
                continue
            del forwarding.tracks[track]
            self.forwarding_counts[ForwardingCount.TRACK_BROKEN] += 1
            forwarding.repairs += 1
            if forwarding.repairs > MAX_REPAIRS:
                raise self.refuse(Refusal.ENGINE_FAILED, "its pipes break again and again")
        return [track for id_, track in source.publications.items() if id_ not in forwarding.tracks]

    async def _mirror_missing(self, forwarding: Forwarding, track: Publication) -> Publication | None:
        """Forward a track that has come later; one that cannot be is told of in the log and counted."""
        try:
            return await self._mirror_track(forwarding, track)
        except RoomError as error:
            if forwarding.mirror.closed is None and track.id in forwarding.source.publications:
                self.forwarding_counts[ForwardingCount.TRACK_FAILED] += 1
                _log.warning("a track is not forwarded to room %s: %s", forwarding.mirror.room.name, error)
            return None

    async def _mirror_track(self, forwarding: Forwarding, track: Publication) -> Publication | None:
        """Pipe a track to the other room, untold; None when it was withdrawn meanwhile."""
        source, mirror = forwarding.source, forwarding.mirror
        offer = replace(track.offer, id=None, mid=None, muted=track.muted, layers=track.layers)
        self._check_may_publish(mirror, offer)
        await self._need_media(mirror.room)
        piping = asyncio.ensure_future(track.router.pipe_to(track.producer, mirror.room.router))
        try:
            with self.commands():
                piped = await asyncio.shield(piping)
        except asyncio.CancelledError:
            self.spawn(end_late_pipe(piping))  # the engine makes it all the same
            raise
        async with AsyncExitStack() as undo:
            undo.push_async_callback(end_pipe, piped)
            if offer.muted:
                with self.commands():
                    await piped.pause()
            self._check_open(mirror)
            if track.id not in source.publications:
                return None
            self._check_may_publish(mirror, offer)
            undo.pop_all()
        publication = Publication(self.new_track_id(), mirror, offer, piped, mirror.room.router)
        publication.origin = track
        forwarding.tracks[track.id] = publication
        self._enter_track(publication)
        self.forwarding_counts[ForwardingCount.TRACK_FORWARDED] += 1
        return publication

    def _withdraw_mirrored(self, publication: Publication, reason: CloseReason) -> None:
        mirror = publication.participant
        if mirror.publications.pop(publication.id, None) is not None:
            self._withdraw(publication, reason)
            self.switching.refresh(mirror.room)
            self.spawn(end_pipe(publication.producer))
