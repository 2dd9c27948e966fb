"""The one ASGI application behind the front door: operator pages, the API, web pages where nobody else has them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from roomtone.app.operator import PATHS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from roomtone.observe import Metrics

UNMATCHED = "(none)"
BIND_HEADER = b"x-front-bind"
"""Names the listener a request came in by; only the front door writes it."""
NOT_FOUND = 404
FAILED = 500


class Application:
    """Sends each request to the operator pages or to the API, and counts it.

    A path the API does not know is looked up among the web pages, when ``pages`` is given; applications in ``mounted``
    get all that begins with the path segment they are named by, WebSockets too; those in ``entrances`` get all that
    came in by the listener they are named by.
    """

    def __init__(
        self,
        api: ASGIApp,
        operator: ASGIApp,
        metrics: Metrics,
        pages: Path | None = None,
        *,
        mounted: Mapping[str, ASGIApp] | None = None,
        entrances: Mapping[str, ASGIApp] | None = None,
    ) -> None:
        self._api = api
        self._operator = operator
        self._metrics = metrics
        self._mounted = mounted or {}
        self._entrances = {name.encode(): app for name, app in (entrances or {}).items()}
        self._pages = _static(pages) if pages else None
        self._page_names = _names(pages) if pages else frozenset[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        mounted = self._entrance(scope) or self._mounted.get(scope["path"].split("/")[1])
        if mounted is not None:
            await mounted(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        path: str = scope["path"]
        if path in PATHS:
            await self._operator(scope, receive, send)
        elif self._pages is not None and path.split("/")[1] in self._page_names and scope["method"] in {"GET", "HEAD"}:
            await self._pages(scope, receive, send)
        else:
            await self._count(scope, receive, send)

    def _entrance(self, scope: Scope) -> ASGIApp | None:
        """Give the application of the listener that a request came in by, where that has one of its own."""
        if not self._entrances:
            return None
        bind = next((value for name, value in scope["headers"] if name == BIND_HEADER), b"")
        return self._entrances.get(bind)

    async def _count(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        status = FAILED

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._api(scope, receive, watch)
        finally:
            # The template, not the path: rooms' names must not become labels.
            route = getattr(scope.get("route"), "path", None) or UNMATCHED
            self._metrics.requests.labels(_method(scope["method"]), route, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - started)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _method(name: str) -> str:
    return name if name in _METHODS else "other"


def _names(pages: Path) -> Collection[str]:
    """First path segments that belong to the pages; the empty one is the start page."""
    return frozenset({"", *(entry.name for entry in pages.iterdir())})


def _static(pages: Path) -> Starlette:
    return Starlette(routes=[Mount("/", StaticFiles(directory=pages, html=True))])
