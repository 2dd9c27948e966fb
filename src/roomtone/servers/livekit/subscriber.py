"""What one client is sent: which tracks it shall have, and the connection they go over."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

from livekit.protocol import models, rtc

from roomtone.control.rooms import (
    Connection,
    LayerWish,
    Publication,
    Refusal,
    RoomError,
    Subscription,
    SubscriptionOffer,
)
from roomtone.media.values import MediaKind
from roomtone.protocols.livekit import (
    Accepted,
    OfferedTracks,
    ReceivedTracks,
    WantedTrack,
    read_wish,
)
from roomtone.servers.livekit.context import Trouble
from roomtone.servers.livekit.infos import stream_of
from roomtone.servers.livekit.publisher import local_peer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.protocols.sdp import MediaAnswer, PeerMedia
    from roomtone.servers.livekit.session import Session

_HIGHEST_PRIORITY = 255
_SCALABLE = frozenset({"VP9", "AV1"})
"""Codecs whose announced layers may be those of one encoding."""
_ERRORS = {
    Refusal.NO_COMMON_CODEC: models.SubscriptionError.SE_CODEC_UNSUPPORTED,
    Refusal.NO_SUCH_TRACK: models.SubscriptionError.SE_TRACK_NOTFOUND,
}


def _number() -> int:
    return secrets.randbits(32) or 1


class Subscriber(ABC):
    """Subscriptions of one client; how they are negotiated is the subclass's."""

    def __init__(self, session: Session, tracks: OfferedTracks | ReceivedTracks) -> None:
        self.connection: Connection | None = None
        self._session = session
        self._sections = tracks
        self._subscriptions: dict[str, Subscription] = {}
        self._chosen: dict[str, bool] = {}
        """What the client said of single tracks; of the others the room's whole is meant, or nothing."""
        self._settings: dict[str, rtc.UpdateTrackSettings] = {}
        self._failed: set[str] = set()
        """Tracks the client cannot take."""
        self._forbidden: set[str] = set()
        """Tracks the client knows it may not have."""

    # --- the client's wishes ---

    async def choose(self, request: rtc.UpdateSubscription) -> None:
        """Subscribe to tracks, or unsubscribe from them."""
        sids = [*request.track_sids, *(sid for tracks in request.participant_tracks for sid in tracks.track_sids)]
        room = self._session.participant.room
        for sid in sids:
            if room.publication(sid) is None and request.subscribe:
                self._tell_failure(sid, models.SubscriptionError.SE_TRACK_NOTFOUND)
                continue
            self._chosen[sid] = request.subscribe
            self._failed.discard(sid)
        await self.reconcile()

    async def set_tracks(self, request: rtc.UpdateTrackSettings) -> None:
        """Take what the client can show of tracks."""
        for sid in request.track_sids:
            publication = self._session.participant.room.publication(sid)
            if publication is None:
                continue
            self._settings[sid] = request
            subscription = self._subscriptions.get(sid)
            if subscription is not None:
                await self._apply(subscription, publication)

    # --- what is ---

    def is_subscribed(self, sid: str) -> bool:
        """Whether a track is sent to the client."""
        return sid in self._subscriptions

    def track_of(self, subscription_id: str | None) -> str | None:
        """Find the track of a subscription."""
        return next((sid for sid, held in self._subscriptions.items() if held.id == subscription_id), None)

    def client_mids(self) -> dict[str, str]:
        """Tracks by section, for answers to the client; empty where there are none in these."""
        return {}

    async def reconcile(self) -> None:
        """Bring what is sent in line with what is wanted, allowed and there."""
        wanted = self._wanted()
        for sid in [sid for sid in self._known() if sid not in wanted]:
            await self._drop(sid)
        for sid, publication in wanted.items():
            if not self._sections.holds(sid) and not self._sections.want(_wanted_track(publication)):
                self._fail(sid, models.SubscriptionError.SE_CODEC_UNSUPPORTED)
        await self.negotiate()

    async def on_published(self, publication: Publication) -> None:
        """Have a new track sent, if it is wanted and allowed."""
        me, publisher = self._session.participant, publication.participant
        if not me.permissions.can_subscribe or publisher is me or publisher.permissions.hidden:
            return
        if self._sections.holds(publication.id) or not self._is_wanted(publication):
            return
        if not self._sections.want(_wanted_track(publication)):
            self._fail(publication.id, models.SubscriptionError.SE_CODEC_UNSUPPORTED)
        await self.negotiate()

    async def on_unpublished(self, sid: str) -> None:
        """Do without a track that is gone."""
        for kept in (self._chosen, self._settings):
            kept.pop(sid, None)
        self._failed.discard(sid)
        self._forbidden.discard(sid)
        if self._sections.holds(sid) or sid in self._subscriptions:
            await self._drop(sid)
            await self.negotiate()

    def on_moved(self) -> None:
        """Do without all tracks: the client is in another room, and its subscriptions have ended."""
        for sid in self._known():
            self._sections.drop(sid)
        self._subscriptions.clear()
        self._chosen.clear()
        self._settings.clear()
        self._failed.clear()
        self._forbidden.clear()

    async def on_subscription_ended(self, subscription: str | None) -> None:
        """Free the section of a track whose subscription ended here."""
        sid = self.track_of(subscription)
        if sid is not None:
            del self._subscriptions[sid]
            self._sections.drop(sid)
            await self.reconcile()

    @abstractmethod
    async def negotiate(self) -> None:
        """Have sections agreed on that are not yet, unless that is under way."""

    async def on_answer(self, description: rtc.SessionDescription) -> None:
        """Begin what the client takes; raise `SdpError` or `NegotiationError` when it is no answer."""
        del description
        self._session.context.troubles[Trouble.UNEXPECTED] += 1  # nothing was offered

    async def on_client_offer(self, sections: Sequence[PeerMedia]) -> dict[str, MediaAnswer]:
        """Answer those sections of the client's offer in which it receives."""
        del sections
        return {}

    # --- steps ---

    def _known(self) -> list[str]:
        return [*self._sections.mids().values(), *(sid for sid in self._subscriptions)]

    def _wanted(self) -> dict[str, Publication]:
        session = self._session
        me = session.participant
        if not me.permissions.can_subscribe:
            return {}
        wanted: dict[str, Publication] = {}
        present: set[str] = set()
        for publisher in me.room.participants.values():
            if publisher is me or publisher.permissions.hidden:
                continue
            for sid, publication in publisher.publications.items():
                present.add(sid)
                if self._is_wanted(publication):
                    wanted[sid] = publication
        self._forget_all_but(present)
        return wanted

    def _is_wanted(self, publication: Publication) -> bool:
        """Whether the client wants a track and may have it; it is told when it may not."""
        sid, me = publication.id, self._session.participant
        self._tell_allowed(publication, allowed=publication.participant.subscription_rules.allows(me.identity, sid))
        chosen = self._chosen.get(sid, self._session.join.auto_subscribe)
        return chosen and sid not in self._failed and sid not in self._forbidden

    def _forget_all_but(self, present: set[str]) -> None:
        self._chosen = {sid: chosen for sid, chosen in self._chosen.items() if sid in present}
        self._settings = {sid: settings for sid, settings in self._settings.items() if sid in present}
        self._failed &= present
        self._forbidden &= present

    def _tell_allowed(self, publication: Publication, *, allowed: bool) -> None:
        if allowed == (publication.id not in self._forbidden):
            return
        (self._forbidden.discard if allowed else self._forbidden.add)(publication.id)
        update = rtc.SubscriptionPermissionUpdate(
            participant_sid=publication.participant.id, track_sid=publication.id, allowed=allowed
        )
        self._session.send(rtc.SignalResponse(subscription_permission_update=update))

    async def _drop(self, sid: str) -> None:
        self._sections.drop(sid)
        subscription = self._subscriptions.pop(sid, None)
        if subscription is not None:
            await self._session.context.rooms.unsubscribe(subscription)

    async def _begin(self, accepted: Accepted) -> None:
        """Send a track the client agreed to."""
        session = self._session
        publication = session.participant.room.publication(accepted.sid)
        connection = self.connection
        if publication is None or connection is None:
            self._sections.drop(accepted.sid)
            return
        offer = SubscriptionOffer(
            kind=accepted.kind,
            codecs=accepted.codecs,
            mid=accepted.mid,
            extensions=accepted.extensions,
            ssrc=accepted.ssrc,
            rtx_ssrc=accepted.rtx_ssrc,
        )
        try:
            subscription = await session.context.rooms.subscribe(session.participant, connection, offer, publication)
        except RoomError as error:
            session.context.troubles[Trouble.REFUSED] += 1
            self._fail(accepted.sid, _ERRORS.get(error.refusal, models.SubscriptionError.SE_UNKNOWN))
            return
        self._subscriptions[accepted.sid] = subscription
        await self._apply(subscription, publication)
        session.tell_subscribed(publication)

    async def _apply(self, subscription: Subscription, publication: Publication) -> None:
        """Limit a subscription to what the client says it can show."""
        settings = self._settings.get(publication.id)
        if settings is None:
            return
        scalable = publication.offer.codecs[0].name in _SCALABLE
        wish = read_wish(settings, publication.rids, len(publication.layers) if scalable else 1)
        layer = LayerWish(
            spatial=wish.spatial,
            max_width=wish.max_width,
            max_height=wish.max_height,
            max_fps=wish.max_fps,
            paused=wish.paused,
        )
        if wish.paused:
            layer = replace(subscription.layer, paused=True)
        rooms = self._session.context.rooms
        if layer != subscription.layer:
            await rooms.choose_layer(subscription, layer)
        if settings.priority:
            # LiveKit counts from one, the highest; the engine's highest is the highest number.
            with rooms.commands():
                await subscription.consumer.set_priority(max(0, _HIGHEST_PRIORITY - settings.priority + 1))

    def _fail(self, sid: str, error: models.SubscriptionError) -> None:
        self._failed.add(sid)
        self._sections.drop(sid)
        self._tell_failure(sid, error)

    def _tell_failure(self, sid: str, error: models.SubscriptionError) -> None:
        failure = rtc.SubscriptionResponse(track_sid=sid, err=error)
        self._session.send(rtc.SignalResponse(subscription_response=failure))


