"""Comfort noise (RFC 3389) on the wire: what a phone describes is heard, and silence is described to it."""

from __future__ import annotations

import asyncio
import importlib.util
import math
from pathlib import Path

import av
import pytest
from phone_peers import Phone, exchange, phone
from sip_peers import PATIENCE_S
from test_changed_media import takes
from test_phone_conversion import PCMA, PCMU, Voice, hears

from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sip.agent import Answered

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
NOISE, LEVEL = 13, 50
SILENCE = bytes([0xD5]) * 160
"""A fiftieth of a second of nothing (PCMA)."""


def level_of(payload: bytes, codec: tuple[int, str]) -> float:
    """How far below overload a packet is, in decibels."""
    decoder = av.CodecContext.create(codec[1], "r")
    decoder.sample_rate, decoder.layout = 8_000, "mono"
    samples = [int(one) for frame in decoder.decode(av.Packet(payload)) for one in frame.to_ndarray()[0]]
    power = sum(one * one for one in samples) / len(samples)
    return -20 * math.log10(max(math.sqrt(power) / 32_768, 1e-6))


async def hears_noise(to: Phone) -> None:
    """Wait for half a second at the level described: it is no sound that dies away, and no silence."""
    levels: list[float] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(levels) < 25:
            number, payload = await to.rtp.next()
            assert number == PCMA[0]
            level = level_of(payload, PCMA)
            levels = [*levels, level] if abs(level - LEVEL) < 3 else []


@pytest.mark.parametrize("described", [True, False], ids=["described", "as sound"])
async def test_silence_is_described_both_ways_where_that_is_set(tmp_path: Path, described: bool) -> None:
    async with (
        exchange(tmp_path, "ada", "bob", describes_silence=described) as here,
        phone(here, "ada") as ada,
        phone(here, "bob") as bob,
    ):
        for one in (ada, bob):
            assert (await one.register()).status == 200
        bob.answers = takes("8 101")
        ada.call("bob", ada.sdp("0 13 101"))
        answered = await ada.wait_for(Answered)
        assert parse_session(answered.response.body).media[0].formats == ("0", "13", "101")
        voices = [Voice(ada.rtp, PCMU, 880), Voice(bob.rtp, PCMA, 440)]
        await hears(bob, PCMA, 880, voices)
        # She falls silent, and says how that sounds; he goes on sending nothing that sounds.
        ada.rtp.send(bytes([LEVEL]), NOISE)
        await hears_noise(bob)
        numbers: list[int] = []
        ada.rtp.drain()
        async with asyncio.timeout(PATIENCE_S):
            while len(numbers) < 3:
                bob.rtp.send(SILENCE, 8)
                number, payload = await ada.rtp.next()
                if described and number == NOISE:
                    numbers.append(payload[0])
                elif not described:
                    assert number == 0
                    numbers.append(number)
        if described:
            assert min(numbers) > 60, "there is nothing to hear"
        # And both are heard again; what he hears sets the pace, since she is sent nothing in silence.
        bob.rtp.drain()
        await hears(bob, PCMA, 880, voices)
        ada.rtp.drain()
        await hears(ada, PCMU, 440, voices)
        ada.hang_up(answered.leg)
        await here.becomes_empty()
