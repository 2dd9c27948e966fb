"""Chat in LiveKit's words: what is a whole message, what is none, and what goes its own way."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import Any

import pytest
from livekit.protocol import models

from roomtone.protocols.livekit import ChatAction, ChatFault, ChatInput, ChatProgress, ChatStreams, ChatText, write_chat
from roomtone.protocols.livekit.chat_streams import IDLE_S, MAX_OPEN_STREAMS

TEXT = ChatText(ChatAction.SAY, "abc-1", "grüß dich", 1_000, "alice", "PA_1")
Operation = models.DataStream.OperationType
Result = ChatInput | ChatFault | ChatProgress


def feed(streams: ChatStreams, *packets: models.DataPacket, now: float = 0) -> list[Result]:
    return [streams.handle_packet(packet, now) for packet in packets]


def inline(content: bytes, **header: Any) -> models.DataPacket:
    text = models.DataStream.TextHeader()
    fields: dict[str, Any] = {"stream_id": "s", "topic": "lk.chat", "text_header": text, "inline_content": content}
    return models.DataPacket(stream_header=models.DataStream.Header(**(fields | header)))


@pytest.mark.parametrize("text", ["", "hello", "grüß dich", "x" * 40_000])
@pytest.mark.parametrize("action", list(ChatAction))
def test_what_is_written_is_read_again(action: ChatAction, text: str) -> None:
    message = replace(TEXT, action=action, text=text, reply_to="MS_1")
    packets = write_chat(message)
    *parts, said = feed(ChatStreams(50_000), *packets)
    assert set(parts) == {ChatProgress.PART}
    assert isinstance(said, ChatInput)
    assert (said.action, said.id, said.text, said.reply_to) == (action, "abc-1", text, "MS_1")
    assert said.packets == packets
    assert {(packet.participant_identity, packet.participant_sid) for packet in packets} == {("alice", "PA_1")}


def test_a_message_within_its_header_is_whole_and_may_be_compressed() -> None:
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(b"so so so so so so") + packer.flush()
    deflated = models.DataStream.CompressionType.DEFLATE_RAW
    said = feed(
        ChatStreams(100),
        inline(b"plain", total_length=5),
        inline(packed, total_length=17, compression=deflated),
    )
    assert [one.text for one in said if isinstance(one, ChatInput)] == ["plain", "so so so so so so"]


def test_what_unpacks_to_more_than_allowed_is_refused_unpacked_no_further() -> None:
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(bytes(10_000_000)) + packer.flush()
    deflated = models.DataStream.CompressionType.DEFLATE_RAW
    packets = [inline(bomb, compression=deflated), inline(bomb[:-4], compression=deflated)]
    assert feed(ChatStreams(100), *packets) == [ChatFault.TOO_LARGE] * 2
    assert feed(ChatStreams(100), inline(b"\xff\xff", compression=deflated)) == [ChatFault.MALFORMED]


@pytest.mark.parametrize(
    ("packet", "fault"),
    [
        (inline(b"x" * 101), ChatFault.TOO_LARGE),
        (inline(b"\xff"), ChatFault.MALFORMED),
        (inline(b"x", stream_id="no such id/"), ChatFault.MALFORMED),
        (inline(b"x", total_length=2), ChatFault.INCOMPLETE),
        (
            inline(b"x", text_header=models.DataStream.TextHeader(operation_type=Operation.REACTION)),
            ChatFault.MALFORMED,
        ),
        (models.DataPacket(chat_message=models.ChatMessage(message="x")), ChatFault.MALFORMED),
    ],
)
def test_what_is_no_message_is_a_fault(packet: models.DataPacket, fault: ChatFault) -> None:
    assert feed(ChatStreams(100), packet) == [fault]


def test_a_stream_that_is_too_long_or_has_gaps_is_one_fault_and_the_rest_of_it_is_swallowed() -> None:
    head, *chunks, trailer = write_chat(replace(TEXT, text="x" * 40_000))
    no_length = models.DataPacket()
    no_length.CopyFrom(head)
    no_length.stream_header.ClearField("total_length")
    part = ChatProgress.PART
    streams = ChatStreams(20_000)
    assert feed(streams, head, *chunks, trailer) == [ChatFault.TOO_LARGE, part, part, part, part]
    assert feed(streams, no_length, *chunks, trailer) == [part, part, ChatFault.TOO_LARGE, part, part]
    assert feed(ChatStreams(50_000), head, chunks[1], chunks[2], trailer) == [part, ChatFault.INCOMPLETE, part, part]
    assert feed(ChatStreams(50_000), head, chunks[0], trailer)[-1] is ChatFault.INCOMPLETE


def test_a_sender_that_gives_up_says_nothing() -> None:
    head, chunk, trailer = write_chat(TEXT)
    trailer.stream_trailer.reason = "interrupted"
    assert feed(ChatStreams(100), head, chunk, trailer)[-1] is ChatFault.INCOMPLETE


def test_open_streams_are_bounded_and_silent_ones_given_up() -> None:
    streams = ChatStreams(100)
    heads = [write_chat(replace(TEXT, id=str(number)))[0] for number in range(MAX_OPEN_STREAMS + 1)]
    assert feed(streams, *heads)[-1] is ChatFault.TOO_MANY
    assert streams.handle_timeout(IDLE_S) == 0
    assert streams.handle_timeout(IDLE_S + 1) == MAX_OPEN_STREAMS
    assert feed(streams, heads[-1]) == [ChatProgress.PART]


def test_other_topics_bytes_and_encrypted_streams_go_their_own_way() -> None:
    streams = ChatStreams(100)
    encrypted = inline(b"x", encryption_type=models.Encryption.GCM)
    files = models.DataPacket(
        stream_header=models.DataStream.Header(
            stream_id="f", topic="lk.chat", byte_header=models.DataStream.ByteHeader()
        )
    )
    head, chunk, trailer = write_chat(TEXT)
    head.stream_header.topic = "lk.transcription"
    user = models.DataPacket(user=models.UserPacket(payload=b"{}", topic="lk-chat-topic"))
    packets = [encrypted, files, head, chunk, trailer, user]
    assert feed(streams, *packets) == [ChatProgress.NO_CHAT] * len(packets)


def test_the_older_forms_are_read_unless_a_stream_goes_beside_them() -> None:
    streams = ChatStreams(100)

    def user(**said: Any) -> models.DataPacket:
        return models.DataPacket(user=models.UserPacket(payload=json.dumps(said).encode(), topic="lk-chat-topic"))

    packets = [
        models.DataPacket(chat_message=models.ChatMessage(id="a", message="hi", timestamp=1)),
        models.DataPacket(chat_message=models.ChatMessage(id="a", message="ho", edit_timestamp=2)),
        models.DataPacket(chat_message=models.ChatMessage(id="a", deleted=True)),
        user(id="b", message="hey", timestamp=3),
    ]
    said = feed(streams, *packets)
    assert [(one.action, one.id, one.text, one.is_stream) for one in said if isinstance(one, ChatInput)] == [
        (ChatAction.SAY, "a", "hi", False),
        (ChatAction.EDIT, "a", "ho", False),
        (ChatAction.DELETE, "a", "", False),
        (ChatAction.SAY, "b", "hey", False),
    ]
    last = said[-1]
    assert isinstance(last, ChatInput)
    assert json.loads(last.packets[0].user.payload)["ignoreLegacy"] is True
    assert feed(streams, user(id="c", message="x", ignoreLegacy=True)) == [ChatProgress.NO_CHAT]
    assert feed(streams, user(id="c", message="\ud800")) == [ChatFault.MALFORMED]
