"""Rooms behind a PIN: it is entered by events, by INFO or as it sounds; nobody is in the room before it is right."""

from __future__ import annotations

import asyncio
import importlib.util
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from phone_peers import Exchange, Phone, exchange, phone
from sip_peers import PATIENCE_S, until
from test_phones_in_rooms import MD5, Voice, caller, hears, mu_law

from roomtone.control.calls import CallEnd, RuleTarget, TargetKind
from roomtone.control.calls.parties.keypad import write_info
from roomtone.control.calls.pins import PinCount, PinGuard, PinRules
from roomtone.protocols.sip.agent import Answered, Ended, EndReason, Refused, Responded

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
LOCKED = "7001"
ROWS, LOW_HZ, HIGH_HZ = ("123A", "456B", "789C", "*0#D"), (697, 770, 852, 941), (1_209, 1_336, 1_477, 1_633)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob", order=MD5) as made:
        await made.book.dispatch.create("standup", ["7000"], RuleTarget(TargetKind.ROOM, room="standup"))
        await made.book.dispatch.create("locked", [LOCKED], RuleTarget(TargetKind.ROOM, room="standup"), pin="4711")
        await made.book.dispatch.create("other", [LOCKED], RuleTarget(TargetKind.ROOM, room="other"), pin="0815")
        yield made


def press(one: Phone, key: str) -> None:
    """Press a key for 100 ms by telephone events; its end is sent three times (RFC 4733 section 2.5.1.4)."""
    event, rtp = "0123456789*#ABCD".index(key), one.rtp
    at = rtp.sequence * 160
    for flags, lasted in ((0x0A, 160), (0x0A, 480), (0x8A, 800), (0x8A, 800), (0x8A, 800)):
        packet = rtp.packet(bytes([event, flags, lasted >> 8, lasted & 0xFF]), 101)
        # All packets of a press have the time of its beginning.
        rtp.socket.sendto(packet[:4] + at.to_bytes(4, "big") + packet[8:], ("127.0.0.1", rtp.remote))


async def listen(one: Phone, seconds: float) -> None:
    """Hear so much, and say nothing."""
    for _ in range(round(seconds * 50)):
        await one.rtp.next()


async def enter(one: Phone, keys: str) -> None:
    for key in keys:
        press(one, key)
        await listen(one, 0.1)


async def gone(here: Exchange) -> None:
    await until(lambda: not len(here.calls))
    for room in tuple(here.rooms.by_name.values()):
        await here.rooms.close_room(room)
    await here.becomes_empty()


def in_room(here: Exchange, name: str, identity: str) -> bool:
    return name in here.rooms.by_name and identity in here.rooms.by_name[name].participants


async def test_who_enters_the_pin_by_events_is_in_the_room_and_nobody_before(here: Exchange) -> None:
    async with caller(here, "ada") as ada, caller(here, "bob", LOCKED) as bob:
        voices = [Voice(ada.rtp, 880), Voice(bob.rtp, 440)]

        def say() -> None:
            for voice in voices:
                voice.say()

        await hears(bob.rtp, {660: 0.8}, (880,), say)  # is asked
        await hears(ada.rtp, {}, (440, 660, 880), say)
        await enter(bob, "471")
        assert not in_room(here, "standup", "sip_bob")
        press(bob, "1")
        await until(lambda: in_room(here, "standup", "sip_bob"))
        assert here.calls.parts.pins.counts == {PinCount.RIGHT: 1}
        await hears(bob.rtp, {880: 0.9}, (440,), say)
        await hears(ada.rtp, {440: 0.9}, (880,), say)
        bob.hang_up((await bob.wait_for(Answered)).leg)
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await gone(here)


async def test_a_phone_that_is_asked_for_a_pin_may_offer_anew(here: Exchange) -> None:
    async with caller(here, "bob", LOCKED) as bob:
        leg = (await bob.wait_for(Answered)).leg
        await hears(bob.rtp, {660: 0.8}, (880,), lambda: None)
        assert (await bob.reoffer(leg, bob.sdp("0 101", "a=sendonly"))).status == 200
        assert (await bob.reoffer(leg, bob.sdp("0 101"))).status == 200
        await enter(bob, "4711")
        await until(lambda: in_room(here, "standup", "sip_bob"))
        bob.hang_up(leg)
        await gone(here)


