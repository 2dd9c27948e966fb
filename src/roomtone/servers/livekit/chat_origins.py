"""How the newest messages of rooms came, where a client of LiveKit sent them: such a client is not told its own."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomtone.protocols.livekit import ChatInput

MAX_ORIGINS = 256
"""Messages of which is known how they came; of an older one the author may be told too, which changes nothing there."""


@dataclass(frozen=True, slots=True)
class Origin:
    """How a message came: from whose client, and what others get of it as it was."""

    sender: str
    sender_sid: str
    said: ChatInput


class ChatOrigins:
    """Messages that came by LiveKit, by room and id. Limit: ``MAX_ORIGINS``, the oldest is forgotten."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, str], Origin] = OrderedDict()

    def add(self, room: str, origin: Origin) -> None:
        """Note a message before the room has it."""
        self._held[room, origin.said.id] = origin
        while len(self._held) > MAX_ORIGINS:
            self._held.popitem(last=False)

    def drop(self, room: str, origin: Origin) -> None:
        """Forget one that the room did not take."""
        if self._held.get((room, origin.said.id)) is origin:
            del self._held[room, origin.said.id]

    def of(self, room: str, message_id: str) -> Origin | None:
        """Find how a message came; None: otherwise than by LiveKit, or long ago."""
        return self._held.get((room, message_id))
