"""Chat in LiveKit's words: text streams on one topic, and what clients sent before there were streams.

What LiveKit's clients do with it: a stream with the id of a message they have, from the same sender, replaces that
message's text; applications made of LiveKit's components send the older form beside the stream, and say so in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from livekit.protocol import models

CHAT_TOPIC = "lk.chat"
CHUNK_BYTES = 15_000
"""As clients cut them: with what is around it, a packet passes every SCTP implementation whole."""
_Operation = models.DataStream.OperationType


class ChatAction(StrEnum):
    """What is done with a message."""

    SAY = "say"
    EDIT = "edit"
    DELETE = "delete"


class ChatFault(StrEnum):
    """Why a stream is no message; nothing of it goes to anybody."""

    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    """Its sender has too many open already."""
    INCOMPLETE = "incomplete"
    """Parts of it are missing, or its sender gave it up."""
    MALFORMED = "malformed"
    """It has no id that can be kept, is no text, or wants something unknown."""


class ChatProgress(StrEnum):
    """What became of a packet that ends no message."""

    PART = "part"
    NO_CHAT = "no_chat"


@dataclass(frozen=True, slots=True)
class ChatInput:
    """A whole message as a client sent it; ``packets`` are what other clients of LiveKit get of it, if anything."""

    action: ChatAction
    id: str
    text: str
    reply_to: str | None = None
    packets: tuple[models.DataPacket, ...] = ()
    is_stream: bool = True
    """False: the older form, which clients of streams do not see."""


@dataclass(frozen=True, slots=True)
class ChatText:
    """A message to be told to clients; ``at_ms`` since the epoch."""

    action: ChatAction
    id: str
    text: str
    at_ms: int
    sender: str
    """Identity of its author; empty when that is hidden."""
    sender_sid: str = ""
    reply_to: str | None = None


ACTIONS = {_Operation.CREATE: ChatAction.SAY, _Operation.UPDATE: ChatAction.EDIT, _Operation.DELETE: ChatAction.DELETE}
_OPERATIONS = {action: operation for operation, action in ACTIONS.items()}


def write_chat(message: ChatText) -> tuple[models.DataPacket, ...]:
    """Write a message as the text stream that clients expect; a deleted one is an empty stream of its id."""
    operation = _OPERATIONS[message.action]
    content = message.text.encode(errors="replace")
    header = models.DataStream.Header(
        stream_id=message.id,
        timestamp=message.at_ms,
        topic=CHAT_TOPIC,
        mime_type="text/plain",
        total_length=len(content),
        text_header=models.DataStream.TextHeader(operation_type=operation, reply_to_stream_id=message.reply_to or ""),
    )
    head = _from(message, stream_header=header)
    trailer = models.DataStream.Trailer(stream_id=message.id)
    return (head, *chunks_of(head, content), _from(message, stream_trailer=trailer))


def _from(message: ChatText, **value: Any) -> models.DataPacket:
    return models.DataPacket(
        kind=models.DataPacket.RELIABLE,
        participant_identity=message.sender,
        participant_sid=message.sender_sid,
        **value,
    )


def chunks_of(head: models.DataPacket, content: bytes) -> list[models.DataPacket]:
    """Cut content into packets of the sender of its header."""
    id_ = head.stream_header.stream_id
    return [
        models.DataPacket(
            kind=models.DataPacket.RELIABLE,
            participant_identity=head.participant_identity,
            participant_sid=head.participant_sid,
            stream_chunk=models.DataStream.Chunk(
                stream_id=id_, chunk_index=index, content=content[start : start + CHUNK_BYTES]
            ),
        )
        for index, start in enumerate(range(0, len(content), CHUNK_BYTES))
    ]
