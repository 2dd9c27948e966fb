"""Text chat: what a message is, and where messages are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message in a room. Times are seconds since the epoch; a deleted one has lost its text."""

    id: str
    room: str
    """Under what it is kept: the room's name, or its id where messages go with the room."""
    sender: str
    """Identity of its author."""
    sender_name: str
    text: str
    at: float
    edited_at: float | None = None
    deleted_at: float | None = None
    deleted_by: str | None = None
    reply_to: str | None = None


class ChatStore(Protocol):
    """Keeps messages by the name of their room, in the order in which they were added."""

    async def add(self, message: ChatMessage) -> None:
        """Keep a new message."""

    async def get(self, room: str, id_: str) -> ChatMessage | None:
        """Give a message of a room."""

    async def replace(self, message: ChatMessage) -> None:
        """Put another version in the place of a message that is kept; nothing when it is kept no longer."""

    async def history(self, room: str, *, before: str | None = None, limit: int = 50) -> list[ChatMessage]:
        """Give the last messages, oldest first; with ``before`` those that came before that one."""

    async def forget(self, room: str) -> None:
        """Drop all messages of a room."""
