"""What a running server shows as metrics is what the reference names, neither more nor less."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import httpx
import pytest

from roomtone.app.server import Server
from roomtone.config import Settings

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


async def test_the_metrics_of_a_running_server_are_those_of_the_reference(tmp_path: Path) -> None:
    sections = {
        "server": {"data_dir": str(tmp_path), "dev": True},
        "http": {"listen": ["127.0.0.1:0"], "tls_listen": []},
        "metrics": {"listen": "127.0.0.1:0"},
        "sip": {"udp_listen": [], "tcp_listen": [], "tls_listen": []},
        "srt": {"enabled": False},
        "rtmp": {"enabled": False},
        "webrtc": {"ports": "0-0"},
        "engine": {"shards": 1},
    }
    server = Server(Settings.model_validate(sections))
    await server.start()
    try:
        async with httpx.AsyncClient() as client:
            page = (await client.get(f"http://{server.addresses['metrics'][0]}/metrics")).text
    finally:
        await server.close()
    shown = set(re.findall(r"^# TYPE (roomtone_\w+) (\w+)$", page, re.MULTILINE))
    shown = {(name.removesuffix("_total"), kind) for name, kind in shown if not name.endswith("_created")}
    told = set(re.findall(r"^\| `(roomtone_\w+)` \| (\w+) \|", REFERENCE.read_text(), re.MULTILINE))
    assert shown == told
