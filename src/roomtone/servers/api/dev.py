"""Tokens for the pages of a development server; not there otherwise."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from roomtone.control.policy import DEV_KEY, VideoGrants
from roomtone.control.rooms import Refusal, RoomError, is_room_name
from roomtone.servers.api.requests import context_of, is_loopback
from roomtone.servers.api.status import HttpProblem

router = APIRouter(tags=["Development"])


class DevToken(BaseModel):
    """A token, and what it is for."""

    token: str
    room: str
    identity: str


@router.post("/dev/token", summary="Get a token (only with --dev, only from this machine)")
@router.get("/dev/token", include_in_schema=False)
async def dev_token(
    request: Request,
    room: str,
    identity: Annotated[str, Query(min_length=1, max_length=256)],
    name: Annotated[str, Query(max_length=128)] = "",
    *,
    admin: bool = False,
) -> DevToken:
    """Sign a token for a room with the development key, for a guest with a name or for somebody who moderates it."""
    context = context_of(request)
    if not context.settings.server.dev or DEV_KEY not in context.keys.secrets:
        raise HttpProblem(HTTPStatus.NOT_FOUND, "not_in_development", "this server was not started with --dev")
    if not is_loopback(request):
        raise HttpProblem(HTTPStatus.FORBIDDEN, "not_local", "development tokens are for this machine only")
    if not is_room_name(room):
        raise RoomError(Refusal.BAD_NAME, "a room's name is 1 to 64 letters, digits, '.', '_' or '-'")
    grants = VideoGrants(room=room, room_join=True, room_admin=admin, room_list=admin, can_update_own_metadata=True)
    claims: dict[str, Any] = {"name": name} if name else {}
    token = context.keys.sign(DEV_KEY, identity, grants, context.wall_clock(), **claims)
    return DevToken(token=token, room=room, identity=identity)
