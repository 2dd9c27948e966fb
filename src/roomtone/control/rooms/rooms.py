"""Rooms: who joins, publishes, subscribes, watches and leaves, over the façade.

Every operation that fails half way undoes what it did: no transport, participant or room remains of it.
Limits are `RoomLimits`; ``Rooms.refused`` counts refusals by reason, ``Rooms.ended`` ends by reason.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from roomtone.control.rooms.directory import RoomDirectory, quietly, random_id
from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.model import (
    MAX_IDENTITY_LENGTH,
    Connection,
    Participant,
    ParticipantId,
    PlainConnection,
    Publication,
    Room,
    Subscription,
    SubscriptionId,
    TrackId,
    Viewer,
    ViewerId,
    is_room_name,
)
from roomtone.control.rooms.reasons import CloseReason, Refusal, RoomError
from roomtone.control.rooms.watch import EngineWatch
from roomtone.media import EngineCommandError
from roomtone.media.values import ErrorCode
from roomtone.protocols.sdp import map_payload_types, media_feedback, redundancy_wanted, rtx_payload_types

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from roomtone.control.rooms.model import JoinRequest, LayerWish, Member, PlainAddress, SubscriptionOffer, TrackOffer
    from roomtone.control.rooms.settings import RoomLimits
    from roomtone.media import Engine, Router
    from roomtone.media.values import Candidate, MediaKind
    from roomtone.protocols.sdp import RemotePeer


class Rooms(RoomDirectory):
    """All rooms of this node."""

    def __init__(
        self,
        engine: Engine,
        limits: RoomLimits | None = None,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[str], str] = random_id,
    ) -> None:
        super().__init__(engine, limits, clock=clock, new_id=new_id)
        self._watch = EngineWatch(self)

    # --- lifetime ---

    def start(self) -> None:
        """Follow the engine's events; call once the engine runs."""
        self._watch.start()

    async def close(self) -> None:
        """End everything: members leave, rooms close."""
        await self.close_all()
        await self._watch.stop()
        await self.drain()

    @property
    def event_overflows(self) -> int:
        """Times engine events were lost because they were not read fast enough."""
        return self._watch.overflows

    # --- participants ---

    async def join(self, name: str, request: JoinRequest) -> Participant:
        """Let an identity in, without tracks; one already there under that identity goes."""
        room = await self._enter(name)
        with self._participant_place(room, request):
            participant = self._new_participant(room, request)
            replaced = self._admit(participant)
        await self._close_all(replaced)
        return participant

    async def join_with_tracks(
        self, name: str, request: JoinRequest, peer: RemotePeer, tracks: Sequence[TrackOffer]
    ) -> tuple[Participant, Connection]:
        """Let an identity in with a connection and tracks; nobody is replaced unless all of it works."""
        room = await self._enter(name)
        async with AsyncExitStack() as undo:
            with self._participant_place(room, request):
                participant = self._new_participant(room, request)
                undo.push_async_callback(self._abandon, participant)
                connection = await self.open_connection(participant, peer)
                for track in tracks:
                    await self._produce(participant, connection, track)
                await self.connect(connection, peer)
                self._check_open(participant)
                replaced = self._admit(participant)
            undo.pop_all()
        await self._close_all(replaced)
        self.switching.refresh(room)
        return participant, connection

    def find_participant(self, room: Room, identity: str) -> Participant:
        """Give a participant by its identity; raise `RoomError`."""
        participant = room.participants.get(identity)
        if participant is None:
            raise self.refuse(Refusal.NO_SUCH_PARTICIPANT, "the room has no such participant")
        return participant

    # --- connections ---

    async def open_connection(self, member: Member, peer: RemotePeer | None = None) -> Connection:
        """Open a WebRTC transport for a member; `connect` follows, and may name the peer again."""
        mixed = peer is not None and peer.mixed_extensions
        with self.commands():
            async with self._place(member) as router:
                connection = Connection(await router.open_webrtc_transport(mixed_extensions=mixed), router, member)
        # Before anything else is awaited: the engine's events about it come from here on.
        self.connections[connection.transport.id] = member.connections[connection.transport.id] = connection
        return connection

    async def open_plain_connection(self, member: Member, address: PlainAddress) -> PlainConnection:
        """Open a plain RTP transport for a member and tell it where its peer is."""
        learns = address.ip is None
        with self.commands():
            async with self._place(member) as router:
                transport = await router.open_plain_transport(
                    listen_ip=self.limits.plain_listen_ip,
                    rtcp_mux=address.rtcp_mux,
                    learn_remote=learns,
                    srtp=address.local_srtp,
                )
            connection = PlainConnection(transport, router, member)
            self.connections[transport.id] = member.connections[transport.id] = connection
            if address.ip is not None:
                await transport.connect(address.ip, address.port, rtcp_port=address.rtcp_port, srtp=address.srtp)
            elif address.srtp is not None:
                await transport.connect(transport.ip, 0, srtp=address.srtp)
        return connection

    async def connect(self, connection: Connection, peer: RemotePeer) -> None:
        """Name the peer of a connection."""
        with self.commands():
            await connection.transport.connect(
                dtls_role=peer.dtls_role,
                fingerprints=peer.fingerprints,
                ice_ufrag=peer.ice_ufrag,
                ice_pwd=peer.ice_pwd,
                ice_lite=peer.ice_lite,
                candidates=peer.candidates,
            )

    async def trickle(self, connection: Connection, candidates: Sequence[Candidate]) -> None:
        """Hand in more candidates of the peer."""
        if candidates:
            with self.commands():
                await connection.transport.add_remote_candidates(candidates)

    async def restart_ice(
        self, connection: Connection, ice_ufrag: str, ice_pwd: str, candidates: Sequence[Candidate]
    ) -> None:
        """Restart ICE with the peer's new credentials; ours are on the transport afterwards."""
        with self.commands():
            await connection.transport.restart_ice(ice_ufrag, ice_pwd)
        await self.trickle(connection, candidates)

    # --- tracks ---

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
            )
        subscription = Subscription(
            SubscriptionId(self._new_id("SU")), member, offer, consumer, router=connection.router, source=source
        )
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

    # --- viewers ---

    async def watch(
        self, name: str, peer: RemotePeer, offers: Sequence[SubscriptionOffer], follows: str | None = None
    ) -> tuple[Viewer, Connection]:
        """Let somebody watch who is live; the first subscription is of the first offer, and so on."""
        async with self._viewer_place(name, follows) as viewer:
            self._check_any_source(viewer, [offer.kind for offer in offers])
            connection = await self.open_connection(viewer, peer)
            for offer in offers:
                await self.subscribe(viewer, connection, offer, self.switching.wanted(viewer, offer.kind))
            await self.connect(connection, peer)
        return viewer, connection

    async def watch_plain(
        self, name: str, sinks: Sequence[tuple[SubscriptionOffer, PlainAddress]], follows: str | None = None
    ) -> tuple[Viewer, list[PlainConnection]]:
        """Send a room's tracks to plain RTP addresses, each from ports of its own."""
        opened: list[PlainConnection] = []
        async with self._viewer_place(name, follows) as viewer:
            for offer, address in sinks:
                connection = await self.open_plain_connection(viewer, address)
                await self.subscribe(viewer, connection, offer, self.switching.wanted(viewer, offer.kind))
                connection.connected = True
                opened.append(connection)
        return viewer, opened

    async def publish_plain(
        self, name: str, request: JoinRequest, sources: Sequence[tuple[TrackOffer, PlainAddress]]
    ) -> tuple[Participant, list[PlainConnection]]:
        """Let an identity in whose tracks come as plain RTP, each to ports of its own."""
        room = await self._enter(name)
        opened: list[PlainConnection] = []
        async with AsyncExitStack() as undo:
            with self._participant_place(room, request):
                participant = self._new_participant(room, request)
                undo.push_async_callback(self._abandon, participant)
                for track, address in sources:
                    opened.append(await self.open_plain_connection(participant, address))
                    await self._produce(participant, opened[-1], track)
                self._check_open(participant)
                replaced = self._admit(participant)
            undo.pop_all()
        await self._close_all(replaced)
        self.switching.refresh(room)
        return participant, opened

    # --- steps ---

    @asynccontextmanager
    async def _place(self, member: Member) -> AsyncIterator[Router]:
        """Hold a place on a router while a transport is opened there; the connection keeps it until it ends.

        A router that turns out to be gone is done without: nobody could ever join there again.
        """
        room = member.room
        router = await self.routers.place(room, spread=isinstance(member, Viewer))
        try:
            yield router
        except BaseException as error:
            if self.routers.release(room, router):
                self.spawn(quietly(router.close))
            lost = isinstance(error, EngineCommandError) and error.code is ErrorCode.NOT_FOUND
            if not lost or room.closed is not None:
                raise
            self.lose_router(room, router)
            raise self.refuse(Refusal.ROUTER_LOST, "the room's router broke: try again") from error

    @contextmanager
    def _participant_place(self, room: Room, request: JoinRequest) -> Iterator[None]:
        """Hold a place for a participant on its way in; one that will be replaced makes way."""
        if not 0 < len(request.identity) <= MAX_IDENTITY_LENGTH:
            self._settle(room)
            raise self.refuse(Refusal.BAD_IDENTITY, f"an identity is 1 to {MAX_IDENTITY_LENGTH} characters")
        taken = len(room.participants) + room.reserved.participants - (request.identity in room.participants)
        if taken >= self.limits.max_participants:
            raise self.refuse(Refusal.TOO_MANY_PARTICIPANTS, f"the room has {taken} participants already")
        room.reserved.participants += 1
        try:
            yield
        finally:
            room.reserved.participants -= 1
            self._settle(room)

    @asynccontextmanager
    async def _viewer_place(self, name: str, follows: str | None) -> AsyncIterator[Viewer]:
        """Make a viewer, let the caller set it up, then admit it; all undone when the caller fails."""
        room = self.by_name.get(name)
        if room is None and not is_room_name(name):
            raise self.refuse(Refusal.BAD_NAME, "a room's name is 1 to 64 letters, digits, '.', '_' or '-'")
        if room is None and not self.limits.create_on_join:
            raise self.refuse(Refusal.NO_SUCH_ROOM, "there is no such room")
        viewer = None if room is None else Viewer(room, ViewerId(self._new_id("VW")), follows, self._clock())
        source = None if viewer is None else viewer.source()
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
                room.viewers[viewer.id] = viewer
                undo.pop_all()
        finally:
            room.reserved.viewers -= 1
            self._settle(room)
        room.events.emit(RoomEventKind.VIEWER_JOINED, viewer=viewer.id)
        # The source may have changed while the viewer was on its way in.
        self.switching.refresh(room)

    def _check_any_source(self, viewer: Viewer, kinds: Sequence[MediaKind]) -> None:
        if all(self.switching.wanted(viewer, kind) is None for kind in kinds):
            raise self.refuse(Refusal.NOT_LIVE, f"no {' and no '.join(kinds)} is published here yet")

    def _check_open(self, member: Member) -> None:
        """Fail when a member on its way in has lost its room or its transport meanwhile."""
        closed = member.closed or member.room.closed
        if closed is not None:
            self.refused[Refusal.CLOSED] += 1
            raise RoomError(Refusal.CLOSED, f"ended while joining: {closed.value}", closed=closed)

    def _new_participant(self, room: Room, request: JoinRequest) -> Participant:
        return Participant(room, ParticipantId(self._new_id("PA")), request, self._clock())

    def _admit(self, participant: Participant) -> list[Connection | PlainConnection]:
        """Put a participant into its room, in one step; gives what is left to close of the one it replaces."""
        self._check_open(participant)
        room = participant.room
        room.was_used = True
        older = room.participants.get(participant.identity)
        replaced = [] if older is None else self._detach(older, CloseReason.DUPLICATE_IDENTITY)
        room.participants[participant.identity] = participant
        room.events.emit(RoomEventKind.PARTICIPANT_JOINED, participant=participant.identity)
        for publication in participant.publications.values():
            self._announce(publication)
        return replaced

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
        publication = Publication(TrackId(self._new_id("TR")), participant, track, producer)
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
