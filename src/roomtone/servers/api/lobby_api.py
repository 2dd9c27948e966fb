"""`/api/v1`: the lobby of a room, and its chat."""

# ruff: noqa: FAST003 - the dependency takes the room's name
# ruff: noqa: TC001 - FastAPI reads the annotations

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from roomtone.servers.api.describe import knock_body, message_body
from roomtone.servers.api.requests import context_of
from roomtone.servers.api.room_schemas import ChatMessageBody, ChatTextBody, KnockBody
from roomtone.servers.api.rooms_api import AdministeredRoom

router = APIRouter(prefix="/api/v1", tags=["Rooms"], dependencies=[Depends(HTTPBearer(auto_error=False))])


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


@router.get("/rooms/{room}/chat", summary="Read a room's chat")
async def read_chat(
    request: Request,
    administered: AdministeredRoom,
    before: Annotated[str | None, Query(description="Id of a message: those that came before it")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[ChatMessageBody]:
    """Give the last messages, oldest first."""
    messages = await context_of(request).rooms.chat_history(administered, before=before, limit=limit)
    return [message_body(message) for message in messages]


@router.patch("/rooms/{room}/chat/{message_id}", summary="Edit a message")
async def edit_message(
    request: Request, administered: AdministeredRoom, message_id: str, body: ChatTextBody
) -> ChatMessageBody:
    """Change what a message says."""
    return message_body(await context_of(request).rooms.edit_message(administered, None, message_id, body.text))


@router.delete("/rooms/{room}/chat/{message_id}", summary="Delete a message")
async def delete_message(request: Request, administered: AdministeredRoom, message_id: str) -> ChatMessageBody:
    """Take a message's text away; that it was there remains."""
    return message_body(await context_of(request).rooms.delete_message(administered, None, message_id))
