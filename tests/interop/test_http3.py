"""HTTP/3 of a running server, asked by aioquic: pages, the API behind the front door, playlists that are waited for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from conftest import PATIENCE_S, Server, start_server, stop_server, until
from http3_peer import Http3Client, http3

pytestmark = pytest.mark.timeout(120)
PLAYLIST = "/live/demo/video/index.m3u8"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start_server(tmp_path_factory.mktemp("demo"), ROOMTONE_SERVER__DEMO="true")
    until(lambda: httpx.get(running.http + PLAYLIST, timeout=PATIENCE_S).is_success, "the demo stream")
    yield running
    stop_server(running)


@pytest.fixture
async def client(demo: Server) -> AsyncIterator[Http3Client]:
    async with http3(demo.ready["https"][0]) as made:
        yield made


async def playlist(client: Http3Client) -> str:
    answer = await client.get(PLAYLIST, PATIENCE_S)
    assert answer.status == httpx.codes.OK
    return answer.text


async def test_pages_and_the_api_are_served(client: Http3Client) -> None:
    page = await client.get("/play/", PATIENCE_S)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "<html" in page.text
    refused = await client.get("/api/v1/streams", PATIENCE_S)
    assert (refused.status, refused.headers["content-type"]) == (401, "application/problem+json")
    assert refused.headers["x-request-id"]


async def test_http2_tells_where_http3_is(demo: Server) -> None:
    at = demo.ready["https"][0]
    async with httpx.AsyncClient(http2=True, verify=False) as asking:  # noqa: S501 - the server's own certificate
        answer = await asking.get(f"https://{at}/play/", timeout=PATIENCE_S)
    assert answer.http_version == "HTTP/2"
    assert answer.headers["alt-svc"] == f'h3=":{at.rpartition(":")[2]}"; ma=86400'


async def test_a_playlist_is_waited_for_and_its_part_is_fetched(client: Http3Client) -> None:
    listed = await playlist(client)
    first = int(listed.partition("#EXT-X-MEDIA-SEQUENCE:")[2].split()[0])
    open_number = first + listed.count("#EXTINF")
    waited = await client.get(f"{PLAYLIST}?_HLS_msn={open_number}", PATIENCE_S)
    assert waited.status == httpx.codes.OK
    assert f"-s{open_number}.m4s" in waited.text
    hint = waited.text.partition('PRELOAD-HINT:TYPE=PART,URI="')[2].partition('"')[0]
    part = await client.get(f"/live/demo/video/{hint}", PATIENCE_S)
    assert (part.status, part.body[4:8]) == (200, b"moof")
    assert int(part.headers["content-length"]) == len(part.body)
    ranged = await client.get(f"/live/demo/video/{hint}", PATIENCE_S, range="bytes=4-7")
    assert (ranged.status, ranged.body) == (206, b"moof")
    zipped = await client.get(PLAYLIST, PATIENCE_S, accept_encoding="gzip")
    assert zipped.headers["content-encoding"] == "gzip"


async def test_a_hundred_requests_wait_on_one_connection_for_one_playlist(client: Http3Client) -> None:
    listed = await playlist(client)
    first = int(listed.partition("#EXT-X-MEDIA-SEQUENCE:")[2].split()[0])
    hinted = listed.rpartition("#EXT-X-PRELOAD-HINT:")[2].split('"')[1]
    open_parts = listed.rpartition("#EXTINF")[2].count("#EXT-X-PART:")
    query = f"?_HLS_msn={first + listed.count('#EXTINF')}&_HLS_part={open_parts}"
    answers = [client.ask(PLAYLIST + query) for _ in range(100)]
    async with asyncio.timeout(PATIENCE_S):
        for answer in answers:
            await answer.done.wait()
    assert {answer.status for answer in answers} == {200}
    # What else is told, of the other playlist, may change while they are answered.
    assert all(f'URI="{hinted}"' in part_lines(answer.body) for answer in answers)


def part_lines(body: bytes) -> str:
    """Lines of parts that can be had."""
    lines = body.decode().splitlines()
    return "\n".join(line for line in lines if line.startswith("#EXT-X-PART:"))


async def test_garbage_on_the_port_disturbs_nobody(demo: Server, client: Http3Client) -> None:
    host, _, port = demo.ready["https"][0].rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for length in range(0, 1400, 7):
            sock.sendto(bytes((length * 31 + at * 17) % 256 for at in range(length)), (host, int(port)))
    assert (await client.get("/play/", PATIENCE_S)).status == httpx.codes.OK
