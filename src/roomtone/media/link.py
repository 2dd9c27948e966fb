"""The way to an engine: five calls that carry MessagePack values, in this process or through a socket."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from roomtone.media.values import Answer, AnyOutbound, Request


@runtime_checkable
class Link(Protocol):
    """What every engine offers: `roomtone._core.Engine`, `FakeLink` and `SocketLink`.

    Order: outbound values come out in the order the engine made them. Level: ``event_fd`` stays readable
    as long as something is left to drain. Threads: all calls come from one thread; none of them waits,
    save ``close``, which joins the engine's threads.
    """

    def submit(self, command: bytes) -> None:
        """Send a `Request`; raise `QueueFull` when the command queue is full."""

    def event_fd(self) -> int:
        """Give a descriptor that is readable while values wait to be drained."""

    def drain(self, limit: int) -> list[bytes]:
        """Take at most ``limit`` outbound values."""

    def answer(self, answer: bytes) -> None:
        """Send an `Answer`; one that comes too late is ignored."""

    def close(self) -> None:
        """Stop the engine; peers are told (DTLS close_notify) and threads joined."""


_ENCODER = msgspec.msgpack.Encoder()
_REQUEST_DECODER = msgspec.msgpack.Decoder(Request)
_ANSWER_DECODER = msgspec.msgpack.Decoder(Answer)
_OUTBOUND_DECODER: msgspec.msgpack.Decoder[AnyOutbound] = msgspec.msgpack.Decoder(AnyOutbound)


def encode(value: msgspec.Struct) -> bytes:
    """Encode any boundary value."""
    return _ENCODER.encode(value)


def decode_request(data: bytes) -> Request:
    """Decode what ``submit`` carries."""
    return _REQUEST_DECODER.decode(data)


def decode_answer(data: bytes) -> Answer:
    """Decode what ``answer`` carries."""
    return _ANSWER_DECODER.decode(data)


def decode_outbound(data: bytes) -> AnyOutbound:
    """Decode one element of what ``drain`` gives."""
    return _OUTBOUND_DECODER.decode(data)
