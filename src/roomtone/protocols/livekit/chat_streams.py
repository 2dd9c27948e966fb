"""Messages of one sender of LiveKit's, put together from what it sends: text streams, and what preceded them."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any, TypeGuard

from livekit.protocol import models

from roomtone.protocols.livekit.chat import (
    ACTIONS,
    CHAT_TOPIC,
    ChatAction,
    ChatFault,
    ChatInput,
    ChatProgress,
    chunks_of,
)

OLD_CHAT_TOPICS = frozenset({"lk-chat-topic", "lk-chat-update-topic"})
MAX_OPEN_STREAMS = 8
IDLE_S = 60.0
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Stream:
    """A text stream on its way in; without content once it has failed."""

    def __init__(self, head: models.DataPacket, now: float) -> None:
        self.head = head
        self.content = bytearray()
        self.chunks = 0
        self.touched_at = now
        self.failed = False

    def fail(self) -> None:
        """Keep nothing of it but that it is there, so that the rest of it is known."""
        self.failed = True
        self.content.clear()


class ChatStreams:
    """Messages of one sender, put together from its packets.

    Inputs: `handle_packet`, with packets that are signed and for everybody; `handle_timeout`, before it. Outputs: a
    message or a fault; `ChatProgress` for what is part of a message, and what is no chat and goes its own way.
    Order: messages come out as they end. Limits: ``max_bytes`` of text; ``MAX_OPEN_STREAMS`` at once, a further one is
    a fault; one in which nothing has come for ``IDLE_S`` is given up.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._open: dict[str, _Stream] = {}

    def handle_timeout(self, now: float) -> int:
        """Give up streams that do not go on; how many."""
        late = [id_ for id_, stream in self._open.items() if now - stream.touched_at > IDLE_S]
        return sum(not self._open.pop(id_).failed for id_ in late)

    def passes_on(self, packet: models.DataPacket) -> bool:
        """Whether a packet, before it is handled, is of a message that is passed on as it comes.

        Those with files are: the files follow as streams of their own, which receivers take for those of a message
        they know already.
        """
        match packet.WhichOneof("value"):
            case "stream_header":
                return _has_files(packet)
            case "stream_chunk" | "stream_trailer" as kind:
                stream = self._open.get(getattr(packet, kind).stream_id)
                return stream is not None and _has_files(stream.head)
            case _:
                return False

    def handle_packet(self, packet: models.DataPacket, now: float) -> ChatInput | ChatFault | ChatProgress:
        """Take a packet."""
        match packet.WhichOneof("value"):
            case "stream_header" if _is_chat(packet.stream_header):
                return self._on_header(packet, now)
            case "stream_chunk" if (stream := self._open.get(packet.stream_chunk.stream_id)) is not None:
                return self._on_chunk(stream, packet.stream_chunk, now)
            case "stream_trailer" if packet.stream_trailer.stream_id in self._open:
                return self._on_trailer(packet)
            case "chat_message":
                return _old_message(packet)
            case "user" if packet.user.topic in OLD_CHAT_TOPICS:
                return _old_json(packet)
            case _:
                return ChatProgress.NO_CHAT

    def _on_header(self, packet: models.DataPacket, now: float) -> ChatInput | ChatFault | ChatProgress:
        header = packet.stream_header
        if header.HasField("inline_content"):
            return self._message_of(packet, header.inline_content, (packet,))
        if len(self._open) >= MAX_OPEN_STREAMS:
            return ChatFault.TOO_MANY
        stream = self._open[header.stream_id] = _Stream(packet, now)
        if header.total_length > self._max_bytes:
            stream.fail()
            return ChatFault.TOO_LARGE
        return ChatProgress.PART

    def _on_chunk(self, stream: _Stream, chunk: models.DataStream.Chunk, now: float) -> ChatFault | ChatProgress:
        stream.touched_at = now
        if stream.failed:
            return ChatProgress.PART
        if chunk.chunk_index != stream.chunks:
            stream.fail()
            return ChatFault.INCOMPLETE
        if len(stream.content) + len(chunk.content) > self._max_bytes:
            stream.fail()
            return ChatFault.TOO_LARGE
        stream.chunks += 1
        stream.content += chunk.content
        return ChatProgress.PART

    def _on_trailer(self, packet: models.DataPacket) -> ChatInput | ChatFault | ChatProgress:
        stream = self._open.pop(packet.stream_trailer.stream_id)
        if stream.failed:
            return ChatProgress.PART
        if packet.stream_trailer.reason:
            return ChatFault.INCOMPLETE
        content = bytes(stream.content)
        return self._message_of(stream.head, content, (stream.head, *chunks_of(stream.head, content), packet))

    def _message_of(
        self, head: models.DataPacket, content: bytes, packets: tuple[models.DataPacket, ...]
    ) -> ChatInput | ChatFault:
        header = head.stream_header
        action = ACTIONS.get(header.text_header.operation_type)
        if action is None or not _ID.fullmatch(header.stream_id):
            return ChatFault.MALFORMED
        plain = _inflate(content, self._max_bytes) if header.compression else content
        if isinstance(plain, ChatFault):
            return plain
        if len(plain) > self._max_bytes:
            return ChatFault.TOO_LARGE
        if header.HasField("total_length") and header.total_length != len(plain):
            return ChatFault.INCOMPLETE
        try:
            text = plain.decode()
        except UnicodeDecodeError:
            return ChatFault.MALFORMED
        reply_to = header.text_header.reply_to_stream_id or None
        return ChatInput(action, header.stream_id, text, reply_to, () if _has_files(head) else packets)


