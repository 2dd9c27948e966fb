"""How requests reach the application: through the front door and a private Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import uvicorn

from roomtone.app.engine_config import any_address
from roomtone.app.errors import StartError
from roomtone.app.listeners import HTTPS, SFU, Listener
from roomtone.media import EngineStartError, SharedTcpPort
from roomtone.media.front import FrontConfig, FrontDoor, FrontHeld, FrontLive, FrontStaticDir, FrontTls, FrontViewer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from starlette.types import ASGIApp

    from roomtone.config import Settings
    from roomtone.media import CoreLink

DATE_EVERY_S = 1
"""The header of that name has whole seconds."""
WS_MAX_BYTES = 1_048_576
"""Largest WebSocket message; each protocol has a lower limit of its own, with an answer of its own."""
KEEP_ALIVE_S = 5
"""Longer than the front door keeps idle connections to us, so that it never meets one we are closing."""


class UvicornServer(uvicorn.Server):
    """Uvicorn inside a loop that is not its own: it leaves the signals alone and wakes up once a second only."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Finish the requests under way and end."""
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        """Keep the date header fresh until told to leave."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), DATE_EVERY_S)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle none; the server's own handlers do."""
        yield


class HttpServer:
    """The ASGI application on a socket that is open already."""

    def __init__(self, app: ASGIApp, sock: socket.socket, shutdown_timeout_s: int) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            lifespan="off",
            server_header=False,
            date_header=True,
            # Only the front door can reach its socket, and it has dropped what strangers wrote.
            proxy_headers=True,
            forwarded_allow_ips="*",
            timeout_keep_alive=KEEP_ALIVE_S,
            ws_max_size=WS_MAX_BYTES,
            timeout_graceful_shutdown=shutdown_timeout_s,
        )
        self._socket = sock
        self._server = UvicornServer(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve; requests are answered once this returns."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="http-server")
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise StartError("the HTTP server ended while it started")
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Finish the requests under way and stop. May be called twice."""
        self._server.leave()
        if self._task is not None:
            await self._task
        self._socket.close()


def unix_socket(path: Path) -> socket.socket:
    """Open the private socket between front door and application."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    path.chmod(0o600)
    sock.listen(1024)
    return sock


class Door:
    """The front door of the engine's binary, proxying to the application's Unix socket.

    The files it serves by itself are on all addresses of one `FrontDoor`, so an interface that shall have none gets
    another one.
    """

    def __init__(self, doors: Sequence[FrontDoor]) -> None:
        self._doors = tuple(doors)

    @classmethod
    async def open(
        cls,
        settings: Settings,
        wanted: list[Listener],
        application: Path,
        pages: Path | None,
        engine: CoreLink | None = None,
        *,
        grant_key: bytes = b"",
    ) -> Door:
        """Start it; raise `StartError` when an address is taken or the certificate is bad.

        Live streams are those of ``engine``, grants to watch them are signed by ``grant_key``; the HTTPS port takes
        media over TCP for it where the settings say so.
        """
        bare = [listener.to_bind() for listener in wanted if listener.name == SFU]
        config = FrontConfig(
            binds=[listener.to_bind() for listener in wanted if listener.name != SFU],
            application=str(application),
            tls=FrontTls(
                certificate=str(settings.http.cert) if settings.http.cert else None,
                key=str(settings.http.key) if settings.http.key else None,
                directory=str(settings.server.data_path / "tls"),
                names=list(settings.http.names),
            ),
            trusted_proxies=list(settings.http.trusted_proxies),
            static_dirs=[FrontStaticDir(prefix="/", directory=str(pages))] if pages else [],
            live=FrontLive(
                public=settings.live.public,
                open_to_loopback=settings.server.dev,
                grant_key=grant_key.hex(),
            ),
            limits=settings.http.limits.model_dump(),
        )
        opened: list[FrontDoor] = []
        try:
            share = settings.webrtc.share_https_port
            opened.append(await asyncio.to_thread(FrontDoor, config, engine, takes_media=share))
            if bare:
                without = msgspec.structs.replace(config, binds=bare, static_dirs=[])
                opened.append(await asyncio.to_thread(FrontDoor, without))
        except EngineStartError as error:
            for door in opened:
                await asyncio.to_thread(door.close)
            raise StartError(f"{error}") from error
        return cls(opened)

    def addresses(self) -> dict[str, list[str]]:
        """Where it listens, by the listener's name."""
        return {name: at for door in self._doors for name, at in door.addresses().items()}

    def stats(self) -> dict[str, int]:
        """Counters since the start, and gauges."""
        sums: Counter[str] = Counter()
        for door in self._doors:
            sums.update(door.stats())
        return dict(sums)

    def viewers(self, name: str) -> list[FrontViewer]:
        """Give who watches a live stream now."""
        return self._doors[0].viewers(name)

    def audience(self) -> dict[str, int]:
        """Give how many watch each live stream that is watched."""
        return self._doors[0].audience()

    def keyframe(self, name: str) -> bytes | None:
        """Give the last keyframe of a live stream as a file (MP4) of one picture."""
        return self._doors[0].keyframe(name)

    def held(self, name: str) -> FrontHeld | None:
        """Give what is in memory of a live stream."""
        return self._doors[0].held(name)

    def kick(self, name: str, viewer: int) -> FrontViewer:
        """Send a viewer of a live stream away; raise `KickRefusedError`."""
        return self._doors[0].kick(name, viewer)

    async def reload_certificate(self) -> None:
        """Read certificate and key again; raise `StartError` when they are bad, and the old ones stay."""
        try:
            for door in self._doors:
                await asyncio.to_thread(door.reload_certificate)
        except EngineStartError as error:
            raise StartError(f"{error}") from error

    async def close(self) -> None:
        """Drain and stop."""
        await asyncio.gather(*(asyncio.to_thread(door.close) for door in self._doors))


def shared_ports(listening: dict[str, list[str]], announced: list[tuple[str, str]]) -> tuple[SharedTcpPort, ...]:
    """Say where peers find the HTTPS port: at its addresses, and at what is announced for these."""
    ports = []
    for address in listening.get(HTTPS, ()):
        host, _, port = address.rpartition(":")
        ip = host.strip("[]")
        any_ip = any_address(ip)
        ports.append(SharedTcpPort(int(port), (ip, *(told for at, told in announced if at in {ip, any_ip}))))
    return tuple(ports)


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True
