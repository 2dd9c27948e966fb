"""Accounts and keys in the browser: what administrators do, what everybody does with their own, and what it opens."""

from __future__ import annotations

import re
import time

import httpx
import jwt
import pytest
from account_page import look, sign_in
from conftest import PATIENCE_S, Server
from dashboard_page import agree, go
from meeting_page import PATIENCE_MS, OpenPage
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.long]
FIRST, SECOND = "a long password 1", "another long one 2"


def make_account(page: Page, username: str, role: str = "member") -> None:
    page.get_by_text("Make an account", exact=True).click()
    form = page.locator("[data-new-account]")
    form.get_by_label("User name").fill(username)
    form.get_by_label("First password").fill(FIRST)
    form.get_by_role("combobox", name="Role").select_option(role)
    form.get_by_role("button", name="Make it").click()
    page.locator(f"[data-account-of={username}]").wait_for()


def account(page: Page, username: str, power: str) -> None:
    """Press one of the buttons of an account."""
    page.get_by_role("button", name=f"{power}: {username}").click()


def may_sign_in(open_page: OpenPage, username: str, password: str) -> bool:
    page = sign_in(open_page, "/account/", username, password)
    page.locator(f"[data-account={username}], [role=alert]").first.wait_for()
    return page.locator(f"[data-account={username}]").count() == 1


def test_an_administrator_makes_an_account_changes_its_role_and_locks_it_out(open_page: OpenPage) -> None:
    page = sign_in(open_page, "/dashboard/")
    go(page, "Accounts")
    make_account(page, "dora")
    dora = sign_in(open_page, "/dashboard/", "dora", FIRST)
    expect(dora.get_by_role("alert")).to_have_text("Your account may not administer rooms.")
    page.get_by_role("combobox", name="Role of dora").select_option("moderator")
    expect(page.get_by_text("dora is Moderator now.")).to_be_visible()
    dora.reload()
    # What the log-in said of the role is told anew with the next token.
    dora.evaluate("sessionStorage.clear()")
    dora.reload()
    parts = dora.get_by_role("navigation", name="Parts of the dashboard").get_by_role("link")
    expect(parts).to_have_text(["Rooms", "Live streams", "Log"])

    dora.goto(dora.url.split("/dashboard")[0] + "/room/?room=locking")
    dora.get_by_role("button", name="Join", exact=True).click()
    dora.locator(".meeting").wait_for()
    agree(page)
    account(page, "dora", "Lock out")
    expect(dora.locator("[data-ended]")).to_have_text("A moderator has removed you from the room.")
    assert dora.evaluate("peers.every(peer => peer.connectionState === 'closed')")
    assert not may_sign_in(open_page, "dora", FIRST)
    look(page, "dashboard-accounts")
    account(page, "dora", "Let in again")
    expect(page.locator("[data-account-of=dora]")).to_have_attribute("data-disabled", "false")
    assert may_sign_in(open_page, "dora", FIRST)

    page.get_by_role("combobox", name="Role of admin").select_option("member")
    expect(page.get_by_role("alert")).to_contain_text("this is the last administrator")
    expect(page.get_by_role("combobox", name="Role of admin")).to_have_value("admin")


def test_an_administrator_ends_log_ins_and_hands_out_a_link_for_a_lost_password(open_page: OpenPage) -> None:
    page = sign_in(open_page, "/dashboard/%23/accounts")
    make_account(page, "erin")
    erin = sign_in(open_page, "/account/", "erin", FIRST)
    erin.locator("[data-account=erin]").wait_for()
    agree(page)
    account(page, "erin", "End log-ins")
    expect(page.get_by_text("erin is signed in nowhere any more.")).to_be_visible()
    erin.get_by_role("button", name="Save").click()
    expect(erin.get_by_role("alert")).to_be_visible()
    erin.reload()
    expect(erin.get_by_role("button", name="Sign in", exact=True)).to_be_visible()

    account(page, "erin", "Link for a new password")
    link = page.locator("[data-secret=Link]").inner_text()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/account/reset/#token=[\w-]+", link), link
    page.get_by_role("button", name="I have kept it").click()
    assert link not in page.content()
    anew = open_page(link.partition("/account")[1] + link.partition("/account")[2])
    anew.get_by_label("New password").fill(SECOND)
    anew.get_by_role("button", name="Set the password").click()
    anew.get_by_role("link", name="erin").wait_for(timeout=PATIENCE_MS)
    assert not may_sign_in(open_page, "erin", FIRST)
    assert may_sign_in(open_page, "erin", SECOND)


def listing(server: Server, key: str, secret: str) -> int:
    """What a list of rooms asked with a token of this key is answered with."""
    claims = {"iss": key, "sub": "bot", "exp": int(time.time()) + 600, "video": {"roomList": True}}
    bearer = jwt.encode(claims, secret, algorithm="HS256")
    answer = httpx.get(f"{server.http}/api/v1/rooms", headers={"Authorization": f"Bearer {bearer}"}, timeout=PATIENCE_S)
    return answer.status_code


def test_a_key_is_made_shown_once_and_revoked(server: Server, open_page: OpenPage) -> None:
    page = sign_in(open_page, "/dashboard/%23/keys")
    expect(page.locator("[data-key=devkey]")).to_contain_text("good, as long as the settings name it")
    page.get_by_label("What it is for").fill("booking")
    page.get_by_role("button", name="Make a key").click()
    key, secret = (page.locator(f"[data-secret={name}]").inner_text() for name in ("Key", "Secret"))
    assert listing(server, key, secret) == httpx.codes.OK
    look(page, "dashboard-keys")
    page.get_by_role("button", name="I have kept it").click()
    assert secret not in page.content()
    page.reload()
    row = page.locator(f"[data-key={key}]")
    expect(row).to_contain_text("booking")
    assert secret not in page.content()
    agree(page)
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")
    assert listing(server, key, secret) == httpx.codes.UNAUTHORIZED

    go(page, "Audit trail")
    for kind in ("key_created", "key_revoked"):
        expect(page.locator(f"[data-audit={kind}]").filter(has_text=key)).to_have_count(1)
    look(page, "dashboard-audit")


def test_somebody_changes_name_mail_and_password_and_signs_out_everywhere(open_page: OpenPage) -> None:
    admin = sign_in(open_page, "/dashboard/%23/accounts")
    make_account(admin, "fay")
    page, elsewhere = (sign_in(open_page, "/account/", "fay", FIRST) for _ in range(2))
    elsewhere.locator("[data-account=fay]").wait_for()
    page.get_by_label("Name as others see it").fill("Fay Wray")
    page.get_by_label("Mail address").fill("fay@example.org")
    page.get_by_label("Password, for another mail address").fill("wrong")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password, for another mail address").fill(FIRST)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.reload()
    expect(page.locator("[data-account=fay]")).to_contain_text("Fay Wray")
    look(page, "account")

    page.get_by_label("Present password").fill(FIRST)
    page.get_by_label("New password").fill(SECOND)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("The password is changed.")).to_be_visible()
    elsewhere.get_by_role("button", name="Save").click()
    expect(elsewhere.get_by_role("alert")).to_be_visible()
    elsewhere.reload()
    expect(elsewhere.get_by_role("button", name="Sign in", exact=True)).to_be_visible()

    # By the mail address, too.
    other = sign_in(open_page, "/account/", "fay@example.org", SECOND)
    other.locator("[data-account=fay]").wait_for()
    agree(page)
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_role("alert")).to_be_visible()
    assert may_sign_in(open_page, "fay", SECOND)
