"""Calls that go by several servers, and circles of them (RFC 3261 section 8.1.1.6, RFC 7332)."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from phone_peers import Exchange, Phone, exchange, phone, pick_up

from roomtone.control.calls import RuleTarget, TargetKind, Trunk
from roomtone.protocols.sip.agent import Answered, Invited, Refused

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob") as made:
        yield made


def call(one: Phone, number: str, hops: int) -> None:
    """Call a number that may go on by so many servers."""
    uri = one.address(number)
    one.agent.invite(
        uri.uri_text,
        one.server,
        one.now(),
        from_=one.address(one.name),
        to=uri,
        body=one.sdp(),
        user=one.name,
        max_forwards=hops,
    )
    one.drain()


async def test_a_call_says_by_how_many_servers_it_may_go_on(here: Exchange) -> None:
    async with phone(here, "ada") as ada, phone(here, "bob") as bob:
        for one in (ada, bob):
            assert (await one.register()).status == 200
        bob.answers = pick_up
        call(ada, "bob", 20)
        assert (await bob.wait_for(Invited)).request.max_forwards == 19
        ada.hang_up((await ada.wait_for(Answered)).leg)
        call(ada, "bob", 0)
        refused = (await ada.wait_for(Refused)).response
        assert refused is not None
        assert refused.status == 483
        await here.becomes_empty()


async def test_a_circle_of_servers_comes_to_an_end(tmp_path: Path) -> None:
    """Each of two servers says that a number is the other's."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    async with exchange(tmp_path / "here", "ada") as here, exchange(tmp_path / "there") as there:
        for one, other in ((here, there), (there, here)):
            uri = f"sip:127.0.0.1:{other.port}"
            await one.book.trunks.create(Trunk("other", uri=uri, addresses=("127.0.0.1",)))
            target = RuleTarget(TargetKind.URI, uri=f"sip:600@127.0.0.1:{other.port}")
            await one.book.dispatch.create("circle", ["600"], target)
        async with phone(here, "ada") as ada:
            call(ada, "600", 12)
            refused = (await ada.wait_for(Refused)).response
            assert refused is not None
            assert refused.status == 483
            await here.becomes_empty()
            await there.becomes_empty()
            await here.calls._write()
            await there.calls._write()
            records = [*await here.book.records.table.page(20), *await there.book.records.table.page(20)]
            assert len(records) == 13, "one for each server it came by, and the last that refused it"
            assert {record.reason for record in records} == {"too_many_hops"}
