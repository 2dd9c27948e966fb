"""Follows the engine's events and lets rooms act on them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from roomtone.control.rooms.events import RoomEventDetails, RoomEventKind
from roomtone.control.rooms.model import Connection, Participant, Viewer
from roomtone.control.rooms.quality import judge_connection
from roomtone.control.rooms.reasons import CloseReason, of_engine
from roomtone.control.rooms.speakers import note_speakers
from roomtone.control.rooms.values import Layers, ParticipantState
from roomtone.media import EngineCommandError, MailboxClosed, MailboxOverflow
from roomtone.media.values import (
    ActiveSpeakers,
    AnyEvent,
    ChannelClosed,
    ChannelMessage,
    ChannelOpened,
    CongestionChanged,
    ConsumerClosed,
    ConsumerFed,
    ConsumerLayersChanged,
    ConsumerLayersTargeted,
    ConsumerStarved,
    DtlsState,
    DtlsStateChanged,
    EncodingsWanted,
    EngineCloseReason,
    ErrorCode,
    MixerClosed,
    ProducerClosed,
    ProducerSilent,
    ProducerStarted,
    QualityChanged,
    QualitySubject,
    RemoteLearnt,
    RouterClosed,
    TransportClosed,
    TransportId,
)

if TYPE_CHECKING:
    from roomtone.control.rooms.rooms import Rooms
    from roomtone.control.rooms.tracks import Publication, Subscription
    from roomtone.media import Mailbox
    from roomtone.media.values import ProducerId

MAILBOX_LIMIT = 16_384
_log = logging.getLogger(__name__)


class EngineWatch:
    """One task that reads all engine events. When its mailbox overflows it asks after all it knows."""

    def __init__(self, rooms: Rooms) -> None:
        self.overflows = 0
        self._rooms = rooms
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Read events from now on."""
        if self._task is None:
            mailbox = self._rooms.engine.events(MAILBOX_LIMIT)
            self._task = asyncio.ensure_future(self._read(mailbox))

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self, mailbox: Mailbox) -> None:
        try:
            while True:
                try:
                    self._handle(await mailbox.get())
                except MailboxOverflow:
                    self.overflows += 1
                    mailbox = self._rooms.engine.events(MAILBOX_LIMIT)
                    self._rooms.spawn(self._ask_after_all())
        except MailboxClosed:
            return
        finally:
            mailbox.close()

    def _handle(self, event: AnyEvent) -> None:
        match event:
            case TransportClosed():
                self._on_transport_closed(event.transport, event.reason, event.detail)
            case RouterClosed() | MixerClosed():
                self._on_lost(event)
            case DtlsStateChanged(state=DtlsState.CONNECTED) | RemoteLearnt():
                self._on_connected(event.transport)
            case ProducerStarted() | ProducerSilent():
                self._on_producer(event)
            case ProducerClosed():
                self._on_producer_closed(event.producer)
            case ConsumerClosed():
                subscription = self._rooms.subscriptions.get(event.consumer)
                if subscription is not None:
                    self._rooms.spawn(self._rooms.unsubscribe(subscription))
            case ChannelOpened() | ChannelMessage() | ChannelClosed():
                try:
                    self._on_channel(event)
                except Exception:  # noqa: BLE001 - the fault of one peer's server must not keep events from all others
                    _log.exception("who listens at a data channel failed")
            case _:
                self._handle_line(event)

    def _on_lost(self, event: RouterClosed | MixerClosed) -> None:
        if isinstance(event, RouterClosed):
            self._rooms.on_router_closed(event.router)
        else:
            self._rooms.on_mixer_closed(event.mixer)

    def _handle_line(self, event: AnyEvent) -> None:
        """Handle what tells how good lines and streams are, and what they are given."""
        match event:
            case ConsumerLayersChanged() | ConsumerLayersTargeted():
                self._on_layers(event)
            case ConsumerStarved() | ConsumerFed():
                self._on_starved(event)
            case EncodingsWanted():
                self._on_wanted(event)
            case ActiveSpeakers():
                self._on_speakers(event)
            case QualityChanged():
                self._on_quality(event)
            case CongestionChanged():
                self._on_congestion(event)
            case _:
                pass

    def _on_channel(self, event: ChannelOpened | ChannelMessage | ChannelClosed) -> None:
        """Hand what happens on data channels to who listens at their connection."""
        match event:
            case ChannelOpened():
                connection = self._rooms.connections.get(event.transport)
                if isinstance(connection, Connection) and connection.listener is not None:
                    self._rooms.channels[event.channel] = connection
                    connection.channels.add(event.channel)
                    channel = connection.transport.channel(event.channel, event.label, event.protocol)
                    connection.listener.channel_opened(connection, channel)
            case ChannelMessage():
                owner = self._rooms.channels.get(event.channel)
                if owner is not None and owner.listener is not None:
                    owner.listener.channel_message(event.channel, event.data, text=event.text)
            case ChannelClosed():
                owner = self._rooms.channels.pop(event.channel, None)
                if owner is not None and owner.listener is not None:
                    owner.channels.discard(event.channel)
                    owner.listener.channel_closed(event.channel)

    def _on_transport_closed(self, transport: TransportId, cause: EngineCloseReason, detail: str) -> None:
        connection = self._rooms.connections.get(transport)
        if connection is None:
            return
        owner = connection.owner
        reason = of_engine(cause)
        _log.info("a connection in room %s ended: %s %s", owner.room.name, reason.value, detail)
        if isinstance(connection, Connection) and not connection.ends_owner:
            self._rooms.spawn(self._rooms.close_connection(connection))
            if connection.on_closed is not None:
                connection.on_closed(reason)
            return
        self._rooms.spawn(self._rooms.end(owner, reason))

    def _on_connected(self, transport: TransportId) -> None:
        connection = self._rooms.connections.get(transport)
        if connection is None or connection.connected:
            return
        connection.connected = True
        if isinstance(connection, Connection) and connection.on_connected is not None:
            connection.on_connected()
        owner = connection.owner
        if isinstance(owner, Participant):
            if owner.state is ParticipantState.JOINED:
                owner.state = ParticipantState.ACTIVE
                owner.version += 1
            owner.emit(RoomEventKind.PARTICIPANT_CONNECTED)
        else:
            owner.emit(RoomEventKind.VIEWER_CONNECTED)

    def _on_producer(self, event: ProducerStarted | ProducerSilent) -> None:
        publication = self._rooms.publications.get(event.producer)
        if publication is None:
            return
        started = isinstance(event, ProducerStarted)
        (publication.started_encodings.add if started else publication.started_encodings.discard)(event.encoding)
        publication.participant.emit(
            RoomEventKind.TRACK_ACTIVE if started else RoomEventKind.TRACK_SILENT,
            track=publication.id,
            encoding=event.encoding,
        )

    def _on_producer_closed(self, producer: ProducerId) -> None:
        publication = self._rooms.publications.get(producer)
        if publication is not None:
            self._rooms.spawn(self._rooms.unpublish(publication, CloseReason.MEDIA_FAILED))
            return
        piped = self._rooms.routers.unpipe(producer)
        if piped is None:
            return
        # A pipe broke under a publication that lives: who watched through it gets another one.
        lost, router = piped
        for subscription in tuple(self._rooms.subscriptions.values()):
            if subscription.source is lost and subscription.router.id == router:
                self._lose_source(subscription)
        self._rooms.switching.refresh(lost.participant.room)

    def _lose_source(self, subscription: Subscription) -> None:
        """Let a subscription do without its source: a viewer's gets it anew, a participant's server asks again."""
        if isinstance(subscription.member, Viewer):
            subscription.source = None
        else:
            self._rooms.end_subscription(subscription, CloseReason.MEDIA_FAILED)

    def _on_layers(self, event: ConsumerLayersChanged | ConsumerLayersTargeted) -> None:
        subscription = self._rooms.subscriptions.get(event.consumer)
        if subscription is None:
            return
        layers = Layers(event.spatial, event.temporal)
        kind = RoomEventKind.LAYERS_TARGETED
        if isinstance(event, ConsumerLayersChanged):
            kind, subscription.current = RoomEventKind.LAYERS_CHANGED, layers
        else:
            subscription.target = layers
        details: RoomEventDetails = {"encoding": event.spatial, "temporal": event.temporal}
        _emit_of_subscription(subscription, kind, details)

    def _on_starved(self, event: ConsumerStarved | ConsumerFed) -> None:
        subscription = self._rooms.subscriptions.get(event.consumer)
        if subscription is None:
            return
        subscription.starved = isinstance(event, ConsumerStarved)
        if isinstance(subscription.member, Viewer):
            kind = RoomEventKind.VIEWER_STARVED if subscription.starved else RoomEventKind.VIEWER_FED
        else:
            kind = RoomEventKind.SUBSCRIPTION_STARVED if subscription.starved else RoomEventKind.SUBSCRIPTION_FED
        _emit_of_subscription(subscription, kind, {})

    def _on_wanted(self, event: EncodingsWanted) -> None:
        publication = self._rooms.publications.get(event.producer)
        if publication is not None:
            publication.wanted = tuple(event.wanted)
            publication.participant.emit(
                RoomEventKind.ENCODINGS_WANTED, track=publication.id, wanted=publication.wanted
            )

    def _on_speakers(self, event: ActiveSpeakers) -> None:
        room = self._rooms.observed.get(event.observer)
        if room is not None:
            note_speakers(room, event, self._heard)

    def _heard(self, producer: ProducerId) -> Publication | None:
        """Find whose sound a producer on a room's home is, which may have been piped there."""
        found = self._rooms.publications.get(producer)
        piped = self._rooms.routers.piped.get(producer) if found is None else None
        return found if piped is None else piped[0]

    def _on_quality(self, event: QualityChanged) -> None:
        """Tell of a participant's or viewer's connection, or of a track as it arrives; the rest is in statistics."""
        if event.subject is QualitySubject.PRODUCER:
            publication = self._rooms.publications.get(event.id)
            if publication is not None:
                publication.quality = event.level
                details: RoomEventDetails = {"quality": event.level, "score": event.score, "degradation": event.reason}
                details["track"] = publication.id
                publication.participant.emit(RoomEventKind.QUALITY_CHANGED, **details)
        elif event.subject is QualitySubject.TRANSPORT:
            connection = self._rooms.connections.get(TransportId(event.id))
            if connection is not None:
                judge_connection(connection, event)

    def _on_congestion(self, event: CongestionChanged) -> None:
        connection = self._rooms.connections.get(event.transport)
        if connection is not None:
            details: RoomEventDetails = {"direction": event.direction, "congestion": event.state}
            connection.owner.emit(RoomEventKind.CONGESTION_CHANGED, **details)

    async def _ask_after_all(self) -> None:
        """End the owners of what is gone: its closing may be among what was lost."""
        for room in tuple(self._rooms.by_name.values()):
            await self._rooms.check_routers(room)
        for id_, connection in tuple(self._rooms.connections.items()):
            try:
                await connection.transport.stats()
            except EngineCommandError as error:
                if error.code is ErrorCode.NOT_FOUND:
                    self._on_transport_closed(id_, EngineCloseReason.CONSENT_EXPIRED, "its events were lost")
        await self._ask_after_pipes()

    async def _ask_after_pipes(self) -> None:
        """Notice pipes between rooms that are gone; other tracks go with their transports."""
        for publication in [one for one in self._rooms.publications.values() if one.origin is not None]:
            try:
                await publication.producer.stats()
            except EngineCommandError as error:
                if error.code is ErrorCode.NOT_FOUND:
                    self._on_producer_closed(publication.producer.id)


def _emit_of_subscription(subscription: Subscription, kind: RoomEventKind, details: RoomEventDetails) -> None:
    """Tell of what somebody gets: a participant has many tracks, a viewer's are one source's."""
    member = subscription.member
    if isinstance(member, Participant):
        details["track"] = None if subscription.source is None else subscription.source.id
        details["subscription"] = subscription.id
    member.emit(kind, **details)
