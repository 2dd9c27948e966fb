"""A target of webhooks that checks each with LiveKit's own receiver, or refuses it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from livekit import api
from livekit.protocol.webhook import WebhookEvent

RECEIVER = api.WebhookReceiver(api.TokenVerifier("devkey", "secret"))


@dataclass
class Receiver:
    """An HTTP server that checks each webhook with LiveKit's own receiver."""

    port: int
    status: int = 200
    events: list[WebhookEvent] = field(default_factory=list)
    refused: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/hook"

    def names(self, room: str) -> list[str]:
        return [event.event for event in self.events if event.room.name == room]


@pytest.fixture
def receive() -> Iterator[Callable[[], Receiver]]:
    opened: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def open_() -> Receiver:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status = receiver.status
                if status == 200:
                    try:
                        assert self.headers["Content-Type"] == "application/webhook+json"
                        receiver.events.append(RECEIVER.receive(body, self.headers["Authorization"]))
                    except Exception as error:  # noqa: BLE001 - the test shows it
                        receiver.failures.append(repr(error))
                else:
                    receiver.refused += 1
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        receiver = Receiver(server.server_port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        opened.append((server, thread))
        return receiver

    yield open_
    for server, thread in opened:
        server.shutdown()
        server.server_close()
        thread.join()
