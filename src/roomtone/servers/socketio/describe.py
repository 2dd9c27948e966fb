"""Rooms, peers and producers as clients of this interface see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomtone.servers.socketio.callers import Standing

if TYPE_CHECKING:
    from roomtone.control.rooms import ChatMessage, Participant, Publication, Room
    from roomtone.servers.socketio.peers import DataSource, SfuPeer


def role_of(participant: Participant, peer: SfuPeer | None) -> str:
    """Say what standing a participant has: its account's role, or whether it moderates the room."""
    if peer is not None and peer.caller.token.role is not None:
        return peer.caller.token.role.value
    return (Standing.MODERATOR if participant.permissions.moderator else Standing.PARTICIPANT).value


def describe_producer(publication: Publication, peer: SfuPeer | None) -> dict[str, Any]:
    """Describe a producer; of one that came otherwise than by this interface its source and name are told."""
    given = peer.app_data.get(publication.id) if peer is not None else None
    told: dict[str, Any] = {"source": publication.source.value}
    if publication.name:
        told["name"] = publication.name
    return {
        "producerId": publication.id,
        "peerId": publication.participant.identity,
        "kind": publication.offer.kind.value,
        "appData": told if given is None else given,
        "paused": publication.muted,
    }


def describe_data_producer(producer: DataSource) -> dict[str, Any]:
    """Describe a data producer."""
    return {
        "dataProducerId": producer.id,
        "peerId": producer.owner,
        "label": producer.label,
        "protocol": producer.protocol,
        "appData": producer.app_data,
    }


def describe_peer(participant: Participant, peer: SfuPeer | None, *, to_moderator: bool) -> dict[str, Any]:
    """Describe a peer; its e-mail address is for moderators only."""
    described: dict[str, Any] = {
        "peerId": participant.identity,
        "userId": participant.account_id or (peer.caller.identity if peer is not None else participant.identity),
        "fullName": participant.name or participant.identity,
        "role": role_of(participant, peer),
        "isProducer": bool(participant.publications),
        "producers": [describe_producer(publication, peer) for publication in participant.publications.values()],
        "dataProducers": [
            describe_data_producer(producer) for producer in (peer.data_producers.values() if peer is not None else ())
        ],
    }
    if to_moderator:
        described["email"] = None if peer is None else peer.caller.email
    return described


def describe_room(room: Room) -> dict[str, Any]:
    """Describe a room."""
    visible = room.visible()
    return {
        "roomId": room.name,
        "createdAt": room.created_at,
        "metadata": room.metadata,
        "locked": room.options.locked,
        "peers": len(visible),
        "producers": sum(len(participant.publications) for participant in visible),
        "viewers": len(room.viewers),
    }


def describe_message(message: ChatMessage) -> dict[str, Any]:
    """Describe a message of the room's chat; a deleted one has no text."""
    return {
        "id": message.id,
        "peerId": message.sender,
        "fullName": message.sender_name or message.sender,
        "message": message.text,
        "timestamp": message.at,
        "editedAt": message.edited_at,
        "deletedAt": message.deleted_at,
    }
