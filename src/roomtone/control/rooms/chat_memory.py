"""Chat messages in memory: gone when the server ends."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomtone.control.rooms.chat import ChatMessage

MAX_ROOMS = 1_000


class MemoryChat:
    """A `ChatStore`. Limits: ``per_room`` messages, the oldest go; ``MAX_ROOMS`` rooms, the longest silent one goes."""

    def __init__(self, per_room: int = 1_000, max_rooms: int = MAX_ROOMS) -> None:
        self._per_room = per_room
        self._max_rooms = max_rooms
        self._rooms: OrderedDict[str, OrderedDict[str, ChatMessage]] = OrderedDict()

    async def add(self, message: ChatMessage) -> None:
        """Keep a new message."""
        messages = self._rooms.setdefault(message.room, OrderedDict())
        self._rooms.move_to_end(message.room)
        messages[message.id] = message
        while len(messages) > self._per_room:
            messages.popitem(last=False)
        while len(self._rooms) > self._max_rooms:
            self._rooms.popitem(last=False)

    async def get(self, room: str, id_: str) -> ChatMessage | None:
        """Give a message of a room."""
        messages = self._rooms.get(room)
        return None if messages is None else messages.get(id_)

    async def replace(self, message: ChatMessage) -> None:
        """Put another version in the place of a message that is kept; nothing when it is kept no longer."""
        messages = self._rooms.get(message.room)
        if messages is not None and message.id in messages:
            messages[message.id] = message

    async def history(self, room: str, *, before: str | None = None, limit: int = 50) -> list[ChatMessage]:
        """Give the last messages, oldest first; with ``before`` those that came before that one."""
        messages = list(self._rooms.get(room, OrderedDict()).values())
        if before is not None:
            place = next((place for place, message in enumerate(messages) if message.id == before), 0)
            messages = messages[:place]
        return messages[-limit:]

    async def forget(self, room: str) -> None:
        """Drop all messages of a room."""
        self._rooms.pop(room, None)
