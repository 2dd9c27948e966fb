"""Signal messages on the wire: protobuf in binary frames, or its JSON in text frames.

Inputs: frames. Outputs: a request that says something, or `BadMessageError`; frames of responses.
Limits: the length of a frame, given by who reads it.
"""

from __future__ import annotations

from enum import StrEnum

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from google.protobuf.message import DecodeError
from livekit.protocol import models, rtc

PROTOCOL_VERSION = 16
"""The newest version of the protocol that is spoken here as a whole.

17 strips trailers off media packets, which is not done here.
"""
SERVER_VERSION = "1.9.0"
"""The release of LiveKit's server that clients may take this one for: they compare it, and call methods from 1.8 on."""
MAX_JSON_DEPTH = 32


class BadMessage(StrEnum):
    """What is wrong with a frame or packet."""

    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    EMPTY = "empty"


class BadMessageError(ValueError):
    """What came is no message; the peer's fault."""

    def __init__(self, reason: BadMessage, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def read_request(frame: bytes | str, limit: int) -> rtc.SignalRequest:
    """Read what a client sends; raise `BadMessageError`. Fields that are not known here are no error."""
    size = len(frame) if isinstance(frame, bytes) else len(frame.encode("utf-8", "surrogatepass"))
    if size > limit:
        raise BadMessageError(BadMessage.TOO_LARGE, f"a message of {size} bytes is over the limit of {limit}")
    request = rtc.SignalRequest()
    try:
        if isinstance(frame, bytes):
            request.ParseFromString(frame)
        else:
            Parse(frame, request, ignore_unknown_fields=True, max_recursion_depth=MAX_JSON_DEPTH)
    except (DecodeError, ParseError, RecursionError, UnicodeError) as error:
        raise BadMessageError(BadMessage.MALFORMED, "a message is no SignalRequest") from error
    if request.WhichOneof("message") is None:
        raise BadMessageError(BadMessage.EMPTY, "a message says nothing that is known here")
    return request


def write_response(response: rtc.SignalResponse, *, as_text: bool = False) -> bytes | str:
    """Write what a client is told, in the form in which it speaks itself."""
    return MessageToJson(response, indent=None) if as_text else response.SerializeToString()


def read_packet(data: bytes, limit: int) -> models.DataPacket:
    """Read what came on a data channel; raise `BadMessageError`."""
    if len(data) > limit:
        raise BadMessageError(BadMessage.TOO_LARGE, f"a data packet of {len(data)} bytes is over the limit of {limit}")
    packet = models.DataPacket()
    try:
        packet.ParseFromString(data)
    except DecodeError as error:
        raise BadMessageError(BadMessage.MALFORMED, "a message on a data channel is no DataPacket") from error
    if packet.WhichOneof("value") is None:
        raise BadMessageError(BadMessage.EMPTY, "a data packet holds nothing that is known here")
    return packet
