"""A whole server in one loop: the engine in memory, sockets on loopback."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import roomtone
from roomtone.app.errors import StartError
from roomtone.app.listeners import METRICS, Listener
from roomtone.app.listeners import listeners as real_listeners
from roomtone.app.server import Factories, Server
from roomtone.config import Address, Settings
from roomtone.control.rooms import CloseReason, RoomEventKind
from roomtone.media import EngineStartError, FakeLink, Link
from roomtone.media.fake_objects import FakeProducer, FakeRouter, FakeTransport
from roomtone.media.values import EngineConfig

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)


def settings(tmp_path: Path, **sections: Any) -> Settings:
    base: dict[str, Any] = {
        "server": {"data_dir": str(tmp_path / "data"), "dev": True, "shutdown_timeout_s": 5},
        "http": {"listen": ["127.0.0.1:0"], "tls_listen": []},
        "metrics": {"listen": "127.0.0.1:0"},
        "sip": {"udp_listen": [], "tcp_listen": [], "tls_listen": []},
        "srt": {"enabled": False},
        "rtmp": {"enabled": False},
    }
    for section, values in sections.items():
        base[section] = base.get(section, {}) | values
    return Settings.model_validate(base)


class Fakes:
    """Gives servers an engine in memory and keeps it at hand."""

    def __init__(self) -> None:
        self.link: FakeLink | None = None

    def open(self, config: EngineConfig) -> Link:
        self.link = FakeLink(config)
        return self.link

    @property
    def factories(self) -> Factories:
        return Factories(open_link=self.open)


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
async def server(tmp_path: Path, fakes: Fakes) -> AsyncIterator[Server]:
    server = Server(settings(tmp_path), fakes.factories)
    await server.start()
    yield server
    await server.close()


def url(server: Server, listener: str = "http") -> str:
    return f"http://{server.addresses[listener][0]}"


async def test_a_started_server_is_alive_started_and_ready(server: Server) -> None:
    async with httpx.AsyncClient(base_url=url(server)) as client:
        for path in ("/livez", "/readyz", "/startupz"):
            assert (await client.get(path)).status_code == 200, path
        assert (await client.get("/health")).json()["status"] == "ok"
        status = (await client.get("/status")).json()
    assert status["state"] == "ready"
    assert status["checks"]["engine"] == status["checks"]["database"] == {"ok": True}
    assert status["uptime_s"] >= 0


async def test_the_status_page_tells_listeners_and_how_much_there_is_but_no_names(server: Server) -> None:
    assert server.parts is not None
    await server.parts.rooms.open("a-secret-name")
    async with httpx.AsyncClient(base_url=url(server)) as client:
        page = await client.get("/status")
    status = page.json()
    assert status["listeners"] == server.addresses
    assert status["control"]["rooms"] == 1
    assert "a-secret-name" not in page.text
    assert status["engine"] in {"debug", "release"}
    assert any("development build" in warning for warning in status["warnings"]) == (status["engine"] == "debug")


async def test_metrics_are_on_their_own_address_only(server: Server) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(url(server) + "/metrics")).status_code == 404
        assert (await client.get(url(server, "metrics") + "/livez")).status_code == 404
        await client.post(url(server) + "/whip/some-room-of-a-stranger")
        page = await client.get(url(server, "metrics") + "/metrics")
    assert page.status_code == 200
    assert "roomtone_build_info" in page.text
    assert "roomtone_engine_routers" in page.text
    assert "roomtone_front_paths_withheld_total 2.0" in page.text
    assert "# TYPE roomtone_front_connections_open gauge" in page.text
    assert 'method="POST"' in page.text
    assert "some-room-of-a-stranger" not in page.text, "names of rooms are no labels"


async def test_the_sfus_own_address_serves_its_routes_and_no_pages(
    tmp_path: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roomtone, "__file__", str(tmp_path / "__init__.py"))
    pages = tmp_path / "pages"
    (pages / "room").mkdir(parents=True)
    for place in (pages, pages / "room"):
        (place / "index.html").write_text("a page")
    configured = settings(tmp_path, sfu_api={"listen": "127.0.0.1:0"})
    server = Server(configured, fakes.factories)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=url(server)) as client:
            assert (await client.get("/room/")).text == "a page"
            assert (await client.get("/sfu/health")).json()["status"] == "ok"
        async with httpx.AsyncClient(base_url=url(server, "sfu")) as client:
            assert (await client.get("/health")).json()["status"] == "ok"
            for path in ("/", "/room/", "/index.html", "/livez", "/metrics", "/api/v1/rooms", "/socket.io/"):
                assert (await client.get(path)).status_code == 404, path
    finally:
        await server.close()


async def test_the_api_is_mounted(server: Server) -> None:
    async with httpx.AsyncClient(base_url=url(server)) as client:
        assert (await client.post("/whip/r")).status_code == 401
        assert (await client.get("/api/v1/openapi.json")).status_code == 200


async def test_a_closed_server_leaves_no_task_no_socket_and_a_closed_engine(tmp_path: Path, fakes: Fakes) -> None:
    before = asyncio.all_tasks()
    server = Server(settings(tmp_path), fakes.factories)
    await server.start()
    address = server.addresses["http"][0]
    await server.close()
    await server.close()
    assert fakes.link is not None
    assert fakes.link.closed
    assert asyncio.all_tasks() == before
    host, _, port = address.rpartition(":")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


async def test_a_server_that_drains_is_alive_and_not_ready(tmp_path: Path, fakes: Fakes) -> None:
    server = Server(settings(tmp_path), fakes.factories)
    await server.start()
    seen: list[tuple[str, int, int]] = []

    async def look() -> None:
        async with httpx.AsyncClient(base_url=url(server)) as client:
            alive, ready = [(await client.get(f"/{what}")).status_code for what in ("livez", "readyz")]
        seen.append((server.health.state.value, alive, ready))

    await look()
    server._open.push_async_callback(look)
    await server.close()
    assert seen == [("ready", 200, 200), ("draining", 200, 503)]
    assert not server.health.ready
    assert server.health.state == "stopped"


def taken_port() -> tuple[socket.socket, int]:
    sock = socket.create_server(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


async def test_a_configured_address_in_use_stops_the_start_and_leaves_nothing_open(
    tmp_path: Path, fakes: Fakes
) -> None:
    sock, port = taken_port()
    tasks = asyncio.all_tasks()
    with sock, pytest.raises(StartError, match=rf"http: 127\.0\.0\.1:{port} is in use"):
        await Server(settings(tmp_path, http={"listen": [f"127.0.0.1:{port}"]}), fakes.factories).start()
    assert fakes.link is not None
    assert fakes.link.closed
    assert asyncio.all_tasks() == tasks


async def test_a_default_address_in_use_is_one_warning_with_dev(
    tmp_path: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    sock, port = taken_port()

    def some_taken(wanted: Settings, *, has_ipv6: bool) -> list[Listener]:
        kept = [listener for listener in real_listeners(wanted, has_ipv6=has_ipv6) if listener.name != METRICS]
        return [*kept, Listener(METRICS, Address("127.0.0.1", port), optional=True)]

    monkeypatch.setattr("roomtone.app.server.listeners", some_taken)
    server = Server(settings(tmp_path), fakes.factories)
    with sock:
        await server.start()
    await server.close()
    assert len([warning for warning in server.health.warnings if str(port) in warning]) == 1


async def test_a_data_directory_that_cannot_be_written_says_so(tmp_path: Path, fakes: Fakes) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    config = settings(tmp_path, server={"data_dir": str(in_the_way / "data")})
    with pytest.raises(StartError, match="set --data-dir"):
        await Server(config, fakes.factories).start()


async def test_a_certificate_that_is_not_there_says_so(tmp_path: Path, fakes: Fakes) -> None:
    config = settings(tmp_path, http={"cert": str(tmp_path / "c.pem"), "key": str(tmp_path / "k.pem")})
    with pytest.raises(StartError, match=r"http\.cert.*c\.pem"):
        await Server(config, fakes.factories).start()


async def test_an_engine_that_does_not_start_is_one_line(tmp_path: Path) -> None:
    def broken(_: EngineConfig) -> Link:
        raise EngineStartError("no port from 40000 to 40099 is free")

    with pytest.raises(StartError, match="no port from 40000"):
        await Server(settings(tmp_path), Factories(open_link=broken)).start()


async def test_the_engine_is_told_what_the_settings_say(tmp_path: Path, fakes: Fakes) -> None:
    config = settings(
        tmp_path,
        webrtc={"ports": "41000-41009", "announced_ips": ["10.0.0.1=203.0.113.5"], "listen_ips": ["127.0.0.1"]},
        engine={"shards": 3, "burst_delay_ms": 1.5},
    )
    server = Server(config, fakes.factories)
    await server.start()
    assert fakes.link is not None
    told = fakes.link.config
    assert (told.shards, told.webrtc_ports, told.burst_delay_us) == (3, (41_000, 41_009), 1500)
    assert told.announced_ips == [("10.0.0.1", "203.0.113.5")]
    assert told.ice_timeout_ms == 30_000
    await server.close()


async def test_the_engine_waits_for_a_peer_as_long_as_the_settings_say(tmp_path: Path, fakes: Fakes) -> None:
    server = Server(settings(tmp_path, webrtc={"connect_timeout_s": 7}), fakes.factories)
    await server.start()
    assert fakes.link is not None
    assert fakes.link.config.ice_timeout_ms == 7_000
    await server.close()


async def test_a_body_that_is_too_large_is_counted_by_its_status(tmp_path: Path, fakes: Fakes) -> None:
    server = Server(settings(tmp_path, limits={"max_sdp_bytes": 100}), fakes.factories)
    await server.start()
    async with httpx.AsyncClient(base_url=url(server)) as client:
        made = await client.get("/dev/token", params={"room": "demo", "identity": "alice"})
        headers = {"Authorization": f"Bearer {made.json()['token']}", "Content-Type": "application/sdp"}
        answer = await client.post("/whip/demo", content=b"v=0\r\n" * 100, headers=headers)
        assert answer.status_code == 413
        page = (await client.get(f"{url(server, 'metrics')}/metrics")).text
    assert 'roomtone_http_requests_total{method="POST",route="/whip/{room}",status="413"} 1.0' in page
    await server.close()


async def test_the_demo_room_has_a_publisher_that_comes_back_when_it_is_sent_out(tmp_path: Path, fakes: Fakes) -> None:
    server = Server(settings(tmp_path, server={"demo": True}), fakes.factories)
    await server.start()
    link = fakes.link
    assert link is not None
    assert len(link.find(FakeRouter)) == 1
    assert sorted(producer.kind for producer in link.find(FakeProducer)) == ["audio", "video"]
    first = {transport.id for transport in link.find(FakeTransport)}
    assert len(first) == 2
    assert server.health.verdicts()["demo"].ok
    assert server.parts is not None
    rooms = server.parts.rooms
    room = rooms.find("demo")
    with room.events.open() as events:
        await rooms.end(rooms.find_participant(room, "testcard"), CloseReason.REMOVED)
        while (event := await events.get()) is None or event.kind is not RoomEventKind.TRACK_PUBLISHED:
            pass
    second = {transport.id for transport in link.find(FakeTransport)}
    assert len(second) == 2
    assert not first & second, "a worker that was started anew has ports that have not learnt an address yet"
    await server.close()
    assert link.closed


async def test_a_public_address_from_a_stun_server_is_announced(
    tmp_path: Path, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(server: str) -> str | None:
        return "203.0.113.9" if server == "stun.example.org:3478" else None

    monkeypatch.setattr("roomtone.app.server.ask_public_address", ask)
    server = Server(settings(tmp_path, webrtc={"stun_server": "stun.example.org:3478"}), fakes.factories)
    await server.start()
    assert fakes.link is not None
    assert fakes.link.config.announced_ips == [("0.0.0.0", "203.0.113.9")]
    await server.close()