class OfferingSubscriber(Subscriber):
    """A connection of its own, on which we offer."""

    def __init__(self, session: Session) -> None:
        self._tracks = OfferedTracks(
            _number,
            session.participant.id,
            reuse=session.reuses_sections,
            limit=session.context.settings.max_subscriptions,
            audio_nack=session.context.support.audio_nack,
        )
        super().__init__(session, self._tracks)
        self._connected = False

    async def open(self) -> None:
        """Open the connection and offer it."""
        session = self._session
        connection = await session.context.rooms.open_connection(
            session.participant, listener=session.data, mixed_extensions=True
        )
        connection.on_connected = lambda: session.context.rooms.spawn(session.data.open_channels(connection))
        self.connection = connection
        await self.reconcile()

    async def negotiate(self) -> None:
        """Offer what is new."""
        connection = self.connection
        if connection is None or self._tracks.awaiting or not self._tracks.changed or not self._session.attached:
            return
        text = self._tracks.make_offer(local_peer(connection))
        offer = rtc.SessionDescription(
            type="offer", sdp=text, id=self._tracks.offer_id, mid_to_track_id=self._tracks.mids()
        )
        self._session.send(rtc.SignalResponse(offer=offer))

    async def on_answer(self, description: rtc.SessionDescription) -> None:
        """Begin what the client takes; raise `SdpError` or `NegotiationError` when it is no answer."""
        connection = self.connection
        plan = self._tracks.handle_answer(description.sdp, description.id)
        if plan is None or connection is None:
            self._session.context.troubles[Trouble.UNEXPECTED] += 1
            return
        if not self._connected:
            self._connected = True
            await self._session.context.rooms.connect(connection, plan.peer)
        for sid in plan.refused:
            self._fail(sid, models.SubscriptionError.SE_CODEC_UNSUPPORTED)
        for accepted in plan.accepted:
            await self._begin(accepted)
        await self.reconcile()

    async def resume(self) -> None:
        """Offer again with new ICE credentials, to a client that has come back."""
        connection = self.connection
        if connection is None:
            return
        with self._session.context.rooms.commands():
            await connection.transport.restart_ice()
        self._tracks.resume()
        await self.reconcile()


