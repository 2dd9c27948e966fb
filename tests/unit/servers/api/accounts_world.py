"""The API with accounts over a real database, and a client of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from roomtone.app.people import People, open_people
from roomtone.config import Settings
from roomtone.control.rooms import RoomLimits, Rooms
from roomtone.media import Engine
from roomtone.media.fake import FakeLink
from roomtone.servers.api import ApiContext, create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

NOW = 1_800_000_000.5
PASSWORD = "correct horse battery"
ADMIN = {"login": "admin", "password": "secret"}


@dataclass
class AccountsWorld:
    """A server with accounts and a client of it; the clock moves when it is told to."""

    people: People
    rooms: Rooms
    context: ApiContext
    http: httpx.AsyncClient
    now: float = NOW

    def clock(self) -> float:
        """Tell the time."""
        return self.now

    async def post(self, path: str, body: Any = None, token: str | None = None, **more: Any) -> httpx.Response:
        """POST JSON below /api/v1."""
        return await self.ask("POST", path, body, token, **more)

    async def ask(
        self, method: str, path: str, body: Any = None, token: str | None = None, **more: Any
    ) -> httpx.Response:
        """Send a request below /api/v1, without the cookies of earlier answers."""
        self.http.cookies.clear()
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self.http.request(method, f"/api/v1{path}", json=body, headers=headers, **more)

    async def register(self, username: str = "ada", **more: Any) -> dict[str, Any]:
        """Register an account; its log-in."""
        answer = await self.post("/auth/register", {"username": username, "password": PASSWORD, **more})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def admin(self) -> str:
        """Log the first administrator in; its access token."""
        answer = await self.post("/auth/login", ADMIN)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def audited(self, kind: str | None = None) -> list[tuple[str, str, str]]:
        """Kind, outcome and account of the audit trail, the oldest first."""
        await self.people.audit.flush()
        events = await self.people.audit_table.list(500)
        return [(e.kind, e.outcome, e.account) for e in events[::-1] if kind is None or e.kind == kind]


@pytest.fixture
async def make_accounts(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[AccountsWorld]]]:
    opened: list[tuple[AccountsWorld, Engine]] = []

    async def make(**sections: Any) -> AccountsWorld:
        tree: dict[str, Any] = {
            "server": {"dev": True, "data_dir": str(tmp_path)},
            "accounts": {"bcrypt_cost": 4},
        }
        for section, values in sections.items():
            tree[section] = tree.get(section, {}) | values
        settings = Settings.model_validate(tree)
        times: list[AccountsWorld] = []
        people = await open_people(settings, clock=lambda: times[0].now if times else NOW)
        engine = Engine(FakeLink(None))
        await engine.start()
        rooms = Rooms(engine, RoomLimits(), chat_store=people.chat)
        rooms.start()
        context = ApiContext(
            settings=settings,
            rooms=rooms,
            engine=engine,
            accounts=people.accounts,
            api_keys=people.api_keys,
            audit=people.audit_table,
            wall_clock=lambda: times[0].now,
        )
        transport = httpx.ASGITransport(app=create_app(context), client=("192.0.2.7", 50_000))
        world = AccountsWorld(people, rooms, context, httpx.AsyncClient(transport=transport, base_url="https://test"))
        times.append(world)
        opened.append((world, engine))
        return world

    yield make
    for world, engine in opened:
        await world.http.aclose()
        await world.rooms.close()
        await engine.close()
        await world.people.close()


@pytest.fixture
async def world(make_accounts: Callable[..., Awaitable[AccountsWorld]]) -> AccountsWorld:
    return await make_accounts()
