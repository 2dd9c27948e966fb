"""The web app: people meet in a room by what they see and press, and by keyboard alone."""

from __future__ import annotations

import re

import pytest
from conftest import Server, until
from livekit_page import move_participant
from meeting_page import PATIENCE_MS, MeetingPage, OpenPage, identity_of, join
from playwright.sync_api import Page, expect

# Lets the test cut the signalling, and keep it cut for a while.
CUTTER = """
(() => {
  const Socket = window.WebSocket, sockets = [];
  window.refused = false;
  window.cut = () => { window.refused = true; sockets.forEach(socket => socket.close()); };
  window.WebSocket = class extends Socket {
    constructor(url, ...more) {
      super(window.refused ? "ws://127.0.0.1:9/" : url, ...more);
      sockets.push(this);
    }
  };
})();
"""
pytestmark = [pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(300)]


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
    ada.wait_picture("Screen of Bob", width=640)  # a smaller layer may come first
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


@pytest.mark.long
def test_who_comes_later_reads_what_was_said_and_authors_and_moderators_change_it(
    server: Server, open_page: OpenPage
) -> None:
    bob = join(open_page, "later", "Bob")
    bob.say("hello Ada")
    bob.wait_heard("hello Ada")
    bob.say("and this")
    ada = join(open_page, "later", "Ada", moderate=True)
    ada.wait_heard("hello Ada")
    ada.wait_heard("and this")
    expect(ada.page.locator("[data-message]")).to_have_count(2)

    ada.say("mine")
    bob.wait_heard("mine")
    expect(bob.page.get_by_role("button", name="Delete “mine”")).to_have_count(0)
    bob.page.get_by_role("button", name="Edit “hello Ada”").click()
    bob.page.get_by_label("Edit message").fill("hello all")
    bob.page.get_by_role("button", name="Save").click()
    ada.wait_heard("hello all")
    ada.page.get_by_role("button", name="Delete “hello all”").click()
    bob.wait_heard("This message was deleted.")
    ada.wait_heard("This message was deleted.")
    for person in (ada, bob):
        expect(person.page.locator("[data-message]")).to_have_count(3)
    assert [message["text"] for message in server.room("later", "/chat")] == ["", "and this", "mine"]


@pytest.mark.long
def test_who_is_moved_sees_the_other_room_its_people_and_its_chat(server: Server, open_page: OpenPage) -> None:
    bob = join(open_page, "upstairs", "Bob")
    bob.say("welcome upstairs")
    bob.wait_heard("welcome upstairs")
    ada, carol = join(open_page, "downstairs", "Ada", moderate=True), join(open_page, "downstairs", "Carol")
    carol.say("hello downstairs")
    ada.wait_heard("hello downstairs")
    move_participant(server, "downstairs", identity_of(ada), "upstairs")
    ada.wait_notice("You were moved to the room upstairs.")
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("upstairs")
    expect(ada.page).to_have_title("Room upstairs · Roomtone")
    expect(ada.page).to_have_url(re.compile(r"\?room=upstairs$"))
    ada.wait_heard("welcome upstairs")
    expect(ada.page.locator("[data-message]")).to_have_count(1)
    ada.wait_picture("Picture of Bob")
    bob.wait_picture("Picture of Ada")
    ada.say("thank you")
    bob.wait_heard("thank you")
    bob.say("not at all")
    ada.wait_heard("not at all")
    carol.wait_people(1)
    expect(carol.page.locator("[data-message]").filter(has_text="thank you")).to_have_count(0)
    ada.do("people")  # what she moderates is the room she is in
    ada.page.get_by_role("button", name="Mute Bob").click()
    expect(bob.action("mic")).to_contain_text("Unmute")
    ada.do("leave")
    ada.page.get_by_role("button", name="Join again").click()
    expect(ada.page.get_by_role("heading", level=1)).to_have_text("Room upstairs")


