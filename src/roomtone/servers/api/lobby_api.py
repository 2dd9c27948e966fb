"""`/api/v1`: asking to enter a room, and answering who asks."""

# ruff: noqa: FAST003 - the dependency takes the room's name
# ruff: noqa: TC001 - FastAPI reads the annotations

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response, StreamingResponse

from roomtone.control.policy import Grant
from roomtone.control.rooms import Knock, KnockDecision, Rooms
from roomtone.servers.api.describe import knock_body
from roomtone.servers.api.event_streams import KEEP_ALIVE_S
from roomtone.servers.api.requests import authorize, client_address, context_of, join_request
from roomtone.servers.api.room_schemas import KnockBody
from roomtone.servers.api.rooms_api import AdministeredRoom

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

router = APIRouter(prefix="/api/v1", tags=["Rooms"], dependencies=[Depends(HTTPBearer(auto_error=False))])


@router.post(
    "/rooms/{room}/knock",
    response_class=StreamingResponse,
    summary="Ask to enter a room",
    responses={403: {"description": "The room is locked"}, 503: {"description": "The lobby is full"}},
)
async def knock(request: Request, room: str) -> Response:
    """Ask to enter as the token's participant, and wait: server-sent events `waiting`, then `decided`.

    Who is `admitted` joins by whatever protocol it likes. Hanging up withdraws the question. Needs roomJoin.
    """
    context = context_of(request)
    token = authorize(request, room, Grant.JOIN)
    ticket = context.limiter.take(client_address(request), context.clock())
    try:
        asked = await context.rooms.knock(room, join_request(token))
    except BaseException:
        ticket.release()
        raise
    deciding = asyncio.ensure_future(asked.decided())
    deciding.add_done_callback(lambda _: ticket.release())
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(_answer(context.rooms, asked, deciding), headers=headers, media_type="text/event-stream")


async def _answer(rooms: Rooms, asked: Knock, deciding: asyncio.Future[KnockDecision]) -> AsyncIterator[str]:
    try:
        yield _event("waiting", {"id": asked.id})
        while not (await asyncio.wait({deciding}, timeout=KEEP_ALIVE_S))[0]:
            yield ": still here\n\n"
        yield _event("decided", {"id": asked.id, "decision": deciding.result()})
    finally:
        rooms.withdraw(asked)


def _event(name: str, data: dict[str, str]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


@router.get("/rooms/{room}/lobby", summary="Who asks to enter")
async def list_lobby(administered: AdministeredRoom) -> list[KnockBody]:
    """List who waits to be let in, in the order in which they came."""
    return [knock_body(knock) for knock in administered.lobby.values()]


@router.post("/rooms/{room}/lobby/{knock_id}/admit", summary="Let somebody in")
async def admit(request: Request, administered: AdministeredRoom, knock_id: str) -> KnockBody:
    """Let somebody in who waits."""
    return knock_body(context_of(request).rooms.admit(administered, knock_id))


@router.post("/rooms/{room}/lobby/{knock_id}/deny", summary="Keep somebody out")
async def deny(request: Request, administered: AdministeredRoom, knock_id: str) -> KnockBody:
    """Keep somebody out who waits."""
    return knock_body(context_of(request).rooms.deny(administered, knock_id))
