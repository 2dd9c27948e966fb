"""A client of HTTP/3 by aioquic."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent


@dataclass
class Answer:
    """A response as it comes in."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def status(self) -> int:
        return int(self.headers[":status"])

    @property
    def text(self) -> str:
        return self.body.decode()


class Http3Client(QuicConnectionProtocol):
    """Asks for paths of one origin over one connection."""

    authority = "localhost"
    _http: H3Connection | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        if self._http is None:
            self._http = H3Connection(self._quic)
            self._answers: dict[int, Answer] = {}
        if isinstance(event, ConnectionTerminated):
            for answer in self._answers.values():
                answer.done.set()
        for one in self._http.handle_event(event):
            self._take(one)

    def _take(self, event: H3Event) -> None:
        if not isinstance(event, HeadersReceived | DataReceived):
            return
        answer = self._answers[event.stream_id]
        if isinstance(event, HeadersReceived):
            answer.headers |= {name.decode(): value.decode() for name, value in event.headers}
        else:
            answer.body += event.data
        if event.stream_ended:
            answer.done.set()

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
        """Send a request; its answer fills."""
        assert self._http is not None
        stream = self._quic.get_next_available_stream_id()
        head = {":method": method, ":scheme": "https", ":authority": self.authority, ":path": path}
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._answers[stream] = Answer()
        fields = [(name.encode(), value.encode()) for name, value in head.items()]
        self._http.send_headers(stream, fields, end_stream=not body)
        if body:
            self._http.send_data(stream, body, end_stream=True)
        self.transmit()
        return answer

    async def get(self, path: str, patience_s: float, **headers: str) -> Answer:
        """Ask and wait for the whole."""
        answer = self.ask(path, **headers)
        await asyncio.wait_for(answer.done.wait(), patience_s)
        return answer


@contextlib.asynccontextmanager
async def http3(address: str) -> AsyncIterator[Http3Client]:
    """Connect to ``host:port``, whose certificate is nobody's acquaintance."""
    host, _, port = address.rpartition(":")
    settings = QuicConfiguration(is_client=True, alpn_protocols=["h3"], verify_mode=ssl.CERT_NONE)
    async with connect(host.strip("[]"), int(port), configuration=settings, create_protocol=Http3Client) as made:
        client = cast("Http3Client", made)
        client.authority = address
        yield client
