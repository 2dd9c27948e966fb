"""WHEP's extensions: server-sent events and layer selection.

Names and bodies are those of "WebRTC-HTTP Egress Protocol Events", the companion of the WHEP draft.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import msgspec
from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response, StreamingResponse

from roomtone.control.rooms import CloseReason, EventsLostError, LayerWish, RoomEventKind, Viewer
from roomtone.media.values import MediaKind
from roomtone.protocols.whip import EVENT_TYPES
from roomtone.servers.api.requests import context_of, read_body, require_media_type
from roomtone.servers.api.resources import EventStreamResource, Resource, ResourceKind, new_id
from roomtone.servers.api.status import HttpProblem
from roomtone.servers.api.whip import authorize_resource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roomtone.control.rooms import RoomEvent, Subscription

MAX_EVENT_STREAMS = 4
"""Event streams of one resource."""
KEEP_ALIVE_S = 15.0
"""How often an idle event stream sends a comment, so that proxies keep it."""
MAX_LAYER = 7
_COME_BACK = frozenset({CloseReason.ROOM_CLOSED, CloseReason.SERVER_SHUTDOWN, CloseReason.MEDIA_FAILED})
router = APIRouter(tags=["WHEP extensions"])
_JSON = "application/json"
_T = TypeVar("_T")


class LayerChoice(msgspec.Struct, frozen=True, rename="camel"):
    """What a viewer asks for; all absent lets the server choose. ``encodingId`` is an older name of ``rid``."""

    media_id: str | None = None
    rid: str | None = None
    encoding_id: str | None = None
    spatial_layer_id: int | None = None
    temporal_layer_id: int | None = None
    max_spatial_layer_id: int | None = None
    max_temporal_layer_id: int | None = None


@router.post("/whep/{room}/{resource_id}/sse", status_code=201, summary="Open an event stream")
async def open_stream(request: Request, room: str, resource_id: str) -> Response:
    """Make an event stream for all event types, or those of the JSON list in the body."""
    resource = authorize_resource(request, room, resource_id)
    body = await read_body(request, context_of(request).settings.limits.max_json_bytes)
    wanted = frozenset(EVENT_TYPES)
    if body.strip():
        require_media_type(request, _JSON, "Accept-Post")
        wanted = frozenset(_decode(body, list[str]))
        if unknown := wanted - set(EVENT_TYPES):
            raise HttpProblem(HTTPStatus.BAD_REQUEST, "unknown_event", f"no such events: {', '.join(sorted(unknown))}")
    if len(resource.streams) >= MAX_EVENT_STREAMS:
        detail = f"a resource has at most {MAX_EVENT_STREAMS} event streams"
        raise HttpProblem(HTTPStatus.SERVICE_UNAVAILABLE, "too_many_event_streams", detail, {"Retry-After": "5"})
    stream_id = new_id()
    stream = EventStreamResource(wanted, resource.member.room.events.open())
    resource.streams[stream_id] = stream
    resource.member.when_closed(lambda _: stream.mailbox.close())
    return Response(status_code=HTTPStatus.CREATED, headers={"Location": f"{resource.path}/sse/{stream_id}"})


@router.get("/whep/{room}/{resource_id}/sse/{stream_id}", summary="Read an event stream")
async def read_stream(request: Request, room: str, resource_id: str, stream_id: str) -> Response:
    """Send events as they happen; browsers' EventSource sends no token, so the URL itself is the secret."""
    resource, stream = _stream(request, room, resource_id, stream_id)
    if stream.reading:
        raise HttpProblem(HTTPStatus.CONFLICT, "already_read", "somebody reads this event stream")
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(_send(resource, stream), headers=headers, media_type="text/event-stream")


@router.delete("/whep/{room}/{resource_id}/sse/{stream_id}", summary="Close an event stream")
async def close_stream(request: Request, room: str, resource_id: str, stream_id: str) -> Response:
    """End an event stream; what waits in it is dropped."""
    resource, stream = _stream(request, room, resource_id, stream_id)
    del resource.streams[stream_id]
    stream.mailbox.close()
    return Response(status_code=HTTPStatus.OK)


@router.post("/whep/{room}/{resource_id}/layer", summary="Choose a layer")
async def choose_layer(request: Request, room: str, resource_id: str) -> Response:
    """Choose the layer of one media section (default: the first video one)."""
    resource = authorize_resource(request, room, resource_id)
    require_media_type(request, _JSON, "Accept-Post")
    body = await read_body(request, context_of(request).settings.limits.max_json_bytes)
    choice = _decode(body, LayerChoice)
    spatial = choice.spatial_layer_id if choice.spatial_layer_id is not None else choice.max_spatial_layer_id
    temporal = choice.temporal_layer_id if choice.temporal_layer_id is not None else choice.max_temporal_layer_id
    if any(layer is not None and not 0 <= layer <= MAX_LAYER for layer in (spatial, temporal)):
        raise HttpProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "no_such_layer", f"a layer is 0 to {MAX_LAYER}")
    wish = LayerWish(rid=choice.rid or choice.encoding_id, spatial=spatial, temporal=temporal)
    await context_of(request).rooms.choose_layer(_section(resource, choice.media_id), wish)
    return Response(status_code=HTTPStatus.OK)