async def test_the_pin_says_which_room_it_is(here: Exchange) -> None:
    async with caller(here, "bob", LOCKED) as bob:
        leg = (await bob.wait_for(Answered)).leg
        for at, key in enumerate("0815", 1):
            content_type, body = write_info(key)
            block = f"Content-Type: {content_type}\r\n".encode()
            bob.agent.request(leg.dialog, "INFO", bob.now(), body=body, block=block)
            bob.drain()
            responded = await bob.wait_for(Responded, at + 1)  # a registration came before
            assert responded.response is not None
            assert responded.response.status == 200
        await until(lambda: in_room(here, "other", "sip_bob"))
        assert not in_room(here, "standup", "sip_bob")


async def test_a_phone_without_events_enters_the_pin_as_it_sounds(here: Exchange) -> None:
    async with phone(here, "bob") as bob:
        assert (await bob.register()).status == 200
        bob.call(LOCKED, bob.sdp("0"))
        await bob.wait_for(Answered)
        for key in "4711":
            for sounds in (True, False):
                for packet in range(5):
                    await bob.rtp.next()
                    bob.rtp.send(sound(key, packet) if sounds else bytes([0xFF] * 160))
        await until(lambda: in_room(here, "standup", "sip_bob"))


def sound(key: str, packet: int) -> bytes:
    row = next(number for number, keys in enumerate(ROWS) if key in keys)
    tones = (LOW_HZ[row], HIGH_HZ[ROWS[row].index(key)])
    at = range(160 * packet, 160 * packet + 160)
    return bytes(mu_law(round(sum(7_000 * math.sin(math.tau * hertz * one / 8_000) for hertz in tones))) for one in at)


async def test_three_wrong_pins_end_the_call_and_say_so(here: Exchange) -> None:
    async with caller(here, "bob", LOCKED) as bob:
        for _ in range(3):
            await enter(bob, "1234")
        ended = await bob.wait_for(Ended)
        assert ended.reason is EndReason.REMOTE
        await gone(here)
        assert here.calls.ended[CallEnd.WRONG_PIN] == 1
        assert here.calls.parts.pins.counts == {PinCount.WRONG: 3}
        await here.calls._write()
        (record,) = await here.book.records.table.page(10)
        assert record.reason == "wrong_pin"


def with_rules(here: Exchange, **rules: Any) -> None:
    guard = PinGuard(PinRules(**rules), asyncio.get_running_loop().time)
    object.__setattr__(here.calls.parts, "pins", guard)


async def test_who_enters_nothing_is_asked_again_and_then_hung_up(here: Exchange) -> None:
    with_rules(here, timeout_s=0.2)
    async with caller(here, "bob", LOCKED) as bob:
        await bob.wait_for(Ended)
        assert here.calls.parts.pins.counts == {PinCount.NOT_ENTERED: 3}
        await gone(here)


async def test_who_was_wrong_too_often_is_refused_before_anything_is_asked(here: Exchange) -> None:
    with_rules(here, failures=2)
    async with caller(here, "bob", LOCKED) as bob:
        for _ in range(2):
            await enter(bob, "1234")
        await bob.wait_for(Ended)
        bob.call(LOCKED, bob.sdp("0 101"))
        refused = await asyncio.wait_for(bob.wait_for(Refused), PATIENCE_S)
        assert refused.response is not None
        assert refused.response.status == 403
        await gone(here)
        assert here.calls.ended[CallEnd.PIN_REFUSED] == 1


async def test_a_phone_that_wants_an_offer_is_asked_once_it_has_answered_it(here: Exchange) -> None:
    async with phone(here, "bob") as bob:
        assert (await bob.register()).status == 200
        bob.call(LOCKED, b"")
        answered = await bob.wait_for(Answered)
        bob.agent.acknowledge(answered.leg, bob.now(), body=bob.sdp("0 101"))
        bob.drain()
        await listen(bob, 0.1)
        await enter(bob, "4711")
        await until(lambda: in_room(here, "standup", "sip_bob"))
