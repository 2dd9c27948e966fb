"""Two phones without a codec in common: each hears the other's tone in its own, and keys go on as events."""

from __future__ import annotations

import asyncio
import importlib.util
import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from foreign_phones import share_of
from phone_peers import Phone, Rtp, exchange, phone
from sip_peers import PATIENCE_S

from roomtone.protocols.sip.agent import Answered, Invited

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
PCMU, PCMA = (0, "pcm_mulaw"), (8, "pcm_alaw")
WINDOW = 1_600


class Voice:
    """Says a tone in G.711 by FFmpeg, a packet at a time."""

    def __init__(self, rtp: Rtp, codec: tuple[int, str], hertz: float) -> None:
        self._rtp = rtp
        self._number = codec[0]
        self._hertz = hertz
        self._said = 0
        self._encoder = av.CodecContext.create(codec[1], "w")
        self._encoder.sample_rate = 8_000
        self._encoder.layout = "mono"
        self._encoder.format = "s16"
        self._encoder.time_base = Fraction(1, 8_000)

    def say(self) -> None:
        """Say a fiftieth of a second."""
        turn = 2 * math.pi * self._hertz / 8_000
        samples = [round(8_000 * math.sin(turn * (self._said + at))) for at in range(160)]
        frame = av.AudioFrame.from_ndarray(np.array([samples], dtype=np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 8_000, self._said
        self._said += 160
        for packet in self._encoder.encode(frame):
            self._rtp.send(bytes(packet), self._number)


async def hears(to: Phone, codec: tuple[int, str], hertz: float, voices: list[Voice]) -> None:
    """Wait for a stretch that is one tone and nothing else; all say as much as is heard."""
    decoder = av.CodecContext.create(codec[1], "r")
    decoder.sample_rate = 8_000
    decoder.layout = "mono"
    samples: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while True:
            number, payload = await to.rtp.next()
            for voice in voices:
                voice.say()
            assert number == codec[0]
            for frame in decoder.decode(av.Packet(payload)):
                samples += frame.to_ndarray()[0].tolist()
            if len(samples) < WINDOW:
                continue
            stretch, samples = samples[:WINDOW], []
            if share_of(stretch, hertz) > 0.95:
                return


async def test_each_hears_the_other_in_its_own_codec_and_keys_go_on(tmp_path: Path) -> None:
    async with (
        exchange(tmp_path, "ada", "bob") as here,
        phone(here, "ada") as ada,
        phone(here, "bob") as bob,
    ):
        for one in (ada, bob):
            assert (await one.register()).status == 200

        def answer(one: Phone, event: Invited) -> None:
            one.agent.answer_invite(event.leg, one.now(), body=one.sdp("8 101"))

        bob.answers = answer
        ada.call("bob", ada.sdp("0 101"))
        leg = (await ada.wait_for(Answered)).leg
        voices = [Voice(ada.rtp, PCMU, 880), Voice(bob.rtp, PCMA, 440)]
        await hears(ada, PCMU, 440, voices)
        await hears(bob, PCMA, 880, voices)
        # Event 9 for 100 ms, its end three times (RFC 4733 section 2.5.1.4); it is heard as an event in place of sound.
        for _ in range(3):
            ada.rtp.send(bytes([9, 0x8A, 3, 32]), 101)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                number, payload = await bob.rtp.next()
                if number == 101:
                    break
        assert payload[0] == 9
        ada.hang_up(leg)
        await here.becomes_empty()
        await here.calls._write()
        (record,) = await here.book.records.table.page(10)
        assert record.codec == "PCMU/8000 to PCMA/8000"
