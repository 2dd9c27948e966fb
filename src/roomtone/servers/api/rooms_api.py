"""`/api/v1`: rooms, who speaks and who left, statistics, events."""

# ruff: noqa: FAST003 - the dependency takes the room's name

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response, StreamingResponse

from roomtone.control.policy import Grant
from roomtone.control.rooms import (
    EventsLostError,
    Participant,
    Room,
    RoomOptions,
    Viewer,
)
from roomtone.media import EngineCommandError
from roomtone.servers.api.describe import ended_body, ended_entry_body, event_body, room_body, speaker_body
from roomtone.servers.api.requests import authorize, context_of
from roomtone.servers.api.room_schemas import (
    EndedBody,
    EndedEntryBody,
    MemberStatistics,
    Report,
    RoomBody,
    RoomCreateBody,
    RoomStatistics,
    RoomUpdateBody,
    SpeakerBody,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from roomtone.control.rooms import EventMailbox, Member

MAX_PAGE = 500
# Declared so that OpenAPI says how to authenticate; `authorize` does the work.
_bearer = HTTPBearer(
    auto_error=False, description="A token with roomAdmin for the room, roomList for the list, roomCreate for a new one"
)
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


@router.post("/rooms", status_code=201, summary="Make a room", responses={200: {"description": "It was there"}})
async def create_room(request: Request, response: Response, body: RoomCreateBody) -> RoomBody:
    """Make a room with options; needs roomCreate. One that is there stays as it is, and is answered with 200."""
    authorize(request, body.name, Grant.CREATE)
    rooms = context_of(request).rooms
    if body.name in rooms.by_name:
        response.status_code = HTTPStatus.OK
    options = body.model_dump(exclude={"name", "codecs"})
    return room_body(await rooms.create(body.name, RoomOptions(**options, codecs=_codecs(body.codecs))))


@router.patch("/rooms/{room}", summary="Change a room")
async def update_room(request: Request, administered: AdministeredRoom, body: RoomUpdateBody) -> RoomBody:
    """Change options of a room, such as its lock; what is absent stays."""
    changes = body.model_dump(exclude_none=True)
    if body.codecs is not None:
        changes["codecs"] = _codecs(body.codecs)
    await context_of(request).rooms.update_room(administered, **changes)
    return room_body(administered)


def _codecs(names: list[str]) -> frozenset[str]:
    return frozenset(name.upper() for name in names)


@router.get("/rooms/{room}", summary="Read a room")
async def read_room(administered: AdministeredRoom) -> RoomBody:
    """Give one room."""
    return room_body(administered)


@router.delete("/rooms/{room}", status_code=204, summary="Close a room")
async def close_room(request: Request, administered: AdministeredRoom) -> Response:
    """Send everybody out and close the room."""
    await context_of(request).rooms.close_room(administered)
    return Response(status_code=204)


@router.get("/rooms/{room}/speakers", summary="Who speaks")
async def list_speakers(administered: AdministeredRoom) -> list[SpeakerBody]:
    """List who speaks now, loudest first."""
    return [speaker_body(speaker) for speaker in administered.speakers]


@router.get("/rooms/{room}/ended", summary="Who left, and why")
async def list_ended(administered: AdministeredRoom) -> list[EndedBody]:
    """List the last participants and viewers that ended, with the reason of each; the newest comes last."""
    return [ended_body(ended) for ended in administered.ended]


@router.get("/ended", summary="What ended in all rooms, and why")
async def list_all_ended(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    before: Annotated[int | None, Query(ge=1, description="A number: only what ended earlier")] = None,
    room: Annotated[str | None, Query(max_length=64, description="Only rooms of this name")] = None,
) -> list[EndedEntryBody]:
    """List participants, viewers and rooms that ended, the newest first; of rooms that are closed too.

    Needs an account that administers rooms, or a token with roomAdmin for no room in particular; with ``room`` one
    for that room is enough. The server remembers as many as `rooms.max_ended` says, until it stops.
    """
    authorize(request, room or "", Grant.ADMINISTER)
    log = context_of(request).rooms.ended_log
    return [ended_entry_body(entry) for entry in log.newest(limit, before=before, room=room)]


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
