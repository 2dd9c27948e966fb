"""A server's life: everything opened in order, closed in the opposite one."""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import roomtone
from roomtone.app.application import Application
from roomtone.app.build import engine_profile, version
from roomtone.app.demo import Demo
from roomtone.app.door import Door, HttpServer, has_ipv6, shared_ports, unix_socket
from roomtone.app.encoders import Encoders
from roomtone.app.engine_config import engine_config
from roomtone.app.errors import StartError
from roomtone.app.families import (
    BOUNDARY_FAMILIES,
    LIMITER_FAMILIES,
    LIVE_FAMILIES,
    LIVEKIT_FAMILIES,
    LOOP_FAMILIES,
    PEOPLE_FAMILIES,
    ROOM_FAMILIES,
    SFU_FAMILIES,
    SIP_FAMILIES,
    WEBHOOK_FAMILIES,
    boundary_values,
    limiter_values,
    live_values,
    livekit_values,
    loop_values,
    people_values,
    room_counts,
    room_values,
    sfu_values,
    sip_values,
    webhook_values,
)
from roomtone.app.fetchers import FetchProcesses
from roomtone.app.listeners import HTTP, HTTPS, SFU, Listener, listeners
from roomtone.app.live_demo import LiveDemo
from roomtone.app.names import share_names
from roomtone.app.operator import operator_app
from roomtone.app.people import People, open_people
from roomtone.app.phones import Phones, is_wanted
from roomtone.app.previews import Previews
from roomtone.app.public_address import ask_public_address
from roomtone.app.slates import open_slates
from roomtone.app.transcoders import TranscoderProcesses, check_transcoding
from roomtone.app.wiring import Parts, wire
from roomtone.clients.targets import GuardedTargets
from roomtone.control.live import Pulls
from roomtone.media import CoreLink, Engine, EngineStartError
from roomtone.media.values import IngestProtocol
from roomtone.observe import OK, Health, LoopLag, Metrics, ServerInput, ServerState, Verdict, get_logger
from roomtone.servers.sip import PATH as SIP_PATH
from roomtone.servers.socketio import PATH, create_rest_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from roomtone.config import Settings
    from roomtone.media import Link
    from roomtone.media.values import EngineConfig

_log = get_logger(__name__)

DEMO_ROOM = "demo"
STUCK_LOOP_S = 5.0


@dataclass(frozen=True, slots=True)
class Factories:
    """What tests replace: the engine."""

    open_link: Callable[[EngineConfig], Link] = CoreLink


