"""The dashboard in a browser: what an operator presses happens to people and media in other browsers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from account_page import findings, look, sign_in
from conftest import Server, start_server, stop_server, until
from dashboard_page import agree, go, open_room
from meeting_page import PATIENCE_MS, MeetingPage, OpenPage, identity_of, join
from playwright.sync_api import Locator, Page, expect
from webhook_receiver import Receiver, receive

__all__ = ["receive"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:.*HMAC key.*"),
]
# What has come out of the page's decoders of what others send: pictures, and samples of sound that were no silence.
DECODED = """
async () => {
  const all = await Promise.all(window.peers.map(peer => peer.getStats()));
  const inbound = all.flatMap(stats => [...stats.values()]).filter(report => report.type === "inbound-rtp");
  const sum = (kind, name) => inbound.filter(one => one.kind === kind).reduce((all, one) => all + (one[name] ?? 0), 0);
  return {
    pictures: sum("video", "framesDecoded"),
    energy: sum("audio", "totalAudioEnergy"),
    sounds: sum("audio", "packetsReceived"),
  };
}
"""
SOME = {"pictures": 15, "sounds": 60}


def decoded(person: MeetingPage) -> dict[str, float]:
    return person.page.evaluate(DECODED)


def wait_more(person: MeetingPage, what: str) -> None:
    """Wait until more pictures or sounds have arrived."""
    first = decoded(person)[what]
    until(lambda: decoded(person)[what] >= first + SOME[what], f"more {what}")


def see_stopped(person: MeetingPage, what: str, witness: str) -> None:
    """Wait until none of one kind arrives while more of the other kind does; what was on its way may come first."""

    def nothing_more() -> bool:
        before = decoded(person)
        wait_more(person, witness)
        after = decoded(person)
        return after[what] == before[what] and (what != "sounds" or after["energy"] == before["energy"])

    until(nothing_more, f"the end of {what}")


def entry(page: Page, kind: str, words: str) -> Locator:
    return page.locator(f"[data-ended-entry={kind}]").filter(has_text=words)


@pytest.mark.long
def test_the_dashboard_kicks_and_closes_and_the_log_says_so(server: Server, open_page: OpenPage) -> None:
    ada, bob = (join(open_page, "logged", name) for name in ("Ada", "Bob"))
    carol = join(open_page, "logged", "Carol")
    carol.wait_picture("Picture of Bob", more=1)
    identities = {person: identity_of(person) for person in (ada, bob, carol)}
    page = sign_in(open_page, "/dashboard/")
    open_room(page, "logged")
    member = page.locator(f"[data-member={identities[bob]}]")
    expect(member.locator("[data-track]")).to_have_count(2)
    rate = member.locator("[data-track]").filter(has_text="video").locator("[data-value=Bitrate]")
    until(lambda: "kbit" in rate.inner_text() or "Mbit" in rate.inner_text(), "a bitrate")
    assert findings(page) == []

    agree(page)
    member.get_by_role("button", name="Kick").click()
    expect(bob.page.locator("[data-ended]")).to_have_text("A moderator has removed you from the room.")
    expect(carol.person(identities[bob])).to_have_count(0)
    ada.do("leave")
    until(lambda: server.identities("logged") == [identities[carol]], "only Carol is left")
    agree(page)
    page.get_by_role("button", name="Close room").click()
    expect(carol.page.locator("[data-ended]")).to_have_text("The room was closed.")
    assert carol.page.evaluate("peers.every(peer => peer.connectionState === 'closed')")

    go(page, "Log")
    for person, name, reason in ((bob, "Bob", "removed"), (ada, "Ada", "left"), (carol, "Carol", "room_closed")):
        line = entry(page, "participant", identities[person])
        expect(line.locator("[data-reason]")).to_have_attribute("data-reason", reason)
        expect(line).to_contain_text(name)
    expect(entry(page, "room", "logged").locator("[data-reason]")).to_have_attribute("data-reason", "room_closed")
    # Rooms of other tests have their entries in the same log.
    page.get_by_role("searchbox", name="Room").fill("another")
    expect(page.get_by_text("Nothing of that kind has ended.")).to_be_visible()
    page.get_by_role("searchbox", name="Room").fill("logged")
    expect(page.locator("[data-ended-entry]")).to_have_count(4)
    page.get_by_role("combobox", name="Why").select_option("removed")
    expect(page.locator("[data-ended-entry]")).to_have_count(1)
    page.get_by_role("combobox", name="Why").select_option("")
    expect(page.locator("[data-ended-entry]")).to_have_count(4)
    look(page, "dashboard-log")


@pytest.mark.long
def test_a_track_that_the_dashboard_mutes_stops_in_another_browser_and_goes_on(open_page: OpenPage) -> None:
    ada, bob = (join(open_page, "muted", name) for name in ("Ada", "Bob"))
    ada.wait_picture("Picture of Bob")
    identity = identity_of(bob)
    page = sign_in(open_page, "/dashboard/?room=muted")
    tracks = page.locator(f"[data-member={identity}] [data-track]")
    for kind, what, witness in (("video", "pictures", "sounds"), ("audio", "sounds", "pictures")):
        track = tracks.filter(has_text=f"{kind}/")
        wait_more(ada, what)
        track.get_by_role("button", name="Mute").click()
        track.get_by_role("button", name="Unmute").wait_for()
        see_stopped(ada, what, witness)
        track.get_by_role("button", name="Unmute").click()
        wait_more(ada, what)
    bob.do("mic")
    sound = tracks.filter(has_text="audio/")
    expect(sound).to_contain_text("muted by its sender")
    expect(sound.get_by_role("button")).to_have_text("Mute")
    look(page, "dashboard-room")


@pytest.mark.long
def test_webhooks_that_were_given_up_are_sent_again_and_deleted(
    open_page: OpenPage, receive: Callable[[], Receiver], tmp_path: Path
) -> None:
    receiver = receive()
    receiver.status = 503
    server = start_server(
        tmp_path,
        ROOMTONE_WEBHOOKS__URLS=f'["{receiver.url}"]',
        ROOMTONE_WEBHOOKS__ALLOW_PRIVATE="true",
        ROOMTONE_WEBHOOKS__RETRIES="1",
        ROOMTONE_WEBHOOKS__FIRST_PAUSE_S="0.05",
        ROOMTONE_ROOMS__DEPARTURE_TIMEOUT_S="1",
    )
    try:
        page = open_page("/account/?next=/dashboard/%23/webhooks", server)
        page.set_default_timeout(PATIENCE_MS)
        page.get_by_label("User name or mail address").fill("admin")
        page.get_by_label("Password", exact=True).fill("secret")
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_text("There are none.").wait_for()
        server.room("told", "/plain", "POST", {"identity": "cam", "publish": [AUDIO]})
        started = page.locator("[data-letter=room_started]")
        joined = page.locator("[data-letter=participant_joined]")
        expect(started.locator("[data-error]")).to_have_text("status 503")
        expect(joined).to_have_count(1)
        started.get_by_text("What it says").click()
        expect(started.locator("pre")).to_contain_text('"name": "told"')
        look(page, "dashboard-webhooks")

        receiver.status = 200
        started.get_by_role("button", name="Send again").click()
        until(lambda: receiver.names("told"), "the webhook")
        assert (receiver.names("told"), receiver.failures) == (["room_started"], [])
        expect(started).to_have_count(0)
        agree(page)
        joined.get_by_role("button", name="Delete").click()
        expect(joined).to_have_count(0)
        expect(page.get_by_text("participant_joined is deleted.")).to_be_visible()
        assert receiver.names("told") == ["room_started"]
    finally:
        stop_server(server)


AUDIO = {
    "kind": "audio",
    "codec": {"name": "opus", "payload_type": 97, "clock_rate": 48000, "channels": 2},
}


def tab_to(page: Page, target: Locator) -> None:
    """Go on by the tabulator until something has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail("the tabulator does not come there")