@pytest.mark.long
def test_a_moderator_locks_lets_in_and_keeps_out(server: Server, open_page: OpenPage) -> None:
    ada = join(open_page, "lobby", "Ada", moderate=True)
    ada.do("people")
    lobby = ada.page.get_by_label("Who comes must ask to enter")
    expect(lobby).to_be_enabled()
    lobby.check()
    until(lambda: server.room("lobby")["options"]["lobby"], "the lobby is on")
    for answer in ("Let", "Keep"):
        page = open_page("/room/?room=lobby")
        page.get_by_label("Your name").fill(f"{answer} me")
        page.get_by_role("button", name="Join", exact=True).click()
        page.locator("[data-waiting]").wait_for(timeout=PATIENCE_MS)
        ada.page.get_by_role("button", name=f"{answer} {answer} me").click()
        if answer == "Let":
            page.locator(".meeting").wait_for(timeout=PATIENCE_MS)
            ada.wait_people(2)
        else:
            page.get_by_text("You were not let in.").wait_for(timeout=PATIENCE_MS)
    ada.page.get_by_label("Locked: nobody further gets in").check()
    until(lambda: server.room("lobby")["options"]["locked"], "the room is locked")
    page = open_page("/room/?room=lobby")
    page.get_by_label("Your name").fill("Too late")
    page.get_by_role("button", name="Join", exact=True).click()
    page.get_by_text("The room is locked").wait_for(timeout=PATIENCE_MS)


@pytest.mark.long
def test_keys_alone_go_from_signing_in_to_speaking(open_page: OpenPage) -> None:
    page = open_page("/account/?next=%2Froom%2F%3Froom%3Dkeys")
    page.set_default_timeout(PATIENCE_MS)
    page.get_by_label("Password", exact=True).wait_for()
    _tab_to(page, "input[autocomplete=username]")
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type("secret")
    page.keyboard.press("Enter")
    page.wait_for_url("**/room/?room=keys")
    page.get_by_role("button", name="Join", exact=True).wait_for()
    _tab_to(page, "form button[type=submit]")
    page.keyboard.press("Enter")
    page.locator(".meeting").wait_for()
    me = MeetingPage(page)
    mine = page.locator("[data-person]")
    expect(mine).to_have_attribute("data-microphone", "true", timeout=PATIENCE_MS)
    page.keyboard.press("m")
    expect(mine).to_have_attribute("data-microphone", "false", timeout=PATIENCE_MS)
    page.keyboard.down("Space")
    expect(mine).to_have_attribute("data-microphone", "true", timeout=PATIENCE_MS)
    page.keyboard.up("Space")
    expect(mine).to_have_attribute("data-microphone", "false", timeout=PATIENCE_MS)
    page.keyboard.press("h")
    expect(mine.locator("[data-hand]")).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press("c")
    page.keyboard.type("typed, not pressed: m v h")
    page.keyboard.press("Enter")
    me.wait_heard("typed, not pressed: m v h")
    page.keyboard.press("Escape")
    expect(me.action("chat")).to_be_focused()
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    page.keyboard.press("l")
    expect(page.locator("[data-ended]")).to_have_text("You have left the room.", timeout=PATIENCE_MS)


def _tab_to(page: Page, selector: str) -> None:
    """Go on by the tabulator until something has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"the tabulator does not come to {selector}")


@pytest.mark.long
def test_a_lost_connection_is_told_and_comes_back(open_page: OpenPage) -> None:
    ada = join(open_page, "lost", "Ada", script=CUTTER)
    bob = join(open_page, "lost", "Bob")
    ada.wait_picture("Picture of Bob")
    ada.page.evaluate("cut()")
    ada.page.locator("[data-reconnecting]").wait_for(timeout=PATIENCE_MS)
    ada.page.evaluate("refused = false")
    ada.page.locator("[data-connected=connected]").wait_for(timeout=PATIENCE_MS)
    ada.wait_picture("Picture of Bob")
    bob.wait_picture("Picture of Ada")


@pytest.mark.long
def test_the_tabulator_alone_goes_from_the_lobby_to_muting_writing_and_leaving(open_page: OpenPage) -> None:
    bob = join(open_page, "tab", "Bob")
    page = open_page("/room/?room=tab")
    page.set_default_timeout(PATIENCE_MS)
    page.get_by_role("button", name="Join", exact=True).wait_for()
    _tab_to(page, "input[autocomplete=name], form input[type=text], form input:not([type])")
    page.keyboard.type("Tabitha")
    _tab_to(page, "form button[type=submit]")
    page.keyboard.press("Enter")
    page.locator(".meeting").wait_for()
    me = MeetingPage(page)
    mine = bob.person(identity_of(me))
    bob.wait_picture("Picture of Tabitha", more=1)
    _tab_to(page, "[data-action=mic]")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Space")
    expect(mine).to_have_attribute("data-microphone", "false")
    page.keyboard.press("Enter")
    expect(mine).to_have_attribute("data-microphone", "true")
    _tab_to(page, "[data-action=chat]")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    bob.wait_heard("by keys")
    page.keyboard.press("Escape")
    _tab_to(page, "[data-action=leave]")
    page.keyboard.press("Enter")
    expect(page.locator("[data-ended]")).to_have_text("You have left the room.")
    bob.wait_people(1)
