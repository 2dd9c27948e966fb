"""LiveKit's `RoomService`: rooms and participants, made, read, changed and removed by other programs.

What a request asks for and is not there is refused by name: nothing is left out in silence.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from livekit.protocol import models, room

from roomtone.control.rooms import (
    DataKind,
    DataPacket,
    Permissions,
    Refusal,
    TrackId,
)
from roomtone.protocols.livekit import TwirpCode, TwirpError
from roomtone.servers.livekit.infos import NODE, SOURCE_OF, participant_info, room_info, track_info

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

    from roomtone.control.rooms import Participant, Room
    from roomtone.servers.livekit.context import LiveKitContext
    from roomtone.servers.livekit.twirp_access import Caller

MAX_NONCES = 4_096
"""Data packets whose repetition is noticed; the oldest are forgotten."""
_UNSUPPORTED = {
    "egress": "there is no egress service",
    "agents": "agents cannot be dispatched",
    "room_preset": "there are no room presets",
    "tags": "rooms have no tags",
    "min_playout_delay": "the playout delay of a room cannot be set",
    "max_playout_delay": "the playout delay of a room cannot be set",
    "sync_streams": "the playout delay of a room cannot be set",
    "replay_enabled": "rooms are not kept for replay",
}


class RoomService:
    """The methods; each takes who calls and the request, and gives the answer."""

    def __init__(self, context: LiveKitContext) -> None:
        self._context = context
        self._rooms = context.rooms

    # --- rooms ---

    async def create_room(self, caller: Caller, request: room.CreateRoomRequest) -> models.Room:
        """Make a room; of one that is there, change what the request says."""
        caller.must_create()
        for field, _ in request.ListFields():
            if (why := _UNSUPPORTED.get(field.name)) is not None:
                raise TwirpError(TwirpCode.UNIMPLEMENTED, f"{field.name}: {why}")
        if request.node_id not in {"", NODE}:
            raise TwirpError(TwirpCode.INVALID_ARGUMENT, f"node_id: there is no node {request.node_id!r}")
        changes = {
            "metadata": request.metadata or None,
            "empty_timeout_s": float(request.empty_timeout) or None,
            "departure_timeout_s": float(request.departure_timeout) or None,
            "max_participants": request.max_participants or None,
        }
        said: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
        made = await self._rooms.create(request.name, replace(self._rooms.limits.defaults(), **said))
        await self._rooms.update_room(made, **said)  # it may have been there
        return room_info(made)

    async def list_rooms(self, caller: Caller, request: room.ListRoomsRequest) -> room.ListRoomsResponse:
        """List rooms, all or those named."""
        caller.must_list()
        wanted = frozenset(request.names)
        found = [held for name, held in self._rooms.by_name.items() if not wanted or name in wanted]
        return room.ListRoomsResponse(rooms=[room_info(held) for held in found])

    async def delete_room(self, caller: Caller, request: room.DeleteRoomRequest) -> room.DeleteRoomResponse:
        """Send everybody out and close a room."""
        caller.must_create()
        await self._rooms.close_room(self._rooms.find(request.room))
        return room.DeleteRoomResponse()

    async def update_room_metadata(self, caller: Caller, request: room.UpdateRoomMetadataRequest) -> models.Room:
        """Change what is said of a room."""
        found = self._room(caller, request.room)
        await self._rooms.update_room(found, metadata=request.metadata)
        return room_info(found)

    # --- participants ---

    async def list_participants(
        self, caller: Caller, request: room.ListParticipantsRequest
    ) -> room.ListParticipantsResponse:
        """List who is in a room, hidden ones too; nobody is in one that is not there."""
        caller.must_administer(request.room)
        found = self._rooms.by_name.get(request.room)
        people = [] if found is None else list(found.participants.values())
        return room.ListParticipantsResponse(participants=[participant_info(self._context, one) for one in people])

    async def get_participant(self, caller: Caller, request: room.RoomParticipantIdentity) -> models.ParticipantInfo:
        """Describe a participant."""
        return participant_info(self._context, self._participant(caller, request.room, request.identity))

    async def remove_participant(
        self, caller: Caller, request: room.RoomParticipantIdentity
    ) -> room.RemoveParticipantResponse:
        """Send a participant out."""
        participant = self._participant(caller, request.room, request.identity)
        if request.revoke_token_ts:
            raise TwirpError(TwirpCode.UNIMPLEMENTED, "revoke_token_ts: tokens of participants cannot be revoked")
        await self._rooms.remove(participant)
        return room.RemoveParticipantResponse()

    async def update_participant(
        self, caller: Caller, request: room.UpdateParticipantRequest
    ) -> models.ParticipantInfo:
        """Change what is said of a participant and what it may do; media follows before this is answered."""
        participant = self._participant(caller, request.room, request.identity)
        permissions = None
        if request.HasField("permission"):
            permissions = _permissions(request.permission, participant.permissions)
        await self._rooms.update(
            participant,
            name=request.name or None,
            metadata=request.metadata or None,
            attributes=dict(request.attributes) or None,
            permissions=permissions,
        )
        return participant_info(self._context, participant)

    async def move_participant(
        self, caller: Caller, request: room.MoveParticipantRequest
    ) -> room.MoveParticipantResponse:
        """Send a participant to another room, where it goes on with what it publishes."""
        caller.must_send_to(request.room, request.destination_room)
        found = self._rooms.find(request.room)
        await self._rooms.move(self._rooms.find_participant(found, request.identity), request.destination_room)
        return room.MoveParticipantResponse()

    async def forward_participant(
        self, caller: Caller, request: room.ForwardParticipantRequest
    ) -> room.ForwardParticipantResponse:
        """Have a participant be present in another room too, until it is removed there or ends here."""
        caller.must_send_to(request.room, request.destination_room)
        found = self._rooms.find(request.room)
        await self._rooms.forward(self._rooms.find_participant(found, request.identity), request.destination_room)
        return room.ForwardParticipantResponse()

    # --- tracks ---

    async def mute_published_track(
        self, caller: Caller, request: room.MuteRoomTrackRequest
    ) -> room.MuteRoomTrackResponse:
        """Mute a track, or take that back; a publisher's own mute is not undone against its will."""
        participant = self._participant(caller, request.room, request.identity)
        publication = participant.publications.get(TrackId(request.track_sid))
        if publication is None:
            raise self._rooms.refuse(Refusal.NO_SUCH_TRACK, "the participant publishes no such track")
        if request.muted:
            await self._rooms.mute(publication, muted=True, by_server=True)
        else:
            await self._rooms.unmute(publication, self._context.settings.unmute_wait_s)
        return room.MuteRoomTrackResponse(track=track_info(self._context, publication))

    async def update_subscriptions(
        self, caller: Caller, request: room.UpdateSubscriptionsRequest
    ) -> room.UpdateSubscriptionsResponse:
        """Have a participant subscribe to tracks, or unsubscribe."""
        participant = self._participant(caller, request.room, request.identity)
        session = self._context.sessions.of(participant)
        if session is None:
            text = "the participant did not come by LiveKit's protocol: what it subscribes to is its own choice"
            raise TwirpError(TwirpCode.FAILED_PRECONDITION, text)
        if request.subscribe and not participant.permissions.can_subscribe:
            raise self._rooms.refuse(Refusal.NOT_PERMITTED, "the participant may not subscribe")
        sids = [*request.track_sids, *(sid for tracks in request.participant_tracks for sid in tracks.track_sids)]
        for sid in sids:
            if participant.room.publication(sid) is None:
                raise self._rooms.refuse(Refusal.NO_SUCH_TRACK, f"the room has no track {sid!r}")
        await session.choose(sids, subscribe=request.subscribe)
        return room.UpdateSubscriptionsResponse()

    # --- data ---

    async def send_data(self, caller: Caller, request: room.SendDataRequest) -> room.SendDataResponse:
        """Send data to participants; named ones must be there and take data."""
        found = self._room(caller, request.room)
        if self._seen(found, request.nonce):
            return room.SendDataResponse()
        sids = frozenset(request.destination_sids)
        of_sids = [one.identity for one in found.participants.values() if one.id in sids]
        named = tuple(dict.fromkeys([*request.destination_identities, *of_sids]))
        if sids and not named:
            raise self._rooms.refuse(Refusal.NO_SUCH_PARTICIPANT, "none of the participants is in the room")
        if named and not any(identity in found.participants for identity in named):
            raise self._rooms.refuse(Refusal.NO_SUCH_PARTICIPANT, "none of the participants is in the room")
        delivered = self._rooms.send_data(found, _data_packet(request, named))
        if named and not delivered:
            text = "none of the participants takes data: what they came by carries none"
            raise TwirpError(TwirpCode.FAILED_PRECONDITION, text)
        self._note(found, request.nonce)
        return room.SendDataResponse()

    async def perform_rpc(self, caller: Caller, request: room.PerformRpcRequest) -> room.PerformRpcResponse:
        """Call a method of a participant."""
        participant = self._participant(caller, request.room, request.destination_identity)
        limit = self._context.settings.calls_to_participants
        payload = await self._context.method_calls.perform(self._rooms, participant, request, limit)
        return room.PerformRpcResponse(payload=payload)

    # --- steps ---

    def _room(self, caller: Caller, name: str) -> Room:
        caller.must_administer(name)
        return self._rooms.find(name)

    def _participant(self, caller: Caller, name: str, identity: str) -> Participant:
        return self._rooms.find_participant(self._room(caller, name), identity)

    def _seen(self, found: Room, nonce: bytes) -> bool:
        return bool(nonce) and (found.id, nonce) in self._context.nonces

    def _note(self, found: Room, nonce: bytes) -> None:
        if nonce:
            self._context.nonces[found.id, nonce] = None
            while len(self._context.nonces) > MAX_NONCES:
                self._context.nonces.popitem(last=False)


