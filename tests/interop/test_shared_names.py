"""Two servers that share Redis: each name of a live stream is of one of them, and players are led to it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from aiortc_peer import assert_is_the_picture
from conftest import PATIENCE_S, Server, sign, start_server, stop_server, until
from test_encoders import H264, encoder, ingests, playlist, rtmp
from test_live_lists import decode

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]
REDIS = shutil.which("redis-server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def redis() -> Iterator[str]:
    if REDIS is None:
        pytest.skip("Redis is not installed (Debian: redis-server)")
    port = free_port()
    line = [REDIS, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}/0"
    process.kill()
    process.wait()


@pytest.fixture
def both(redis: str, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    servers = []
    for name in ("one", "two"):
        port = free_port()
        told = {
            "ROOMTONE_REDIS__URL": redis,
            "ROOMTONE_LIVE__NODE_URL": f"http://127.0.0.1:{port}",
            "ROOMTONE_HTTP__LISTEN": f"127.0.0.1:{port}",
        }
        servers.append(start_server(tmp_path / name, **told))
    yield servers[0], servers[1]
    for server in servers:
        if server.process.poll() is None:
            stop_server(server)


def test_a_name_is_published_at_one_server_and_watched_by_way_of_the_other(
    both: tuple[Server, Server], tmp_path: Path
) -> None:
    one, two = both
    with encoder(tmp_path / "one.log", rtmp(one, "shared"), *H264):
        until(lambda: playlist(one, "shared").count("#EXTINF") >= 1, "a segment")
        with encoder(tmp_path / "two.log", rtmp(two, "shared"), *H264) as second:
            assert second.wait(PATIENCE_S) != 0
        assert f"{one.http} has a live stream of this name" in (tmp_path / "two.log").read_text()
        assert ingests(two, "shared") is None
        assert two.metrics()["roomtone_ingests_refused_total"] >= 1
        led = httpx.get(f"{two.http}/live/shared/index.m3u8", timeout=PATIENCE_S)
        assert (led.status_code, led.headers["location"]) == (307, f"{one.http}/live/shared/index.m3u8")
        pictures, _, _ = decode(f"{two.http}/live/shared/index.m3u8", 2.0)
        assert_is_the_picture(pictures[-1])
        # A server that dies gives nothing back, and is missed.
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
        one.reader.join()
        assert one.process.stdout is not None
        one.process.stdout.close()

    def taken_over() -> bool:
        with encoder(tmp_path / "after.log", rtmp(two, "shared"), *H264) as again:
            try:
                return again.wait(3) == 0
            except subprocess.TimeoutExpired:
                return ingests(two, "shared") is not None

    until(taken_over, "the name to be free again")


def test_a_room_does_not_go_live_under_a_name_that_another_server_has(
    both: tuple[Server, Server], tmp_path: Path
) -> None:
    one, two = both
    with encoder(tmp_path / "log", rtmp(one, "meeting"), *H264):
        until(lambda: ingests(one, "meeting"), "the stream")
        headers = {
            "Authorization": f"Bearer {sign('host', {'roomAdmin': True, 'room': 'meeting', 'roomCreate': True})}"
        }
        made = httpx.post(f"{two.http}/api/v1/rooms", headers=headers, json={"name": "meeting"}, timeout=PATIENCE_S)
        assert made.is_success, made.text
        refused = httpx.post(
            f"{two.http}/api/v1/streams", headers=headers, json={"room": "meeting"}, timeout=PATIENCE_S
        )
        assert (refused.status_code, refused.json()["code"]) == (409, "already_live")
        assert one.http in refused.json()["detail"]
