"""The room's chat for one client of LiveKit: what it says goes into the room's, and that comes to it.

A message goes to the others when the room has taken it, in the order of the room's events, and to nobody when it was
refused: its sender is told by a request response, and `livekit_troubles` counts it. So all see the same chat, by
whatever they came. Not put into the room's: what is for some only, is encrypted, comes from who is hidden, or is said
by an agent for somebody else (a transcript); those are passed on as any data.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from livekit.protocol import rtc

from roomtone.control.rooms import DataKind, DataPacket, RoomError, RoomEventKind
from roomtone.protocols.livekit import (
    CHAT_TOPIC,
    ChatAction,
    ChatFault,
    ChatInput,
    ChatProgress,
    ChatStreams,
    ChatText,
    write_chat,
)
from roomtone.servers.livekit.chat_origins import Origin
from roomtone.servers.livekit.context import Trouble
from roomtone.servers.livekit.publisher import refusal_reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from livekit.protocol import models

    from roomtone.control.rooms import ChatMessage, RoomEvent
    from roomtone.servers.livekit.session import Session

_log = logging.getLogger(__name__)
MAX_UNDER_WAY = 32
"""Messages of one participant that wait for the room; a further one is refused."""
MAX_BYTES_PER_CHARACTER = 4
_INVALID = rtc.RequestResponse.Reason.INVALID_REQUEST
_FAULTS = dict.fromkeys((ChatFault.TOO_LARGE, ChatFault.TOO_MANY), rtc.RequestResponse.Reason.LIMIT_EXCEEDED)
_ACTIONS = {
    RoomEventKind.CHAT_MESSAGE: ChatAction.SAY,
    RoomEventKind.CHAT_EDITED: ChatAction.EDIT,
    RoomEventKind.CHAT_DELETED: ChatAction.DELETE,
}


class SessionChat:
    """Chat of one session, in and out."""

    def __init__(self, session: Session) -> None:
        self._session = session
        limit = session.context.rooms.limits.chat_max_length * MAX_BYTES_PER_CHARACTER
        self._streams = ChatStreams(limit)
        self._under_way = 0

    def take(self, packet: models.DataPacket) -> bool:
        """Take a packet that is part of a message to everybody; False: it is to be passed on as any other."""
        session = self._session
        participant = session.participant
        said_for_another = packet.participant_identity != participant.identity
        if participant.permissions.hidden or said_for_another:
            return False
        now = session.context.clock()
        for _ in range(self._streams.handle_timeout(now)):
            self._refuse(_INVALID, "a message of chat did not come to its end")
        passes_on = self._streams.passes_on(packet)
        result = self._streams.handle_packet(packet, now)
        match result:
            case ChatProgress():
                return result is ChatProgress.PART and not passes_on
            case ChatFault():
                self._refuse(_FAULTS.get(result, _INVALID), f"a message of chat cannot be taken: {result.value}")
            case ChatInput() if self._under_way >= MAX_UNDER_WAY:
                self._refuse(rtc.RequestResponse.Reason.LIMIT_EXCEEDED, "too many messages: wait a little")
            case ChatInput():
                self._under_way += 1
                session.context.rooms.spawn(self._put(result))
            case _:
                assert_never(result)
        return not passes_on

    def on_event(self, event: RoomEvent) -> None:
        """Tell the client what was said, edited or deleted in the room, unless it did so itself."""
        action, message = _ACTIONS.get(event.kind), event.message
        if action is None or message is None:
            return
        session = self._session
        origin = session.context.chat_origins.of(session.participant.room.id, message.id)
        came_so = origin is not None and (origin.sender, origin.said.text) == (message.sender, message.text)
        if action is not ChatAction.SAY or origin is None or not came_so:
            self._deliver(self._written(action, message))
            return
        if origin.sender_sid == session.participant.id:
            return
        self._deliver(origin.said.packets)
        if not origin.said.is_stream:
            self._deliver(self._written(action, message))

    async def _put(self, said: ChatInput) -> None:
        """Put a message into the room's chat; whom it is for hears of it by the room's events."""
        session = self._session
        rooms, participant = session.context.rooms, session.participant
        room = participant.room
        try:
            match said.action:
                case ChatAction.SAY:
                    origin = Origin(participant.identity, participant.id, said)
                    await self._say(origin)
                case ChatAction.EDIT:
                    await rooms.edit_message(room, participant, said.id, said.text)
                case ChatAction.DELETE:
                    await rooms.delete_message(room, participant, said.id)
                case _:
                    assert_never(said.action)
        except RoomError as error:
            self._refuse(refusal_reason(error.refusal), error.message)
        finally:
            self._under_way -= 1

    async def _say(self, origin: Origin) -> None:
        session = self._session
        said, participant = origin.said, session.participant
        for packet in said.packets:
            packet.sequence = 0  # clients take one that comes after newer ones for a repetition
        origins = session.context.chat_origins
        known = origins.of(participant.room.id, said.id)
        if known is None:
            origins.add(participant.room.id, origin)
        try:
            await session.context.rooms.post_message(participant, said.text, reply_to=said.reply_to, id_=said.id)
        except RoomError:
            origins.drop(participant.room.id, origin)
            raise

    def _refuse(self, reason: rtc.RequestResponse.Reason, message: str) -> None:
        session = self._session
        session.context.troubles[Trouble.CHAT_REFUSED] += 1
        _log.info("chat of a client of room %s was refused: %s", session.participant.room.name, message)
        session.refuse(reason, message)

    def _written(self, action: ChatAction, message: ChatMessage) -> tuple[models.DataPacket, ...]:
        author = self._session.participant.room.participants.get(message.sender)
        hidden = author is not None and author.permissions.hidden
        return write_chat(
            ChatText(
                action=action,
                id=message.id,
                text=message.text,
                at_ms=int(message.at * 1000),
                sender="" if hidden else message.sender,
                sender_sid="" if hidden or author is None else author.id,
                reply_to=message.reply_to,
            )
        )

    def _deliver(self, packets: Sequence[models.DataPacket]) -> None:
        for packet in packets:
            self._session.data.deliver(DataPacket(DataKind.RELIABLE, packet.SerializeToString(), CHAT_TOPIC))
