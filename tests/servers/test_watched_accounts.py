"""Accounts that write to each other and watch each other: MESSAGE, SUBSCRIBE, PUBLISH at a real server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from phone_peers import Exchange, exchange
from sip_peers import until
from sip_programs import Peer

from roomtone.protocols.sip.packages import (
    DialogInfo,
    MessageCounts,
    MessageSummary,
    Presence,
    PresenceTuple,
    RegistrationInfo,
)
from roomtone.sip import Account, Endpoint, InboundCall, InboundRequest, PeerError, Received, Refusal, Watch

PIDF, MWI = "application/pidf+xml", "application/simple-message-summary"


class Mailbox(Peer):
    """Takes messages and rings."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[InboundRequest] = []
        self.refuses = 0
        self.ringing: list[InboundCall] = []

    async def on_message(self, message: InboundRequest) -> None:
        if self.refuses:
            raise Refusal(self.refuses)
        self.texts.append(message)

    async def on_invite(self, call: InboundCall) -> None:
        call.ring()
        self.ringing.append(call)
        await call.wait_ended()


def account(here: Exchange, name: str) -> Account:
    return Account(name, name * 2, f"127.0.0.1:{here.port}", display=name.title())


def at(here: Exchange, name: str) -> str:
    return f"sip:{name}@127.0.0.1:{here.port}"


