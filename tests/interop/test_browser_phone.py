"""The phone page and a desk phone call each other through a server; each hears the other's tone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from account_page import look, sign_in
from conftest import Server, until
from dashboard_page import go
from meeting_page import OpenPage
from phone_page import BROWSER_HZ, CAMERA, LINES, OPUS_ALONE, PhonePage, phone_page
from test_desk_phone import MODULES, api, baresip
from test_phone_in_a_room import PHONE_HZ, strongest, write_tone

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("baresip") is None or not MODULES.is_dir(), reason="baresip is not installed"),
]


@pytest.fixture
def account(server: Server) -> Callable[..., str]:
    """Make accounts: a function that gives one's line for baresip."""

    def make(username: str, **more: str) -> str:
        if username not in {one["username"] for one in api(server, "sip-accounts")}:
            api(server, "sip-accounts", "POST", {"username": username, "password": f"secret of {username}", **more})
        return f'<sip:{username}@{server.ready["sip_udp"][0]}>;auth_pass="secret of {username}"'

    return make


def hears_the_browser(folder: Path) -> bool:
    """Whether a desk phone has recorded the browser's tone."""
    return any(abs((strongest(path) or 0) - BROWSER_HZ) < 5 for path in folder.glob("dump-*-dec.wav"))


def registered(server: Server, username: str) -> str:
    """Wait for a registration; its transport."""
    found = until(
        lambda: [one for one in api(server, "registrations") if one["account"] == username], f"{username}'s phone"
    )
    transport: str = found[0]["transport"]
    return transport


def nothing_is_left(server: Server) -> None:
    def left() -> bool:
        metrics = server.metrics()
        return not (metrics["roomtone_calls"] or metrics["roomtone_sip_legs"])

    until(left, "the end of all calls")


def test_a_browser_calls_a_phone(
    server: Server, open_page: OpenPage, tmp_path: Path, account: Callable[..., str]
) -> None:
    account("ada")
    with baresip(tmp_path / "bob", account("bob", algorithm="MD5"), tone=write_tone, hertz=PHONE_HZ) as log:
        registered(server, "bob")
        ada = phone_page(open_page, server, "ada")
        assert registered(server, "ada") == "ws"
        ada.dial("bob")
        ada.wait_call("up")
        ada.hears(PHONE_HZ)
        until(lambda: hears_the_browser(tmp_path / "bob"), "the browser's tone at the phone")
        (call,) = api(server, "calls")
        assert (call["caller"], call["called"], call["codec"]) == ("ada", "bob", "PCMA/8000")
        ada.press("Key 5")
        until(lambda: was_sent(log, "5"), "the key at the phone")
        ada.press("Hold")
        ada.says("On hold")
        held_still(ada)
        ada.press("Resume")
        ada.hears(PHONE_HZ)
        ada.press("Hang up")
        ada.wait_call("ended")
        until(lambda: "session closed" in log.read_text("utf-8", "replace"), "the end at the phone")
    nothing_is_left(server)


def test_a_phone_calls_a_browser(
    server: Server, open_page: OpenPage, tmp_path: Path, account: Callable[..., str]
) -> None:
    account("ada")
    ada = phone_page(open_page, server, "ada", secure=True)
    assert registered(server, "ada") == "wss"
    dial = f"/dial sip:ada@{server.ready['sip_udp'][0]}"
    line = account("bob", algorithm="MD5")
    with baresip(tmp_path / "bob", line, "-e", dial, tone=write_tone, hertz=PHONE_HZ):
        ada.wait_call("incoming")
        ada.press("Answer")
        ada.wait_call("up")
        ada.hears(PHONE_HZ)
        until(lambda: hears_the_browser(tmp_path / "bob"), "the browser's tone at the phone")
        ada.press("Hold")
        ada.says("On hold")
        until(lambda: not hears_the_browser(tmp_path / "bob"), "the end of the browser's tone at the phone")
        ada.press("Resume")
        until(lambda: hears_the_browser(tmp_path / "bob"), "the browser's tone at the phone again")
        ada.hears(PHONE_HZ)
        (call,) = api(server, "calls")
        api(server, f"calls/{call['id']}", "DELETE")
        ada.wait_call("ended")
    nothing_is_left(server)


def was_sent(log: Path, key: str) -> bool:
    """Whether a desk phone says that it was sent a key, to its end."""
    return f"received event: '{key}' (end=1)" in log.read_text("utf-8", "replace")


def held_still(phone: PhonePage) -> None:
    """See that nothing more comes once a hold has settled."""
    seen = [-1, -2]

    def still() -> bool:
        phone.page.wait_for_timeout(300)
        seen.append(phone.received())
        return seen[-1] == seen[-2] == seen[-3]

    until(still, "silence on hold")


