"""Which application gets a request: by the listener it came in by, by its first segment, else the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from starlette.responses import PlainTextResponse

from roomtone.app.application import Application
from roomtone.observe import Metrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def named(name: str) -> ASGIApp:
    return PlainTextResponse(name)


async def test_listener_then_first_segment_then_the_api() -> None:
    app = Application(
        named("api"),
        named("operator"),
        Metrics("0", "test"),
        mounted={"socket.io": named("sockets")},
        entrances={"sfu": named("sfu")},
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:

        async def answer(path: str, bind: str = "http") -> str:
            return (await client.get(path, headers={"x-front-bind": bind})).text

        assert await answer("/socket.io/?EIO=4") == "sockets"
        assert await answer("/socket.iox") == "api"
        assert await answer("/health") == "operator"
        assert await answer("/rooms") == "api"
        assert [await answer(path, "sfu") for path in ("/health", "/rooms", "/socket.io/", "/")] == ["sfu"] * 4
