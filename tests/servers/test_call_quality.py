"""Records say how good each leg sounded, each way: what was lost, what peers report, and the E-model's score."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from phone_peers import Exchange, Phone, exchange, phone, pick_up
from sip_peers import PATIENCE_S, until

from roomtone.control.calls.parties import legs
from roomtone.protocols.sip.agent import Answered, Ended, Invited

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]


def speak(one: Phone, count: int, *, without: range) -> None:
    """Say packets, some of which get lost."""
    for at in range(count):
        packet = one.rtp.packet(bytes([at % 256] * 160))
        if at not in without:
            one.rtp.socket.sendto(packet, ("127.0.0.1", one.rtp.remote))


def report(one: Phone, offer: bytes, ssrc: int, lost: int, jitter: int) -> None:
    """Report what arrives at a phone (RFC 3550 section 6.4.2), from the port above that of its media."""
    named = re.search(rb"a=rtcp:(\d+)", offer)
    port = one.rtp.remote + 1 if named is None else int(named[1])
    block = struct.pack("!IIIIII", ssrc, lost & 0xFFFFFF, 1_000, jitter, 0, 0)
    packet = struct.pack("!BBHI", 0x81, 201, 7, one.rtp.ssrc) + block
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rtcp:
        rtcp.bind(("127.0.0.1", one.rtp.port + 1))
        rtcp.sendto(packet, ("127.0.0.1", port))


async def call(here: Exchange, ada: Phone, bob: Phone) -> None:
    for one in (ada, bob):
        assert (await one.register()).status == 200
    bob.answers = pick_up
    ada.call("bob")
    await ada.wait_for(Answered)
    await until(lambda: here.calls.all()[0].answered_at is not None)


async def judged(here: Exchange) -> list[dict[str, Any]]:
    (record,) = await recorded(here)
    found: list[dict[str, Any]] = json.loads(record.quality or "[]")
    return sorted(found, key=lambda one: one["account"])


async def recorded(here: Exchange) -> list[Any]:
    await until(lambda: not len(here.calls))
    await here.calls._write()
    return list(await here.book.records.table.page(10))


async def test_what_was_lost_and_what_peers_report_is_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legs, "MEASURED_FROM_S", 0.0)
    async with exchange(tmp_path, "ada", "bob") as here, phone(here, "ada") as ada, phone(here, "bob") as bob:
        await call(here, ada, bob)
        speak(ada, 100, without=range(40, 60))
        async with asyncio.timeout(PATIENCE_S):
            packet = await bob.rtp.next_packet()
            for _ in range(79):
                await bob.rtp.next_packet()
        offer = (await bob.wait_for(Invited)).request.body
        report(bob, offer, int.from_bytes(packet[8:12], "big"), lost=8, jitter=160)

        async def told() -> bool:
            (live,) = here.calls.all()
            return any(one.sent.lost == 8 for one in await live.judge())

        async with asyncio.timeout(PATIENCE_S):
            while not await told():  # noqa: ASYNC110 - the engine tells nobody
                await asyncio.sleep(0.01)
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await bob.wait_for(Ended)
        of_ada, of_bob = await judged(here)
        assert (of_ada["account"], of_bob["account"]) == ("ada", "bob")
        assert (of_ada["received"]["packets"], of_ada["received"]["lost"]) == (80, 20)
        assert of_ada["received"]["loss"] == pytest.approx(0.2)
        assert of_ada["received"]["jitter_ms"] is not None
        assert of_ada["sent"]["lost"] is None  # it reports nothing
        assert (of_bob["sent"]["packets"], of_bob["sent"]["lost"]) == (80, 8)
        assert of_bob["sent"]["loss"] == pytest.approx(0.1)
        assert of_bob["sent"]["jitter_ms"] == pytest.approx(20)
        assert of_bob["received"]["packets"] == 0


async def test_a_bad_line_has_a_worse_score_than_a_good_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legs, "MEASURED_FROM_S", 0.0)
    async with exchange(tmp_path, "ada", "bob") as here, phone(here, "ada") as ada, phone(here, "bob") as bob:
        await call(here, ada, bob)
        (live,) = here.calls.all()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                speak(bob, 1, without=range(0))
                speak(ada, 10, without=range(5, 7))
                await asyncio.sleep(0.02)
                scores = {one.account: one.received.mos for one in await live.judge()}
                good, bad = scores["bob"], scores["ada"]
                if good is not None and bad is not None and bad < good - 0.5:
                    break
        assert good > 4.0
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await bob.wait_for(Ended)
        assert [one["received"]["mos"] is not None for one in await judged(here)] == [True, True]


async def test_a_call_of_a_moment_is_not_judged(tmp_path: Path) -> None:
    async with exchange(tmp_path, "ada", "bob") as here, phone(here, "ada") as ada, phone(here, "bob") as bob:
        await call(here, ada, bob)
        ada.hang_up((await ada.wait_for(Answered)).leg)
        (record,) = await recorded(here)
        assert record.quality is None


@pytest.mark.parametrize("wanted", [True, False])
async def test_extended_reports_are_asked_for_and_sent_where_they_are_set(tmp_path: Path, wanted: bool) -> None:
    async with (
        exchange(tmp_path, "ada", "bob", extended_reports=wanted) as here,
        phone(here, "ada") as ada,
        phone(here, "bob") as bob,
    ):
        await bob.register()
        bob.answers = pick_up
        ada.call("bob", ada.sdp("0 101", "a=rtcp-mux"))
        answer = (await ada.wait_for(Answered)).response.body
        for described in (answer, (await bob.wait_for(Invited)).request.body):
            assert (b"a=rtcp-xr:rcvr-rtt=all voip-metrics\r\n" in described) is wanted
        kinds = await blocks(ada, bob)
        assert kinds == ({4, 7} if wanted else set())


async def blocks(one: Phone, other: Phone) -> set[int]:
    """Kinds of blocks in the extended reports (RFC 3611) of a report to a phone that both of a call speak to."""
    loop = asyncio.get_running_loop()
    reports = 0
    found: set[int] = set()
    async with asyncio.timeout(PATIENCE_S):
        while reports < 3 and 7 not in found:
            one.rtp.send(b"x" * 160)
            other.rtp.send(b"y" * 160)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    data = await loop.sock_recv(one.rtp.socket, 2048)
                    if 192 <= data[1] <= 223:
                        reports += 1
                        found |= set(extended(data))
    return found


def extended(data: bytes) -> Iterator[int]:
    """Read the kinds of blocks of a compound packet."""
    while data:
        length = 4 * (int.from_bytes(data[2:4], "big") + 1)
        if data[1] == 207:
            block = data[8:length]
            while block:
                yield block[0]
                block = block[4 * (int.from_bytes(block[2:4], "big") + 1) :]
        data = data[length:]
