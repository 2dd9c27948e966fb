"""The web app: people meet in a room by what they see and press, and by keyboard alone."""

from __future__ import annotations

import pytest
from conftest import Server, until
from meeting_page import OpenPage, identity_of, join
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_two_people_meet_talk_share_and_one_is_sent_out(server: Server, open_page: OpenPage) -> None:
    ada = join(open_page, "meet", "Ada Lovelace", moderate=True)
    bob = join(open_page, "meet", "Bob")
    ada.wait_people(2)
    bob.wait_people(2)
    ada.wait_picture("Picture of Bob")
    bob.wait_picture("Picture of Ada Lovelace")
    bob_identity = identity_of(bob)

    bob.do("mic")
    expect(ada.person(bob_identity)).to_have_attribute("data-microphone", "false")
    bob.do("mic")
    expect(ada.person(bob_identity)).to_have_attribute("data-microphone", "true")

    ada.say("hello Bob")
    bob.wait_heard("hello Bob")
    bob.say("hello Ada")
    ada.wait_heard("hello Ada")

    bob.do("hand")
    expect(ada.person(bob_identity).locator("[data-hand]")).to_be_visible()

    bob.do("share")
    seen = ada.wait_picture("Screen of Bob")
    assert (seen["width"], seen["height"]) == (640, 360)
    bob.do("share")
    expect(ada.page.locator("[data-screen]")).to_have_count(0)

    ada.do("people")
    ada.page.get_by_role("button", name="Mute Bob").click()
    expect(bob.action("mic")).to_contain_text("Unmute")
    ada.page.once("dialog", lambda dialog: dialog.accept())
    ada.page.get_by_role("button", name="Remove Bob").click()
    expect(bob.page.locator("[data-ended]")).to_have_text("A moderator has removed you from the room.")
    ada.wait_people(1)
    until(lambda: server.identities("meet") == [identity_of(ada)], "only Ada is left")