async def test_a_message_goes_to_all_phones_and_the_first_that_takes_it_answers(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, Endpoint(host="127.0.0.1") as phone:
        ada = account(here, "ada")
        async with Mailbox() as one, Mailbox() as two:
            with pytest.raises(PeerError) as away:
                await phone.message(at(here, "bob"), "hello", account=ada)
            assert away.value.status == 480
            for box in (one, two):
                await box.register(account(here, "bob"))
            assert (await phone.message(at(here, "bob"), "grüße", account=ada)).status == 200
            two.refuses = 603
            assert (await phone.message(at(here, "bob"), "again", account=ada)).status == 200
            assert [message.text for message in one.texts] == ["grüße", "again"]
            assert [message.text for message in two.texts] == ["grüße"]
            assert one.texts[0].from_.display == "Ada"
            assert one.texts[0].from_.uri_text == "sip:ada@127.0.0.1"
            assert one.texts[0].content_type == "text/plain"
            one.refuses = 603
            with pytest.raises(PeerError) as declined:
                await phone.message(at(here, "bob"), "hello", account=ada)
            assert declined.value.status == 603
        with pytest.raises(PeerError) as unknown:
            await phone.message(at(here, "nobody"), "hello", account=ada)
        assert unknown.value.status == 404
        with pytest.raises(PeerError) as stranger:
            await phone.message(at(here, "bob"), "hello")
        assert stranger.value.status == 401
        assert here.server.messages.passed == 6


async def next_presence(watch: Watch) -> Presence:
    note = await watch.next_note()
    assert note.content_type == PIDF
    return Presence.parse(note.body)


async def test_presence_is_whether_a_phone_is_registered_until_the_phone_says_more(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, Endpoint(host="127.0.0.1") as phone, Mailbox() as box:
        watch = await phone.subscribe(at(here, "bob"), "presence", account=account(here, "ada"), accept=[PIDF])
        assert [one.is_open for one in (await next_presence(watch)).tuples] == [False]
        registration = await box.register(account(here, "bob"))
        assert [one.is_open for one in (await next_presence(watch)).tuples] == [True]
        busy = Presence("sip:bob@127.0.0.1", (PresenceTuple("desk", is_open=False),), note="at lunch").serialize()
        headers = [("Event", "presence"), ("Expires", "600")]
        bob = account(here, "bob")
        done = await box.request("PUBLISH", at(here, "bob"), busy, PIDF, headers=headers, account=bob)
        assert done.status == 200
        told = await next_presence(watch)
        assert (told.note, [one.is_open for one in told.tuples]) == ("at lunch", [False])
        tag = done.headers.text("SIP-ETag") or ""
        again = [*headers, ("SIP-If-Match", tag)]
        refreshed = await box.request("PUBLISH", at(here, "bob"), headers=again, account=bob)
        last = [("Event", "presence"), ("Expires", "0"), ("SIP-If-Match", refreshed.headers.text("SIP-ETag") or "")]
        assert (await box.request("PUBLISH", at(here, "bob"), headers=last, account=bob)).status == 200
        assert [one.is_open for one in (await next_presence(watch)).tuples] == [True]
        await registration.close()
        assert [one.is_open for one in (await next_presence(watch)).tuples] == [False]
        await watch.close()
        assert [one async for one in watch][-1].header("Subscription-State") == "terminated;reason=timeout"
        await until(lambda: len(here.server.watching) == 0)


async def test_nobody_publishes_of_another_and_nothing_that_is_no_state(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, Endpoint(host="127.0.0.1") as phone:
        ada = account(here, "ada")

        async def publish(name: str, body: bytes, kind: str, package: str = "presence") -> int:
            headers = [("Event", package)]
            return (await phone.request("PUBLISH", at(here, name), body, kind, headers=headers, account=ada)).status

        good = Presence("sip:ada@127.0.0.1").serialize()
        assert await publish("bob", good, PIDF) == 403
        assert await publish("ada", b"<presence/>", PIDF) == 400
        assert await publish("ada", b"open", "text/plain") == 415
        assert await publish("ada", good, PIDF, "weather") == 489
        assert await publish("ada", good, PIDF) == 200


async def test_lamps_follow_a_call_to_its_end(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", "bob", "cleo") as here, Peer() as phone, Mailbox() as box:
        watch = await phone.subscribe(at(here, "bob"), "dialog", account=account(here, "ada"))
        first = DialogInfo.parse((await watch.next_note()).body)
        assert (first.version, first.dialogs) == (0, ())
        await box.register(account(here, "bob"))
        call = await phone.call(at(here, "bob"), account=account(here, "cleo"), sdp=phone.sdp)
        assert await states(watch, "early") == "recipient"
        await box.ringing[0].answer(box.sdp)
        await call.wait_answered()
        assert await states(watch, "confirmed") == "recipient"
        await call.hang_up()
        assert await states(watch, "terminated") == "recipient"
        await here.becomes_empty_of_calls()


async def states(watch: Watch, wanted: str) -> str | None:
    """Wait for a document with one dialog in this state; its direction."""
    while True:
        info = DialogInfo.parse((await watch.next_note()).body)
        for dialog in info.dialogs:
            if dialog.state == wanted:
                assert dialog.call_id
                assert dialog.remote == "sip:cleo@127.0.0.1"
                return dialog.direction


async def test_an_account_is_told_of_its_own_registrations_and_of_no_others(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, Endpoint(host="127.0.0.1") as phone, Mailbox() as box:
        ada = account(here, "ada")
        with pytest.raises(PeerError) as refused:
            await phone.subscribe(at(here, "bob"), "reg", account=ada)
        assert refused.value.status == 403
        watch = await phone.subscribe(at(here, "ada"), "reg", account=ada)
        assert contacts(await watch.next_note()) == ("init", [])
        await phone.register(ada)
        mine = f"sip:ada@127.0.0.1:{phone.port()}"
        assert contacts(await watch.next_note()) == ("active", [(mine, True, "created")])
        second = await box.register(ada)
        other = f"sip:ada@127.0.0.1:{box.port()}"
        state, found = contacts(await watch.next_note())
        assert sorted(found) == sorted([(mine, True, "registered"), (other, True, "created")])
        await second.close()
        state, found = contacts(await watch.next_note())
        assert (state, sorted(found)) == (
            "active",
            sorted([(mine, True, "registered"), (other, False, "unregistered")]),
        )
        here.book.registrar.sweep(time.time() + 700)
        assert contacts(await watch.next_note()) == ("terminated", [(mine, False, "expired")])


def contacts(note: Received) -> tuple[str, list[tuple[str, bool, str]]]:
    (registration,) = RegistrationInfo.parse(note.body).registrations
    return registration.state, [(one.uri, one.is_active, one.event) for one in registration.contacts]


async def test_a_mailbox_says_whether_messages_wait_to_its_owner(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, Endpoint(host="127.0.0.1") as phone:
        ada = account(here, "ada")
        watch = await phone.subscribe(at(here, "ada"), "message-summary", account=ada)
        assert not MessageSummary.parse((await watch.next_note()).body).waiting
        counts = (("voice-message", MessageCounts(2, 1)),)
        waiting = MessageSummary(waiting=True, account="sip:ada@127.0.0.1", counts=counts)
        headers = [("Event", "message-summary")]
        await phone.request("PUBLISH", at(here, "ada"), waiting.serialize(), MWI, headers=headers, account=ada)
        assert MessageSummary.parse((await watch.next_note()).body) == waiting
        for name, package, status in (("bob", "message-summary", 403), ("ada", "weather", 489), ("x", "presence", 404)):
            with pytest.raises(PeerError) as refused:
                await phone.subscribe(at(here, name), package, account=ada)
            assert refused.value.status == status
            assert refused.value.response is not None
            assert (refused.value.response.headers.text("Allow-Events") is not None) is (status == 489)
        with pytest.raises(PeerError) as unreadable:
            await phone.subscribe(at(here, "ada"), "presence", account=ada, accept=["text/plain"])
        assert unreadable.value.status == 406
