"""How requests reach the application: through the front door, or straight where that is not built."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Protocol

import uvicorn

from roomtone.app.errors import StartError
from roomtone.app.listeners import HTTP, HTTPS, METRICS, Listener
from roomtone.media.errors import EngineStartError
from roomtone.media.front import FrontConfig, FrontDoor, FrontStaticDir, FrontTls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

    from roomtone.config import Settings

KEEP_ALIVE_S = 5
"""Longer than the front door keeps idle connections to us, so that it never meets one we are closing."""


class Door(Protocol):
    """What lets requests in."""

    def addresses(self) -> dict[str, list[str]]:
        """Where it listens, by the listener's name."""

    async def close(self) -> None:
        """Let nobody in any more."""


class UvicornServer(uvicorn.Server):
    """Uvicorn inside a loop that is not its own: it leaves the signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle none; the server's own handlers do."""
        yield


class HttpServer:
    """The ASGI application on sockets that are open already."""

    def __init__(
        self, app: ASGIApp, sockets: list[socket.socket], shutdown_timeout_s: int, *, behind_front: bool = False
    ) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            lifespan="off",
            server_header=False,
            date_header=True,
            # Only the front door can reach its socket, and it has dropped what strangers wrote.
            proxy_headers=behind_front,
            forwarded_allow_ips="*" if behind_front else "",
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=shutdown_timeout_s,
        )
        self._sockets = sockets
        self._server = UvicornServer(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve; requests are answered once this returns."""
        self._task = asyncio.create_task(self._server.serve(sockets=self._sockets), name="http-server")
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise StartError("the HTTP server ended while it started")
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Finish the requests under way and stop."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        for sock in self._sockets:
            sock.close()


def unix_socket(path: Path) -> socket.socket:
    """Open the private socket between front door and application."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    path.chmod(0o600)
    sock.listen(1024)
    return sock


class RustDoor:
    """The front door of the engine's binary, proxying to the application's Unix socket."""

    def __init__(self, door: FrontDoor) -> None:
        self._door = door

    @classmethod
    async def open(cls, settings: Settings, wanted: list[Listener], application: Path, pages: Path | None) -> RustDoor:
        """Start it; raise `StartError` when an address is taken or the certificate is bad."""
        config = FrontConfig(
            binds=[listener.to_bind() for listener in wanted],
            application=str(application),
            tls=FrontTls(
                certificate=str(settings.http.cert) if settings.http.cert else None,
                key=str(settings.http.key) if settings.http.key else None,
                directory=str(settings.server.data_path / "tls"),
                names=list(settings.http.names),
            ),
            trusted_proxies=list(settings.http.trusted_proxies),
            static_dirs=[FrontStaticDir(prefix="/", directory=str(pages))] if pages else [],
            limits=settings.http.limits.model_dump(),
        )
        try:
            return cls(await asyncio.to_thread(FrontDoor, config))
        except EngineStartError as error:
            raise StartError(f"{error}") from error

    def addresses(self) -> dict[str, list[str]]:
        """Where it listens."""
        return self._door.addresses()

    async def close(self) -> None:
        """Drain and stop."""
        await asyncio.to_thread(self._door.close)


class DirectDoor:
    """Plain HTTP straight to the application: for a build without the front door. No TLS, no limits in front."""

    def __init__(self, servers: list[HttpServer], listening: dict[str, list[str]]) -> None:
        self._servers = servers
        self._listening = listening

    @classmethod
    async def open(cls, wanted: list[Listener], app: ASGIApp, shutdown_timeout_s: int) -> DirectDoor:
        """Bind and serve; raise `StartError` when a configured address is taken."""
        sockets: dict[str, list[socket.socket]] = {}
        try:
            for listener in wanted:
                if listener.name != HTTPS and (bound := _bind(listener)) is not None:
                    sockets.setdefault(listener.name, []).append(bound)
        except StartError:
            for sock in (sock for opened in sockets.values() for sock in opened):
                sock.close()
            raise
        servers = [
            HttpServer(_only_metrics(app) if name == METRICS else _without_metrics(app), opened, shutdown_timeout_s)
            for name, opened in sockets.items()
        ]
        for server in servers:
            await server.start()
        return cls(servers, {name: [_text(sock) for sock in opened] for name, opened in sockets.items()})

    def addresses(self) -> dict[str, list[str]]:
        """Where it listens."""
        return self._listening

    async def close(self) -> None:
        """Stop all servers."""
        await asyncio.gather(*(server.close() for server in self._servers))


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def _bind(listener: Listener) -> socket.socket | None:
    host, port = listener.address
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)
    except OSError as error:
        sock.close()
        if listener.optional:
            return None
        key = {HTTP: "http.listen", HTTPS: "http.tls_listen", METRICS: "metrics.listen"}[listener.name]
        raise StartError(f"{listener.address}: {error.strerror}; stop what uses it or set {key}") from error
    return sock


def _text(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _only_metrics(app: ASGIApp) -> ASGIApp:
    return _filtered(app, metrics=True)


def _without_metrics(app: ASGIApp) -> ASGIApp:
    return _filtered(app, metrics=False)


def _filtered(app: ASGIApp, *, metrics: bool) -> ASGIApp:
    from starlette.responses import PlainTextResponse  # noqa: PLC0415 - only without the front door

    async def filtered(scope, receive, send):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - ASGI's own names
        if scope["type"] == "http" and (scope["path"] == "/metrics") is not metrics:
            await PlainTextResponse("not found\n", 404)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return filtered