def _is_chat(header: models.DataStream.Header) -> bool:
    """Whether a stream is a message that can be read here."""
    encrypted = header.encryption_type != models.Encryption.NONE
    return header.topic == CHAT_TOPIC and header.HasField("text_header") and not encrypted


def _has_files(head: models.DataPacket) -> bool:
    return bool(head.stream_header.text_header.attached_stream_ids)


def _inflate(content: bytes, limit: int) -> bytes | ChatFault:
    """Unpack raw DEFLATE (RFC 1951), never more than a little beyond the limit."""
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = unpacking.decompress(content, limit + 1)
    except zlib.error:
        return ChatFault.MALFORMED
    if len(plain) > limit:
        return ChatFault.TOO_LARGE
    return plain if unpacking.eof else ChatFault.INCOMPLETE


def _old_message(packet: models.DataPacket) -> ChatInput | ChatFault:
    """Read the chat message that preceded streams."""
    message = packet.chat_message
    if not _ID.fullmatch(message.id):
        return ChatFault.MALFORMED
    changed = ChatAction.EDIT if message.edit_timestamp else ChatAction.SAY
    action = ChatAction.DELETE if message.deleted else changed
    return ChatInput(action, message.id, message.message, packets=(packet,), is_stream=False)


def _old_json(packet: models.DataPacket) -> ChatInput | ChatFault | ChatProgress:
    """Read what LiveKit's components sent before streams; no chat when a stream goes beside it, which counts."""
    try:
        said = json.loads(packet.user.payload)
    except (ValueError, RecursionError):
        return ChatProgress.NO_CHAT  # the topic is used for something else
    if not _is_said(said) or said.get("ignoreLegacy"):
        return ChatProgress.NO_CHAT
    if not _ID.fullmatch(said["id"]) or _SURROGATE.search(said["message"]):
        return ChatFault.MALFORMED
    passed = models.DataPacket()
    passed.CopyFrom(packet)
    passed.user.payload = json.dumps(said | {"ignoreLegacy": True}).encode()
    action = ChatAction.EDIT if said.get("editTimestamp") else ChatAction.SAY
    return ChatInput(action, said["id"], said["message"], packets=(passed,), is_stream=False)


def _is_said(said: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(said, dict) and isinstance(said.get("id"), str) and isinstance(said.get("message"), str)
