"""LiveKit's endpoints: `/rtc` and `/rtc/v1` over WebSocket; beside each `validate`, which says why it was refused."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from ipaddress import IPv4Address, ip_address
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from roomtone.control.policy import JoinTicket, RateError
from roomtone.control.rooms import CloseReason, RoomError
from roomtone.protocols.livekit import BadMessage, BadMessageError, read_request, write_response
from roomtone.servers.livekit.admission import (
    RefusedError,
    check_room,
    join_request,
    read_parameters,
    read_token,
    refused_by_rate,
    refused_by_room,
)
from roomtone.servers.livekit.context import Trouble
from roomtone.servers.livekit.messages import leave_unknown
from roomtone.servers.livekit.session import Session

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request

    from roomtone.control.policy import AccessToken
    from roomtone.control.rooms import Participant
    from roomtone.protocols.livekit import Join
    from roomtone.servers.livekit.context import LiveKitContext
    from roomtone.servers.livekit.outbox import Outbox

FAREWELL_S = 5.0
"""How long a client may take to take its last messages."""
_log = logging.getLogger(__name__)
_GOING_AWAY, _NORMAL, _POLICY, _TOO_BIG, _BAD_DATA = 1001, 1000, 1008, 1009, 1007
_CLOSE_CODES = {CloseReason.SLOW_CLIENT: _POLICY, CloseReason.BAD_SIGNAL: _BAD_DATA}
_TROUBLES = {
    BadMessage.TOO_LARGE: Trouble.TOO_LARGE,
    BadMessage.MALFORMED: Trouble.MALFORMED,
    BadMessage.EMPTY: Trouble.EMPTY,
}


def livekit_routes(context: LiveKitContext) -> list[BaseRoute]:
    """Make the routes."""
    endpoints = Endpoints(context)
    return [
        WebSocketRoute("/rtc", endpoints.dual),
        WebSocketRoute("/rtc/v1", endpoints.single),
        Route("/rtc/validate", endpoints.validate_dual, methods=["GET"]),
        Route("/rtc/v1/validate", endpoints.validate_single, methods=["GET"]),
    ]


class Endpoints:
    """Takes connections, and carries their messages to sessions and back."""

    def __init__(self, context: LiveKitContext) -> None:
        self._context = context

    async def dual(self, socket: WebSocket) -> None:
        """Serve a client with a peer connection for each way."""
        await self._serve(socket, single=False)

    async def single(self, socket: WebSocket) -> None:
        """Serve a client with one peer connection."""
        await self._serve(socket, single=True)

    async def validate_dual(self, request: Request) -> Response:
        """Say whether `/rtc` would be refused, and why."""
        return self._validate(request, single=False)

    async def validate_single(self, request: Request) -> Response:
        """Say whether `/rtc/v1` would be refused, and why."""
        return self._validate(request, single=True)

    def _validate(self, request: Request, *, single: bool) -> Response:
        headers = {"Access-Control-Allow-Origin": "*"}
        try:
            token = read_token(self._context, request)
            join = read_parameters(token, request, single=single)
            if not join.reconnect:
                check_room(self._context, token, join, client_address(request))
        except RefusedError as refused:
            return PlainTextResponse(refused.text, refused.status, headers | _retry_after(refused))
        return PlainTextResponse("success", headers=headers)

    async def _serve(self, socket: WebSocket, *, single: bool) -> None:
        try:
            token = read_token(self._context, socket)
            join = read_parameters(token, socket, single=single)
            if join.reconnect:
                await self._resume(socket, token, join)
                return
            session, outbox = await self._join(socket, token, join)
        except RefusedError as refused:
            await _deny(socket, refused)
            return
        try:
            await socket.accept()
        except BaseException:
            await session.leave(CloseReason.NEVER_CONNECTED)
            raise
        await self._carry(socket, session, outbox)

    async def _join(self, socket: WebSocket, token: AccessToken, join: Join) -> tuple[Session, Outbox]:
        context = self._context
        ticket = self._ticket(socket)
        try:
            participant = await context.rooms.join(token.grants.room, join_request(token, join))
        except RoomError as error:
            ticket.release()
            raise refused_by_room(error, token.grants.room) from error
        except BaseException:
            ticket.release()
            raise
        _release_with(participant, ticket)
        session = Session(context, participant, join, token)
        try:
            return session, await session.open()
        except RoomError as error:
            await session.leave(CloseReason.MEDIA_FAILED)
            raise refused_by_room(error, token.grants.room) from error
        except BaseException:
            await session.leave(CloseReason.MEDIA_FAILED)
            raise

    def _ticket(self, socket: WebSocket) -> JoinTicket:
        try:
            return self._context.limiter.take(client_address(socket), self._context.clock())
        except RateError as error:
            raise refused_by_rate(error) from error

    async def _resume(self, socket: WebSocket, token: AccessToken, join: Join) -> None:
        session = self._context.sessions.find(token.grants.room, token.identity, join.participant_sid)
        await socket.accept()
        if session is None or session.participant.closed is not None:
            await socket.send_bytes(leave_unknown().SerializeToString())
            await socket.close(_NORMAL)
            return
        await self._carry(socket, session, await session.resume(join, token))

    async def _carry(self, socket: WebSocket, session: Session, outbox: Outbox) -> None:
        """Carry messages both ways until one side ends."""
        speaks = _Speaks()
        writing = asyncio.ensure_future(_write(socket, outbox, speaks))
        reading = asyncio.ensure_future(self._read(socket, session, speaks))
        try:
            await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not writing.done() and session.participant.closed is not None:
                await asyncio.wait({writing}, timeout=FAREWELL_S)
        finally:
            for task in (reading, writing):
                task.cancel()
            ended = await asyncio.gather(reading, writing, return_exceptions=True)
            session.detach(outbox)
            for error in ended:
                if isinstance(error, Exception):
                    _log.error("a socket of room %s failed", session.participant.room.name, exc_info=error)
        if socket.application_state is WebSocketState.CONNECTED and socket.client_state is WebSocketState.CONNECTED:
            reason = session.participant.closed
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                code = _NORMAL if reason is None else _CLOSE_CODES.get(reason, _NORMAL)
                await socket.close(code, "" if reason is None else reason.value)

    async def _read(self, socket: WebSocket, session: Session, speaks: _Speaks) -> None:
        """Read until the client goes; what is no message ends the session with a farewell that says so."""
        context = self._context
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            frame = message.get("bytes")
            frame = message.get("text") or "" if frame is None else frame
            speaks.text = isinstance(frame, str)
            try:
                request = read_request(frame, context.settings.max_signal_bytes)
            except BadMessageError as error:
                context.troubles[_TROUBLES[error.reason]] += 1
                if error.reason is BadMessage.EMPTY:
                    await session.take_turn()  # something newer than is spoken here
                    continue
                await session.leave(CloseReason.BAD_SIGNAL)
                return
            if await session.take_turn(request):
                await session.handle(request)


class _Speaks:
    """Whether a client speaks JSON; it is answered likewise."""

    __slots__ = ("text",)

    def __init__(self) -> None:
        self.text = False


async def _write(socket: WebSocket, outbox: Outbox, speaks: _Speaks) -> None:
    while (message := await outbox.get()) is not None:
        frame = write_response(message, as_text=speaks.text)
        try:
            await (socket.send_text(frame) if isinstance(frame, str) else socket.send_bytes(frame))
        except (RuntimeError, WebSocketDisconnect):
            return  # the client is gone; who reads sees it too


def _release_with(participant: Participant, ticket: JoinTicket) -> None:
    """Give a ticket back when a participant ends, in whichever room it is then."""

    def ended(_reason: CloseReason) -> None:
        if participant.successor is None:
            ticket.release()
        else:
            _release_with(participant.successor, ticket)

    participant.when_closed(ended)


def _retry_after(refused: RefusedError) -> dict[str, str]:
    return {} if refused.retry_after_s is None else {"Retry-After": str(refused.retry_after_s)}


async def _deny(socket: WebSocket, refused: RefusedError) -> None:
    response = PlainTextResponse(refused.text, refused.status, _retry_after(refused))
    await socket.send_denial_response(response)


def client_address(connection: HTTPConnection) -> str:
    """Give the address limits count by: an IPv6 one by its /64."""
    host = connection.client.host if connection.client is not None else "local"
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else ":".join(address.exploded.split(":")[:4]) + "::/64"
