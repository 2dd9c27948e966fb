"""Tracks published, muted, subscribed to, and what of them a subscriber gets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from roomtone.control.rooms.connections import RoomConnections
from roomtone.control.rooms.events import EventsLostError, RoomEventKind
from roomtone.control.rooms.model import FeedConnection, Participant
from roomtone.control.rooms.reasons import CloseReason, Refusal, RoomError
from roomtone.control.rooms.tables import quietly
from roomtone.control.rooms.tracks import Publication, Subscription
from roomtone.control.rooms.values import LayerWish, SubscriptionId, TrackId
from roomtone.media import EngineCommandError
from roomtone.media.values import ErrorCode, MediaKind
from roomtone.protocols.sdp import map_payload_types, media_feedback, redundancy_wanted, rtx_payload_types

if TYPE_CHECKING:
    from roomtone.control.rooms.model import AnyConnection, Member
    from roomtone.control.rooms.values import LayerInfo, SubscriptionOffer, TrackOffer
    from roomtone.media import Producer, Router

_log = logging.getLogger(__name__)


class RoomTracks(RoomConnections):
    """Rooms with publications and subscriptions."""

    async def publish(self, participant: Participant, connection: AnyConnection, track: TrackOffer) -> Publication:
        """Publish a track of a participant that is in the room."""
        publication = await self._produce(participant, connection, track)
        self._announce(publication)
        self._hear(publication)
        self.switching.refresh(participant.room)
        return publication

    def new_track_id(self) -> TrackId:
        """Make an id for a track whose media is still to come; `TrackOffer.id` takes it."""
        return TrackId(self._new_id("TR"))

    async def unpublish(self, publication: Publication, reason: CloseReason = CloseReason.LEFT) -> None:
        """Withdraw a track."""
        participant = publication.participant
        if participant.publications.pop(publication.id, None) is None:
            return
        self._withdraw(publication, reason)
        self.switching.refresh(participant.room)
        await quietly(publication.producer.close)

    async def mute(self, publication: Publication, *, muted: bool, by_server: bool) -> None:
        """Stop or go on forwarding a track; it goes on when neither its publisher nor the server wants it muted."""
        before = publication.publisher_muted, publication.server_muted
        after = (before[0], muted) if by_server else (muted, before[1])
        if after == before:
            return
        was_muted = publication.muted
        # Noted before the engine is asked: of two at once, commands and notes then come in one order.
        publication.publisher_muted, publication.server_muted = after
        if publication.muted != was_muted:
            try:
                with self.commands():
                    await (publication.producer.pause() if publication.muted else publication.producer.resume())
            except RoomError:
                if (publication.publisher_muted, publication.server_muted) == after:
                    publication.publisher_muted, publication.server_muted = before
                raise
        kind = RoomEventKind.TRACK_UPDATED
        if publication.muted != was_muted:
            kind = RoomEventKind.TRACK_MUTED if publication.muted else RoomEventKind.TRACK_UNMUTED
        self._tell_track(publication, kind)

    async def unmute(self, publication: Publication, wait_s: float) -> None:
        """Take the server's mute back; raise `RoomError` where the track stays muted, since its publisher mutes it too.

        Clients that mute themselves when the server does get ``wait_s`` seconds to send again.
        """
        if publication.publisher_muted and not publication.server_muted:
            raise self.refuse(Refusal.MUTED_BY_PUBLISHER, "its publisher has muted the track: only it unmutes it")
        with publication.participant.room.events.open() as events:
            await self.mute(publication, muted=False, by_server=True)
            if not publication.muted:
                return
            with contextlib.suppress(TimeoutError, EventsLostError):
                async with asyncio.timeout(wait_s):
                    async for event in events:
                        if event.kind is RoomEventKind.TRACK_UNMUTED and event.track == publication.id:
                            break
        if not publication.muted:
            return
        text = f"the server no longer mutes the track, but its publisher has not unmuted it within {wait_s} s"
        raise self.refuse(Refusal.MUTED_BY_PUBLISHER, text)

    def tell_track(self, publication: Publication) -> None:
        """Have others told of a track anew: its server says more of it than rooms know, and that has changed."""
        self._tell_track(publication, RoomEventKind.TRACK_UPDATED)

    def describe_layers(self, publication: Publication, layers: tuple[LayerInfo, ...]) -> None:
        """Note what a publisher says of its layers now."""
        if publication.layers != layers:
            publication.layers = layers
            self._tell_track(publication, RoomEventKind.TRACK_UPDATED)

    async def subscribe(
        self,
        member: Member,
        connection: AnyConnection,
        offer: SubscriptionOffer,
        source: Publication | None,
    ) -> Subscription:
        """Send a track, or at first none, to a member; raise `RoomError` when it may not have it or cannot take it."""
        self._check_may_subscribe(member, source)
        if isinstance(connection, FeedConnection):
            raise self.refuse(Refusal.NOT_PERMITTED, "an encoder only publishes")
        mapped = map_payload_types(source.offer.codecs, offer.codecs) if source is not None else []
        if source is not None and not mapped:
            raise self.refuse(
                Refusal.NO_COMMON_CODEC, f"the {offer.kind.value} is {_names(source)}, which the offer does not take"
            )
        with self.commands(on_transport=True):
            producer = None if source is None else await self.routers.producer_on(source, connection.router)
            consumer = await connection.transport.consume(
                offer.kind,
                producer,
                mid=offer.mid,
                payload_types=mapped,
                rtx_payload_types=rtx_payload_types(offer.codecs),
                header_extensions=offer.extensions,
                feedback=media_feedback(offer.codecs),
                redundancy=redundancy_wanted(offer.codecs),
                ssrc=offer.ssrc,
                rtx_ssrc=offer.rtx_ssrc,
                paused=offer.paused,
            )
        subscription = Subscription(
            SubscriptionId(self._new_id("SU")), member, offer, consumer, router=connection.router, source=source
        )
        subscription.layer = LayerWish(paused=offer.paused)
        try:
            # What was true before the engine was asked may be so no longer.
            self._check_open(member)
            self._check_may_subscribe(member, source)
        except RoomError:
            await quietly(consumer.close)
            raise
        member.subscriptions[subscription.id] = subscription
        self.subscriptions[consumer.id] = subscription
        if source is not None and isinstance(member, Participant):
            source.subscriptions[subscription.id] = subscription
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Stop sending a track to a member."""
        if self._forget_subscription(subscription, CloseReason.LEFT):
            await quietly(subscription.consumer.close)

    async def choose_layer(self, subscription: Subscription, wish: LayerWish) -> None:
        """Choose the most a subscriber gets; a `LayerWish` without wishes leaves it to the engine."""
        spatial = self.switching.spatial_of(subscription.source, wish)
        if wish.rid is not None and spatial is None:
            raise self.refuse(Refusal.NO_SUCH_LAYER, f"the track has no encoding {wish.rid!r}")
        consumer, paused = subscription.consumer, subscription.layer.paused
        with self.commands():
            await consumer.set_preferred_layers(spatial, wish.temporal)
            await consumer.set_limits(
                max_width=wish.max_width,
                max_height=wish.max_height,
                max_fps=wish.max_fps,
                max_bitrate=wish.max_bitrate,
            )
            if wish.paused != paused:
                await (consumer.pause() if wish.paused else consumer.resume())
        subscription.layer = wish

    def _check_may_subscribe(self, member: Member, source: Publication | None) -> None:
        """Refuse a subscription that the member's permissions or the publisher's rules do not allow."""
        identity = None
        if isinstance(member, Participant):
            identity = member.identity
            if not member.permissions.can_subscribe:
                raise self.refuse(Refusal.NOT_PERMITTED, "it may not subscribe")
        if source is None:
            return
        publisher = source.participant
        service = isinstance(member, Participant) and member.permissions.is_service
        if source.id not in publisher.publications or (publisher.permissions.hidden and not service):
            raise self.refuse(Refusal.NO_SUCH_TRACK, "the track is not published, or no longer")
        if not publisher.subscription_rules.allows(identity, source.id):
            raise self.refuse(Refusal.NOT_PERMITTED, "the publisher does not let it have this track")

    def _check_may_publish(self, participant: Participant, track: TrackOffer) -> None:
        """Refuse a track that the participant's permissions, the room's codecs or a limit do not allow."""
        room, options = participant.room, participant.room.options
        if not participant.permissions.may_publish(track.source):
            raise self.refuse(Refusal.NOT_PERMITTED, f"it may not publish {track.source.value}")
        if refused := options.refused(track.codecs):
            raise self.refuse(
                Refusal.CODEC_NOT_ALLOWED,
                f"the room takes only {' and '.join(sorted(options.codecs))}, not {' and '.join(refused)}",
            )
        if len(participant.publications) >= self.limits.max_tracks_per_participant:
            limit = self.limits.max_tracks_per_participant
            raise self.refuse(Refusal.TOO_MANY_TRACKS, f"a participant publishes at most {limit} tracks")
        limit = min(filter(None, (options.max_publications, self.limits.max_publications)))
        # Those of a participant on its way in are not counted among the room's yet.
        here = room.participants.get(participant.identity)
        others = room.publication_count - (len(here.publications) if here is not None else 0)
        if others + len(participant.publications) >= limit:
            raise self.refuse(Refusal.TOO_MANY_TRACKS, f"the room has {limit} tracks already")

    async def _produce(self, participant: Participant, connection: AnyConnection, track: TrackOffer) -> Publication:
        self._check_may_publish(participant, track)
        with self.commands(on_transport=True):
            producer = await _produced(connection, track)
        try:
            self._check_open(participant)
            self._check_may_publish(participant, track)
        except RoomError:
            await quietly(producer.close)
            raise
        publication = Publication(track.id or self.new_track_id(), participant, track, producer, connection.router)
        self._enter_track(publication)
        return publication

    def _enter_track(self, publication: Publication) -> None:
        """Put a track into all tables; `_announce` tells of it."""
        participant = publication.participant
        if not participant.publications:
            participant.room.publishers_seen += 1
            participant.published_since = participant.room.publishers_seen
        participant.publications[publication.id] = publication
        self.publications[publication.producer.id] = publication

    def _hear(self, publication: Publication) -> None:
        """Have sound that is on a guest's router brought home, where who speaks is found out."""
        home = publication.participant.room.router
        if publication.offer.kind is MediaKind.AUDIO and publication.router is not home:
            self.spawn(self._bring_home(publication, home))

    async def _bring_home(self, publication: Publication, home: Router) -> None:
        try:
            await self.routers.producer_on(publication, home)
        except EngineCommandError as error:
            if error.code is not ErrorCode.NOT_FOUND:  # the track or the room has ended meanwhile
                _log.warning("room %s does not hear a participant: %s", publication.participant.room.name, error)

    def _announce(self, publication: Publication) -> None:
        self._tell_track(publication, RoomEventKind.TRACK_PUBLISHED)

    def _tell_track(self, publication: Publication, kind: RoomEventKind) -> None:
        publication.participant.version += 1
        publication.participant.emit(kind, track=publication.id)


async def _produced(connection: AnyConnection, track: TrackOffer) -> Producer:
    """Have a connection produce a track."""
    codecs = [codec.to_parameters() for codec in track.codecs]
    if isinstance(connection, FeedConnection):
        if track.fed_by is None:
            raise RoomError(Refusal.ENGINE_REFUSED, "a feed has only tracks of its encoder")
        return await connection.transport.add_track(track.fed_by, track.kind, codecs[0])
    return await connection.transport.produce(
        track.kind,
        codecs,
        encodings=track.encodings,
        mid=track.mid,
        header_extensions=track.extensions,
        paused=track.muted,
    )


def _names(source: Publication) -> str:
    return " or ".join(dict.fromkeys(codec.name for codec in source.offer.codecs))
