"""Streams that are fetched from other servers: FFmpeg is listened to by SRT, and plays the server of RTMP."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import PATIENCE_S, Server, sign, start_server, stop_server, token, until
from test_encoders import AAC, H264, REORDERED, SOURCE, encoder, ingests, playlist, rtmp
from test_inputs import inputs, is_seen_and_heard, source

pytestmark = pytest.mark.timeout(240)
PASSPHRASE = "a phrase for those who call"


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that fetches from its own machine."""
    running = start_server(tmp_path_factory.mktemp("near"), ROOMTONE_PULL__ALLOW_PRIVATE="true")
    yield running
    stop_server(running)


def pulls(server: Server, method: str, name: str, url: str = "") -> Any:
    """Ask for pulls; the answer."""
    path, body = ("", {"name": name, "url": url}) if method == "POST" else (f"/{name}", None)
    headers = {"Authorization": f"Bearer {sign('test', {'roomAdmin': True, 'room': name})}"}
    address = f"{server.http}/api/v1/pulls{path}"
    return httpx.request(method, address, headers=headers, json=body, timeout=PATIENCE_S)


def free_port(kind: socket.SocketKind) -> int:
    """Give a port that nobody has, below those that the kernel hands out: attempts must not meet themselves."""
    for port in range(23_000, 23_500):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


@pytest.mark.parametrize("protocol", ["srt", "rtmp"])
def test_what_is_fetched_is_seen_and_heard(near: Server, tmp_path: Path, protocol: str) -> None:
    name = f"from-{protocol}"
    if protocol == "srt":
        port = free_port(socket.SOCK_DGRAM)
        secret = f"passphrase={PASSPHRASE.replace(' ', '%20')}"
        arguments = (*AAC, *H264, "-f", "mpegts", f"srt://127.0.0.1:{port}?mode=listener&pkt_size=1316&{secret}")
        url = f"srt://127.0.0.1:{port}?{secret}"
    else:
        port = free_port(socket.SOCK_STREAM)
        url = f"rtmp://127.0.0.1:{port}/live/{name}"
        arguments = (*AAC, *REORDERED, "-f", "flv", "-listen", "1", url)
    opened = pulls(near, "POST", name, url)
    assert opened.status_code == httpx.codes.CREATED, opened.text
    assert "passphrase" not in opened.text
    until(lambda: pulls(near, "GET", name).json()["state"] == "waiting", "an attempt that has failed")
    with source(tmp_path / "log", *SOURCE, *arguments):
        until(lambda: pulls(near, "GET", name).json()["state"] == "publishing", "the stream")
        found = until(lambda: (seen := ingests(near, name)) and seen["tracks"] and seen, "a playlist")
        assert (found["protocol"], found["remote"]) == (protocol, f"127.0.0.1:{port}")
        is_seen_and_heard(near, name)
    until(lambda: pulls(near, "GET", name).json()["state"] != "publishing", "the end of the stream")
    assert pulls(near, "GET", name).json()["last_error"]
    assert pulls(near, "DELETE", name).status_code == httpx.codes.NO_CONTENT
    until(lambda: "#EXT-X-ENDLIST" in playlist(near, name), "the end of the playlist")


def test_nothing_is_fetched_from_this_machine_unless_that_is_allowed(server: Server) -> None:
    for host in ("127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254"):
        refused = pulls(server, "POST", "private", f"rtmp://{host}/live/private")
        assert refused.status_code == httpx.codes.FORBIDDEN, refused.text
        assert "private_address" in refused.text
    refused = pulls(server, "POST", "private", "http://127.0.0.1/index.m3u8")
    assert refused.status_code == httpx.codes.FORBIDDEN, refused.text
    for scheme in ("rtsp", "rtsps"):
        refused = pulls(server, "POST", "private", f"{scheme}://127.0.0.1/1")
        assert refused.status_code == httpx.codes.FORBIDDEN, refused.text
    refused = pulls(server, "POST", "unknown", "rtmpe://203.0.113.7/live/1")
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert "unsupported_scheme" in refused.text