class ReceivingSubscriber(Subscriber):
    """The client's only connection, on which it offers sections to receive in."""

    def __init__(self, session: Session) -> None:
        self._tracks = ReceivedTracks(_number, session.participant.id, limit=session.context.settings.max_subscriptions)
        super().__init__(session, self._tracks)

    async def negotiate(self) -> None:
        """Ask the client for an offer with as many sections as are needed."""
        if self.connection is None or not self._tracks.changed or not self._session.attached:
            return
        audios, videos = self._tracks.missing()
        needed = rtc.MediaSectionsRequirement(num_audios=audios, num_videos=videos)
        self._session.send(rtc.SignalResponse(media_sections_requirement=needed))

    async def on_client_offer(self, sections: Sequence[PeerMedia]) -> dict[str, MediaAnswer]:
        """Place tracks in the sections of an offer, and answer these."""
        self.connection = self._session.publisher.connection
        for sid, publication in self._wanted().items():
            if not self._tracks.holds(sid):
                self._tracks.want(_wanted_track(publication))
        for accepted in self._tracks.handle_offer(sections):
            await self._begin(accepted)
        answers = self._tracks.answers(sections)
        self._tracks.changed = self._tracks.unplaced
        return answers

    def client_mids(self) -> dict[str, str]:
        """Tracks by section."""
        return self._tracks.mids()


def _wanted_track(publication: Publication) -> WantedTrack:
    offer = publication.offer
    audio = offer.kind is MediaKind.AUDIO
    return WantedTrack(
        sid=publication.id,
        kind=offer.kind,
        stream=stream_of(publication),
        codecs=offer.codecs,
        stereo=audio and offer.stereo,
        redundancy=audio and offer.red,
    )
