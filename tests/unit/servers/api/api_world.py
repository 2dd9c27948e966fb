"""The API over the engine in memory, spoken to over ASGI."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from roomtone.config import LimitSettings, RoomSettings, ServerSettings, Settings
from roomtone.control.policy import KeyTable, VideoGrants
from roomtone.control.rooms import RoomLimits, Rooms
from roomtone.media import Engine
from roomtone.media.fake import FakeLink
from roomtone.servers.api import ApiContext, create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from roomtone.media.values import EngineConfig

VECTORS = Path(__file__).parents[3] / "vectors" / "sdp"
PUBLISH = (VECTORS / "chromium-publish.sdp").read_bytes()
WATCH = (VECTORS / "chromium-watch.sdp").read_bytes()
SIMULCAST = (VECTORS / "chromium-simulcast.sdp").read_bytes()
FFMPEG = (VECTORS / "ffmpeg-publish.sdp").read_bytes()
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


@dataclass
class ApiWorld:
    """A server in memory and a client of it."""

    link: FakeLink
    rooms: Rooms
    context: ApiContext
    http: httpx.AsyncClient

    def token(self, identity: str = "alice", room: str = "demo", *, age: float = 0, **grants: Any) -> str:
        """Sign a token."""
        given = VideoGrants(room=room, room_join=grants.pop("room_join", True), **grants)
        return KeyTable({"devkey": "secret"}).sign("devkey", identity, given, time.time() - age, 3600)

    def headers(self, type_: str | None = SDP, token: str | None = None, **more: str) -> dict[str, str]:
        """Make the headers of a request."""
        made = {"Authorization": f"Bearer {token or self.token()}"} | ({"Content-Type": type_} if type_ else {})
        return made | {name.replace("_", "-"): value for name, value in more.items()}

    async def publish(self, body: bytes = PUBLISH, **token: object) -> httpx.Response:
        """POST an offer to WHIP."""
        text = self.token(**token)  # type: ignore[arg-type]
        return await self.http.post("/whip/demo", content=body, headers=self.headers(token=text))

    async def watch(self, body: bytes = WATCH, query: str = "", **token: object) -> httpx.Response:
        """POST an offer to WHEP."""
        text = self.token(**token)  # type: ignore[arg-type]
        return await self.http.post(f"/whep/demo{query}", content=body, headers=self.headers(token=text))

    async def settle(self) -> None:
        """Let everything that has begun come to its end."""
        for _ in range(200):
            await asyncio.sleep(0)


@pytest.fixture
async def make_api() -> AsyncIterator[Callable[..., Awaitable[ApiWorld]]]:
    opened: list[tuple[ApiWorld, Engine]] = []

    async def make(
        limits: LimitSettings | None = None,
        rooms: RoomSettings | None = None,
        config: EngineConfig | None = None,
        settings: Settings | None = None,
        client: tuple[str, int] = ("127.0.0.1", 50000),
    ) -> ApiWorld:
        link = FakeLink(config)
        engine = Engine(link)
        await engine.start()
        settings = settings or Settings(
            server=ServerSettings(dev=True), limits=limits or LimitSettings(), rooms=rooms or RoomSettings()
        )
        control = Rooms(engine, RoomLimits(**settings.rooms.model_dump()))
        control.start()
        context = ApiContext(settings=settings, rooms=control, engine=engine)
        transport = httpx.ASGITransport(app=create_app(context), client=client)
        world = ApiWorld(link, control, context, httpx.AsyncClient(transport=transport, base_url="http://test"))
        opened.append((world, engine))
        return world

    yield make
    for world, engine in opened:
        await world.http.aclose()
        await world.rooms.close()
        await engine.close()


@pytest.fixture
async def api(make_api: Callable[..., Awaitable[ApiWorld]]) -> ApiWorld:
    return await make_api()
