"""Text chat of rooms: said, edited, deleted, read again.

Limits: ``chat_max_length`` characters a message; ``chat_burst`` messages of one participant at once and
``chat_per_minute`` after that; `MAX_HISTORY` messages at once.
Who edits and deletes: the author, a moderator, operators.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from roomtone.control.rooms.chat import ChatMessage
from roomtone.control.rooms.data import RoomData
from roomtone.control.rooms.events import RoomEventKind
from roomtone.control.rooms.reasons import CloseReason, Refusal
from roomtone.store.errors import StoreError

if TYPE_CHECKING:
    from collections import Counter, OrderedDict
    from collections.abc import Iterator

    from roomtone.control.rooms.chat import ChatStore
    from roomtone.control.rooms.model import Participant, Room

_log = logging.getLogger(__name__)
MAX_HISTORY = 200
MAX_ID = 64
"""Characters of a message's id."""
MAX_ALLOWANCES = 10_000
"""Participants whose pace is remembered; when full, who was silent for longest is forgotten."""


@dataclass(slots=True)
class _Allowance:
    tokens: float
    filled_at: float


class RoomChat(RoomData):
    """Rooms in which people write to each other; ``chat_counts`` counts messages said, edited and deleted."""

    chat_store: ChatStore
    chat_counts: Counter[RoomEventKind]
    _allowances: OrderedDict[tuple[str, str], _Allowance]

    async def post_message(
        self, sender: Participant, text: str, *, reply_to: str | None = None, id_: str | None = None
    ) -> ChatMessage:
        """Say something to the room; whoever takes the room's events hears it.

        ``id_`` is what its author's client calls it: at most `MAX_ID` characters, and no message of the room has it.
        """
        self._check_open(sender)
        if not sender.permissions.can_publish_data:
            raise self.refuse(Refusal.NOT_PERMITTED, "it may not write")
        self._check_text(text)
        self._check_pace(sender)
        room = sender.room
        async with room.chatting:
            if reply_to is not None:
                await self._find_message(room, reply_to)
            if id_ is not None:
                await self._check_new(room, id_)
            message = ChatMessage(
                id_ or self._new_id("MS"),
                self._chat_key(room),
                sender.identity,
                sender.name,
                text,
                self._clock(),
                reply_to=reply_to,
            )
            with self._stored():
                await self.chat_store.add(message)
            self._tell_message(room, RoomEventKind.CHAT_MESSAGE, message)
        return message

    async def edit_message(self, room: Room, actor: Participant | None, message_id: str, text: str) -> ChatMessage:
        """Change what a message says; ``actor`` None is an operator."""
        self._check_text(text)
        async with room.chatting:
            message = await self._find_own(room, actor, message_id)
            if actor is not None:
                self._check_pace(actor)
            edited = replace(message, text=text, edited_at=self._clock())
            with self._stored():
                await self.chat_store.replace(edited)
            self._tell_message(room, RoomEventKind.CHAT_EDITED, edited)
        return edited

    async def delete_message(self, room: Room, actor: Participant | None, message_id: str) -> ChatMessage:
        """Take a message's text away; that it was there remains. ``actor`` None is an operator."""
        async with room.chatting:
            message = await self._find_own(room, actor, message_id)
            by = None if actor is None else actor.identity
            deleted = replace(message, text="", deleted_at=self._clock(), deleted_by=by)
            with self._stored():
                await self.chat_store.replace(deleted)
            self._tell_message(room, RoomEventKind.CHAT_DELETED, deleted)
        return deleted

    async def chat_history(self, room: Room, *, before: str | None = None, limit: int = 50) -> list[ChatMessage]:
        """Give the last messages, oldest first, deleted ones without text; ``before`` goes further back."""
        with self._stored():
            return await self.chat_store.history(
                self._chat_key(room), before=before, limit=max(1, min(limit, MAX_HISTORY))
            )

    async def close_room(self, room: Room, reason: CloseReason = CloseReason.ROOM_CLOSED) -> None:
        """Close the room; what was said in it goes too, unless it is to be kept."""
        closing = room.closed is None
        await super().close_room(room, reason)
        if closing and not self.limits.chat_keep:
            try:
                await self.chat_store.forget(room.id)
            except StoreError as error:
                self.refused[Refusal.STORE_FAILED] += 1
                _log.error("chat of room %s could not be dropped: %s", room.name, error.message)

    # --- steps ---

    def _chat_key(self, room: Room) -> str:
        return room.name if self.limits.chat_keep else room.id

    def _check_text(self, text: str) -> None:
        if not text.strip():
            raise self.refuse(Refusal.EMPTY_MESSAGE, "the message says nothing")
        if len(text) > self.limits.chat_max_length:
            raise self.refuse(Refusal.TOO_LARGE, f"a message is at most {self.limits.chat_max_length} characters")

    def _check_pace(self, sender: Participant) -> None:
        key = (sender.room.id, sender.identity)
        now = asyncio.get_running_loop().time()
        allowance = self._allowances.pop(key, None) or _Allowance(self.limits.chat_burst, now)
        gained = (now - allowance.filled_at) * self.limits.chat_per_minute / 60
        allowance.tokens = min(self.limits.chat_burst, allowance.tokens + gained)
        allowance.filled_at = now
        self._allowances[key] = allowance
        while len(self._allowances) > MAX_ALLOWANCES:
            self._allowances.popitem(last=False)
        if allowance.tokens < 1:
            raise self.refuse(Refusal.TOO_FAST, "too many messages: wait a little")
        allowance.tokens -= 1

    async def _check_new(self, room: Room, id_: str) -> None:
        if not 0 < len(id_) <= MAX_ID:
            raise self.refuse(Refusal.TOO_LARGE, f"the id of a message is at most {MAX_ID} characters")
        with self._stored():
            known = await self.chat_store.get(self._chat_key(room), id_)
        if known is not None:
            raise self.refuse(Refusal.MESSAGE_EXISTS, "the room has a message of this id")

    async def _find_message(self, room: Room, message_id: str) -> ChatMessage:
        with self._stored():
            message = await self.chat_store.get(self._chat_key(room), message_id)
        if message is None or message.deleted_at is not None:
            raise self.refuse(Refusal.NO_SUCH_MESSAGE, "the room has no such message")
        return message

    async def _find_own(self, room: Room, actor: Participant | None, message_id: str) -> ChatMessage:
        """Give a message that this participant may change."""
        if actor is not None:
            self._check_open(actor)
        message = await self._find_message(room, message_id)
        if actor is None or actor.permissions.moderator:
            return message
        if message.sender != actor.identity or not actor.permissions.can_publish_data:
            raise self.refuse(Refusal.NOT_PERMITTED, "only its author and moderators may change a message")
        return message

    def _tell_message(self, room: Room, kind: RoomEventKind, message: ChatMessage) -> None:
        self.chat_counts[kind] += 1
        room.events.emit(kind, participant=message.sender, message=message)

    @contextmanager
    def _stored(self) -> Iterator[None]:
        """Say for rooms what the store could not do."""
        try:
            yield
        except StoreError as error:
            raise self.refuse(Refusal.STORE_FAILED, f"chat cannot be kept: {error.message}") from error
