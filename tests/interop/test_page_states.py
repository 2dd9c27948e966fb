"""What the pages say when something is refused, missing or live; each is looked at as `test_web_pages.py` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from account_page import look
from conftest import Server, start_server, stop_server, wait_for_statistic
from meeting_page import PATIENCE_MS
from phone_page import PhonePage
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(300)]
OpenPage = Callable[..., Page]
SMALL = "width=640&height=360&fps=15&codec=VP8&kbps=600"
REFUSE = """
for (const name of ["getUserMedia", "getDisplayMedia"]) {
  navigator.mediaDevices[name] = async () => { throw new DOMException("Permission denied", "NotAllowedError"); };
}
"""


@pytest.fixture(scope="module")
def showing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the demo stream, as `make run` starts it."""
    running = start_server(tmp_path_factory.mktemp("showing"), "--demo")
    yield running
    stop_server(running)


def says(page: Page, words: str) -> None:
    """The status of the page has these words."""
    expect(page.locator("[data-status]")).to_contain_text(words, timeout=PATIENCE_MS)


@pytest.mark.parametrize(
    ("source", "words"),
    [("Camera and microphone", "Camera and microphone are not allowed"), ("Screen", "No screen was chosen")],
)
def test_a_source_that_is_refused_is_said_in_words_and_another_can_be_chosen(
    open_page: OpenPage, source: str, words: str
) -> None:
    page = open_page(f"/publish/?room=refused&{SMALL}", None, REFUSE)
    page.get_by_label("Source").select_option(label=source)
    page.get_by_role("button", name="Publish", exact=True).click()
    says(page, words)
    look(page, f"publish-refused-{source.split(maxsplit=1)[0].lower()}")
    page.get_by_label("Source").select_option(label="Test card and tone")
    page.get_by_role("button", name="Publish", exact=True).click()
    wait_for_statistic(page, "video frame rate", "parseFloat(value) > 1")
    says(page, "Live")


@pytest.mark.parametrize("page_name", ["publish", "watch", "play"])
def test_a_wrong_token_is_said_to_be_one(open_page: OpenPage, page_name: str) -> None:
    page = open_page(f"/{page_name}/?room=refused&source=testcard&autostart=1#token=nonsense")
    says(page, "token")
    look(page, f"{page_name}-wrong-token")


def test_a_player_shows_a_token_that_is_refused_once_and_again_when_it_is_told_to(open_page: OpenPage) -> None:
    page = open_page("/play/?room=refused#token=nonsense")
    says(page, "is not good for it")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else None)
    page.clock.install()
    again = page.get_by_role("button", name="Try again")
    again.click()
    says(page, "is not good for it")
    expect(again).to_be_visible()
    page.clock.fast_forward(60_000)
    page.evaluate("fetch('/').then(answer => answer.status)")  # what the timers asked for was asked before
    assert len(asked) == 1, asked


@pytest.mark.parametrize("page_name", ["publish", "watch"])
def test_a_name_that_no_room_can_have_is_said_to_be_none(open_page: OpenPage, page_name: str) -> None:
    page = open_page(f"/{page_name}/?room=no%20such%20room&source=testcard&autostart=1")
    says(page, "name")
    look(page, f"{page_name}-no-name")


def test_a_page_that_does_not_exist_is_said_not_to(open_page: OpenPage) -> None:
    page = open_page("/wacth/")
    expect(page.locator("body")).to_contain_text("not", timeout=PATIENCE_MS)


def test_publishing_and_watching_look_as_they_should_while_they_go_on(open_page: OpenPage) -> None:
    publisher = open_page(f"/publish/?room=going&source=testcard&simulcast=1&{SMALL}&autostart=1")
    wait_for_statistic(publisher, "video (q) frame rate", "parseFloat(value) > 1")
    viewer = open_page("/watch/?room=going")
    wait_for_statistic(viewer, "video frames decoded", "Number(value) >= 30", 40)
    viewer.locator("[data-line=estimate]").wait_for(timeout=PATIENCE_MS)
    publisher.locator("[data-wanted]").wait_for(timeout=PATIENCE_MS)
    look(viewer, "watch-live")
    look(publisher, "publish-live")


def test_the_demo_looks_as_it_should_where_it_is_watched_played_and_listed(
    showing: Server, open_page: OpenPage
) -> None:
    watching = open_page("/watch/?room=demo", showing)
    wait_for_statistic(watching, "video frames decoded", "Number(value) >= 30", 40)
    look(watching, "watch-demo")
    playing = open_page("/play/?room=demo", showing)
    playing.locator("[data-live=latency]").wait_for(timeout=PATIENCE_MS)
    says(playing, "Live")
    look(playing, "play-demo")


def test_the_phone_looks_as_it_should_before_and_after_it_is_refused(open_page: OpenPage) -> None:
    phone = PhonePage(open_page("/phone/"))
    look(phone.page, "phone-off")
    phone.switch_on("nobody", "a wrong password")
    phone.wait_line("refused")
    expect(phone.page.get_by_role("alert")).to_contain_text("the user name or the password is wrong")
    look(phone.page, "phone-refused")