@pytest.mark.long
def test_opus_of_a_browser_is_converted_and_keys_go_on(
    server: Server, open_page: OpenPage, tmp_path: Path, account: Callable[..., str]
) -> None:
    account("ada")
    with baresip(tmp_path / "bob", account("bob", algorithm="MD5"), tone=write_tone, hertz=PHONE_HZ) as log:
        registered(server, "bob")
        ada = phone_page(open_page, server, "ada", OPUS_ALONE)
        ada.dial("bob")
        ada.wait_call("up")
        ada.hears(PHONE_HZ)
        until(lambda: hears_the_browser(tmp_path / "bob"), "the browser's tone at the phone")
        (call,) = api(server, "calls")
        assert call["codec"] == "OPUS/48000 to PCMA/8000"
        ada.press("Key 9")
        until(lambda: was_sent(log, "9"), "the key at the phone")
        ada.press("Mute")
        ada.says("Your microphone is off")
        ada.press("Unmute")
        ada.press("Hang up")
        ada.wait_call("ended")
    nothing_is_left(server)


@pytest.mark.long
def test_a_browser_and_a_phone_meet_in_a_room(
    server: Server, open_page: OpenPage, tmp_path: Path, account: Callable[..., str]
) -> None:
    account("ada")
    rule = {"name": "standup", "numbers": ["7000"], "target": {"kind": "room", "room": "standup"}}
    api(server, "dispatch-rules", "POST", rule)
    ada = phone_page(open_page, server, "ada")
    ada.dial("7000")
    ada.wait_call("up")
    until(lambda: server.identities("standup") == ["sip_ada"], "the browser in the room")
    dial = f"/dial sip:7000@{server.ready['sip_udp'][0]}"
    line = account("bob", algorithm="MD5")
    with baresip(tmp_path / "bob", line, "-e", dial, tone=write_tone, hertz=PHONE_HZ):
        ada.hears(PHONE_HZ)
        until(lambda: hears_the_browser(tmp_path / "bob"), "the browser's tone at the phone")
        ada.press("Hang up")
        ada.wait_call("ended")
        until(lambda: server.identities("standup") == ["sip_bob"], "the browser's leave")
    nothing_is_left(server)


@pytest.mark.long
def test_two_browsers_call_each_other_and_a_third_finds_one_busy(
    server: Server, open_page: OpenPage, account: Callable[..., str]
) -> None:
    for name in ("ada", "cyd", "dan"):
        account(name, **({"media_security": "dtls"} if name == "dan" else {}))
    ada, cyd, dan = (phone_page(open_page, server, name) for name in ("ada", "cyd", "dan"))
    ada.dial("dan")
    dan.wait_call("incoming")
    dan.press("Answer")
    for one in (ada, dan):
        one.wait_call("up")
        one.hears(BROWSER_HZ)
    cyd.dial("dan")
    cyd.wait_call("ended")
    cyd.says("486 Busy Here")
    dan.says("missed: another call was up")
    assert api(server, "calls")[0]["codec"] == "OPUS/48000"
    # A window that is closed takes its call with it.
    ada.page.close()
    dan.wait_call("ended")
    nothing_is_left(server)


@pytest.mark.long
def test_a_browser_transfers_its_call_and_the_other_two_hear_each_other(
    server: Server, open_page: OpenPage, tmp_path: Path, account: Callable[..., str]
) -> None:
    for name in ("ada", "cyd"):
        account(name)
    with baresip(tmp_path / "bob", account("bob", algorithm="MD5"), tone=write_tone, hertz=PHONE_HZ):
        registered(server, "bob")
        ada, cyd = (phone_page(open_page, server, name) for name in ("ada", "cyd"))
        ada.dial("bob")
        ada.wait_call("up")
        ada.transfer("nobody")
        ada.says("The call was not transferred: 404 Not Found. You are still in it.")
        ada.hears(PHONE_HZ)
        ada.transfer("cyd")
        cyd.wait_call("incoming")
        cyd.press("Answer")
        cyd.wait_call("up")
        ada.wait_call("ended")
        ada.says("The call was transferred to cyd.")
        cyd.hears(PHONE_HZ)
        until(lambda: hears_the_browser(tmp_path / "bob"), "the browser's tone at the phone")
        cyd.press("Hang up")
    nothing_is_left(server)


