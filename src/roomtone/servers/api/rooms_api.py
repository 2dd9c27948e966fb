"""`/api/v1`: rooms, participants, tracks, statistics, events, kick."""

# ruff: noqa: FAST003 - the dependency takes the room's name

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response, StreamingResponse

from roomtone.control.policy import Grant
from roomtone.control.rooms import (
    CloseReason,
    EventsLostError,
    LayerWish,
    Participant,
    Refusal,
    Room,
    RoomError,
    Viewer,
)
from roomtone.media import EngineCommandError
from roomtone.media.values import MediaKind
from roomtone.servers.api.requests import authorize, context_of
from roomtone.servers.api.schemas import (
    CodecBody,
    EventBody,
    LayerBody,
    LayersBody,
    MemberStatistics,
    MuteBody,
    ParticipantBody,
    Report,
    RoomBody,
    RoomStatistics,
    SubscriptionBody,
    TrackBody,
    ViewerBody,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from roomtone.control.rooms import EventMailbox, Member, Publication, RoomEvent, Subscription
    from roomtone.protocols.sdp import Codec

# Declared so that OpenAPI says how to authenticate; `authorize` does the work.
_bearer = HTTPBearer(auto_error=False, description="A token with roomAdmin for the room, or roomList for the list")
router = APIRouter(prefix="/api/v1", tags=["Rooms"], dependencies=[Depends(_bearer)])


def administered_room(request: Request, room: str) -> Room:
    """Give the room of a path to who may administer it."""
    authorize(request, room, Grant.ADMINISTER)
    return context_of(request).rooms.find(room)


AdministeredRoom = Annotated[Room, Depends(administered_room)]


@router.get("/rooms", summary="List rooms")
async def list_rooms(request: Request) -> list[RoomBody]:
    """List all rooms; needs roomList."""
    authorize(request, "", Grant.LIST)
    return [room_body(room) for room in context_of(request).rooms.by_name.values()]


@router.get("/rooms/{room}", summary="Read a room")
async def read_room(administered: AdministeredRoom) -> RoomBody:
    """Give one room."""
    return room_body(administered)


@router.delete("/rooms/{room}", status_code=204, summary="Close a room")
async def close_room(request: Request, administered: AdministeredRoom) -> Response:
    """Send everybody out and close the room."""
    await context_of(request).rooms.close_room(administered)
    return Response(status_code=204)


@router.get("/rooms/{room}/participants", summary="List participants")
async def list_participants(administered: AdministeredRoom) -> list[ParticipantBody]:
    """List the room's participants."""
    return [participant_body(participant) for participant in administered.participants.values()]


@router.get("/rooms/{room}/participants/{identity}", summary="Read a participant")
async def read_participant(request: Request, administered: AdministeredRoom, identity: str) -> ParticipantBody:
    """Give one participant."""
    return participant_body(context_of(request).rooms.find_participant(administered, identity))


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
    """Stop or go on forwarding a track."""
    track = administered.publication(track_id)
    if track is None:
        raise RoomError(Refusal.NO_SUCH_TRACK, "the room has no such track")
    await context_of(request).rooms.mute(track, muted=body.muted, by_server=True)
    return track_body(track)


@router.get("/rooms/{room}/statistics", summary="Live statistics")
async def statistics(administered: AdministeredRoom) -> RoomStatistics:
    """Give live statistics of all participants and viewers."""
    return RoomStatistics(
        participants=[await _statistics(member) for member in tuple(administered.participants.values())],
        viewers=[await _statistics(member) for member in tuple(administered.viewers.values())],
    )


@router.get("/rooms/{room}/events", response_class=StreamingResponse, summary="Follow a room's events")
async def follow_events(administered: AdministeredRoom) -> Response:
    """Send the room's events from now on, each with its number, as server-sent events with JSON data."""
    mailbox = administered.events.open()
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(_events(mailbox), headers=headers, media_type="text/event-stream")


async def _events(mailbox: EventMailbox) -> AsyncIterator[str]:
    with mailbox:
        try:
            async for event in mailbox:
                yield f"id: {event.seq}\nevent: {event.kind.value}\ndata: {event_body(event).model_dump_json()}\n\n"
        except EventsLostError as lost:
            yield f'event: events_lost\ndata: {{"after":{lost.after}}}\n\n'


async def _statistics(member: Member) -> MemberStatistics:
    tracks = member.publications if isinstance(member, Participant) else {}
    return MemberStatistics(
        id=member.id if isinstance(member, Participant | Viewer) else "",
        identity=member.identity if isinstance(member, Participant) else None,
        transports=[await _reports(connection.transport.stats) for connection in tuple(member.connections.values())],
        tracks={track.id: await _reports(track.producer.stats) for track in tuple(tracks.values())},
        subscriptions={
            subscription.id: await _reports(subscription.consumer.stats)
            for subscription in tuple(member.subscriptions.values())
        },
    )


async def _reports(stats: Callable[[], Awaitable[list[Report]]]) -> list[Report]:
    try:
        return await stats()
    except EngineCommandError:
        return []  # it ended while others were asked


def room_body(room: Room) -> RoomBody:
    """Describe a room."""
    return RoomBody(
        id=room.id,
        name=room.name,
        created_at=room.created_at,
        participants=len(room.participants),
        publishers=sum(bool(participant.publications) for participant in room.participants.values()),
        viewers=len(room.viewers),
    )


def participant_body(participant: Participant) -> ParticipantBody:
    """Describe a participant."""
    return ParticipantBody(
        id=participant.id,
        identity=participant.identity,
        name=participant.name,
        metadata=participant.metadata,
        attributes=participant.attributes,
        kind=participant.kind,
        connected=participant.connected,
        joined_at=participant.joined_at,
        quality=participant.quality,
        tracks=[track_body(track) for track in participant.publications.values()],
    )


def viewer_body(viewer: Viewer) -> ViewerBody:
    """Describe a viewer."""
    source = viewer.source()
    return ViewerBody(
        id=viewer.id,
        follows=viewer.follows,
        source=None if source is None else source.identity,
        connected=viewer.connected,
        joined_at=viewer.joined_at,
        quality=viewer.quality,
        subscriptions=[subscription_body(subscription) for subscription in viewer.subscriptions.values()],
    )


def subscription_body(subscription: Subscription) -> SubscriptionBody:
    """Describe what a viewer gets."""
    return SubscriptionBody(
        id=subscription.id,
        kind=subscription.offer.kind,
        track=None if subscription.source is None else subscription.source.id,
        wanted=LayersBody(**asdict(subscription.layer)),
        target=LayerBody(spatial=subscription.target.spatial, temporal=subscription.target.temporal),
        current=LayerBody(spatial=subscription.current.spatial, temporal=subscription.current.temporal),
        starved=subscription.starved,
    )


def track_body(track: Publication) -> TrackBody:
    """Describe a track."""
    return TrackBody(
        id=track.id,
        participant=track.participant.identity,
        kind=track.offer.kind,
        source=track.offer.source,
        name=track.offer.name,
        muted=track.muted,
        codecs=[codec_body(codec) for codec in track.offer.codecs],
        rids=list(track.rids),
        active_encodings=sorted(track.started_encodings),
        wanted_encodings=None if track.wanted is None else list(track.wanted),
        quality=track.quality,
    )


def codec_body(codec: Codec) -> CodecBody:
    """Describe a codec."""
    return CodecBody(
        name=codec.name,
        payload_type=codec.payload_type,
        clock_rate=codec.clock_rate,
        channels=codec.channels,
        parameters={name: value or "" for name, value in codec.parameters},
        rtx_payload_type=codec.rtx_payload_type,
    )


def event_body(event: RoomEvent) -> EventBody:
    """Describe an event."""
    return EventBody(
        seq=event.seq,
        at=event.at,
        kind=event.kind,
        room=event.room,
        participant=event.participant,
        track=event.track,
        viewer=event.viewer,
        reason=event.reason,
        encoding=event.encoding,
        temporal=event.temporal,
        wanted=None if event.wanted is None else list(event.wanted),
        quality=event.quality,
        score=event.score,
        degradation=event.degradation,
        direction=event.direction,
        congestion=event.congestion,
    )
