"""The directory of peers: who is in which room by this interface, joined and left by Socket.IO or HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from roomtone.control.policy import AccessDenial, AccessError
from roomtone.control.rooms import CloseReason, JoinRequest, Participant, Protocol
from roomtone.protocols.mediasoup import router_capabilities
from roomtone.servers.socketio.data import PeerSink
from roomtone.servers.socketio.describe import describe_peer, describe_room
from roomtone.servers.socketio.foreign import ForeignData
from roomtone.servers.socketio.moves import MovedPeers
from roomtone.servers.socketio.news import RoomNews
from roomtone.servers.socketio.peers import SfuPeer
from roomtone.servers.socketio.problems import SfuError, no_such

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.control.rooms import Knock, Room
    from roomtone.servers.socketio.callers import Caller
    from roomtone.servers.socketio.context import SfuContext


MEDIA_FEATURES = ("produce", "consume", "produce-data", "consume-data")


class Sfu:
    """All peers. Limits: those of rooms; a peer leaves with its participant."""

    def __init__(self, context: SfuContext) -> None:
        self.context = context
        self.rooms = context.rooms
        self.news = RoomNews(self)
        self.foreign = ForeignData(self)
        self.moves = MovedPeers(context)
        self._peers: dict[str, dict[str, SfuPeer]] = {}

    def __len__(self) -> int:
        return sum(len(peers) for peers in self._peers.values())

    async def close(self) -> None:
        """Read no events of rooms any more."""
        await self.news.close()

    def peers_in(self, room: str) -> list[SfuPeer]:
        """Give the peers of a room."""
        return list(self._peers.get(room, {}).values())

    def find_peer(self, room: str, id_: str) -> SfuPeer | None:
        """Find a peer."""
        return self._peers.get(room, {}).get(id_)

    def peer(self, room: str, id_: str) -> SfuPeer:
        """Give a peer; raise `SfuError`."""
        found = self.find_peer(room, id_)
        if found is None:
            raise no_such("peer", id_)
        return found

    def capabilities(self, room: Room) -> dict[str, Any]:
        """RTP capabilities of a room's router."""
        return router_capabilities(self.context.support, room.options.codecs)

    def media_off(self, room: Room) -> list[str]:
        """Name what cannot be had in a room now, for want of a media engine with a place for it."""
        return [] if room.has_media and not self.rooms.engine.closed else list(MEDIA_FEATURES)

    async def join(
        self,
        room_name: str,
        caller: Caller,
        *,
        peer_id: str | None = None,
        name: str | None = None,
        tell: Callable[[str, dict[str, Any]], None] | None = None,
        replace: bool = True,
    ) -> SfuPeer:
        """Let a caller into a room as a peer; its own older peer of that id makes way, nobody else's does."""
        request = self._request(room_name, caller, peer_id, name, replace=replace)
        participant = await self.rooms.join(room_name, request, media_optional=True)
        identity = participant.identity
        peer = SfuPeer(participant, caller, tell)
        peers = self._peers.setdefault(room_name, {})
        peers[identity] = peer
        self.moves.forget(room_name, identity)
        if tell is not None:
            participant.data_sink = PeerSink(self, peer)
        participant.when_closed(lambda reason: self._on_left(peer, reason))
        if participant.closed is None:
            self.news.follow(participant.room)
        return peer

    async def knock(self, room_name: str, caller: Caller, *, peer_id: str | None, name: str | None) -> Knock:
        """Ask for a caller to enter a room that has a lobby."""
        return await self.rooms.knock(room_name, self._request(room_name, caller, peer_id, name, replace=True))

    def _request(
        self, room_name: str, caller: Caller, peer_id: str | None, name: str | None, *, replace: bool
    ) -> JoinRequest:
        permissions = caller.permissions_in(room_name)
        identity = peer_id or caller.identity
        if not identity:
            raise AccessError(AccessDenial.NO_IDENTITY, "the token names nobody (sub), and no peerId is given")
        self._check_free(room_name, identity, caller, replace=replace)
        return JoinRequest(
            identity=identity,
            name=name or caller.token.name,
            metadata=caller.token.metadata,
            attributes=caller.token.attributes,
            permissions=permissions,
            protocol=Protocol.MEDIASOUP,
            account_id=caller.token.account_id,
            movable=True,
        )

    async def leave(self, peer: SfuPeer, reason: CloseReason = CloseReason.LEFT) -> None:
        """End a peer and all it has."""
        peer.tell = None
        await self.rooms.end(peer.participant, reason)

    def describe_peers(self, room: Room, viewer: SfuPeer | None, *, to_moderator: bool) -> list[dict[str, Any]]:
        """Describe the peers of a room that are not hidden, but for the one that asks."""
        asking = None if viewer is None else viewer.participant
        return [
            describe_peer(participant, self.find_peer(room.name, participant.identity), to_moderator=to_moderator)
            for participant in room.visible()
            if participant is not asking
        ]

    def joined(self, peer: SfuPeer) -> dict[str, Any]:
        """Answer a join."""
        room = peer.participant.room
        peers = self.describe_peers(room, peer, to_moderator=peer.participant.permissions.moderator)
        return {
            "success": True,
            "roomId": room.name,
            "peerId": peer.id,
            "peers": [one["peerId"] for one in peers],
            "mediaOff": self.media_off(room),
            "mediasoup": {"rtpCapabilities": self.capabilities(room), "peers": peers},
        }

    def room_info(self, peer: SfuPeer) -> dict[str, Any]:
        """Describe the room of a peer."""
        room = peer.participant.room
        return describe_room(room) | {"rtpCapabilities": self.capabilities(room)}

    def _check_free(self, room_name: str, identity: str, caller: Caller, *, replace: bool) -> None:
        room = self.rooms.by_name.get(room_name)
        present = None if room is None else room.participants.get(identity)
        if present is None:
            return
        peer = self.find_peer(room_name, identity)
        owner = peer.caller.identity if peer is not None else present.identity
        if not replace or owner != caller.identity:
            raise SfuError(HTTPStatus.BAD_REQUEST, "duplicate_peer", f"there is a peer {identity!r} in the room")

    def _on_left(self, peer: SfuPeer, reason: CloseReason) -> None:
        """Forget a peer, whatever ended it, and tell its client when that was not its own doing."""
        room = peer.participant.room.name
        peers = self._peers.get(room, {})
        if peers.get(peer.id) is peer:
            del peers[peer.id]
            if not peers:
                self._peers.pop(room, None)
        self.foreign.forget_peer(peer)
        for data in tuple(peer.data_producers.values()):
            for consumer in tuple(data.consumers.values()):
                consumer.peer.data_consumers.pop(consumer.id, None)
                consumer.peer.send(
                    "data-consumer-closed", {"roomId": room, "dataConsumerId": consumer.id, "dataProducerId": data.id}
                )
        for consumer in tuple(peer.data_consumers.values()):
            consumer.producer.consumers.pop(consumer.id, None)
        to_room = peer.participant.moved_to
        if to_room is not None:
            peer.send("moved", {"roomId": room, "peerId": peer.id, **self.moves.add(peer, to_room).describe()})
        peer.send("left-room", {"roomId": room, "peerId": peer.id, "reason": reason.value})
        peer.tell = None


def is_visible(participant: Participant | None) -> bool:
    """Whether others are told of a participant."""
    return participant is not None and not participant.permissions.hidden
