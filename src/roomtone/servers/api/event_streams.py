"""Event streams of viewers (WHEP's extension) and of publishers (this server's own).

Names and bodies for viewers are those of "WebRTC-HTTP Egress Protocol Events", the companion of the WHEP draft,
but for ``bandwidth``.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response, StreamingResponse

from roomtone.control.rooms import EventsLostError
from roomtone.protocols.whip import EVENT_TYPES, PUBLISHER_EVENT_TYPES
from roomtone.servers.api.member_news import BANDWIDTH, bandwidth, present, translate
from roomtone.servers.api.requests import context_of, decode_json, read_body, require_media_type
from roomtone.servers.api.resources import EventStreamResource, Resource, ResourceKind, new_id
from roomtone.servers.api.status import HttpProblem
from roomtone.servers.api.whip import authorize_resource, kind_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MAX_EVENT_STREAMS = 4
"""Event streams of one resource."""
KEEP_ALIVE_S = 15.0
"""How often an idle event stream sends a comment, so that proxies keep it."""
TICK_S = 1.0
"""How often the figures of a line are sent to who asks for them."""
router = APIRouter(tags=["WHIP and WHEP events"])


@router.post("/whep/{room}/{resource_id}/sse", status_code=201, summary="Open an event stream")
@router.post("/whip/{room}/{resource_id}/sse", status_code=201, summary="Open an event stream of a publisher")
async def open_stream(request: Request, room: str, resource_id: str) -> Response:
    """Make an event stream for all event types but ``bandwidth``, or those of the JSON list in the body."""
    resource = authorize_resource(request, room, resource_id)
    body = await read_body(request, context_of(request).settings.limits.max_json_bytes)
    known = frozenset(EVENT_TYPES if resource.kind is ResourceKind.WHEP else PUBLISHER_EVENT_TYPES)
    wanted = known - {BANDWIDTH}
    if body.strip():
        require_media_type(request, "application/json", "Accept-Post")
        wanted = frozenset(decode_json(body, list[str]))
        if unknown := wanted - known:
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
@router.get("/whip/{room}/{resource_id}/sse/{stream_id}", summary="Read an event stream of a publisher")
async def read_stream(request: Request, room: str, resource_id: str, stream_id: str) -> Response:
    """Send events as they happen; browsers' EventSource sends no token, so the URL itself is the secret."""
    resource, stream = _stream(request, room, resource_id, stream_id)
    if stream.reading:
        raise HttpProblem(HTTPStatus.CONFLICT, "already_read", "somebody reads this event stream")
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(_send(resource, stream), headers=headers, media_type="text/event-stream")


@router.delete("/whep/{room}/{resource_id}/sse/{stream_id}", summary="Close an event stream")
@router.delete("/whip/{room}/{resource_id}/sse/{stream_id}", summary="Close an event stream of a publisher")
async def close_stream(request: Request, room: str, resource_id: str, stream_id: str) -> Response:
    """End an event stream; what waits in it is dropped."""
    resource, stream = _stream(request, room, resource_id, stream_id)
    del resource.streams[stream_id]
    stream.mailbox.close()
    return Response(status_code=HTTPStatus.OK)


def _stream(request: Request, room: str, resource_id: str, stream_id: str) -> tuple[Resource, EventStreamResource]:
    resource = context_of(request).resources.get(kind_of(request), room, resource_id)
    stream = None if resource is None else resource.streams.get(stream_id)
    if resource is None or stream is None:
        raise HttpProblem(HTTPStatus.NOT_FOUND, "no_such_event_stream", "there is no such event stream, or no longer")
    return resource, stream


async def _send(resource: Resource, stream: EventStreamResource) -> AsyncIterator[str]:
    stream.reading = True
    loop = asyncio.get_running_loop()
    ticks = BANDWIDTH in stream.wanted
    tick = loop.time()
    try:
        news = await present(resource)
        while True:
            for name, data in news:
                if name in stream.wanted and _is_news(stream, name):
                    yield _event(name, data)
            if ticks and loop.time() >= tick:
                tick = loop.time() + TICK_S
                yield _event(BANDWIDTH, await bandwidth(resource))
            wait = max(0.0, tick - loop.time()) if ticks else KEEP_ALIVE_S
            news = []
            try:
                event = await asyncio.wait_for(stream.mailbox.get(), wait)
            except TimeoutError:
                if not ticks:
                    yield ": still here\n\n"
            except EventsLostError:
                # What matters is the present state, and that is known.
                stream.mailbox = resource.member.room.events.open()
                news = await present(resource)
            else:
                if event is None:
                    return
                news = await translate(resource, event)
    finally:
        stream.reading = False


def _is_news(stream: EventStreamResource, name: str) -> bool:
    """Tell of a source that comes or goes only once, though each of its tracks does so."""
    if name not in {"active", "inactive"}:
        return True
    changed = stream.active != (name == "active")
    stream.active = name == "active"
    return changed


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
