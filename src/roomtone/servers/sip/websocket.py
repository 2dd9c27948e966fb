"""SIP over WebSocket (RFC 7118): an ASGI application for ``/sip`` on the front door; one frame, one message."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.servers.sip.counters import ConnectionEnd

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from roomtone.servers.sip.endpoint import Endpoint

SUBPROTOCOL = "sip"
PATH = "sip"
MAX_WAITING = 1_024
"""Messages that may wait for one client; one more and it loses its connection."""
_NOT_FOUND = b"SIP over WebSocket: connect with the subprotocol 'sip'.\n"
_CODE = {ConnectionEnd.SHUTDOWN: 1001, ConnectionEnd.SLOW_PEER: 1013, ConnectionEnd.TOO_MANY: 1013}
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.-]{1,253})(?::(?P<port>[0-9]{1,5}))?")


class WaitingMessages:
    """What is to be sent on one connection, whoever made it, until it ends; a peer that takes nothing loses it."""

    def __init__(self) -> None:
        self.reason = ConnectionEnd.PEER_CLOSED
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self._ended = asyncio.Event()

    def send(self, data: bytes) -> bool:
        """Queue one message; False when the connection is ending."""
        if self._ended.is_set():
            return False
        try:
            self._waiting.put_nowait(data)
        except asyncio.QueueFull:
            self.end(ConnectionEnd.SLOW_PEER)
            return False
        return True

    def end(self, reason: ConnectionEnd) -> None:
        """Close."""
        if not self._ended.is_set():
            self.reason = reason
            self._ended.set()


class WebSocketConnection(WaitingMessages):
    """One client."""

    def __init__(self, endpoint: Endpoint, scope: Scope, send: Send) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._send = send
        self._heard = endpoint.loop.time()
        host, port = scope.get("client") or ("", 0)
        secure = scope.get("scheme") == "wss"
        local_host, local_port = _named_by(scope, 443 if secure else 80)
        number = endpoint.pool.next_number()
        kind = Transport.WSS if secure else Transport.WS
        self.flow = Flow(kind, host, port, local_host or host, local_port, number)

    def check(self, now: float) -> None:
        """End when nothing was heard for too long."""
        if now - self._heard > self._endpoint.options.idle_timeout_s:
            self.end(ConnectionEnd.IDLE)

    def handle(self, data: bytes) -> None:
        """Take one frame."""
        self._heard = self._endpoint.loop.time()
        if not data.strip(b"\r\n"):
            self._endpoint.counters.keep_alives += 1
            if data == b"\r\n\r\n":
                self.send(b"\r\n")
            return
        self._endpoint.receive(data, self.flow)

    async def write(self) -> None:
        """Send what is queued until the connection ends."""
        while True:
            data = await self._waiting.get()
            try:
                message: Message = {"type": "websocket.send", "text": data.decode()}
            except UnicodeDecodeError:
                message = {"type": "websocket.send", "bytes": data}
            await self._send(message)

    async def ended(self) -> None:
        """Wait for `end`."""
        await self._ended.wait()


class WebSocketEntrance:
    """The ASGI application."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; other requests are told what this is."""
        if scope["type"] != "websocket":
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"upgrade", b"websocket")]
            await send({"type": "http.response.start", "status": 426, "headers": headers})
            await send({"type": "http.response.body", "body": _NOT_FOUND})
            return
        await receive()  # websocket.connect
        connection = WebSocketConnection(self._endpoint, scope, send)
        if SUBPROTOCOL not in scope.get("subprotocols", ()):
            await send({"type": "websocket.close", "code": 1002})
            return
        if not self._endpoint.pool.add(connection, is_ours=False):
            self._endpoint.counters.ended[ConnectionEnd.TOO_MANY] += 1
            await send({"type": "websocket.close", "code": 1013})
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        try:
            await self._serve(connection, receive, send)
        finally:
            self._endpoint.pool.remove(connection, connection.reason)

    async def _serve(self, connection: WebSocketConnection, receive: Receive, send: Send) -> None:
        tasks = [
            asyncio.ensure_future(_read(connection, receive)),
            asyncio.ensure_future(connection.write()),
            asyncio.ensure_future(connection.ended()),
        ]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if tasks[2] in done:
            with contextlib.suppress(Exception):  # the peer may have gone meanwhile
                await send({"type": "websocket.close", "code": _CODE.get(connection.reason, 1000)})
        for task in done:
            if task.exception() is not None:
                connection.reason = ConnectionEnd.CONNECTION_ERROR


def _named_by(scope: Scope, usual_port: int) -> tuple[str, int]:
    """Give what a client calls us: the server's side is the front door's private socket, which has no name."""
    text = next((value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"), "")
    found = _HOST.fullmatch(text)
    if found is None:
        return "", usual_port
    return found["host"].strip("[]").lower(), int(found["port"] or usual_port)


async def _read(connection: WebSocketConnection, receive: Receive) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        text = message.get("text")
        connection.handle(message.get("bytes") or b"" if text is None else text.encode())
