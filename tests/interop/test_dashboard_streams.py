"""The dashboard's live streams in a browser: encoders are listed, and those who watch them are shown and sent away."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from account_page import findings, look, sign_in
from conftest import PATIENCE_S, Server, token, until
from dashboard_page import agree, go
from meeting_page import OpenPage
from playwright.sync_api import expect
from test_encoders import H264, encoder, ingests, playlist, rtmp

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*HMAC key.*"),
]


def test_who_watches_an_encoders_stream_is_shown_and_sent_away(
    server: Server, tmp_path: Path, open_page: OpenPage
) -> None:
    name = "shown"
    start = f"{server.http}/live/{name}/index.m3u8"
    with (
        encoder(tmp_path / "log", rtmp(server, name), *H264),
        httpx.Client(headers={"User-Agent": "a player"}, timeout=PATIENCE_S) as player,
    ):
        until(lambda: "#EXTINF" in playlist(server, name), "a segment")
        page = sign_in(open_page, "/dashboard/")
        go(page, "Live streams")
        row = page.locator(f"[data-stream={name}]")
        expect(row).to_contain_text("RTMP 127.0.0.1:")
        expect(row).to_contain_text("avc1.42c0")
        led = player.get(f"{start}?token={token(name, 'bob')}")
        assert led.status_code == httpx.codes.FOUND
        granted = f"{server.http}{led.headers['location']}"
        assert player.get(granted).text.startswith("#EXTM3U")
        row.get_by_role("button", name=f"Viewers of {name}").click()
        viewers = page.locator(f"[data-viewers-of={name}]")
        seen = viewers.locator("[data-viewer]").filter(has_text="bob")
        expect(seen).to_contain_text("127.0.0.1")
        expect(seen).to_contain_text("a player")
        assert findings(page) == []
        look(page, "dashboard-streams")
        agree(page)
        seen.get_by_role("button", name="Kick bob").click()
        expect(viewers).to_contain_text("bob was sent away.")
        expect(seen).to_have_count(0)
        assert player.get(granted).json()["code"] == "viewer_kicked"
        assert player.get(f"{start}?token={token(name, 'carol')}").status_code == httpx.codes.FOUND
        agree(page)
        row.get_by_role("button", name=f"End the live stream of {name}").click()
        expect(row).to_have_count(0)
        expect(viewers).to_have_count(0)
        assert ingests(server, name) is None
