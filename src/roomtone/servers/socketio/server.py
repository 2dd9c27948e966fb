"""Socket.IO: clients, authenticated when they connect, whose events are answered one after the other.

Limits: a message is at most ``limits.max_json_bytes``; a client that does not take what it is told loses its connection
once too much waits for it, see `BoundedServer`; ``MAX_ROOMS`` rooms a client. All it has ends with its connection.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import socketio
from socketio.exceptions import ConnectionRefusedError as Refused

from roomtone.control.policy import AccessDenial, AccessError, Allowance, Pace
from roomtone.control.rooms import CloseReason, Refusal, RoomError
from roomtone.protocols.mediasoup import ANSWERS, Event, PayloadCode, PayloadError, read_request
from roomtone.protocols.mediasoup.requests import Join
from roomtone.servers.socketio.bounded import BoundedServer, StrictJson
from roomtone.servers.socketio.callers import read_caller
from roomtone.servers.socketio.dispatch import act
from roomtone.servers.socketio.lobby import Waiting
from roomtone.servers.socketio.problems import problem_of, too_fast, wrong_state

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import ASGIApp

    from roomtone.control.policy import JoinTicket
    from roomtone.servers.socketio.peers import SfuPeer
    from roomtone.servers.socketio.sfu import Sfu

PATH = "socket.io"
MAX_ROOMS = 16
"""Rooms one client may be in."""
PING_INTERVAL_S = 25
PING_TIMEOUT_S = 20
_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Client:
    """One connection of Socket.IO."""

    sid: str
    token: str | None = field(repr=False)
    ticket: JoinTicket
    waiting: Waiting
    allowance: Allowance
    peers: dict[str, SfuPeer] = field(default_factory=dict)
    """By room."""


class SocketServer:
    """The Socket.IO server over the directory of peers; `app` is what the application mounts at ``/socket.io/``."""

    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu
        self._context = sfu.context
        self._clients: dict[str, Client] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._io = BoundedServer(
            lambda what: self._context.counters.dropped.update({what: 1}),
            async_mode="asgi",
            json=StrictJson,
            async_handlers=False,
            cors_allowed_origins="*",
            cors_credentials=False,
            max_http_buffer_size=self._context.settings.limits.max_json_bytes,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            logger=_quiet("roomtone.socketio"),
            engineio_logger=_quiet("roomtone.engineio"),
        )
        self._io.on("connect", self._on_connect)
        self._io.on("disconnect", self._on_disconnect)
        for event in Event:
            self._io.on(event.value, self._handler(event))
        self._io.on("*", self._on_unknown)
        self.app: ASGIApp = socketio.ASGIApp(self._io, socketio_path=PATH)

    def __len__(self) -> int:
        return len(self._clients)

    async def close(self) -> None:
        """Send everybody away and take no more."""
        for sid in tuple(self._clients):
            await self._io.disconnect(sid)
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._io.shutdown()

    async def _on_connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        context = self._context
        try:
            token = _token(environ, auth)
            await read_caller(context, token)
            ticket = context.limiter.take(_address(environ), context.clock())
        except Exception as error:
            problem = problem_of(error)
            context.counters.errors[problem.code] += 1
            raise Refused(problem.message, problem.body()["error"]) from error
        waiting = Waiting(self._sfu, lambda event, content: self._tell(sid, event, content))
        limits = context.settings.limits
        allowance = Allowance(Pace(limits.signals_per_second, limits.signal_burst), context.clock())
        self._clients[sid] = Client(sid, token, ticket, waiting, allowance)

    async def _on_disconnect(self, sid: str, reason: str) -> None:
        client = self._clients.pop(sid, None)
        if client is None:
            return
        client.ticket.release()
        client.waiting.withdraw_all()
        lost = reason in {self._io.reason.PING_TIMEOUT, self._io.reason.TRANSPORT_ERROR}
        why = CloseReason.SIGNAL_TIMEOUT if lost else CloseReason.LEFT
        for peer in tuple(client.peers.values()):
            await self._sfu.leave(peer, why)

    def _handler(self, event: Event) -> Callable[..., Coroutine[Any, Any, dict[str, Any]]]:
        async def handle(sid: str, *given: object) -> dict[str, Any]:
            return await self._on_event(sid, event, given[0] if given else {})

        return handle

    async def _on_unknown(self, event: str, sid: str, *given: object) -> dict[str, Any]:
        del given
        await self._take_turn(sid)
        self._context.counters.errors["unknown_event"] += 1
        body = {"error": {"code": "unknown_event", "message": f"there is no event {event[:64]!r}"}}
        await self._io.emit("error", body["error"], to=sid)
        return body

    async def _on_event(self, sid: str, event: Event, payload: object) -> dict[str, Any]:
        self._context.counters.events[event.value] += 1
        try:
            if not await self._take_turn(sid):
                raise too_fast()  # noqa: TRY301 - answered like all other refusals
            answer = await self._do(self._client(sid), event, payload)
        except Exception as error:  # noqa: BLE001 - no error may end the client's other events
            answer = self._refused(event, error)
            await self._io.emit("error", {**answer["error"], "event": event.value}, to=sid)
            return answer
        await self._io.emit("knock-waiting" if "waiting" in answer else ANSWERS[event], answer, to=sid)
        return answer

    async def _take_turn(self, sid: str) -> bool:
        """Whether a client's next event may be done; of one that asks too fast nothing is read for a while.

        So what a flooder sends waits at its own socket, and costs others nothing.
        """
        client = self._clients.get(sid)
        wait_s = 0.0 if client is None else client.allowance.take(self._context.clock())
        if not wait_s:
            return True
        await asyncio.sleep(wait_s)
        return False

    def _refused(self, event: Event, error: Exception) -> dict[str, Any]:
        try:
            problem = problem_of(error)
        except Exception:  # noqa: BLE001 - whatever it is: the client is told, and so is the log
            _log.exception("handling %s failed", event.value)
            self._context.counters.errors["internal"] += 1
            return {"error": {"code": "internal", "message": "the server failed; its log says more"}}
        self._context.counters.errors[problem.code] += 1
        return problem.body()

    async def _do(self, client: Client, event: Event, payload: object) -> dict[str, Any]:
        request = read_request(event, payload)
        if isinstance(request, Join):
            return await self._join(client, request)
        peer = client.peers.get(request.room)
        if peer is None and event is Event.LEAVE_ROOM and client.waiting.withdraw(request.room):
            return {"success": True, "roomId": request.room}
        if peer is None:
            raise wrong_state("not_in_room", "the connection has not joined that room")
        return await act(self._sfu, peer, event, request)

    async def _join(self, client: Client, request: Join) -> dict[str, Any]:
        if request.room in client.peers:
            raise wrong_state("already_joined", "this connection is in the room already")
        if len(client.peers) + len(client.waiting) >= MAX_ROOMS:
            raise wrong_state("too_many_rooms", f"a connection is in at most {MAX_ROOMS} rooms")
        try:
            return await self._enter(client, request)
        except RoomError as error:
            if error.refusal is not Refusal.MUST_ASK:
                raise
        caller = await read_caller(self._context, request.token or client.token)
        answer = await client.waiting.ask(request, caller, lambda: self._enter(client, request))
        if client.sid not in self._clients:
            client.waiting.withdraw_all()
            raise wrong_state("gone", "the connection ended meanwhile")
        return answer

    async def _enter(self, client: Client, request: Join) -> dict[str, Any]:
        # Read anew: it may have expired or been withdrawn since the client connected.
        caller = await read_caller(self._context, request.token or client.token)
        peer = await self._sfu.join(
            request.room,
            caller,
            peer_id=request.peer,
            name=request.name,
            tell=lambda event, content: self._tell(client.sid, event, content),
        )
        if client.sid not in self._clients:
            await self._sfu.leave(peer)
            raise wrong_state("gone", "the connection ended meanwhile")
        client.peers[request.room] = peer
        peer.participant.when_closed(lambda _: self._forget(client, request.room, peer))
        return self._sfu.joined(peer)

    def _forget(self, client: Client, room: str, peer: SfuPeer) -> None:
        if client.peers.get(room) is peer:
            del client.peers[room]

    def _client(self, sid: str) -> Client:
        client = self._clients.get(sid)
        if client is None:
            raise AccessError(AccessDenial.MISSING, "the connection is not authenticated")
        return client

    def _tell(self, sid: str, event: str, content: dict[str, Any]) -> None:
        """Send an event; its order is that of the calls."""
        if sid in self._clients:
            task = asyncio.ensure_future(self._io.emit(event, content, to=sid))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


def _quiet(name: str) -> logging.Logger:
    """Give the package a logger that takes no less than warnings: below, it writes every packet, tokens included."""
    logger = logging.getLogger(name)
    logger.setLevel(logging.WARNING)
    return logger


def _token(environ: dict[str, Any], auth: object) -> str | None:
    """Find the token: in the handshake's ``auth``, or as a bearer token of the request."""
    if isinstance(auth, dict) and isinstance(auth.get("token"), str):
        token: str = auth["token"]
        return token
    if auth is not None and not isinstance(auth, dict):
        raise PayloadError(PayloadCode.MALFORMED, "auth is no object")
    scheme, _, bearer = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    return bearer.strip() or None if scheme.lower() == "bearer" else None


def _address(environ: dict[str, Any]) -> str:
    client = (environ.get("asgi.scope") or {}).get("client")
    return client[0] if client else "local"
