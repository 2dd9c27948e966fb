"""LiveKit's server API under `/twirp`: who may call, what is called, and errors in Twirp's words.

Who may what is LiveKit's: a call that its token does not grant is `unauthenticated`, as its server answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from roomtone.control.calls import PhoneError
from roomtone.control.live import IngressError, PullRefusedError
from roomtone.control.policy import AccessError, AccessToken
from roomtone.control.rooms import Refusal, RoomError
from roomtone.protocols.livekit import TwirpCode, TwirpError, find_method, read_call, speaks_json, write_answer
from roomtone.protocols.livekit.twirp import JSON, PROTOBUF
from roomtone.servers.livekit.admission import DENIALS
from roomtone.servers.livekit.twirp_access import Caller
from roomtone.servers.livekit.twirp_ingress import CODES as INGRESS_CODES
from roomtone.servers.livekit.twirp_ingress import INGRESS_SERVICE, PULL_CODES, IngressService
from roomtone.servers.livekit.twirp_rooms import ROOM_SERVICE, RoomService
from roomtone.servers.livekit.twirp_sip import CODES as PHONE_CODES
from roomtone.servers.livekit.twirp_sip import SIP_SERVICE, SipService
from roomtone.store import StoreError

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from starlette.requests import Request

    from roomtone.protocols.livekit import TwirpMethod
    from roomtone.servers.livekit.context import LiveKitContext

_BEARER = "Bearer "
_ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_MISSING = {
    "AgentDispatchService": "agents cannot be dispatched: there is no agent service",
    "Egress": "there is no egress service: rooms cannot be recorded or streamed out through this API",
    "Connector": "there are no connectors",
}
"""Services whose calls are known and answered `unimplemented`."""
_OTHERS = frozenset({"SIP", "Ingress"})
CODES = {
    Refusal.BAD_NAME: TwirpCode.INVALID_ARGUMENT,
    Refusal.BAD_IDENTITY: TwirpCode.INVALID_ARGUMENT,
    Refusal.NO_SUCH_ROOM: TwirpCode.NOT_FOUND,
    Refusal.NO_SUCH_PARTICIPANT: TwirpCode.NOT_FOUND,
    Refusal.NO_SUCH_TRACK: TwirpCode.NOT_FOUND,
    Refusal.NOT_LIVE: TwirpCode.FAILED_PRECONDITION,
    Refusal.NO_COMMON_CODEC: TwirpCode.FAILED_PRECONDITION,
    Refusal.NO_SUCH_LAYER: TwirpCode.NOT_FOUND,
    Refusal.TOO_MANY_ROOMS: TwirpCode.RESOURCE_EXHAUSTED,
    Refusal.TOO_MANY_PARTICIPANTS: TwirpCode.RESOURCE_EXHAUSTED,
    Refusal.TOO_MANY_VIEWERS: TwirpCode.RESOURCE_EXHAUSTED,
    Refusal.TOO_MANY_TRACKS: TwirpCode.RESOURCE_EXHAUSTED,
    Refusal.ROUTER_LOST: TwirpCode.UNAVAILABLE,
    Refusal.ENGINE_BUSY: TwirpCode.RESOURCE_EXHAUSTED,
    Refusal.ENGINE_REFUSED: TwirpCode.INVALID_ARGUMENT,
    Refusal.ENGINE_FAILED: TwirpCode.INTERNAL,
    Refusal.NOT_PERMITTED: TwirpCode.FAILED_PRECONDITION,
    Refusal.ROOM_LOCKED: TwirpCode.FAILED_PRECONDITION,
    Refusal.MUST_ASK: TwirpCode.FAILED_PRECONDITION,
    Refusal.LOBBY_FULL: TwirpCode.RESOURCE_EXHAUSTED,
    Refusal.NO_SUCH_KNOCK: TwirpCode.NOT_FOUND,
    Refusal.CODEC_NOT_ALLOWED: TwirpCode.FAILED_PRECONDITION,
    Refusal.UNKNOWN_CODEC: TwirpCode.INVALID_ARGUMENT,
    Refusal.ROOM_IS_ENCRYPTED: TwirpCode.FAILED_PRECONDITION,
    Refusal.NOT_MOVABLE: TwirpCode.FAILED_PRECONDITION,
    Refusal.SAME_ROOM: TwirpCode.INVALID_ARGUMENT,
    Refusal.IDENTITY_TAKEN: TwirpCode.ALREADY_EXISTS,
    Refusal.IS_FORWARDED: TwirpCode.FAILED_PRECONDITION,
    Refusal.MUTED_BY_PUBLISHER: TwirpCode.FAILED_PRECONDITION,
    Refusal.TOO_MANY_FORWARDINGS: TwirpCode.RESOURCE_EXHAUSTED,
    Refusal.TOO_LARGE: TwirpCode.INVALID_ARGUMENT,
    Refusal.TOO_FAST: TwirpCode.RESOURCE_EXHAUSTED,
    Refusal.NO_SUCH_MESSAGE: TwirpCode.NOT_FOUND,
    Refusal.MESSAGE_EXISTS: TwirpCode.ALREADY_EXISTS,
    Refusal.EMPTY_MESSAGE: TwirpCode.INVALID_ARGUMENT,
    Refusal.STORE_FAILED: TwirpCode.UNAVAILABLE,
    Refusal.CLOSED: TwirpCode.NOT_FOUND,
    Refusal.SHUTTING_DOWN: TwirpCode.UNAVAILABLE,
}
"""What a refusal of rooms is to the caller; a test holds that none is missing."""


def twirp_routes(context: LiveKitContext) -> list[BaseRoute]:
    """Make the route under which all calls come."""
    return [Route("/twirp/{path:path}", Twirp(context).serve, methods=_ALL_METHODS)]


class Twirp:
    """Answers calls."""

    def __init__(self, context: LiveKitContext) -> None:
        self._context = context
        self._rooms = RoomService(context)
        self._sip = SipService(context)
        self._ingress = IngressService(context)

    async def serve(self, request: Request) -> Response:
        """Answer one call."""
        try:
            answer = await self._answer(request)
        except TwirpError as error:
            self._context.twirp_answers[error.code.value] += 1
            return Response(error.body(), error.code.status, media_type=JSON)
        self._context.twirp_answers["ok"] += 1
        return answer

    async def _answer(self, request: Request) -> Response:
        method = find_method(request.method, request.scope["path"])
        as_json = speaks_json(request.headers.get("content-type", ""))
        caller = Caller(self._token(request), str(request.base_url))
        body = await _read(request, self._context.settings.max_call_bytes)
        answer = write_answer(await self._call(method, caller, body, as_json=as_json), as_json=as_json)
        return Response(answer, media_type=JSON if as_json else PROTOBUF)

    async def _call(self, method: TwirpMethod, caller: Caller, body: bytes, *, as_json: bool) -> Message:
        message = read_call(method, body, as_json=as_json)
        if (missing := _MISSING.get(method.service)) is not None:
            raise TwirpError(TwirpCode.UNIMPLEMENTED, f"{method.service}.{method.name}: {missing}")
        try:
            if method.service == "SIP" and (call := SIP_SERVICE.get(method.name)) is not None:
                return await call(self._sip, caller, message)
            if method.service == "Ingress" and (made := INGRESS_SERVICE.get(method.name)) is not None:
                return await made(self._ingress, caller, message)
            if method.service not in _OTHERS and (handler := ROOM_SERVICE.get(method.name)) is not None:
                return await handler(self._rooms, caller, message)
        except RoomError as error:
            raise TwirpError(CODES[error.refusal], error.message) from error
        except PhoneError as error:
            raise TwirpError(PHONE_CODES.get(error.refusal, TwirpCode.INVALID_ARGUMENT), error.message) from error
        except IngressError as error:
            raise TwirpError(INGRESS_CODES[error.refusal], error.message) from error
        except PullRefusedError as error:
            raise TwirpError(PULL_CODES[error.refusal], f"url: {error}") from error
        except StoreError as error:
            raise TwirpError(TwirpCode.UNAVAILABLE, "the database does not answer") from error
        raise TwirpError(TwirpCode.UNIMPLEMENTED, f"{method.service}.{method.name}: there is no such method here")

    def _token(self, request: Request) -> AccessToken:
        header = request.headers.get("authorization", "")
        if not header.startswith(_BEARER):
            text = "invalid authorization header. Must start with Bearer "
            raise TwirpError(TwirpCode.UNAUTHENTICATED, text)
        try:
            return self._context.keys.verify(header.removeprefix(_BEARER).strip(), self._context.wall_clock())
        except AccessError as error:
            text = DENIALS.get(error.denial, "invalid authorization token")
            raise TwirpError(TwirpCode.UNAUTHENTICATED, text) from error


async def _read(request: Request, limit: int) -> bytes:
    """Read a body, not beyond its limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TwirpError(TwirpCode.INVALID_ARGUMENT, f"the body is over {limit} bytes")
    return bytes(body)
