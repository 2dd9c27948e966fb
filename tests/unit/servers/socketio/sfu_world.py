"""The SFU's interface over the engine in memory, with clients of both its sides."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from roomtone.client import SfuClient
from roomtone.config import Settings
from roomtone.config.models import LimitSettings, ServerSettings
from roomtone.control.policy import JoinLimiter, KeyTable, VideoGrants
from roomtone.control.rooms import RoomLimits, Rooms
from roomtone.media import Engine
from roomtone.media.fake import FakeLink
from roomtone.servers.socketio import Sfu, SfuContext, SocketServer, create_rest_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from roomtone.media.values import EngineConfig

VECTORS = Path(__file__).parents[3] / "vectors" / "mediasoup"


def vector(name: str, room: str = "demo", **more: Any) -> dict[str, Any]:
    """A payload as `mediasoup-client` in Chromium made it, for a room."""
    read: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text())
    return read | {"roomId": room} | more


@dataclass
class SocketClient:
    """A client of Socket.IO without a socket: events go in, answers and what it is told come out."""

    server: SocketServer
    sid: str
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def ask(self, event: str, **content: Any) -> dict[str, Any]:
        """Send an event and give its acknowledgement."""
        handler = self.server._io.handlers["/"][event]
        answer: dict[str, Any] = await handler(self.sid, content)
        return answer

    async def do(self, event: str, **content: Any) -> dict[str, Any]:
        """Send an event that must succeed."""
        answer = await self.ask(event, **content)
        assert "error" not in answer, answer
        return answer

    async def refused(self, event: str, **content: Any) -> str:
        """Send an event that must be refused; gives the code."""
        answer = await self.ask(event, **content)
        code: str = answer["error"]["code"]
        assert ("error", code) in [(name, content.get("code")) for name, content in self.told]
        return code

    async def disconnect(self) -> None:
        await self.server._on_disconnect(self.sid, "transport close")

    def heard(self, event: str) -> list[dict[str, Any]]:
        """What it was told by this event."""
        return [content for name, content in self.told if name == event]


@dataclass
class SfuWorld:
    """A server in memory."""

    link: FakeLink
    rooms: Rooms
    sfu: Sfu
    sockets: SocketServer
    http: httpx.AsyncClient
    clients: dict[str, SocketClient] = field(default_factory=dict)

    def token(self, identity: str = "alice", room: str = "demo", **grants: Any) -> str:
        """Sign a token."""
        given = VideoGrants(room=room, room_join=grants.pop("room_join", True), **grants)
        return KeyTable({"devkey": "secret"}).sign("devkey", identity, given, time.time(), 3600)

    async def connect(self, identity: str = "alice", **grants: Any) -> SocketClient:
        """Connect a client."""
        client = SocketClient(self.sockets, f"sid-{len(self.clients)}")
        self.clients[client.sid] = client
        await self.sockets._on_connect(client.sid, {}, {"token": self.token(identity, **grants)})
        return client

    async def join(self, identity: str = "alice", **grants: Any) -> SocketClient:
        """Connect a client and let it join."""
        client = await self.connect(identity, **grants)
        await client.do("join-room", roomId="demo")
        return client

    async def post(self, path: str, body: Any, token: str | None = None) -> httpx.Response:
        """POST as an administrator, or with a token."""
        bearer = token or self.token("backend", "", room_join=False, room_admin=True)
        return await self.http.post(path, json=body, headers={"Authorization": f"Bearer {bearer}"})

    def client(self, token: str | None = None) -> SfuClient:
        """A typed client, of an administrator or with a token."""
        app = httpx.ASGITransport(app=create_rest_app(self.sfu))
        return SfuClient(
            "http://sfu", token or self.token("backend", "", room_join=False, room_admin=True), transport=app
        )

    async def settle(self) -> None:
        """Let everything that has begun come to its end."""
        for _ in range(200):
            await asyncio.sleep(0)


@pytest.fixture
async def make_sfu() -> AsyncIterator[Callable[..., Awaitable[SfuWorld]]]:
    opened: list[tuple[SfuWorld, Engine]] = []

    async def make(
        config: EngineConfig | None = None, limits: RoomLimits | None = None, addresses: LimitSettings | None = None
    ) -> SfuWorld:
        link = FakeLink(config)
        engine = Engine(link)
        await engine.start()
        settings = Settings(server=ServerSettings(dev=True), limits=addresses or LimitSettings())
        rooms = Rooms(engine, limits)
        rooms.start()
        limiter = JoinLimiter(settings.limits.joins_per_second, settings.limits.sessions_per_address)
        sfu = Sfu(SfuContext(settings, rooms, KeyTable(settings.api_keys), limiter))
        sockets = SocketServer(sfu)
        transport = httpx.ASGITransport(app=create_rest_app(sfu))
        world = SfuWorld(link, rooms, sfu, sockets, httpx.AsyncClient(transport=transport, base_url="http://test"))

        async def emit(event: str, content: dict[str, Any], to: str) -> None:
            if to in world.clients:
                world.clients[to].told.append((event, content))

        sockets._io.emit = emit
        opened.append((world, engine))
        return world

    yield make
    for world, engine in opened:
        await world.http.aclose()
        await world.sockets.close()
        await world.rooms.close()
        await world.sfu.close()
        await engine.close()


@pytest.fixture
async def sfu(make_sfu: Callable[..., Awaitable[SfuWorld]]) -> SfuWorld:
    return await make_sfu()