@pytest.mark.long
def test_the_tabulator_alone_mutes_kicks_and_reads_the_log(server: Server, open_page: OpenPage) -> None:
    bob = join(open_page, "tabbed", "Bob")
    identity = identity_of(bob)
    page = sign_in(open_page, "/dashboard/")
    room = page.locator("[data-room=tabbed] button")
    room.wait_for()
    tab_to(page, room)
    page.keyboard.press("Enter")
    member = page.locator(f"[data-member={identity}]")
    sound = member.locator("[data-track]").filter(has_text="audio/").get_by_role("button")
    sound.wait_for()
    tab_to(page, sound)
    page.keyboard.press("Space")
    expect(sound).to_have_text("Unmute")
    expect(bob.action("mic")).to_contain_text("Unmute")
    kick = member.get_by_role("button", name="Kick")
    kick.evaluate("element => element.closest('section').querySelector('a').focus()")
    tab_to(page, kick)
    agree(page)
    page.keyboard.press("Enter")
    expect(bob.page.locator("[data-ended]")).to_have_text("A moderator has removed you from the room.")
    until(lambda: server.identities("tabbed") == [], "nobody is left")
    page.get_by_role("link", name="Dashboard").focus()
    tab_to(page, page.get_by_role("link", name="Log", exact=True))
    page.keyboard.press("Enter")
    expect(entry(page, "participant", identity).locator("[data-reason]")).to_have_attribute("data-reason", "removed")


@pytest.mark.long
def test_a_viewer_that_the_dashboard_kicks_sees_no_more_and_is_told(server: Server, open_page: OpenPage) -> None:
    query = "source=testcard&codec=VP8&width=320&height=180&fps=15&kbps=300&autostart=1"
    open_page(f"/publish/?room=watched&{query}")
    until(lambda: server.identities("watched"), "the publisher")
    kicked, stays = (MeetingPage(open_page("/watch/?room=watched")) for _ in range(2))
    for viewer in (kicked, stays):
        wait_more(viewer, "pictures")
    (first, *_) = server.room("watched", "/viewers")
    page = sign_in(open_page, "/dashboard/?room=watched")
    page.get_by_role("button", name=f"Kick {first['id']}").click()
    expect(page.get_by_role("button", name=f"Kick {first['id']}")).to_have_count(0)
    expect(kicked.page.get_by_role("button", name="Try again")).to_be_visible()
    expect(kicked.page.locator("[data-status]")).to_have_text("The connection has ended.")
    before = decoded(kicked)
    wait_more(stays, "pictures")
    assert decoded(kicked) == before
    kicked.page.get_by_role("button", name="Try again").click()
    wait_more(kicked, "pictures")
    go(page, "Log")
    line = entry(page, "viewer", first["id"])
    expect(line.locator("[data-reason]")).to_have_attribute("data-reason", "removed")
