"""The web app's account pages, and what axe-core finds on each page."""

from __future__ import annotations

import re

import pytest
from account_page import look, one_time, sign_in
from conftest import Server, until
from meeting_page import PATIENCE_MS, OpenPage, join
from playwright.sync_api import expect

LONG_ROOM = "a-room-whose-name-is-as-long-as-the-name-of-a-room-may-be-at-all"
LONG_NAME = "Maximiliane Adelheid Freifrau von und zu Hohenstaufen-Wittelsbach-Sonderburg-Glücksburg"
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
    look(page, "account-codes")
    page.get_by_role("button", name="Sign out", exact=True).click()

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


PAGES = {
    "start": "/",
    "sign-in": "/account/",
    "reset": "/account/reset/#token=x",
    "lobby": f"/room/?room={LONG_ROOM}",
    "watch": f"/watch/?room={LONG_ROOM}",
    "play": f"/play/?room={LONG_ROOM}",
    "publish": f"/publish/?room={LONG_ROOM}",
    "dashboard-stranger": "/dashboard/",
}


@pytest.mark.long
@pytest.mark.parametrize("name", PAGES)
def test_each_page_fits_and_has_no_serious_findings(open_page: OpenPage, name: str) -> None:
    page = open_page(PAGES[name])
    page.locator("main h1").wait_for(timeout=PATIENCE_MS)
    page.locator("main button, main a.button").first.wait_for(timeout=PATIENCE_MS)
    look(page, name)


@pytest.mark.long
def test_the_forms_for_an_account_fit_and_have_no_serious_findings(open_page: OpenPage) -> None:
    page = open_page("/account/")
    page.get_by_role("button", name="No account yet?").click()
    look(page, "register")
    page.get_by_role("button", name="Back to signing in").click()
    page.get_by_role("button", name="Password forgotten?").click()
    look(page, "forgotten")


@pytest.mark.long
def test_a_meeting_with_long_names_fits_and_has_no_serious_findings(open_page: OpenPage) -> None:
    ada = join(open_page, LONG_ROOM, LONG_NAME, moderate=True)
    bob = join(open_page, LONG_ROOM, "Bob")
    ada.wait_picture("Picture of Bob", more=1)
    bob.say("Have you read https://example.org/" + "a-path-without-any-place-to-break-it/" * 4 + " yet?")
    ada.wait_heard("Have you read")
    ada.do("chat")
    look(ada.page, "meeting")
    for step in ("layout", "chat", "people"):
        ada.do(step)
        look(ada.page, f"meeting-{step}")
    ada.do("people")
    page = sign_in(open_page, f"/dashboard/?room={LONG_ROOM}")
    expect(page.locator("[data-track]")).to_have_count(4)
    look(page, "dashboard-long-names")
    ada.do("leave")
    ada.page.locator("[data-ended]").wait_for()
    look(ada.page, "ended")
