"""SIP over WebSocket as the client (RFC 7118): a connection of ours in the pool, one frame a message."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.servers.sip.tls import client_context
from roomtone.servers.sip.websocket import SUBPROTOCOL, WaitingMessages

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from roomtone.servers.sip.endpoint import Endpoint

_PORTS = {Transport.WS: 80, Transport.WSS: 443}


class WebSocketLink(WaitingMessages):
    """One connection that we made; kept alive by WebSocket's own pings."""

    def __init__(self, endpoint: Endpoint, socket: ClientConnection, flow: Flow) -> None:
        super().__init__()
        self.flow = flow
        self._endpoint = endpoint
        self._socket = socket

    def check(self, now: float) -> None:
        """Nothing is due: pings tell whether the peer is there."""

    async def live(self) -> None:
        """Read and write until either side ends it."""
        tasks = [asyncio.ensure_future(one) for one in (self._read(), self._write(), self._ended.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._ended.set()
            self._endpoint.pool.remove(self, self.reason)
            with contextlib.suppress(WebSocketException, OSError):
                await self._socket.close()

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._socket:
                data = frame.encode() if isinstance(frame, str) else frame
                if data.strip(b"\r\n"):
                    self._endpoint.receive(data, self.flow)

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                data = await self._waiting.get()
                try:
                    await self._socket.send(data.decode())
                except UnicodeDecodeError:
                    await self._socket.send(data)


async def open_websocket(endpoint: Endpoint, url: str, name: str) -> WebSocketLink:
    """Connect to a WebSocket of SIP; its `live` is to be run. Raises `OSError`, also for what is no such thing.

    ``name`` is what we call ourselves there, since nobody connects to us: ``….invalid`` (RFC 7118 section 5).
    """
    kind = Transport.WSS if url.startswith("wss:") else Transport.WS
    options = endpoint.options
    context = client_context(options.security) if kind is Transport.WSS else None
    try:
        socket = await connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            ssl=context,
            open_timeout=options.connect_timeout_s,
            max_size=endpoint.edge.limits.message.header_bytes + endpoint.edge.limits.message.body_bytes,
        )
    except (WebSocketException, ssl.SSLError, TimeoutError) as error:
        raise OSError(f"{url}: {error}") from error
    if socket.subprotocol != SUBPROTOCOL:
        await socket.close()
        raise OSError(f"{url} does not speak SIP")
    host, port = socket.remote_address[:2]
    flow = Flow(kind, str(host), int(port), name, _PORTS[kind], endpoint.pool.next_number())
    link = WebSocketLink(endpoint, socket, flow)
    if not endpoint.pool.add(link, is_ours=True):
        await socket.close()
        raise OSError(f"{url}: there are as many connections as may be")
    return link
