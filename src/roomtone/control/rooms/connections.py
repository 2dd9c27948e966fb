"""Paths to the peers of members: opened, connected, restarted."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from roomtone.control.rooms.directory import RoomDirectory
from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.model import Connection, FeedConnection, PlainConnection, Viewer
from roomtone.control.rooms.quality import drop_connection
from roomtone.control.rooms.reasons import Refusal
from roomtone.control.rooms.tables import quietly
from roomtone.control.rooms.values import ParticipantState
from roomtone.media import EngineCommandError, Feed
from roomtone.media.values import ErrorCode, Latching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from roomtone.control.rooms.model import ChannelListener, Member, Participant
    from roomtone.control.rooms.values import PlainAddress
    from roomtone.media import Router
    from roomtone.media.objects import Transport
    from roomtone.media.values import Candidate
    from roomtone.protocols.sdp import RemotePeer


class RoomConnections(RoomDirectory):
    """Rooms with connections."""

    async def open_connection(
        self,
        member: Member,
        peer: RemotePeer | None = None,
        *,
        listener: ChannelListener | None = None,
        mixed_extensions: bool = False,
    ) -> Connection:
        """Open a WebRTC transport for a member; `connect` follows, and may name the peer again.

        With a ``listener`` it carries data channels, and that is who hears of them. ``mixed_extensions`` says of a peer
        that is not known yet what a known one says itself.
        """
        mixed = mixed_extensions if peer is None else peer.mixed_extensions
        with self.commands():
            async with self._place(member) as router:
                transport = await router.open_webrtc_transport(mixed_extensions=mixed, sctp=listener is not None)
                await self._close_if_late(member, transport)
                connection = Connection(transport, router, member, listener)
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
                    latching=Latching.ONCE if learns else Latching.FIXED,
                    srtp=address.local_srtp,
                )
                await self._close_if_late(member, transport)
            connection = PlainConnection(transport, router, member)
            self.connections[transport.id] = member.connections[transport.id] = connection
            if address.ip is not None:
                await transport.connect(address.ip, address.port, rtcp_port=address.rtcp_port, srtp=address.srtp)
            elif address.srtp is not None:
                await transport.connect(transport.ip, 0, srtp=address.srtp)
        return connection

    async def open_feed_connection(self, participant: Participant) -> FeedConnection:
        """Open a feed for a participant whose tracks an encoder sends; it is connected at once."""
        self.require_clear(participant.room, "an encoder")
        with self.commands():
            async with self._place(participant) as router:
                feed = await Feed.open(router)
                await self._close_if_late(participant, feed)
                connection = FeedConnection(feed, router, participant)
        self.connections[feed.id] = participant.connections[feed.id] = connection
        if participant.state is ParticipantState.JOINED:
            participant.state = ParticipantState.ACTIVE
            participant.version += 1
        participant.emit(RoomEventKind.PARTICIPANT_CONNECTED)
        return connection

    async def _close_if_late(self, member: Member, transport: Transport | Feed) -> None:
        """Fail, and leave no transport, when its member ended while it was opened."""
        if member.closed is not None:
            await quietly(transport.close)
            self._check_open(member)

    async def connect(self, connection: Connection, peer: RemotePeer) -> None:
        """Name the peer of a connection."""
        with self.commands():
            await connection.transport.connect(
                dtls_role=peer.dtls_role,
                fingerprints=peer.fingerprints,
                ice_ufrag=peer.ice_ufrag or None,
                ice_pwd=peer.ice_pwd or None,
                ice_lite=peer.ice_lite,
                candidates=peer.candidates,
            )

    async def close_connection(self, connection: Connection) -> None:
        """Close one path of a member that goes on; what went over it ends by the engine's events."""
        member = connection.owner
        if connection.transport.id not in member.connections:
            return
        drop_connection(member, connection)
        self.connections.pop(connection.transport.id, None)
        if self.routers.release(member.room, connection.router):
            self.spawn(quietly(connection.router.close))
        await quietly(connection.transport.close)

    async def trickle(self, connection: Connection, candidates: Sequence[Candidate], *, complete: bool = False) -> None:
        """Hand in more candidates of the peer; ``complete``: it has no more (RFC 8838 section 8.2)."""
        if candidates or complete:
            with self.commands():
                await connection.transport.add_remote_candidates(candidates, complete=complete)

    async def restart_ice(
        self,
        connection: Connection,
        ice_ufrag: str | None = None,
        ice_pwd: str | None = None,
        candidates: Sequence[Candidate] = (),
        *,
        complete: bool = False,
    ) -> None:
        """Restart ICE, with the peer's new credentials if it says them; ours are on the transport afterwards."""
        with self.commands():
            await connection.transport.restart_ice(ice_ufrag, ice_pwd)
        await self.trickle(connection, candidates, complete=complete)

    @asynccontextmanager
    async def _place(self, member: Member) -> AsyncIterator[Router]:
        """Hold a place on a router while a transport is opened there; the connection keeps it until it ends.

        A router that turns out to be gone is done without: nobody could ever join there again.
        """
        room = member.room
        await self._need_media(room)
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
