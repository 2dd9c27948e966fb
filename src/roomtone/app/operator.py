"""Pages for those who run the server: health, status, metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from roomtone.app.build import version
from roomtone.observe import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from roomtone.observe import Health, Metrics

PATHS = ("/health", "/livez", "/readyz", "/startupz", "/status", "/metrics")
OK, UNAVAILABLE = 200, 503


def operator_app(
    health: Health, metrics: Metrics, profile: str, more: Callable[[], Mapping[str, object]] = dict
) -> Starlette:
    """Make the ASGI application behind `PATHS`; ``more`` is what `/status` shows besides."""

    async def livez(_: Request) -> Response:
        return _plain(good=health.live, word="alive", state=health.state)

    async def startupz(_: Request) -> Response:
        return _plain(good=health.started, word="started", state=health.state)

    async def readyz(_: Request) -> Response:
        return _plain(good=health.ready, word="ready", state=health.state)

    async def health_page(_: Request) -> Response:
        body = {"status": "ok" if health.ready else "unavailable", "state": health.state.value}
        return JSONResponse(body, OK if health.ready else UNAVAILABLE, headers=_FRESH)

    async def status(_: Request) -> Response:
        checks = {
            name: {"ok": verdict.ok} | ({"reason": verdict.reason} if verdict.reason else {})
            for name, verdict in health.verdicts().items()
        }
        body = {
            "version": version(),
            "engine": profile,
            "state": health.state.value,
            "live": health.live,
            "ready": health.ready,
            "uptime_s": round(health.uptime_s, 3),
            "checks": checks,
            "warnings": health.warnings,
            **more(),
        }
        return JSONResponse(body, headers=_FRESH)

    async def metrics_page(_: Request) -> Response:
        return Response(await metrics.render(), media_type=CONTENT_TYPE, headers=_FRESH)

    pages = {
        "/livez": livez,
        "/startupz": startupz,
        "/readyz": readyz,
        "/health": health_page,
        "/status": status,
        "/metrics": metrics_page,
    }
    return Starlette(routes=[Route(path, page) for path, page in pages.items()])


_FRESH = {"Cache-Control": "no-store"}


def _plain(*, good: bool, word: str, state: str) -> Response:
    text = f"{word}\n" if good else f"not {word}: {state}\n"
    return PlainTextResponse(text, OK if good else UNAVAILABLE, headers=_FRESH)
