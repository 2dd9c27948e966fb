"""A Socket.IO server whose clients cannot make it keep more and more: those that take too little are dropped.

Limits: ``MAX_WAITING`` packets and ``MAX_WAITING_BYTES`` of them that wait for one client.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import engineio
import socketio

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAITING = 1024
"""Packets that may wait for one client."""
MAX_WAITING_BYTES = 4_194_304
"""Bytes (of texts, characters) of packets that may wait for one client; one packet may always."""


class StrictJson:
    """JSON for packets: what is nested too deep is malformed like anything else."""

    dumps = staticmethod(json.dumps)

    @staticmethod
    def loads(*given: Any, **more: Any) -> Any:
        """Read; raise `ValueError`."""
        try:
            return json.loads(*given, **more)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


class WeighedQueue(asyncio.Queue[Any]):
    """Packets that wait for one client, and what they weigh."""

    weight = 0

    def _put(self, item: Any) -> None:
        self.weight += _weight(item)
        super()._put(item)

    def _get(self) -> Any:
        item = super()._get()
        self.weight -= _weight(item)
        return item


def _weight(packet: Any) -> int:
    data = getattr(packet, "data", None)
    return len(data) if isinstance(data, str | bytes) else 0


class WeighingEngine(engineio.AsyncServer):  # type: ignore[misc]  # the package has no types
    """The transport below Socket.IO, whose queues are weighed."""

    def create_queue(self, *given: Any, **more: Any) -> asyncio.Queue[Any]:
        """Make the queue of a client."""
        return WeighedQueue(*given, **more)


class BoundedServer(socketio.AsyncServer):  # type: ignore[misc]  # the package has no types
    """A server that drops clients which take too little or send what is no packet."""

    def __init__(self, on_drop: Callable[[str], None], **options: Any) -> None:
        super().__init__(**options)
        self._on_drop = on_drop

    def _engineio_server_class(self) -> type[WeighingEngine]:
        return WeighingEngine

    async def _send_packet(self, eio_sid: str, pkt: Any) -> None:
        if await self._may_send(eio_sid):
            await super()._send_packet(eio_sid, pkt)

    async def _send_eio_packet(self, eio_sid: str, eio_pkt: Any) -> None:
        if await self._may_send(eio_sid):
            await super()._send_eio_packet(eio_sid, eio_pkt)

    async def _may_send(self, eio_sid: str) -> bool:
        """Whether a client takes what it is told; one that does not is dropped."""
        socket = self.eio.sockets.get(eio_sid)
        if socket is None or socket.closed or socket.closing:
            return False
        if socket.queue.qsize() < MAX_WAITING and socket.queue.weight < MAX_WAITING_BYTES:
            return True
        self._on_drop("slow_client")
        await self._drop(socket)
        return False

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        try:
            await super()._handle_eio_message(eio_sid, data)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            self._on_drop("malformed_packet")
            socket = self.eio.sockets.get(eio_sid)
            if socket is not None:
                await self._drop(socket)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        await super()._handle_eio_disconnect(eio_sid, reason)
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None and not socket.upgraded and reason == self.reason.CLIENT_DISCONNECT:
            socket.queue.put_nowait(None)  # a request that waits for news would wait until the next ping

    async def _drop(self, socket: Any) -> None:
        """End a connection without waiting for it to take what is left."""
        while not socket.queue.empty():
            socket.queue.get_nowait()
            socket.queue.task_done()
        socket.queue.put_nowait(None)
        await socket.close(wait=False, abort=True, reason=self.reason.TRANSPORT_ERROR)
