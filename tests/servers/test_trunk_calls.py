"""Trunks on real sockets: registered with a second server, called both ways, and what either side is shown."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from sip_peers import until

from roomtone.control.calls import RuleTarget, TargetKind, Trunk, TrunkState
from roomtone.protocols.sip.agent import Answered, Ended, Invited, Refused, Requested
from roomtone.protocols.sip.message import Request

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"
)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    (tmp_path / "here").mkdir()
    async with exchange(tmp_path / "here", "ada") as made:
        yield made


@pytest.fixture
async def carrier(tmp_path: Path) -> AsyncIterator[Exchange]:
    """Another server, where the first has an account."""
    (tmp_path / "carrier").mkdir()
    async with exchange(tmp_path / "carrier", "4930", "bob") as made:
        yield made


async def trunk(here: Exchange, port: int, password: str = "49304930", **more: Any) -> Trunk:
    wanted = {"uri": f"sip:127.0.0.1:{port}", "username": "4930", "password": password, "registers": True} | more
    return await here.book.trunks.create(Trunk("carrier", **wanted))


async def out(here: Exchange, **more: Any) -> None:
    await here.book.dispatch.create("out", ["0*"], RuleTarget(TargetKind.TRUNK, trunk="carrier", **more))


async def becomes(here: Exchange, state: TrunkState) -> None:
    await until(lambda: here.book.trunks.life("carrier").state is state)


async def heard(sender: Phone, receiver: Phone, payload: bytes) -> None:
    """Wait until what one sends is what the other hears."""
    for _ in range(3):
        sender.rtp.send(payload)
    assert (await receiver.rtp.next())[1] == payload


async def test_a_trunk_registers_is_called_and_calls_and_takes_its_registration_back(
    here: Exchange, carrier: Exchange
) -> None:
    await trunk(here, carrier.port, addresses=("127.0.0.1",))
    await becomes(here, TrunkState.REGISTERED)
    (binding,) = carrier.book.registrar.bindings("4930", carrier.book.clock())
    assert binding.contact == f"sip:4930@127.0.0.1:{here.port}"
    assert here.book.trunks.life("carrier").due_at < here.book.clock() + 60
    await out(here, strip=1)
    await here.book.dispatch.create("in", ["4930"], RuleTarget(TargetKind.ACCOUNT, ("ada",)))
    async with phone(here, "ada") as ada, phone(carrier, "bob") as bob:
        await ada.register()
        await bob.register()
        ada.answers = bob.answers = pick_up
        bob.call("4930")
        leg = (await bob.wait_for(Answered)).leg
        assert (await ada.wait_for(Invited)).request.from_.uri.serialize() == "sip:bob@127.0.0.1"
        await heard(bob, ada, b"from outside")
        await heard(ada, bob, b"from inside")
        bob.hang_up(leg)
        await ada.wait_for(Ended)
        await here.calls._write()
        (record,) = await here.book.records.table.page(10)
        assert (record.caller, record.caller_account, record.callee_account) == ('"Bob" bob', "", "ada")
    await here.book.trunks.delete("carrier")
    await until(lambda: not carrier.book.registrar.bindings("4930", carrier.book.clock()))
    await here.becomes_empty()
    await carrier.becomes_empty()


async def test_calls_go_out_by_digest_and_either_side_hangs_up(here: Exchange, carrier: Exchange) -> None:
    await trunk(here, carrier.port)
    await becomes(here, TrunkState.REGISTERED)
    await out(here, strip=1)
    async with phone(here, "ada") as ada, phone(carrier, "bob") as bob:
        await bob.register()
        bob.answers = pick_up
        for count, by_caller in ((1, True), (2, False)):
            ada.call("0bob")
            leg = (await ada.wait_for(Answered, count)).leg
            await heard(ada, bob, b"hello")
            if by_caller:
                ada.hang_up(leg)
            else:
                bob.hang_up((await bob.wait_for(Invited, count)).leg)
            await here.becomes_empty()
            await carrier.becomes_empty()


async def test_a_wrong_password_takes_the_trunk_down_and_calls_are_refused_at_once(
    here: Exchange, carrier: Exchange
) -> None:
    await trunk(here, carrier.port, "wrong")
    await becomes(here, TrunkState.DOWN)
    life = here.book.trunks.life("carrier")
    assert life.last_error == "answered 401: Unauthorized"
    assert life.due_at > here.book.clock() + 60
    await out(here)
    async with phone(here, "ada") as ada:
        ada.call("0bob")
        response = (await ada.wait_for(Refused)).response
        assert response is not None
        assert response.status == 480
    assert carrier.calls.started == 0


async def test_a_trunk_that_is_away_is_tried_again(here: Exchange) -> None:
    await trunk(here, 1, uri="sip:127.0.0.1:1;transport=tcp")
    await becomes(here, TrunkState.BACKING_OFF)
    life = here.book.trunks.life("carrier")
    assert (life.failures, life.last_error) == (1, "no answer")
    assert life.due_at < here.book.clock() + 5


async def test_a_carrier_is_asked_and_shown_the_number_of_the_trunk(here: Exchange) -> None:
    async with phone(here, "ada") as ada, phone(here, "carrier") as there:
        there.answers = pick_up
        await trunk(here, there.server.local_port, registers=False, caller_id="+4930", domain="carrier.test")
        asked = await there.wait_for(Requested)
        assert asked.request.method == "OPTIONS"
        await out(here, strip=1, prefix="+49")
        ada.call("089123")
        leg = (await ada.wait_for(Answered)).leg
        request = (await there.wait_for(Invited)).request
        assert request.uri.serialize() == f"sip:+4989123@127.0.0.1:{there.server.local_port}"
        assert request.to.uri.serialize() == "sip:+4989123@carrier.test"
        assert (request.from_.display, request.from_.uri.serialize()) == ("Ada", "sip:+4930@carrier.test")
        assert request.headers.text("p-asserted-identity") == '"Ada" <sip:+4930@carrier.test>'
        ada.hang_up(leg)
        await there.wait_for(Ended)
        await here.becomes_empty()


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        (b"", "carrier"),
        (b'P-Asserted-Identity: "Eve" <sip:+4940@carrier.test>\r\n', "+4940"),
        (b"P-Asserted-Identity: <tel:+49-40>\r\n", "+4940"),
        (b"P-Asserted-Identity: <sip:+4940@carrier.test>\r\nPrivacy: id\r\n", "anonymous"),
    ],
)
async def test_who_calls_by_a_trunk_is_what_it_asserts(here: Exchange, block: bytes, shown: str) -> None:
    await here.book.trunks.create(Trunk("carrier", addresses=("127.0.0.0/8",)))
    await here.book.dispatch.create("in", ["4930*"], RuleTarget(TargetKind.ACCOUNT, ("ada",)))
    async with phone(here, "ada") as ada, phone(here, "carrier", "no account of ours") as there:
        await ada.register()
        ada.answers = pick_up
        there.call("493012", block=block)
        leg = (await there.wait_for(Answered)).leg
        request = (await ada.wait_for(Invited)).request
        assert isinstance(request, Request)
        assert request.from_.uri.serialize() == f"sip:{shown}@127.0.0.1"
        there.hang_up(leg)
        await ada.wait_for(Ended)
        await here.becomes_empty()


async def test_what_comes_by_one_trunk_goes_out_by_none(here: Exchange) -> None:
    async with phone(here, "carrier", "no account of ours") as there:
        await trunk(here, there.server.local_port, registers=False, addresses=("127.0.0.1",))
        await out(here)
        there.call("0900")
        response = (await there.wait_for(Refused)).response
        assert response is not None
        assert response.status == 403
        assert not [one for one in there.events if isinstance(one, Invited)]
        await here.becomes_empty()


async def test_an_address_of_no_trunk_is_challenged(here: Exchange) -> None:
    await here.book.trunks.create(Trunk("carrier", addresses=("192.0.2.0/24",)))
    async with phone(here, "carrier", "no account of ours") as there:
        there.call("ada")
        response = (await there.wait_for(Refused)).response
        assert response is not None
        assert response.status == 401


async def test_a_call_by_a_trunk_joins_a_room(here: Exchange) -> None:
    await here.book.trunks.create(Trunk("carrier", addresses=("127.0.0.1",)))
    await here.book.dispatch.create("in", ["4930*"], RuleTarget(TargetKind.ROOM, room="standup"))
    async with phone(here, "carrier", "no account of ours") as there:
        there.call("493012", block=b'P-Asserted-Identity: "Eve" <sip:+4940@carrier.test>\r\n')
        leg = (await there.wait_for(Answered)).leg
        room = here.rooms.find("standup")
        (participant,) = room.participants.values()
        assert (participant.identity, participant.name) == ("sip_+4940", "Eve")
        there.hang_up(leg)
        await until(lambda: not here.calls.all())
