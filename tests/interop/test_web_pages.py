"""The web app's other pages: accounts, the dashboard, and what axe-core finds on each page."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from conftest import Server, until
from meeting_page import PATIENCE_MS, MeetingPage, OpenPage, identity_of, join
from playwright.sync_api import Page, expect

from roomtone.control.accounts.totp import hotp, secret_bytes, step_at

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
AXE = Path(__file__).resolve().parents[2] / "web/node_modules/axe-core/axe.min.js"
BAD = {"serious", "critical"}


def sign_in(open_page: OpenPage, to: str, login: str = "admin", password: str = "secret") -> Page:
    """Sign in by the form, and come to a page."""
    page = open_page(f"/account/?next={to}")
    page.set_default_timeout(PATIENCE_MS)
    page.get_by_label("User name or mail address").fill(login)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    return page


def one_time(secret: str, later: int = 0) -> str:
    """What an authenticator app shows, now or some steps later."""
    return hotp(secret_bytes(secret), step_at(time.time()) + later)


def findings(page: Page) -> list[str]:
    """What axe-core calls serious or critical."""
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then(all => all.violations)")
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found if one["impact"] in BAD]


def test_the_dashboard_shows_a_room_and_kicks(server: Server, open_page: OpenPage) -> None:
    bob = join(open_page, "watched", "Bob")
    bob.wait_picture("Picture of Bob", more=1)
    identity = identity_of(bob)
    page = sign_in(open_page, "/dashboard/")
    page.locator("[data-room=watched] button").click()
    member = page.locator(f"[data-member={identity}]")
    expect(member.locator("[data-track]")).to_have_count(2)
    rate = member.locator("[data-track]").filter(has_text="video").locator("[data-value=Bitrate]")
    until(lambda: "kbit" in rate.inner_text() or "Mbit" in rate.inner_text(), "a bitrate")
    assert findings(page) == []
    page.once("dialog", lambda dialog: dialog.accept())
    member.get_by_role("button", name="Kick").click()
    expect(bob.page.locator("[data-ended]")).to_have_text("A moderator has removed you from the room.")
    assert identity not in server.identities("watched")


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
            assert _fits(ada)
        ada.do("people")


def _fits(person: MeetingPage) -> bool:
    return bool(person.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
