"""The SFU over HTTP: the requests of Socket.IO as paths, for back ends that signal in their own way.

The same peers, transports, producers and consumers as by Socket.IO. Who calls is the bearer of a token with roomAdmin,
who acts for any peer, or of a room token, who acts for its own peer.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import JSONResponse

from roomtone.control.policy import AccessDenial, AccessError, Grant, require
from roomtone.control.rooms import CloseReason
from roomtone.protocols.mediasoup import Event, Payload, PayloadCode, PayloadError, read_request
from roomtone.protocols.mediasoup.requests import MAX_NAME, MAX_PEER
from roomtone.servers.socketio import rest_bodies as bodies
from roomtone.servers.socketio.callers import Caller, read_caller
from roomtone.servers.socketio.describe import describe_room
from roomtone.servers.socketio.dispatch import act
from roomtone.servers.socketio.problems import SfuError, problem_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomtone.control.rooms import Room
    from roomtone.servers.socketio.peers import SfuPeer
    from roomtone.servers.socketio.sfu import Sfu

router = APIRouter(
    tags=["SFU"],
    dependencies=[Depends(HTTPBearer(auto_error=False, description="A token with roomAdmin, or a room token"))],
)
UNUSED_S = 60.0
"""How long a peer may be without a transport after it was let in."""
Answer = tuple[HTTPStatus, dict[str, Any]]


def sfu_of(request: Request) -> Sfu:
    """Give the directory the application was created with."""
    sfu: Sfu = request.app.state.sfu
    return sfu


async def _respond(request: Request, do: Callable[[], Awaitable[Answer]]) -> JSONResponse:
    """Answer with what was done, or with the error as this interface writes it."""
    counters = sfu_of(request).context.counters
    try:
        status, content = await do()
    except Exception as error:  # noqa: BLE001 - what is none of ours is raised again by `problem_of`
        problem = problem_of(error)
        counters.errors[problem.code] += 1
        headers = {"Retry-After": "5"} if problem.status is HTTPStatus.SERVICE_UNAVAILABLE else {}
        if problem.status is HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer realm="roomtone"'
        return JSONResponse(problem.body(), problem.status, headers)
    return JSONResponse(content, status)


async def _caller(request: Request) -> Caller:
    context = sfu_of(request).context
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given = token.strip() or None if scheme.lower() == "bearer" else None
    return await read_caller(context, given)


def _check_may_act(caller: Caller, room: str, peer: str) -> None:
    """Refuse who neither administers the room nor is the peer."""
    if caller.administers(room):
        return
    require(caller.token, room, Grant.JOIN)
    if caller.identity != peer:
        raise AccessError(AccessDenial.NOT_GRANTED, "a room token acts for its own peer only")


async def _body(request: Request) -> dict[str, Any]:
    limit = sfu_of(request).context.settings.limits.max_json_bytes
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise SfuError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"the body is over {limit} bytes")
    try:
        decoded = msgspec.json.decode(bytes(body) or b"{}")
    except (msgspec.MsgspecError, RecursionError) as error:
        raise PayloadError(PayloadCode.MALFORMED, f"the body is no JSON: {error}") from error
    if not isinstance(decoded, dict):
        raise PayloadError(PayloadCode.MALFORMED, "the body is no object")
    return decoded


async def _act(
    request: Request, event: Event, room: str, made: HTTPStatus = HTTPStatus.OK, **named: str
) -> JSONResponse:
    """Do for a peer what an event of Socket.IO does; ``named`` is what the path says."""

    async def do() -> Answer:
        sfu, caller = sfu_of(request), await _caller(request)
        body = await _body(request)
        given = {**body, "roomId": room, **named}
        peer_id = Payload(given).text("peerId", MAX_PEER)
        _check_may_act(caller, room, peer_id)
        sfu.moves.check(room, peer_id)
        sfu.rooms.find(room)
        wanted = read_request(event, given)
        return made, await act(sfu, sfu.peer(room, peer_id), event, wanted)

    return await _respond(request, do)


@router.get("/health", summary="Say whether media can be had")
async def health(request: Request) -> JSONResponse:
    """Answer 200 while the media engine runs, 503 otherwise; needs no token."""
    sfu = sfu_of(request)
    running = not sfu.rooms.engine.closed
    status = HTTPStatus.OK if running else HTTPStatus.SERVICE_UNAVAILABLE
    content = {"status": "ok" if running else "down", "rooms": len(sfu.rooms.by_name), "peers": len(sfu)}
    return JSONResponse(content, status)


@router.get("/rooms", summary="List rooms", responses=bodies.ROOM_ERRORS)
async def list_rooms(request: Request) -> JSONResponse:
    """List all rooms; needs roomList, or roomAdmin that names no room."""

    async def do() -> Answer:
        require((await _caller(request)).token, "", Grant.LIST)
        return HTTPStatus.OK, {"rooms": [describe_room(room) for room in sfu_of(request).rooms.by_name.values()]}

    return await _respond(request, do)


@router.get("/rooms/{room}", summary="Read a room", responses=bodies.ROOM_ERRORS)
async def read_room(request: Request, room: str) -> JSONResponse:
    """Give a room with its capabilities and peers."""

    async def do() -> Answer:
        sfu, caller = sfu_of(request), await _caller(request)
        administers = caller.administers(room)
        if not administers:
            require(caller.token, room, Grant.JOIN)
        found = sfu.rooms.find(room)
        return HTTPStatus.OK, describe_room(found) | _offered(sfu, found, None, to_moderator=administers)

    return await _respond(request, do)


@router.post(
    "/rooms/{room}/peers",
    status_code=201,
    summary="Let a peer in",
    responses=bodies.PEER_ERRORS,
    openapi_extra=bodies.PEER,
)
async def add_peer(request: Request, room: str) -> JSONResponse:
    """Let a peer into a room, made if it is not there; it stays until it leaves or its transports are lost."""

    async def do() -> Answer:
        sfu, caller = sfu_of(request), await _caller(request)
        payload = Payload(await _body(request))
        peer_id = payload.text("peerId", MAX_PEER)
        name = payload.optional_text("fullName", MAX_NAME)
        _check_may_act(caller, room, peer_id)
        ticket = sfu.context.limiter.take(_address(request), sfu.context.clock())
        try:
            peer = await sfu.join(room, caller, peer_id=peer_id, name=name, replace=False)
        except BaseException:
            ticket.release()
            raise
        peer.participant.when_closed(lambda _: ticket.release())
        _leave_unless_used(sfu, peer)
        return HTTPStatus.CREATED, {"peerId": peer.id, **_offered(sfu, peer.participant.room, peer, to_moderator=False)}

    return await _respond(request, do)


def _leave_unless_used(sfu: Sfu, peer: SfuPeer) -> None:
    """End a peer that nobody makes a transport for: no connection of its own would tell that its back end is gone."""

    def look() -> None:
        if not peer.transports:
            sfu.rooms.spawn(sfu.leave(peer, CloseReason.NEVER_CONNECTED))

    timer = asyncio.get_running_loop().call_later(UNUSED_S, look)
    peer.participant.when_closed(lambda _: timer.cancel())


def _offered(sfu: Sfu, room: Room, peer: SfuPeer | None, *, to_moderator: bool) -> dict[str, Any]:
    peers = sfu.describe_peers(room, peer, to_moderator=to_moderator)
    return {"rtpCapabilities": sfu.capabilities(room), "peers": peers, "mediaOff": sfu.media_off(room)}


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else "local"


@router.post("/rooms/{room}/peers/{peer}/leave", summary="Send a peer away", responses=bodies.ERRORS)
async def leave(request: Request, room: str, peer: str) -> JSONResponse:
    """End a peer with all it has."""
    return await _act(request, Event.LEAVE_ROOM, room, peerId=peer)


@router.post(
    "/rooms/{room}/transports",
    status_code=201,
    summary="Make a transport",
    responses=bodies.ERRORS,
    openapi_extra=bodies.TRANSPORT,
)
async def create_transport(request: Request, room: str) -> JSONResponse:
    """Open a transport of a peer for one direction."""
    return await _act(request, Event.CREATE_TRANSPORT, room, HTTPStatus.CREATED)


@router.post(
    "/rooms/{room}/transports/{transport}/connect",
    summary="Connect a transport",
    responses=bodies.ERRORS,
    openapi_extra=bodies.CONNECT,
)
async def connect_transport(request: Request, room: str, transport: str) -> JSONResponse:
    """Take the client's DTLS parameters, once."""
    return await _act(request, Event.CONNECT_TRANSPORT, room, transportId=transport)


