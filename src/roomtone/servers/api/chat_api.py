"""`/api/v1`: text chat of a room, for its participants and for operators."""

# ruff: noqa: FAST003 - the dependency takes the room's name
# ruff: noqa: TC001 - FastAPI reads the annotations

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from roomtone.control.policy import AccessError, Grant
from roomtone.control.rooms import Participant, Room
from roomtone.servers.api.describe import message_body
from roomtone.servers.api.requests import authorize, context_of
from roomtone.servers.api.room_schemas import ChatMessageBody, ChatPostBody, ChatTextBody
from roomtone.servers.api.status import HttpProblem

router = APIRouter(prefix="/api/v1", tags=["Chat"], dependencies=[Depends(HTTPBearer(auto_error=False))])


@dataclass(frozen=True, slots=True)
class Writer:
    """Who reads or writes a room's chat: a participant of it, an operator, or both."""

    room: Room
    participant: Participant | None
    operator: bool = False

    @property
    def actor(self) -> Participant | None:
        """Who changes messages; None is an operator, who may change all of them."""
        moderates = self.participant is not None and self.participant.permissions.moderator
        return None if self.operator and not moderates else self.participant


def chat_writer(request: Request, room: str) -> Writer:
    """Let in who is a participant of the room by its token, whatever it joined by, or may administer it."""
    rooms = context_of(request).rooms
    try:
        token = authorize(request, room, Grant.ADMINISTER)
        found = rooms.find(room)
        return Writer(found, found.participants.get(token.identity), operator=True)
    except AccessError:
        token = authorize(request, room, Grant.JOIN)
    found = rooms.find(room)
    return Writer(found, rooms.find_participant(found, token.identity))


ChatWriter = Annotated[Writer, Depends(chat_writer)]


@router.get("/rooms/{room}/chat", summary="Read a room's chat")
async def read_chat(
    request: Request,
    writer: ChatWriter,
    before: Annotated[str | None, Query(description="Id of a message: those that came before it")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[ChatMessageBody]:
    """Give the last messages, oldest first; for participants and operators."""
    messages = await context_of(request).rooms.chat_history(writer.room, before=before, limit=limit)
    return [message_body(message) for message in messages]


@router.post("/rooms/{room}/chat", status_code=201, summary="Write to a room")
async def post_message(request: Request, writer: ChatWriter, body: ChatPostBody) -> ChatMessageBody:
    """Say something as the token's participant, which must be in the room."""
    if writer.participant is None:
        raise HttpProblem(HTTPStatus.CONFLICT, "not_in_room", "the token's participant is not in the room")
    rooms = context_of(request).rooms
    return message_body(await rooms.post_message(writer.participant, body.text, reply_to=body.reply_to))


@router.patch("/rooms/{room}/chat/{message_id}", summary="Edit a message")
async def edit_message(request: Request, writer: ChatWriter, message_id: str, body: ChatTextBody) -> ChatMessageBody:
    """Change what a message says: its author, moderators and operators may."""
    rooms = context_of(request).rooms
    return message_body(await rooms.edit_message(writer.room, writer.actor, message_id, body.text))


@router.delete("/rooms/{room}/chat/{message_id}", summary="Delete a message")
async def delete_message(request: Request, writer: ChatWriter, message_id: str) -> ChatMessageBody:
    """Take a message's text away; that it was there remains. Its author, moderators and operators may."""
    return message_body(await context_of(request).rooms.delete_message(writer.room, writer.actor, message_id))
