"""The web app's account pages, and what axe-core finds on each page."""

from __future__ import annotations

import re

import pytest
from account_page import findings, fits, one_time, sign_in
from conftest import Server, until
from meeting_page import PATIENCE_MS, OpenPage, join
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.mark.long
def test_somebody_registers_and_signs_in_with_a_second_factor(open_page: OpenPage) -> None:
    page = open_page("/account/?next=/account/")
    page.set_default_timeout(PATIENCE_MS)
    page.get_by_role("button", name="No account yet?").click()
    page.get_by_label("User name").fill("grace")
    page.get_by_label("Password", exact=True).fill("a long password 1")
    page.get_by_role("button", name="Make the account").click()
    page.locator("[data-account=grace]").wait_for()
    page.get_by_role("button", name="Set up").click()
    secret = page.locator("[data-secret]").inner_text()
    page.get_by_role("textbox", name="One-time password").fill(one_time(secret))
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator(".codes li")).to_have_count(10)
    assert findings(page) == []
    page.get_by_role("button", name="Sign out").click()

    again = sign_in(open_page, "/account/", "grace", "a long password 1")
    code = again.get_by_role("textbox", name="One-time password")
    code.fill(one_time(secret, later=1))  # each is good once
    code.press("Enter")
    again.locator("[data-account=grace]").wait_for()


@pytest.mark.long
def test_a_forgotten_password_is_set_anew_by_the_link(server: Server, open_page: OpenPage) -> None:
    page = open_page("/account/?next=/account/")
    page.set_default_timeout(PATIENCE_MS)
    page.get_by_role("button", name="No account yet?").click()
    page.get_by_label("User name").fill("lost")
    page.get_by_label("Mail address").fill("lost@example.org")
    page.get_by_label("Password", exact=True).fill("a long password 1")
    page.get_by_role("button", name="Make the account").click()
    page.locator("[data-account=lost]").wait_for()

    page = open_page("/account/")
    page.get_by_role("button", name="Password forgotten?").click()
    page.get_by_label("User name or mail address").fill("lost@example.org")
    page.get_by_role("button", name="Send the link").click()
    page.get_by_text("a link is on its way").wait_for(timeout=PATIENCE_MS)
    # A development server without mail writes the link to its log.
    link = until(lambda: re.search(r"/account/reset/#token=[^\"\s]+", "".join(server.log)), "the link").group()
    page = open_page(link)
    page.get_by_label("New password").fill("another long one 2")
    page.get_by_role("button", name="Set the password").click()
    page.get_by_role("link", name="lost").wait_for(timeout=PATIENCE_MS)
    sign_in(open_page, "/account/", "lost", "another long one 2").locator("[data-account=lost]").wait_for()


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path", ["/", "/account/", "/account/reset/#token=x", "/room/?room=axe", "/watch/?room=axe", "/publish/?room=axe"]
)
def test_no_page_has_serious_findings(open_page: OpenPage, path: str, scheme: str) -> None:
    page = open_page(path)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.locator("main h1").wait_for(timeout=PATIENCE_MS)
    page.locator("main button").first.wait_for(timeout=PATIENCE_MS)
    assert findings(page) == []


@pytest.mark.long
@pytest.mark.parametrize("width", [1280, 390])
def test_a_meeting_has_no_serious_findings_and_fits(open_page: OpenPage, width: int) -> None:
    ada = join(open_page, f"axe-{width}", "Ada", moderate=True)
    ada.page.set_viewport_size({"width": width, "height": 800})
    join(open_page, f"axe-{width}", "Bob")
    ada.wait_picture("Picture of Bob", more=1)
    for scheme in ("light", "dark"):
        ada.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for step in ("layout", "chat", "people"):
            ada.do(step)
            assert findings(ada.page) == [], step
            assert fits(ada.page)
        ada.do("people")