class Server:
    """One running server. `start` either opens everything or leaves nothing open and raises `StartError`."""

    def __init__(self, settings: Settings, factories: Factories | None = None) -> None:
        self.settings = settings
        self.profile = engine_profile()
        self.health = Health(clock=time.monotonic)
        self.metrics = Metrics(version(), self.profile)
        self.addresses: dict[str, list[str]] = {}
        self.parts: Parts | None = None
        """Control and the API, once started."""
        self.people: People | None = None
        """Accounts, keys and what else the database keeps, once started."""
        self._factories = factories or Factories()
        self._link: Link | None = None
        self._announced: list[tuple[str, str]] = []
        self._door: Door | None = None
        self._phones: Phones | None = None
        self._encoders: Encoders | None = None
        self._open = AsyncExitStack()
        self._ipv6 = has_ipv6()

    async def start(self) -> None:
        """Open all parts in order: data directory, engine, control, application, front door, demo."""
        try:
            await self._start()
        except BaseException:
            await self._open.aclose()
            raise
        self.health.advance(ServerInput.STARTED)

    async def close(self) -> None:
        """Close in the opposite order; peers are told. May be called twice."""
        if self.health.state in {ServerState.DRAINING, ServerState.STOPPED}:
            return
        self.health.advance(ServerInput.STOP)
        limit = self.settings.server.shutdown_timeout_s
        try:
            async with asyncio.timeout(limit):
                await self._open.aclose()
        except TimeoutError:
            _log.warning("stop took too long; what is left ends with the process", limit_s=limit)
        self.health.advance(ServerInput.CLOSED)

    async def reload_certificate(self) -> None:
        """Read the certificate and its key again; what is wrong with them is logged, and the old ones stay in use."""
        if self._door is None:
            _log.warning("the certificate is not read again: the server is not started yet")
            return
        try:
            await self._door.reload_certificate()
            if self._encoders is not None:
                await self._encoders.reload_certificate()
        except StartError as error:
            _log.error("the certificate is not changed: the new one is bad", reason=str(error))
        else:
            _log.info("the certificate was read again")
        if self._phones is None:
            return
        try:
            await asyncio.to_thread(self._phones.reload_certificates)
        except StartError as error:
            _log.error("the certificates of SIP are not changed: a new one is bad", reason=str(error))

    async def _start(self) -> None:
        _prepare_data_dir(self.settings.server.data_path)
        _check_certificate(self.settings)
        check_transcoding(self.settings.live)
        self._watch_loop()
        engine, people = await self._open_engine_and_people()
        parts = wire(self.settings, engine, version(), people)
        self.parts = parts
        share_names(self.settings, parts.context, self._open)
        self._open.push_async_callback(parts.close)
        await parts.start()
        parts.context.picture = previews = Previews()
        self.metrics.read_engine(engine.stats)
        context = parts.context
        self.metrics.read_families(ROOM_FAMILIES, lambda: room_values(parts.rooms))
        self.metrics.read_families(
            LIVE_FAMILIES,
            lambda: live_values(
                parts.live, context.ingests, context.access, previews, context.transcodings, context.pulls
            ),
        )
        self.metrics.read_families(LIVEKIT_FAMILIES, lambda: livekit_values(parts.livekit))
        self.metrics.read_families(WEBHOOK_FAMILIES, lambda: webhook_values(parts.webhooks.delivery))
        self.metrics.read_families(LIMITER_FAMILIES, lambda: limiter_values(parts.limiter))
        self.metrics.read_families(PEOPLE_FAMILIES, lambda: people_values(people))
        self.metrics.read_families(SFU_FAMILIES, lambda: sfu_values(parts.sfu, parts.sockets))
        self.metrics.read_families(BOUNDARY_FAMILIES, lambda: boundary_values(engine))
        self.metrics.read_families(LOOP_FAMILIES, loop_values)
        if is_wanted(self.settings):
            product = f"Roomtone/{version()}"
            self._phones = Phones(self.settings, product, engine, parts.rooms, people.phones, has_ipv6=self._ipv6)
            self._phones.core.ice_rules = parts.context.ice_rules
            parts.context.calls = parts.livekit.calls = self._phones.calls
        door = await self._open_door(parts)
        self._door = door
        self.addresses = door.addresses()
        if self._phones is not None:
            await self._open_phones(self._phones)
        await self._open_encoders(parts)
        self.metrics.read_front(door.stats)
        if self.settings.webrtc.share_https_port:
            self._share_https_port(engine)
        if self.settings.server.demo:
            await self._open_demo(parts)

    def _watch_loop(self) -> None:
        def observe(late_s: float) -> None:
            self.metrics.loop_lag.observe(late_s)
            if self._phones is not None:
                self._phones.heed_lag(late_s)

        lag = LoopLag(observe, lambda late: _log.warning("event loop was late", late_s=round(late, 3)))
        lag.start()
        self._open.callback(lag.stop)

        def check() -> Verdict:
            return OK if lag.last_s < STUCK_LOOP_S else Verdict(ok=False, reason=f"the loop is {lag.last_s:.1f} s late")

        self.health.watch("loop", check, vital=True)

    async def _open_engine_and_people(self) -> tuple[Engine, People]:
        """Open the database while the engine opens: neither needs the other."""
        opening = asyncio.create_task(open_people(self.settings), name="open-people")
        try:
            engine = await self._open_engine()
            people = await opening
        except BaseException:
            opening.cancel()
            (left,) = await asyncio.gather(opening, return_exceptions=True)
            if isinstance(left, People):
                await left.close()
            raise
        self.people = people
        self._open.push_async_callback(people.close)
        self.health.watch("database", people.verdict)
        return engine, people

    async def _open_engine(self) -> Engine:
        if self.profile == "debug":
            warning = "the media engine is a development build: expect more CPU time a packet"
            self.health.warnings.append(warning)
            _log.warning(warning)
        public = None
        if self.settings.webrtc.stun_server and not self.settings.webrtc.announced_ips:
            public = await ask_public_address(self.settings.webrtc.stun_server)
            if public is None:
                self.health.warnings.append("the STUN server did not answer: no public address is announced")
            _log.info("asked for the public address", stun_server=self.settings.webrtc.stun_server, address=public)
        config = engine_config(self.settings, has_ipv6=self._ipv6, public_address=public)
        try:
            link = await asyncio.to_thread(self._factories.open_link, config)
        except EngineStartError as error:
            raise StartError(f"the media engine did not start: {error}") from error
        self._link = link
        self._announced = config.announced_ips
        engine = Engine(link)
        await engine.start()
        self._open.push_async_callback(engine.close)
        self.health.watch(
            "engine",
            lambda: Verdict(ok=False, reason="closed") if engine.closed else OK,
            vital=True,
        )
        return engine

    async def _open_door(self, parts: Parts) -> Door:
        wanted = listeners(self.settings, has_ipv6=self._ipv6)
        operator = operator_app(self.health, self.metrics, self.profile, lambda: self._status(parts))
        folder_of_pages = Path(roomtone.__file__).parent / "pages"
        pages = folder_of_pages if (folder_of_pages / "index.html").exists() else None
        mounted: dict[str, ASGIApp] = {PATH: parts.sockets.app}
        if self._phones is not None and self.settings.sip.websocket:
            mounted[SIP_PATH] = self._phones.entrance
        app = Application(
            parts.api,
            operator,
            self.metrics,
            pages,
            mounted=mounted,
            entrances={SFU: create_rest_app(parts.sfu)},
        )
        folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="roomtone-"))
        on_restart = self.metrics.worker_restarts.labels("transcoder").inc
        parts.context.transcodings.workers = TranscoderProcesses(Path(folder), on_restart)
        path = Path(folder) / "application.sock"
        http = HttpServer(app, unix_socket(path), self.settings.server.shutdown_timeout_s)
        await http.start()
        self._open.push_async_callback(http.close)
        # The door serves the engine's live streams from memory.
        engine = self._link if isinstance(self._link, CoreLink) else None
        door = await Door.open(self.settings, wanted, path, pages, engine, grant_key=parts.context.access.key)
        self._open.push_async_callback(_drain, door, http)
        parts.context.access.door = parts.context.shelf = door
        self._check_listening(wanted, door)
        return door

    async def _open_phones(self, phones: Phones) -> None:
        self._open.push_async_callback(phones.close)
        for warning in await phones.open():
            self.health.warnings.append(warning)
            _log.warning(warning)
        self.addresses |= phones.addresses()
        self.metrics.read_families(SIP_FAMILIES, lambda: sip_values(phones))

    async def _open_encoders(self, parts: Parts) -> None:
        pulls = parts.context.pulls = Pulls(
            parts.context.engine,
            parts.context.ingests,
            GuardedTargets(allow_private=self.settings.pull.allow_private),
            parts.context.listings,
        )
        self._open.push_async_callback(pulls.close_all)
        self._encoders = encoders = Encoders(self.settings, parts.context.ingests, has_ipv6=self._ipv6)
        for warning in await encoders.open():
            self.health.warnings.append(warning)
            _log.warning(warning)
        self.addresses |= encoders.addresses()
        rtmp = self.addresses.get(IngestProtocol.RTMP.value, [])
        pulls.fetchers = FetchProcesses(rtmp[0] if rtmp else None, allow_private=self.settings.pull.allow_private)
        parts.context.rights.secret_of = pulls.secret_of
        self._open.push_async_callback(parts.context.slates.close)
        for warning in open_slates(parts.context.slates, rtmp[0] if rtmp else None):
            self.health.warnings.append(warning)
            _log.warning(warning)
        if parts.context.ingresses is not None:
            await parts.context.ingresses.start(pulls)

    def _status(self, parts: Parts) -> dict[str, object]:
        """Say on the status page what belongs to this server: numbers only, since anybody may read them."""
        return {"listeners": self.addresses, "control": room_counts(parts.rooms)}

    def _check_listening(self, wanted: list[Listener], door: Door) -> None:
        listening = door.addresses()
        for name in dict.fromkeys(listener.name for listener in wanted):
            tried = [str(listener.address) for listener in wanted if listener.name == name]
            if len(listening.get(name, [])) < len(tried):
                warning = f"{name}: not all of {', '.join(tried)} could be had; another program listens there"
                self.health.warnings.append(warning)
                _log.warning(warning, listening=listening.get(name, []))
        if not listening.get(HTTP) and not listening.get(HTTPS):
            raise StartError("no address is left to serve HTTP on: stop the other program or set http.listen")

    def _share_https_port(self, engine: Engine) -> None:
        engine.shared_tcp_ports = shared_ports(self.addresses, self._announced)
        if not engine.shared_tcp_ports:
            raise StartError("webrtc.share_https_port needs the HTTPS port: set http.tls_listen")
        if not isinstance(self._link, CoreLink):
            raise StartError("webrtc.share_https_port needs the media engine in this process: set it to false")

    async def _open_demo(self, parts: Parts) -> None:
        """Publish the test card: as an encoder does, so that it is a live stream too, or else by plain RTP."""
        restarts = self.metrics.worker_restarts
        demo: Demo | LiveDemo
        if rtmp := self.addresses.get(IngestProtocol.RTMP.value):
            on_restart = restarts.labels("livecard").inc
            demo = LiveDemo(rtmp[0], DEMO_ROOM, parts.context.keys, on_restart=on_restart)
        else:
            demo = Demo(parts.rooms, DEMO_ROOM, on_restart=restarts.labels("testcard").inc)
        self._open.push_async_callback(demo.close)
        await demo.start()
        self.health.watch("demo", demo.verdict)


async def _drain(door: Door, http: HttpServer) -> None:
    """Let nobody in any more, and finish what is under way.

    The door waits for connections until its patience ends, so WebSockets are ended from behind, with 1012 (service
    restart).
    """
    await asyncio.gather(door.close(), http.close())


def _prepare_data_dir(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path, prefix=".write-test-"):
            pass
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise StartError(f"data directory {path} cannot be written ({why}): set --data-dir") from error


def _check_certificate(settings: Settings) -> None:
    """Find a missing file before anything is opened; what is in it the front door checks."""
    for key, path in (("http.cert", settings.http.cert), ("http.key", settings.http.key)):
        if path is None:
            continue
        try:
            path.read_bytes()
        except OSError as error:
            why = os.strerror(error.errno or errno.EIO)
            raise StartError(f"{key}: {path} cannot be read ({why}): give a PEM file") from error