def _permissions(wanted: models.ParticipantPermission, before: Permissions) -> Permissions:
    for name in ("can_subscribe_metrics", "can_manage_agent_session"):
        if getattr(wanted, name):
            raise TwirpError(TwirpCode.UNIMPLEMENTED, f"{name}: there is no such permission here")
    sources = frozenset(SOURCE_OF[source] for source in wanted.can_publish_sources if source in SOURCE_OF)
    return Permissions(
        can_publish=wanted.can_publish,
        publish_sources=sources,
        can_subscribe=wanted.can_subscribe,
        can_publish_data=wanted.can_publish_data,
        can_update_own_metadata=wanted.can_update_metadata,
        hidden=wanted.hidden,
        recorder=wanted.recorder,
        agent=wanted.agent,
        moderator=before.moderator,
    )


def _data_packet(request: room.SendDataRequest, named: tuple[str, ...]) -> DataPacket:
    user = models.UserPacket(
        payload=request.data,
        destination_identities=named,
        topic=request.topic if request.HasField("topic") else None,
        nonce=request.nonce,
    )
    packet = models.DataPacket(kind=request.kind, user=user, destination_identities=named)
    reliable = request.kind == models.DataPacket.RELIABLE
    return DataPacket(
        kind=DataKind.RELIABLE if reliable else DataKind.LOSSY,
        payload=packet.SerializeToString(),
        topic=request.topic,
        destinations=named,
        message=request.data,
    )


ROOM_SERVICE: dict[str, Callable[[RoomService, Caller, Any], Awaitable[Message]]] = {
    "CreateRoom": RoomService.create_room,
    "ListRooms": RoomService.list_rooms,
    "DeleteRoom": RoomService.delete_room,
    "ListParticipants": RoomService.list_participants,
    "GetParticipant": RoomService.get_participant,
    "RemoveParticipant": RoomService.remove_participant,
    "MutePublishedTrack": RoomService.mute_published_track,
    "UpdateParticipant": RoomService.update_participant,
    "UpdateSubscriptions": RoomService.update_subscriptions,
    "SendData": RoomService.send_data,
    "UpdateRoomMetadata": RoomService.update_room_metadata,
    "ForwardParticipant": RoomService.forward_participant,
    "MoveParticipant": RoomService.move_participant,
    "PerformRpc": RoomService.perform_rpc,
}
"""By their names in the protocol; a test holds that none is missing."""
