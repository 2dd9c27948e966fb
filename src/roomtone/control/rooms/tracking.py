"""Tracks published, muted, subscribed to, and what of them a subscriber gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.rooms.connections import RoomConnections
from roomtone.control.rooms.directory import quietly
from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.reasons import Refusal, RoomError
from roomtone.control.rooms.tracks import Publication, Subscription
from roomtone.control.rooms.values import LayerWish, SubscriptionId, TrackId
from roomtone.protocols.sdp import map_payload_types, media_feedback, redundancy_wanted, rtx_payload_types

if TYPE_CHECKING:
    from roomtone.control.rooms.model import Connection, Member, Participant, PlainConnection
    from roomtone.control.rooms.values import SubscriptionOffer, TrackOffer


class RoomTracks(RoomConnections):
    """Rooms with publications and subscriptions."""

    async def publish(
        self, participant: Participant, connection: Connection | PlainConnection, track: TrackOffer
    ) -> Publication:
        """Publish a track of a participant that is in the room."""
        publication = await self._produce(participant, connection, track)
        if participant.closed is not None:
            await quietly(publication.producer.close)
            self._check_open(participant)
        self._announce(publication)
        self.switching.refresh(participant.room)
        return publication

    def new_track_id(self) -> TrackId:
        """Make an id for a track whose media is still to come; `TrackOffer.id` takes it."""
        return TrackId(self._new_id("TR"))

    async def unpublish(self, publication: Publication) -> None:
        """Withdraw a track."""
        participant = publication.participant
        if participant.publications.pop(publication.id, None) is None:
            return
        self._withdraw(publication)
        self.switching.refresh(participant.room)
        await quietly(publication.producer.close)

    async def mute(self, publication: Publication, *, muted: bool) -> None:
        """Stop or go on forwarding a track."""
        if publication.muted == muted:
            return
        with self.commands():
            await (publication.producer.pause() if muted else publication.producer.resume())
        publication.muted = muted
        kind = RoomEventKind.TRACK_MUTED if muted else RoomEventKind.TRACK_UNMUTED
        participant = publication.participant
        participant.room.events.emit(kind, participant=participant.identity, track=publication.id)

    async def subscribe(
        self,
        member: Member,
        connection: Connection | PlainConnection,
        offer: SubscriptionOffer,
        source: Publication | None,
    ) -> Subscription:
        """Send a track, or at first none, to a member; raise `RoomError` when they share no codec."""
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
        member.subscriptions[subscription.id] = subscription
        self.subscriptions[consumer.id] = subscription
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Stop sending a track to a member."""
        if subscription.member.subscriptions.pop(subscription.id, None) is not None:
            self.subscriptions.pop(subscription.consumer.id, None)
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

    def _check_open(self, member: Member) -> None:
        """Fail when a member on its way in has lost its room or its transport meanwhile."""
        closed = member.closed or member.room.closed
        if closed is not None:
            self.refused[Refusal.CLOSED] += 1
            raise RoomError(Refusal.CLOSED, f"ended while joining: {closed.value}", closed=closed)

    async def _produce(
        self, participant: Participant, connection: Connection | PlainConnection, track: TrackOffer
    ) -> Publication:
        if len(participant.publications) >= self.limits.max_tracks_per_participant:
            limit = self.limits.max_tracks_per_participant
            raise self.refuse(Refusal.TOO_MANY_TRACKS, f"a participant publishes at most {limit} tracks")
        with self.commands(on_transport=True):
            producer = await connection.transport.produce(
                track.kind,
                [codec.to_parameters() for codec in track.codecs],
                encodings=track.encodings,
                mid=track.mid,
                header_extensions=track.extensions,
                paused=track.muted,
            )
        publication = Publication(track.id or self.new_track_id(), participant, track, producer)
        if not participant.publications:
            participant.room.publishers_seen += 1
            participant.published_since = participant.room.publishers_seen
        participant.publications[publication.id] = publication
        self.publications[producer.id] = publication
        return publication

    def _announce(self, publication: Publication) -> None:
        participant = publication.participant
        participant.room.events.emit(
            RoomEventKind.TRACK_PUBLISHED, participant=participant.identity, track=publication.id
        )


def _names(source: Publication) -> str:
    return " or ".join(dict.fromkeys(codec.name for codec in source.offer.codecs))