@pytest.mark.long
def test_hls_is_fetched_by_way_of_redirects_and_seen_and_heard(near: Server, tmp_path: Path) -> None:
    origin, name = "hls-origin", "from-hls"
    url = f"{near.http}/live/{origin}/index.m3u8?token={token(origin, 'fetcher')}"
    assert httpx.get(url).status_code == httpx.codes.FOUND
    opened = pulls(near, "POST", name, url)
    assert opened.status_code == httpx.codes.CREATED, opened.text
    assert "token" not in opened.text
    until(lambda: pulls(near, "GET", name).json()["state"] == "waiting", "an attempt that has failed")
    assert "404" in pulls(near, "GET", name).json()["last_error"]
    with encoder(tmp_path / "log", rtmp(near, origin), *H264):
        until(lambda: pulls(near, "GET", name).json()["state"] == "publishing", "the stream", 2 * PATIENCE_S)
        found = until(lambda: (seen := ingests(near, name)) and seen["tracks"] and seen, "a playlist")
        assert found["fetched_from"] == url.partition("?")[0]
        # Nobody else takes its place, though programs of this machine need show nothing elsewhere.
        with encoder(tmp_path / "other", rtmp(near, name), *H264) as other:
            assert other.wait(PATIENCE_S) != 0
        assert "fetched from another server" in (tmp_path / "other").read_text()
        is_seen_and_heard(near, name)
    until(lambda: pulls(near, "GET", name).json()["state"] != "publishing", "the end of the stream", 2 * PATIENCE_S)
    assert pulls(near, "DELETE", name).status_code == httpx.codes.NO_CONTENT
    until(lambda: "#EXT-X-ENDLIST" in playlist(near, name), "the end of the playlist")


@pytest.mark.long
def test_hls_that_is_encrypted_by_aes_128_is_fetched_and_seen_and_heard(near: Server, tmp_path: Path) -> None:
    origin, name = "aes-origin", "from-aes"
    body = {"name": origin, "listen": "127.0.0.1:0", "encryption": "aes-128", "segments_per_key": 1}
    opened = inputs(near, "POST", origin, body)
    with source(
        tmp_path / "log", *SOURCE, *AAC, *H264, "-f", "mpegts", f"udp://127.0.0.1:{opened['port']}?pkt_size=1316"
    ):
        until(lambda: "METHOD=AES-128" in playlist(near, origin), "an encrypted playlist")
        assert pulls(near, "POST", name, f"{near.http}/live/{origin}/index.m3u8").status_code == httpx.codes.CREATED
        until(lambda: pulls(near, "GET", name).json()["state"] == "publishing", "the stream", 2 * PATIENCE_S)
        until(lambda: (seen := ingests(near, name)) and seen["tracks"], "a playlist")
        is_seen_and_heard(near, name)
    assert pulls(near, "DELETE", name).status_code == httpx.codes.NO_CONTENT
    inputs(near, "DELETE", origin)


@pytest.mark.long
def test_hls_that_is_encrypted_by_samples_is_refused_with_a_sentence(near: Server, tmp_path: Path) -> None:
    origin, name = "cbcs-origin", "from-cbcs"
    opened = inputs(near, "POST", origin, {"name": origin, "listen": "127.0.0.1:0", "encryption": "sample-aes"})
    with source(
        tmp_path / "log", *SOURCE, *AAC, *H264, "-f", "mpegts", f"udp://127.0.0.1:{opened['port']}?pkt_size=1316"
    ):
        until(lambda: "METHOD=SAMPLE-AES" in playlist(near, origin), "an encrypted playlist")
        assert pulls(near, "POST", name, f"{near.http}/live/{origin}/index.m3u8").status_code == httpx.codes.CREATED
        until(lambda: "SAMPLE-AES" in (pulls(near, "GET", name).json()["last_error"] or ""), "what is wrong with it")
    assert pulls(near, "DELETE", name).status_code == httpx.codes.NO_CONTENT
    inputs(near, "DELETE", origin)
