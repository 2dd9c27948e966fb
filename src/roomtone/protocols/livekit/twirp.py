"""Calls of LiveKit's server API: Twirp over HTTP (twitchtv.github.io/twirp, specification version 7), pure.

Inputs: path, media type and body of a POST. Outputs: a method and its request, or `TwirpError`; bodies of answers.
Limits: the length of a body, given by who reads it; `MAX_JSON_DEPTH` levels of JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToJson, Parse, ParseError
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from livekit.protocol import agent_dispatch, connector, egress, ingress, room, sip

from roomtone.protocols.livekit.messages import MAX_JSON_DEPTH

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "/twirp/"
JSON, PROTOBUF = "application/json", "application/protobuf"
_FILES = (room, agent_dispatch, connector, egress, ingress, sip)


class TwirpCode(StrEnum):
    """The error codes of the specification; `CANCELED` and so on are its spellings."""

    CANCELED = "canceled"
    UNKNOWN = "unknown"
    INVALID_ARGUMENT = "invalid_argument"
    MALFORMED = "malformed"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    NOT_FOUND = "not_found"
    BAD_ROUTE = "bad_route"
    ALREADY_EXISTS = "already_exists"
    PERMISSION_DENIED = "permission_denied"
    UNAUTHENTICATED = "unauthenticated"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    FAILED_PRECONDITION = "failed_precondition"
    ABORTED = "aborted"
    OUT_OF_RANGE = "out_of_range"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"
    DATALOSS = "dataloss"

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status that goes with it."""
        return _STATUS[self]


_STATUS = {
    TwirpCode.CANCELED: HTTPStatus.REQUEST_TIMEOUT,
    TwirpCode.UNKNOWN: HTTPStatus.INTERNAL_SERVER_ERROR,
    TwirpCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    TwirpCode.MALFORMED: HTTPStatus.BAD_REQUEST,
    TwirpCode.DEADLINE_EXCEEDED: HTTPStatus.REQUEST_TIMEOUT,
    TwirpCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    TwirpCode.BAD_ROUTE: HTTPStatus.NOT_FOUND,
    TwirpCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    TwirpCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    TwirpCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    TwirpCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    TwirpCode.FAILED_PRECONDITION: HTTPStatus.PRECONDITION_FAILED,
    TwirpCode.ABORTED: HTTPStatus.CONFLICT,
    TwirpCode.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    TwirpCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    TwirpCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    TwirpCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    TwirpCode.DATALOSS: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class TwirpError(Exception):
    """A call is answered with an error."""

    def __init__(self, code: TwirpCode, message: str, meta: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.meta = dict(meta or {})

    def body(self) -> bytes:
        """Write it; errors are JSON, whatever the call was in."""
        told = {"code": self.code.value, "msg": self.message} | ({"meta": self.meta} if self.meta else {})
        return json.dumps(told, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class TwirpMethod:
    """A method that LiveKit's API has; ``service`` is without its package."""

    service: str
    name: str
    request: type[Message] = field(repr=False)
    answer: type[Message] = field(repr=False)


METHODS: dict[str, TwirpMethod] = {
    f"{service.full_name}/{method.name}": TwirpMethod(
        service.name, method.name, GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    )
    for file in _FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
"""By the end of their path: `livekit.RoomService/CreateRoom` and so on."""


def find_method(http_method: str, path: str) -> TwirpMethod:
    """Find what a request calls; raise `TwirpError`."""
    if http_method != "POST":
        raise TwirpError(TwirpCode.BAD_ROUTE, f"unsupported method {http_method!r} (only POST is allowed)")
    method = METHODS.get(path.removeprefix(PREFIX)) if path.startswith(PREFIX) else None
    if method is None:
        raise TwirpError(TwirpCode.BAD_ROUTE, f"no handler for path {path!r}")
    return method


def speaks_json(media_type: str) -> bool:
    """Whether a call is in JSON; raise `TwirpError` when it is in nothing that is known here."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in {JSON, PROTOBUF}:
        raise TwirpError(TwirpCode.BAD_ROUTE, f"unexpected Content-Type: {media_type!r}")
    return kind == JSON


def read_call(method: TwirpMethod, body: bytes, *, as_json: bool) -> Message:
    """Read a call's request; raise `TwirpError`. Fields that are not known here are no error."""
    request = method.request()
    try:
        if as_json:
            Parse(body or b"{}", request, ignore_unknown_fields=True, max_recursion_depth=MAX_JSON_DEPTH)
        else:
            request.ParseFromString(body)
    except (DecodeError, ParseError, RecursionError, UnicodeError) as error:
        how = "json" if as_json else "protobuf"
        raise TwirpError(TwirpCode.MALFORMED, f"the {how} request could not be decoded") from error
    return request


def write_answer(answer: Message, *, as_json: bool) -> bytes:
    """Write an answer in the form of its call; JSON has every field, under its name in the protocol."""
    if not as_json:
        return answer.SerializeToString()
    text = MessageToJson(
        answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=None
    )
    return text.encode()
