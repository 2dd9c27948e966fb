"""Phones register and call each other over real sockets: packets prove the media, counters that nothing is left."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from sip_peers import until

from roomtone.control.calls import CallEnd, RuleTarget, TargetKind
from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sip.agent import Answered, Ended, EndReason, Invited, Progressed, Refused, Requested, Responded
from roomtone.protocols.sip.flow import Transport

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob") as made:
        yield made


@pytest.fixture
async def pair(here: Exchange) -> AsyncIterator[tuple[Phone, Phone]]:
    """Two phones that are registered; the second picks up."""
    async with phone(here, "ada") as ada, phone(here, "bob") as bob:
        for one in (ada, bob):
            assert (await one.register()).status == 200
        bob.answers = pick_up
        yield ada, bob


async def heard(source: Phone, sink: Phone, payload: bytes, payload_type: int = 0) -> None:
    """A packet goes from one to the other, as it is; it is sent again and again, as a phone goes on sending."""

    async def send() -> None:
        while True:
            source.rtp.send(payload, payload_type)
            await asyncio.sleep(0.02)

    sending = asyncio.create_task(send())
    try:
        while await sink.rtp.next() != (payload_type, payload):
            pass
    finally:
        sending.cancel()


async def not_heard(source: Phone, sink: Phone, back: bool = True) -> None:
    """Packets of one do not reach the other, although those the other way round go on."""
    sink.rtp.drain()
    for number in range(20):
        source.rtp.send(b"secret" + bytes([number]))
    if back:
        await heard(sink, source, b"the line is there")
        await heard(sink, source, b"and it is in order")
    await asyncio.sleep(0)
    assert [one for one in sink.rtp.drain() if one.startswith(b"secret")] == []


async def test_a_phone_registers_with_digest_and_is_known_after_a_restart(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada") as here, phone(here, "ada") as ada:
        answer = await ada.register()
        assert answer.status == 200
        (contact,) = answer.headers.items("contact")
        assert contact.endswith((";expires=600", ";expires=599"))
        await here.book.registrar.flush()
        port = ada.server.local_port
    async with exchange(tmp_path) as again:
        (binding,) = again.book.registrar.bindings("ada", again.book.clock())
        assert (binding.flow.remote_port, binding.contact) == (port, f"sip:ada@127.0.0.1:{port}")


async def test_a_phone_unregisters(here: Exchange) -> None:
    async with phone(here, "ada") as ada:
        await ada.register()
        answer = await ada.register(expires=0)
        assert (answer.status, "contact" in answer.headers) == (200, False)
        assert here.book.registrar.all(here.book.clock()) == []


async def test_too_brief_a_registration_says_the_least_time(here: Exchange) -> None:
    async with phone(here, "ada") as ada:
        answer = await ada.register(expires=5)
        assert (answer.status, answer.headers.text("min-expires")) == (423, "60")


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong"), ("nobody", "nobody")])
async def test_strangers_are_told_nothing_but_to_authenticate(here: Exchange, name: str, password: str) -> None:
    async with phone(here, name, password) as stranger:
        assert (await stranger.register()).status == 401
        for number in ("bob", "nobody-at-all"):
            stranger.call(number)
        for at in (1, 2):
            refused = await stranger.wait_for(Refused, at)
            assert refused.response is not None
            assert refused.response.status == 401
    assert await here.is_empty()


async def test_nobody_registers_for_another(here: Exchange) -> None:
    async with phone(here, "ada") as ada:
        assert (await ada.register(user="bob")).status == 403


async def test_two_phones_talk_and_everything_is_gone_afterwards(here: Exchange, pair: tuple[Phone, Phone]) -> None:
    ada, bob = pair
    ada.call("bob")
    leg = (await ada.wait_for(Answered)).leg
    offered = (await bob.wait_for(Invited)).request
    assert offered.from_.display == "Ada"
    assert offered.from_.uri.serialize() == "sip:ada@127.0.0.1"
    assert b"192." not in offered.body
    await heard(ada, bob, b"hello")
    await heard(bob, ada, b"hello back")
    assert await here.kinds() == {"routers": 1, "transports": 2}
    ada.hang_up(leg)
    assert (await bob.wait_for(Ended)).reason is EndReason.REMOTE
    await here.becomes_empty()
    await here.calls._write()
    (record,) = await here.book.records.table.page(10)
    assert (record.caller_account, record.callee_account, record.reason) == ("ada", "bob", "completed")
    assert (record.codec, record.status) == ("PCMU/8000", 200)


async def test_the_callee_hangs_up(here: Exchange, pair: tuple[Phone, Phone]) -> None:
    ada, bob = pair
    ada.call("bob")
    await ada.wait_for(Answered)
    bob.hang_up((await bob.wait_for(Invited)).leg)
    assert (await ada.wait_for(Ended)).reason is EndReason.REMOTE
    await here.becomes_empty()


async def test_digits_pass_as_events_and_as_info(pair: tuple[Phone, Phone]) -> None:
    ada, bob = pair
    ada.call("bob")
    leg = (await ada.wait_for(Answered)).leg
    digit = bytes([5, 0x8A, 0x03, 0x20])
    await heard(ada, bob, digit, 101)
    await heard(bob, ada, digit, 101)
    relay = b"Content-Type: application/dtmf-relay\r\n"
    sent = ada.agent.request(leg.dialog, "INFO", ada.now(), body=b"Signal=5\r\nDuration=160\r\n", block=relay)
    ada.drain()
    info = await bob.wait_for(Requested)
    assert info.request.body == b"Signal=5\r\nDuration=160\r\n"
    assert info.request.content_type == "application/dtmf-relay"
    await until(lambda: any(getattr(one, "outgoing", None) is sent for one in ada.events))
    assert [one.response.status for one in ada.events if getattr(one, "outgoing", None) is sent] == [200]  # type: ignore[union-attr]


@pytest.mark.parametrize("line", ["a=sendonly", "a=inactive", "c=IN IP4 0.0.0.0"])
async def test_hold_stops_packets_and_resume_lets_them_through(
    here: Exchange, pair: tuple[Phone, Phone], line: str
) -> None:
    ada, bob = pair
    ada.call("bob")
    leg = (await ada.wait_for(Answered)).leg
    await heard(ada, bob, b"before")
    await heard(bob, ada, b"before")
    place = "0.0.0.0" if line.startswith("c=") else "127.0.0.1"
    lines = () if line.startswith("c=") else (line,)
    answer = await ada.reoffer(leg, ada.sdp("0 101", *lines, place=place))
    assert answer.status == 200
    expected = "inactive" if line == "a=inactive" else "recvonly"
    assert f"a={expected}".encode() in answer.body
    await not_heard(bob, ada, back=line != "a=inactive")
    if line == "a=inactive":
        await not_heard(ada, bob, back=False)
    assert (await ada.reoffer(leg, ada.sdp())).status == 200
    await heard(bob, ada, b"after")
    await heard(ada, bob, b"after")
    ada.hang_up(leg)
    await here.becomes_empty()


async def test_a_phone_that_moves_is_followed(pair: tuple[Phone, Phone]) -> None:
    ada, bob = pair
    ada.call("bob")
    leg = (await ada.wait_for(Answered)).leg
    await heard(bob, ada, b"at the old port")
    old, ada.rtp = ada.rtp, type(ada.rtp)()
    ada.rtp.remote = old.remote
    try:
        assert (await ada.reoffer(leg, ada.sdp())).status == 200
        await heard(bob, ada, b"at the new port")
        await heard(ada, bob, b"from the new port")
    finally:
        old.close()


async def test_a_caller_that_gives_up_leaves_nothing(here: Exchange, pair: tuple[Phone, Phone]) -> None:
    ada, bob = pair
    bob.answers = lambda phone, event: phone.agent.progress(event.leg, 180, phone.now())
    call = ada.call("bob")
    await ada.wait_for(Progressed)
    call.cancel(ada.now())
    ada.drain()
    assert (await ada.wait_for(Refused)).reason is EndReason.CANCELLED
    assert (await bob.wait_for(Ended)).reason is EndReason.CANCELLED
    await here.becomes_empty()


@pytest.mark.parametrize(("status", "told"), [(486, 486), (603, 603), (480, 480), (488, 488), (500, 480), (302, 480)])
async def test_a_refusal_reaches_the_caller_and_leaves_nothing(
    here: Exchange, pair: tuple[Phone, Phone], status: int, told: int
) -> None:
    ada, bob = pair
    bob.answers = lambda phone, event: phone.agent.refuse(event.leg, status, phone.now())
    ada.call("bob")
    refused = await ada.wait_for(Refused)
    assert refused.response is not None
    assert refused.response.status == told
    await here.becomes_empty()


@pytest.mark.parametrize(
    ("number", "body", "status"),
    [
        ("nobody", None, 404),
        ("away", None, 480),
        ("bob", b"nonsense", 400),
        ("bob", b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", 488),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_nothing(
    here: Exchange, pair: tuple[Phone, Phone], number: str, body: bytes | None, status: int
) -> None:
    await here.book.accounts.create("away", "away")
    ada, _ = pair
    ada.call(number, body)
    refused = await ada.wait_for(Refused)
    assert refused.response is not None
    assert refused.response.status == status
    await here.becomes_empty()


async def test_a_body_that_is_no_description_is_refused(here: Exchange, pair: tuple[Phone, Phone]) -> None:
    ada, _ = pair
    ada.call("bob", b"hi", b"Content-Type: text/plain\r\n")
    refused = await ada.wait_for(Refused)
    assert refused.response is not None
    assert (refused.response.status, refused.response.headers.text("accept")) == (415, "application/sdp")
    await here.becomes_empty()


async def test_all_phones_of_a_group_ring_and_the_first_answer_wins(tmp_path: Path) -> None:
    names = ("ada", "bob", "cleo", "dan")
    async with exchange(tmp_path, *names) as here, AsyncExitStack() as stack:
        ada, bob, cleo, dan = [await stack.enter_async_context(phone(here, name)) for name in names]
        for one in (bob, cleo, dan):
            await one.register()
            one.answers = lambda phone, event: phone.agent.progress(event.leg, 180, phone.now())
        await here.book.dispatch.create("all", ["9*"], RuleTarget(TargetKind.GROUP, ("bob", "cleo", "dan")))
        ada.call("911")
        for one in (bob, cleo, dan):
            await one.wait_for(Invited)
        pick_up(cleo, await cleo.wait_for(Invited))
        cleo.drain()
        leg = (await ada.wait_for(Answered)).leg
        for one in (bob, dan):
            assert (await one.wait_for(Ended)).reason is EndReason.CANCELLED
        await heard(ada, cleo, b"hello")
        assert await here.kinds() == {"routers": 1, "transports": 2}
        ada.hang_up(leg)
        await here.becomes_empty()


async def test_nobody_answers_in_time(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path, "ada", "bob", ring_timeout_s=0.2) as here,
        phone(here, "ada") as ada,
        phone(here, "bob") as bob,
    ):
        await bob.register()
        bob.answers = lambda phone, event: phone.agent.progress(event.leg, 180, phone.now())
        ada.call("bob")
        refused = await ada.wait_for(Refused)
        assert refused.response is not None
        assert refused.response.status == 480
        await bob.wait_for(Ended)
        await here.becomes_empty()


async def test_early_media_is_heard_before_the_answer(here: Exchange, pair: tuple[Phone, Phone]) -> None:
    ada, bob = pair

    def announce(phone: Phone, event: Invited) -> None:
        phone.agent.progress(event.leg, 183, phone.now(), body=phone.sdp())

    bob.answers = announce
    ada.call("bob")
    progressed = await ada.wait_for(Progressed)
    assert progressed.response.status == 183
    ada.rtp.remote = parse_session(progressed.response.body).media[0].port
    await heard(bob, ada, b"please wait")
    pick_up(bob, await bob.wait_for(Invited))
    bob.drain()
    await ada.wait_for(Answered)
    await heard(ada, bob, b"hello")
    ada.hang_up((await ada.wait_for(Answered)).leg)
    await here.becomes_empty()


async def test_a_late_offer_is_answered_in_the_ack(here: Exchange, pair: tuple[Phone, Phone]) -> None:
    ada, bob = pair
    ada.call("bob", b"")
    answered = await ada.wait_for(Answered)
    offer = parse_session(answered.response.body)
    assert offer.media[0].formats == ("0", "101")
    ada.agent.acknowledge(answered.leg, ada.now(), body=ada.sdp())
    ada.drain()
    await heard(ada, bob, b"hello")
    await heard(bob, ada, b"hello back")
    ada.hang_up(answered.leg)
    await here.becomes_empty()


async def test_a_callee_that_is_gone_ends_the_call(here: Exchange, pair: tuple[Phone, Phone]) -> None:
    ada, bob = pair
    assert bob.endpoint is not None
    ada.call("bob")
    await ada.wait_for(Answered)
    (call,) = here.calls.all()
    here.calls.hang_up(call.id)
    assert (await ada.wait_for(Ended)).reason is EndReason.REMOTE
    assert (await bob.wait_for(Ended)).reason is EndReason.REMOTE
    await here.becomes_empty()
    assert here.calls.ended == {CallEnd.REMOVED: 1}


async def test_a_phone_on_a_connection_of_its_own_is_called_by_it(here: Exchange) -> None:
    (tcp,) = here.endpoint.listeners.addresses()[Transport.TCP]
    async with phone(here, "ada") as ada, phone(here, "bob") as bob:
        bob.server = bob.server._replace(transport=Transport.TCP, remote_port=tcp[1])
        bob.answers = pick_up
        # Nobody listens at the address it says: behind a NAT there is no other way to it than its connection.
        me = bob.address("bob")
        dialog = bob.agent.new_dialog(f"sip:127.0.0.1:{tcp[1]};transport=tcp", bob.server, from_=me, to=me)
        contact = b"Contact: <sip:bob@127.0.0.1:9;transport=tcp>;expires=600\r\n"
        bob.agent.request(dialog, "REGISTER", bob.now(), contact=contact)
        bob.drain()
        answer = (await bob.wait_for(Responded)).response
        assert answer is not None
        assert answer.status == 200
        ada.call("bob")
        leg = (await ada.wait_for(Answered)).leg
        await heard(ada, bob, b"hello")
        await heard(bob, ada, b"hello back")
        ada.hang_up(leg)
        assert (await bob.wait_for(Ended)).reason is EndReason.REMOTE
        await here.becomes_empty()
        here.endpoint.pool.end_all()
        ada.call("bob")
        refused = await ada.wait_for(Refused)
        assert refused.response is not None
        assert refused.response.status == 480, "its connection is gone"
        await here.becomes_empty()
