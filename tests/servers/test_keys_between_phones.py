"""Keys between phones that tell them in different ways: each press arrives once, in the way the other side takes it."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from foreign_phones import linear, share_of
from phone_peers import Exchange, Phone, exchange, phone
from sip_peers import PATIENCE_S, until
from test_phone_pins import HIGH_HZ, LOW_HZ, ROWS, press, sound

from roomtone.control.calls.parties.keypad import read_info, write_info
from roomtone.protocols.sip.agent import Answered, Invited, Leg, Requested

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
SILENCE = bytes([0xFF] * 160)


@asynccontextmanager
async def pair(folder: Path, mine: str, theirs: str) -> AsyncIterator[tuple[Exchange, Phone, Phone, Leg]]:
    """Two phones in a call, that offer and answer these formats."""
    async with exchange(folder, "ada", "bob") as here, phone(here, "ada") as ada, phone(here, "bob") as bob:
        for one in (ada, bob):
            assert (await one.register()).status == 200

        def answer(one: Phone, event: Invited) -> None:
            one.agent.answer_invite(event.leg, one.now(), body=one.sdp(theirs))

        bob.answers = answer
        ada.call("bob", ada.sdp(mine))
        leg = (await ada.wait_for(Answered)).leg
        await until(lambda: here.calls.all()[0].answered_at is not None)
        yield here, ada, bob, leg
        ada.hang_up(leg)
        await here.becomes_empty()


def told(one: Phone) -> list[str]:
    """Keys that a phone was told by INFO."""
    infos = [event.request for event in one.events if isinstance(event, Requested) and event.request.method == "INFO"]
    read = [read_info(info.headers.text("content-type") or "", info.body) for info in infos]
    return [key[0] for key in read if key is not None]


async def talk(one: Phone, other: Phone, seconds: float) -> list[bytes]:
    """Have both say nothing for a while; gives the packets that the other heard."""
    heard: list[bytes] = []
    for _ in range(round(seconds * 50)):
        for phone_ in (one, other):
            phone_.rtp.send(SILENCE)
        await asyncio.sleep(0.02)
        while True:
            try:
                data = other.rtp.socket.recv(2048)
            except BlockingIOError:
                break
            if not 192 <= data[1] <= 223:
                heard.append(data)
    return heard


def keys_in(packets: list[bytes]) -> list[int]:
    """Keys that arrive as telephone events: one a timestamp."""
    events = {packet[4:8]: packet[12] for packet in packets if packet[1] & 0x7F == 101}
    return list(events.values())


def send_info(one: Phone, leg: Leg, key: str) -> None:
    content_type, body = write_info(key)
    one.agent.request(leg.dialog, "INFO", one.now(), body=body, block=f"Content-Type: {content_type}\r\n".encode())
    one.drain()


@pytest.mark.parametrize("theirs", ["0", "8"])
async def test_events_become_info_for_who_takes_none(tmp_path: Path, theirs: str) -> None:
    async with pair(tmp_path, "0 101", theirs) as (_, ada, bob, _leg):
        await talk(ada, bob, 0.2)
        for key in "57":
            press(ada, key)
            await talk(ada, bob, 0.3)
        await until(lambda: len(told(bob)) >= 2)
        heard = await talk(ada, bob, 0.5)
        assert told(bob) == ["5", "7"]
        assert keys_in(heard) == []


async def test_info_becomes_events_for_who_takes_them(tmp_path: Path) -> None:
    async with pair(tmp_path, "0 101", "0") as (here, ada, bob, _leg):
        leg = (await bob.wait_for(Invited)).leg
        await talk(bob, ada, 0.2)
        heard = []
        for key in "5#":
            send_info(bob, leg, key)
            heard += await talk(bob, ada, 0.6)
        assert keys_in(heard) == [5, 11]
        assert told(ada) == []
        assert len(here.calls) == 1


async def test_keys_that_sound_become_events_for_who_takes_them(tmp_path: Path) -> None:
    async with pair(tmp_path, "0 101", "0") as (_, ada, bob, _leg):
        heard = await talk(bob, ada, 0.3)
        for key in "52":
            for packet in range(5):
                bob.rtp.send(sound(key, packet))
                ada.rtp.send(SILENCE)
                await asyncio.sleep(0.02)
            heard += await talk(bob, ada, 0.6)
        assert keys_in(heard) == [5, 2]


async def test_a_press_that_is_told_by_info_and_sounds_too_arrives_once(tmp_path: Path) -> None:
    async with pair(tmp_path, "0 101", "0") as (_, ada, bob, _leg):
        leg = (await bob.wait_for(Invited)).leg
        heard = await talk(bob, ada, 0.3)
        send_info(bob, leg, "9")
        for packet in range(5):
            bob.rtp.send(sound("9", packet))
            await asyncio.sleep(0.02)
        heard += await talk(bob, ada, 0.8)
        assert keys_in(heard) == [9]


async def test_events_sound_for_who_takes_neither_events_nor_info(tmp_path: Path) -> None:
    async with pair(tmp_path, "0 101", "0") as (_, ada, bob, _leg):
        bob.refuses = frozenset({"INFO"})
        await talk(ada, bob, 0.2)
        press(ada, "5")
        row = next(number for number, keys in enumerate(ROWS) if "5" in keys)
        tones = (LOW_HZ[row], HIGH_HZ[ROWS[row].index("5")])
        async with asyncio.timeout(PATIENCE_S):
            while True:
                samples = [sample for packet in await talk(ada, bob, 0.04) for sample in linear(packet[12:])]
                if len(samples) >= 320 and all(share_of(samples[:320], hertz) > 0.3 for hertz in tones):
                    break


async def test_where_both_take_events_info_is_handed_on_and_nothing_is_added(tmp_path: Path) -> None:
    async with pair(tmp_path, "0 101", "0 101") as (_, ada, bob, leg):
        await talk(ada, bob, 0.1)
        send_info(ada, leg, "5")
        press(ada, "7")
        heard = await talk(ada, bob, 0.5)
        await until(lambda: told(bob) == ["5"])
        assert keys_in(heard) == [7]
