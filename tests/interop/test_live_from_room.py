"""A room goes live from its own page, in Chromium, whose pictures lists cannot have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import pytest
from conftest import PATIENCE_S, Server, until
from meeting_page import OpenPage, join
from playwright.sync_api import expect
from test_live_hls import stream
from test_live_program import HEIGHT, VIDEO, WIDTH, small_programs

pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(240)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    yield from small_programs(tmp_path)


def test_a_moderator_has_a_room_go_live_from_its_page_and_all_in_it_see_that(
    server: Server, open_page: OpenPage
) -> None:
    ada, bob = join(open_page, "stage", "Ada", moderate=True), join(open_page, "stage", "Bob")
    ada.wait_picture("Picture of Bob")
    ada.do("people")
    bob.do("people")
    expect(bob.page.locator("[data-live]")).to_have_count(0)
    ada.page.locator("[data-live]").check()
    for person in (ada, bob):
        expect(person.page.locator("[data-on-air]")).to_be_visible()
    ada.wait_notice("on air")
    until(lambda: stream(server, "stage")["state"] == "live", "its playlist")
    link = ada.page.get_by_role("link", name="See it as they do")
    assert link.get_attribute("href") == "/play/?room=stage"
    url = f"{server.http}/live/stage/{VIDEO}/index.m3u8"
    until(lambda: httpx.get(url).text.count("#EXTINF") >= 1, "a segment")
    with av.open(url, timeout=PATIENCE_S) as read:
        frame = next(iter(read.decode(video=0)))
    assert (frame.width, frame.height) == (WIDTH, HEIGHT)
    ada.page.locator("[data-live]").uncheck()
    for person in (ada, bob):
        expect(person.page.locator("[data-on-air]")).to_have_count(0)
    until(lambda: "#EXT-X-ENDLIST" in httpx.get(url).text, "the end of its list")
