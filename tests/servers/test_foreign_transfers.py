"""Phones that are not ours transfer, take over and redirect; tones and packets tell who hears whom afterwards."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote

import pytest
from foreign_phones import baresip, free_ports, has_baresip, heard_by
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from sip_peers import PATIENCE_S, until
from sipp_scenes import (
    answer,
    answer_in_dialog,
    call,
    expect,
    expect_request,
    hung_up_on_and_told,
    request,
    run_sipp,
    scenario,
)
from test_phone_server import heard

from roomtone.control.calls import CallEnd, RuleTarget, TargetKind
from roomtone.protocols.sip.agent import Answered, Ended, Invited, replaces_of
from roomtone.protocols.sip.digest import Algorithm

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
MD5 = (Algorithm.MD5,)
needs_baresip = pytest.mark.skipif(not has_baresip, reason="baresip is not installed")
needs_sipp = pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed")


@needs_baresip
async def test_baresip_transfers_and_the_other_two_hear_each_other(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path, "ada", "bob", "cleo", order=MD5) as here,
        baresip(tmp_path / "ada", "ada", "adaada", here.port, 440, records=True) as ada,
        baresip(tmp_path / "bob", "bob", "bobbob", here.port, 660) as bob,
        baresip(tmp_path / "cleo", "cleo", "cleocleo", here.port, 880, records=True) as cleo,
    ):
        ada.do("dial", f"sip:bob@127.0.0.1:{here.port}")
        await bob.says("Call established")
        await until(lambda: heard_by(tmp_path / "ada", 660))
        bob.do("transfer", f"sip:cleo@127.0.0.1:{here.port}")
        await cleo.says("Call established")
        (one,) = here.calls.all()
        # The referrer has no leg, and so hears nothing; of a call shorter than a second it says nothing either.
        await until(lambda: [leg.account for leg in one.legs] == ["ada", "cleo"])
        await until(lambda: heard_by(tmp_path / "ada", 880))
        await until(lambda: heard_by(tmp_path / "cleo", 440))
        assert (await here.kinds())["transports"] == 2
        cleo.do("hangup")
        await ada.says("session closed")
        await here.becomes_empty()


@needs_baresip
async def test_baresip_is_told_that_nobody_answers_and_the_call_does_not_end_with_that(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path, "ada", "bob", order=MD5) as here,
        phone(here, "ada") as ada,
        baresip(tmp_path / "bob", "bob", "bobbob", here.port, 660) as bob,
    ):
        ada.call("bob")
        await ada.wait_for(Answered)
        await bob.says("Call established")
        bob.do("transfer", f"sip:nobody@127.0.0.1:{here.port}")
        await bob.says("transfer", "404")
        bob.do("hangup")  # baresip 1.0 does so by itself a moment after, others go on talking
        await ada.wait_for(Ended)
        await here.becomes_empty()
        assert here.calls.ended == {CallEnd.COMPLETED: 1}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob", "cleo", order=MD5) as made:
        yield made


@pytest.fixture
async def pair(here: Exchange) -> AsyncIterator[tuple[Phone, Phone]]:
    """Two phones that are registered and pick up."""
    async with AsyncExitStack() as phones:
        made = [await phones.enter_async_context(phone(here, name)) for name in ("ada", "cleo")]
        for one in made:
            assert (await one.register()).status == 200
            one.answers = pick_up
        yield made[0], made[1]


@needs_sipp
async def test_sipp_refers_and_is_told_how_it_goes(here: Exchange, pair: tuple[Phone, Phone], tmp_path: Path) -> None:
    ada, cleo = pair
    text = scenario(
        "refer",
        *call("ada"),
        request("REFER", "[next_url]", 3, "Refer-To: <sip:cleo@[remote_ip]:[remote_port]>"),
        expect(202),
        expect_request("NOTIFY", pattern="SIP/2.0 100"),
        answer_in_dialog(),
        *hung_up_on_and_told("SIP/2.0 200"),
    )
    code, output = await run_sipp(tmp_path, text, here.port)
    assert code == 0, output
    await heard(ada, cleo, b"hello cleo")
    await heard(cleo, ada, b"hello ada")
    cleo.hang_up((await cleo.wait_for(Invited)).leg)
    await ada.wait_for(Ended)
    await here.becomes_empty()


@needs_sipp
async def test_sipp_connects_its_two_calls(here: Exchange, pair: tuple[Phone, Phone], tmp_path: Path) -> None:
    """Attended: the second call is of another phone of the same account, the REFER names its dialog."""
    ada, cleo = pair
    async with phone(here, "bob") as other_line:
        other_line.call("cleo")
        consultation = (await other_line.wait_for(Answered)).leg
        named = replaces_of(consultation).serialize()
        refer_to = f"<sip:cleo@127.0.0.1:{here.port}?Replaces={quote(named, safe='')}>"
        text = scenario(
            "attended",
            *call("ada"),
            request("REFER", "[next_url]", 3, f"Refer-To: {refer_to}", "Referred-By: <sip:bob@127.0.0.1>"),
            expect(202),
            expect_request("NOTIFY", pattern="SIP/2.0 100"),
            answer_in_dialog(),
            *hung_up_on_and_told("SIP/2.0 200"),
        )
        code, output = await run_sipp(tmp_path, text, here.port)
        assert code == 0, output
        await other_line.wait_for(Ended)
        await heard(ada, cleo, b"hello cleo")
        await heard(cleo, ada, b"hello ada")
        cleo.hang_up((await cleo.wait_for(Invited)).leg)
        await here.becomes_empty()


@needs_sipp
async def test_sipp_takes_the_place_of_a_phone(here: Exchange, pair: tuple[Phone, Phone], tmp_path: Path) -> None:
    ada, cleo = pair
    ada.call("cleo")
    leg = (await ada.wait_for(Answered)).leg
    dialog = (await cleo.wait_for(Invited)).leg.dialog
    replaces = f"Replaces: {dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
    text = scenario("replaces", *call("ada", replaces, "Require: replaces"), expect_request("BYE"), answer_in_dialog())
    running = asyncio.create_task(run_sipp(tmp_path, text, here.port))
    await cleo.wait_for(Ended)
    async with asyncio.timeout(PATIENCE_S):
        await until(lambda: [one.account for one in here.calls.all()[0].parties] == ["ada", "bob"])
    ada.hang_up(leg)
    code, output = await running
    assert code == 0, output
    await here.becomes_empty()


def is_taken(port: int) -> bool:
    """Whether somebody listens at a port for UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


@needs_sipp
async def test_sipp_redirects_and_its_caller_talks_to_somebody_else(
    here: Exchange, pair: tuple[Phone, Phone], tmp_path: Path
) -> None:
    ada, cleo = pair
    (port,) = free_ports(1)
    await here.book.dispatch.create("door", ["door"], RuleTarget(TargetKind.URI, uri=f"sip:door@127.0.0.1:{port}"))
    contact = f"Contact: <sip:cleo@127.0.0.1:{here.port}>"
    text = scenario("302", expect_request("INVITE"), answer("302 Moved Temporarily", contact), expect_request("ACK"))
    running = asyncio.create_task(run_sipp(tmp_path, text, here.port, "-p", str(port)))
    await until(lambda: is_taken(port))
    ada.call("door")
    leg = (await ada.wait_for(Answered)).leg
    await heard(ada, cleo, b"hello cleo")
    await heard(cleo, ada, b"hello ada")
    code, output = await running
    assert code == 0, output
    ada.hang_up(leg)
    await here.becomes_empty()