@pytest.mark.long
def test_a_browser_asks_somebody_first_and_connects_the_other_two(
    server: Server, open_page: OpenPage, tmp_path: Path, account: Callable[..., str]
) -> None:
    for name in ("ada", "cyd"):
        account(name)
    with baresip(tmp_path / "bob", account("bob", algorithm="MD5"), tone=write_tone, hertz=PHONE_HZ):
        registered(server, "bob")
        ada, cyd = (phone_page(open_page, server, name) for name in ("ada", "cyd"))
        ada.dial("bob")
        ada.wait_call("up")
        ada.hears(PHONE_HZ)
        for answers in (False, True):
            ada.ask("cyd")
            ada.says("bob waits on hold")
            cyd.wait_call("incoming")
            if answers:
                cyd.press("Answer")
                ada.says("In a call with cyd")
                break
            cyd.press("Decline")  # and who was waiting is back
            ada.says("In a call with bob")
            ada.press("Hold")
            ada.press("Resume")
        ada.press("Connect bob with cyd")
        ada.wait_call("ended")
        cyd.hears(PHONE_HZ)
        until(lambda: hears_the_browser(tmp_path / "bob"), "the browser's tone at the phone")
        cyd.press("Hang up")
    nothing_is_left(server)


def test_a_call_outlives_the_line_of_a_browser(
    server: Server, open_page: OpenPage, tmp_path: Path, account: Callable[..., str]
) -> None:
    account("ada")
    with baresip(tmp_path / "bob", account("bob", algorithm="MD5"), tone=write_tone, hertz=PHONE_HZ):
        registered(server, "bob")
        ada = phone_page(open_page, server, "ada", LINES)
        ada.dial("bob")
        ada.wait_call("up")
        ada.hears(PHONE_HZ)
        ada.cut_line()
        ada.wait_line("lost")
        ada.wait_line("registered")
        ada.says("The line was lost and is back")
        ada.hears(PHONE_HZ)
        ada.press("Hold")
        ada.says("On hold")
        ada.press("Resume")
        ada.hears(PHONE_HZ)
        # What the server says comes by the new line.
        (call,) = api(server, "calls")
        api(server, f"calls/{call['id']}", "DELETE")
        ada.wait_call("ended")
    nothing_is_left(server)


@pytest.mark.long
def test_pictures_pass_between_two_browsers(server: Server, open_page: OpenPage, account: Callable[..., str]) -> None:
    for name in ("ada", "cyd"):
        account(name)
    ada, cyd = (phone_page(open_page, server, name, CAMERA) for name in ("ada", "cyd"))
    ada.page.get_by_label("With my camera").check()
    ada.dial("cyd")
    cyd.wait_call("incoming")
    cyd.press("Answer with pictures")
    for one in (ada, cyd):
        one.wait_call("up")
        one.sees_green()
        one.hears(BROWSER_HZ)
    look(ada.page, "phone-pictures")
    ada.press("Hang up")
    cyd.wait_call("ended")
    nothing_is_left(server)


@pytest.mark.long
def test_the_dashboard_shows_phones_and_ends_their_calls(
    server: Server, open_page: OpenPage, account: Callable[..., str]
) -> None:
    for name in ("ada", "cyd"):
        account(name)
    trunk = {"name": "provider", "uri": "sip:127.0.0.1:9", "probes": False}
    api(server, "trunks", "POST", trunk)
    admin = sign_in(open_page, "/dashboard/")
    go(admin, "Phones")
    admin.locator("[data-trunk=unregistered]").filter(has_text="provider").wait_for()
    admin.get_by_text("Nobody is in a call").wait_for()
    ada, cyd = (phone_page(open_page, server, name) for name in ("ada", "cyd"))
    for name in ("ada", "cyd"):
        admin.locator(f"[data-registration={name}]").filter(has_text="WS").wait_for()
    ada.dial("cyd")
    cyd.wait_call("incoming")
    admin.locator("[data-phone-call=ringing]").wait_for()
    look(cyd.page, "phone-incoming")
    cyd.press("Answer")
    cyd.wait_call("up")
    cyd.hears(BROWSER_HZ)
    look(cyd.page, "phone-up")
    admin.locator("[data-phone-call=answered]").filter(has_text="OPUS/48000").wait_for()
    look(admin, "dashboard-phones")
    admin.on("dialog", lambda dialog: dialog.accept())
    admin.get_by_role("button", name="Hang up on ada and cyd").click()
    for one in (ada, cyd):
        one.wait_call("ended")
    admin.get_by_text("Nobody is in a call").wait_for()


@pytest.mark.long
def test_what_the_phone_cannot_do_it_says(server: Server, open_page: OpenPage, account: Callable[..., str]) -> None:
    account("ada")
    ada = PhonePage(open_page("/phone/", server))
    look(ada.page, "phone-off")
    ada.switch_on("ada", "not her password")
    ada.wait_line("refused")
    ada.says("The account was refused: the user name or the password is wrong")
    ada.switch_on("ada", "secret of ada")
    ada.wait_line("registered")
    ada.dial("no number")
    ada.says("That is no number and no name")
    ada.dial("nobody")
    ada.wait_call("ended")
    ada.says("404 Not Found")
    look(ada.page, "phone-ended")
    ada.press("Switch off")
    ada.wait_line("off")
    until(lambda: not [one for one in api(server, "registrations") if one["account"] == "ada"], "the phone is off")
