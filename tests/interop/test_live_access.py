"""Streams that are not public: a player shows a token once, is listed, and is sent away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiortc_peer import TONE_HZ, assert_is_the_picture, tone_share
from conftest import PATIENCE_S, Server, sign, start_server, stop_server, token, until
from test_encoders import H264, encoder, playlist, rtmp
from test_live_lists import decode

pytestmark = pytest.mark.timeout(240)
FAR = {"X-Forwarded-For": "192.0.2.9"}
"""What a client from elsewhere looks like behind a proxy that is trusted."""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a proxy on this machine."""
    running = start_server(tmp_path_factory.mktemp("proxied"), ROOMTONE_HTTP__TRUSTED_PROXIES="127.0.0.1")
    yield running
    stop_server(running)


def viewers(server: Server, name: str, one: str = "", method: str = "GET") -> Any:
    headers = {"Authorization": f"Bearer {sign('host', {'roomAdmin': True, 'room': name})}"}
    url = f"{server.http}/api/v1/streams/{name}/viewers{one}"
    answer = httpx.request(method, url, headers=headers, timeout=PATIENCE_S)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def test_a_token_opens_a_stream_until_its_holder_is_sent_away(proxied: Server, tmp_path: Path) -> None:
    server, name = proxied, "closed"
    start = f"{server.http}/live/{name}/index.m3u8"
    with encoder(tmp_path / "log", rtmp(server, name), *H264):
        until(lambda: playlist(server, name).count("#EXTINF") >= 2, "two segments")
        # From elsewhere the name alone opens nothing.
        for url, status in ((start, 401), (f"{start}?token=x", 401), (start.replace("index", "video/index"), 401)):
            assert httpx.get(url, headers=FAR).status_code == status
        other = httpx.get(f"{start}?token={token('other', 'bob')}", headers=FAR)
        assert (other.status_code, other.json()["code"]) == (403, "other_room")
        shown = f"{start}?token={token(name, 'bob')}"
        pictures, _, sound = decode(shown, 3.0)
        assert_is_the_picture(pictures[-1])
        assert tone_share(sound[-48_000:], TONE_HZ) > 0.9
        with httpx.Client(headers=FAR, timeout=PATIENCE_S) as player:
            led = player.get(shown)
            assert led.status_code == 302
            granted = f"{server.http}{led.headers['location']}"
            lists = player.get(granted).text
            assert lists == httpx.get(start).text, "the same bytes for all"
            assert player.get(start).headers["location"] == led.headers["location"], "the cookie leads there too"
            video = granted.replace("index", "video/index")
            assert player.get(video).text.startswith("#EXTM3U")
            mine = [one for one in viewers(server, name) if one["address"] == "192.0.2.9"]
            assert [(one["identity"], one["granted"]) for one in mine] == [("bob", True)]
            assert server.metrics()["roomtone_front_live_viewers"] >= 2
            viewers(server, name, f"/{mine[0]['id']}", "DELETE")
            for url in (granted, video, video.replace("index.m3u8", "x-s0.m4s")):
                assert player.get(url).json()["code"] == "viewer_kicked"
        again = httpx.get(shown, headers=FAR)
        assert (again.status_code, again.json()["code"]) == (403, "sent_away")
