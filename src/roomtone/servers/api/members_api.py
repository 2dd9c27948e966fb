"""`/api/v1`: participants, viewers and tracks of a room."""

# ruff: noqa: FAST003 - the dependency takes the room's name
# ruff: noqa: TC001 - FastAPI reads the annotations

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response

from roomtone.control.rooms import (
    CloseReason,
    LayerWish,
    Refusal,
    Room,
    RoomError,
    Viewer,
)
from roomtone.media.values import MediaKind
from roomtone.servers.api.describe import participant_body, room_body, track_body, viewer_body
from roomtone.servers.api.requests import authorize_destination, context_of
from roomtone.servers.api.room_schemas import RoomBody
from roomtone.servers.api.rooms_api import AdministeredRoom
from roomtone.servers.api.schemas import (
    ForwardBody,
    LayersBody,
    MoveBody,
    MuteBody,
    ParticipantBody,
    ParticipantUpdateBody,
    TrackBody,
    ViewerBody,
)

router = APIRouter(prefix="/api/v1", tags=["Rooms"], dependencies=[Depends(HTTPBearer(auto_error=False))])


@router.get("/rooms/{room}/participants", summary="List participants")
async def list_participants(administered: AdministeredRoom) -> list[ParticipantBody]:
    """List the room's participants."""
    return [participant_body(participant) for participant in administered.participants.values()]


@router.get("/rooms/{room}/participants/{identity}", summary="Read a participant")
async def read_participant(request: Request, administered: AdministeredRoom, identity: str) -> ParticipantBody:
    """Give one participant."""
    return participant_body(context_of(request).rooms.find_participant(administered, identity))


@router.patch("/rooms/{room}/participants/{identity}", summary="Change a participant")
async def update_participant(
    request: Request, administered: AdministeredRoom, identity: str, body: ParticipantUpdateBody
) -> ParticipantBody:
    """Change name, metadata, attributes and permissions; when this is answered, media follows the permissions."""
    rooms = context_of(request).rooms
    participant = rooms.find_participant(administered, identity)
    permissions = None
    if body.permissions is not None:
        changes = body.permissions.model_dump(exclude_none=True)
        if "publish_sources" in changes:
            changes["publish_sources"] = frozenset(changes["publish_sources"])
        permissions = replace(participant.permissions, **changes)
    await rooms.update(
        participant,
        name=body.name,
        metadata=body.metadata,
        attributes=body.attributes,
        permissions=permissions,
    )
    return participant_body(participant)


@router.put("/rooms/{room}/participants/{identity}/muted", summary="Mute or unmute a participant")
async def mute_participant(
    request: Request, administered: AdministeredRoom, identity: str, body: MuteBody
) -> ParticipantBody:
    """Stop or go on forwarding all tracks a participant has now; what it mutes itself stays muted.

    409 where that is all there is: only the participant can undo it.
    """
    rooms = context_of(request).rooms
    participant = rooms.find_participant(administered, identity)
    tracks = tuple(participant.publications.values())
    if not body.muted and tracks and all(track.publisher_muted and not track.server_muted for track in tracks):
        raise rooms.refuse(Refusal.MUTED_BY_PUBLISHER, "it has muted its tracks itself: only it unmutes them")
    for track in tracks:
        await rooms.mute(track, muted=body.muted, by_server=True)
    return participant_body(participant)


@router.post("/rooms/{room}/participants/{identity}/move", summary="Move a participant")
async def move(request: Request, administered: AdministeredRoom, identity: str, body: MoveBody) -> RoomBody:
    """Send a participant to another room, made if it is not there; needs that as the token's destinationRoom.

    It goes on there on the connections it has, or its client is told and joins there; 409 where neither is possible.
    """
    authorize_destination(request, body.room)
    rooms = context_of(request).rooms
    return room_body(await rooms.move(rooms.find_participant(administered, identity), body.room))


@router.post("/rooms/{room}/participants/{identity}/forward", summary="Forward a participant")
async def forward(
    request: Request, administered: AdministeredRoom, identity: str, body: ForwardBody
) -> ParticipantBody:
    """Have a participant be present in another room too, made if it is not there.

    Needs that room as the token's destinationRoom. It stays in its own. Kicking it from the other room ends only the
    forwarding; 409 where its identity is there already.
    """
    authorize_destination(request, body.to)
    rooms = context_of(request).rooms
    return participant_body(await rooms.forward(rooms.find_participant(administered, identity), body.to))


@router.delete("/rooms/{room}/participants/{identity}", status_code=204, summary="Kick a participant")
async def kick(request: Request, administered: AdministeredRoom, identity: str) -> Response:
    """Send a participant out."""
    rooms = context_of(request).rooms
    await rooms.remove(rooms.find_participant(administered, identity))
    return Response(status_code=204)


@router.get("/rooms/{room}/viewers", summary="List viewers")
async def list_viewers(administered: AdministeredRoom) -> list[ViewerBody]:
    """List the room's viewers."""
    return [viewer_body(viewer) for viewer in administered.viewers.values()]


@router.delete("/rooms/{room}/viewers/{viewer_id}", status_code=204, summary="Kick a viewer")
async def kick_viewer(request: Request, administered: AdministeredRoom, viewer_id: str) -> Response:
    """Send a viewer out."""
    await context_of(request).rooms.end(_find_viewer(administered, viewer_id), CloseReason.REMOVED)
    return Response(status_code=204)


@router.put("/rooms/{room}/viewers/{viewer_id}/layers", summary="Limit what a viewer gets")
async def choose_layers(
    request: Request, administered: AdministeredRoom, viewer_id: str, body: LayersBody
) -> ViewerBody:
    """Say what a viewer gets of its video at most: layers, size shown, frame rate, bitrate; or pause it."""
    viewer = _find_viewer(administered, viewer_id)
    for subscription in tuple(viewer.subscriptions.values()):
        if subscription.offer.kind is MediaKind.VIDEO:
            await context_of(request).rooms.choose_layer(subscription, LayerWish(**body.model_dump()))
    return viewer_body(viewer)


def _find_viewer(room: Room, id_: str) -> Viewer:
    viewer = next((viewer for viewer in room.viewers.values() if viewer.id == id_), None)
    if viewer is None:
        raise RoomError(Refusal.NO_SUCH_PARTICIPANT, "the room has no such viewer")
    return viewer


@router.get("/rooms/{room}/tracks", summary="List tracks")
async def list_tracks(administered: AdministeredRoom) -> list[TrackBody]:
    """List all tracks of the room."""
    return [
        track_body(track)
        for participant in administered.participants.values()
        for track in participant.publications.values()
    ]


@router.put("/rooms/{room}/tracks/{track_id}/muted", summary="Mute or unmute a track")
async def mute(request: Request, administered: AdministeredRoom, track_id: str, body: MuteBody) -> TrackBody:
    """Stop or go on forwarding a track; 409 where its publisher mutes it itself, which only it can undo."""
    track = administered.publication(track_id)
    if track is None:
        raise RoomError(Refusal.NO_SUCH_TRACK, "the room has no such track")
    context = context_of(request)
    if body.muted:
        await context.rooms.mute(track, muted=True, by_server=True)
    else:
        await context.rooms.unmute(track, context.settings.livekit.unmute_wait_s)
    return track_body(track)