def _decode(body: bytes, type_: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.MsgspecError as error:
        raise HttpProblem(HTTPStatus.BAD_REQUEST, "malformed_json", str(error)) from error


def _section(resource: Resource, media_id: str | None) -> Subscription:
    if media_id is None:
        videos = (s for s in resource.subscriptions.values() if s.offer.kind is MediaKind.VIDEO)
        found = next(videos, None)
    else:
        by_place = int(media_id) if media_id.isascii() and media_id.isdigit() and len(media_id) < 4 else -1  # noqa: PLR2004
        found = resource.subscriptions.get(by_place) or resource.subscriptions.get(resource.mids.get(media_id, -1))
    if found is None:
        raise HttpProblem(HTTPStatus.UNPROCESSABLE_ENTITY, "no_such_media", "the resource has no such video section")
    return found


def _stream(request: Request, room: str, resource_id: str, stream_id: str) -> tuple[Resource, EventStreamResource]:
    resource = context_of(request).resources.get(ResourceKind.WHEP, room, resource_id)
    stream = None if resource is None else resource.streams.get(stream_id)
    if resource is None or stream is None:
        raise HttpProblem(HTTPStatus.NOT_FOUND, "no_such_event_stream", "there is no such event stream, or no longer")
    return resource, stream


async def _send(resource: Resource, stream: EventStreamResource) -> AsyncIterator[str]:
    stream.reading = True
    try:
        news: list[tuple[str, object]] | None = _present(resource)
        while news is not None:
            for name, data in news:
                if name in stream.wanted and _is_news(stream, name):
                    yield _event(name, data)
            try:
                news = await asyncio.wait_for(_next(resource, stream), KEEP_ALIVE_S)
            except TimeoutError:
                yield ": still here\n\n"
                news = []
    finally:
        stream.reading = False


async def _next(resource: Resource, stream: EventStreamResource) -> list[tuple[str, object]] | None:
    """Wait for the next event and translate it; None at the end."""
    try:
        event = await stream.mailbox.get()
    except EventsLostError:
        # What matters is the present state, and that is known.
        stream.mailbox = resource.member.room.events.open()
        return _present(resource)
    return None if event is None else _translate(resource, event)


def _is_news(stream: EventStreamResource, name: str) -> bool:
    """Tell of a source that comes or goes only once, though each of its tracks does so."""
    if name not in {"active", "inactive"}:
        return True
    changed = stream.active != (name == "active")
    stream.active = name == "active"
    return changed


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


def _present(resource: Resource) -> list[tuple[str, object]]:
    """Tell a new reader what is now."""
    if not any(subscription.source for subscription in resource.subscriptions.values()):
        return [_viewer_count(resource)]
    return [("active", {}), ("layers", _layers(resource)), _viewer_count(resource)]


def _translate(resource: Resource, event: RoomEvent) -> list[tuple[str, object]]:
    viewer = resource.member
    mine = isinstance(viewer, Viewer) and event.viewer == viewer.id
    match event.kind:
        case RoomEventKind.VIEWER_LEFT if mine:
            return [("reconnect", {})] if event.reason in _COME_BACK else []
        case RoomEventKind.VIEWER_JOINED | RoomEventKind.VIEWER_LEFT:
            return [_viewer_count(resource)]
        case RoomEventKind.SOURCE_SWITCHED if mine and event.track is None:
            gone = not any(subscription.source for subscription in resource.subscriptions.values())
            return [("inactive", {})] if gone else []
        case RoomEventKind.SOURCE_SWITCHED if mine:
            return [("active", {}), ("layers", _layers(resource))]
        case RoomEventKind.TRACK_ACTIVE | RoomEventKind.TRACK_SILENT if _is_source(resource, event.track):
            return [("layers", _layers(resource))]
        case _:
            return []


def _is_source(resource: Resource, track: str | None) -> bool:
    return any(s.source is not None and s.source.id == track for s in resource.subscriptions.values())


def _viewer_count(resource: Resource) -> tuple[str, object]:
    return "viewercount", {"viewercount": len(resource.member.room.viewers)}


def _layers(resource: Resource) -> dict[str, list[dict[str, object]]]:
    """Layers of each video section, by its place in the offer; what is not received has ``active`` false."""
    layers: dict[str, list[dict[str, object]]] = {}
    for index, subscription in resource.subscriptions.items():
        source = subscription.source
        if source is None or subscription.offer.kind is not MediaKind.VIDEO:
            continue
        encodings = source.offer.encodings or (None,)
        layers[str(index)] = [
            {"spatialLayerId": place, "active": place in source.started_encodings}
            | ({} if encoding is None or encoding.rid is None else {"rid": encoding.rid})
            for place, encoding in enumerate(encodings)
        ]
    return layers