@router.post(
    "/rooms/{room}/producers",
    status_code=201,
    summary="Produce",
    responses=bodies.ERRORS,
    openapi_extra=bodies.PRODUCE,
)
async def produce(request: Request, room: str) -> JSONResponse:
    """Publish what a peer's client sends."""
    return await _act(request, Event.PRODUCE, room, HTTPStatus.CREATED)


@router.post("/rooms/{room}/producers/{producer}/close", summary="Close a producer", responses=bodies.ERRORS)
async def close_producer(request: Request, room: str, producer: str) -> JSONResponse:
    """Withdraw a producer."""
    return await _act(request, Event.CLOSE_PRODUCER, room, producerId=producer)


@router.post("/rooms/{room}/producers/{producer}/pause", summary="Pause a producer", responses=bodies.ERRORS)
async def pause_producer(request: Request, room: str, producer: str) -> JSONResponse:
    """Stop forwarding a producer."""
    return await _act(request, Event.PAUSE_PRODUCER, room, producerId=producer)


@router.post("/rooms/{room}/producers/{producer}/resume", summary="Resume a producer", responses=bodies.ERRORS)
async def resume_producer(request: Request, room: str, producer: str) -> JSONResponse:
    """Go on forwarding a producer."""
    return await _act(request, Event.RESUME_PRODUCER, room, producerId=producer)


@router.post(
    "/rooms/{room}/consumers",
    status_code=201,
    summary="Consume",
    responses=bodies.ERRORS,
    openapi_extra=bodies.CONSUME,
)
async def consume(request: Request, room: str) -> JSONResponse:
    """Send a track of the room to a peer's client; paused until resumed, unless `paused` is false."""
    return await _act(request, Event.CONSUME, room, HTTPStatus.CREATED)


@router.post("/rooms/{room}/consumers/{consumer}/close", summary="Close a consumer", responses=bodies.ERRORS)
async def close_consumer(request: Request, room: str, consumer: str) -> JSONResponse:
    """Stop sending a track."""
    return await _act(request, Event.CLOSE_CONSUMER, room, consumerId=consumer)


@router.post("/rooms/{room}/consumers/{consumer}/pause", summary="Pause a consumer", responses=bodies.ERRORS)
async def pause_consumer(request: Request, room: str, consumer: str) -> JSONResponse:
    """Send nothing until resumed."""
    return await _act(request, Event.PAUSE_CONSUMER, room, consumerId=consumer)


@router.post("/rooms/{room}/consumers/{consumer}/resume", summary="Resume a consumer", responses=bodies.ERRORS)
async def resume_consumer(request: Request, room: str, consumer: str) -> JSONResponse:
    """Send a track; video starts at a keyframe."""
    return await _act(request, Event.RESUME_CONSUMER, room, consumerId=consumer)
