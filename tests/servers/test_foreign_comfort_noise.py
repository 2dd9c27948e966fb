"""Comfort noise (RFC 3389) and others: FFmpeg describes noise and sounds like descriptions, SIPp sends them."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import math
import os
import shutil
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from phone_peers import Phone, exchange, phone
from sip_peers import PATIENCE_S
from sipp_scenes import OPTIONAL, SDP, bye, expect, invite, request, run_sipp, scenario
from test_changed_media import takes
from test_comfort_noise import NOISE
from test_phone_conversion import PCMA, PCMU, Voice, hears

from roomtone.protocols.sip.agent import Answered
from roomtone.protocols.sip.digest import Algorithm

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
Samples = NDArray[np.int16]
RATE, FRAME = 8_000, 160
FAITHFUL_DB = 3.0
"""How far a level may be off: what is described is rounded to one, and noise of half a second differs by one itself."""


def dull_noise(decibels: float, seconds: float = 4.0) -> Samples:
    """Noise so far below overload, nine tenths of it below 1 kHz."""
    seed = np.random.default_rng(3)
    last, samples = 0.0, np.zeros(int(RATE * seconds))
    for at, fresh in enumerate(seed.uniform(-1, 1, len(samples))):
        last = samples[at] = 0.9 * last + fresh
    samples *= 32_768 * 10 ** (-decibels / 20) / math.sqrt(float(np.mean(samples**2)))
    return samples.astype(np.int16)


def level(pcm: Samples) -> float:
    """How far below overload, in decibels."""
    return -20 * math.log10(max(math.sqrt(float(np.mean(pcm.astype(float) ** 2))) / 32_768, 1e-6))


def low_share(pcm: Samples) -> float:
    """The part of its power that is below 1 kHz; a quarter of white noise is."""
    spectrum = np.abs(np.fft.rfft(pcm.astype(float))) ** 2
    return float(spectrum[: len(spectrum) // 4].sum() / spectrum.sum())


def coded(codec: str, pcm: Samples, frame: int = FRAME) -> list[bytes]:
    """Packets of FFmpeg's encoder."""
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.time_base = RATE, "mono", "s16", Fraction(1, RATE)
    found: list[bytes] = []
    for at in range(0, len(pcm) - frame + 1, frame):
        piece = av.AudioFrame.from_ndarray(pcm[None, at : at + frame], format="s16", layout="mono")
        piece.sample_rate, piece.pts = RATE, at
        found += [bytes(packet) for packet in encoder.encode(piece)]
    return found


def decoded(codec: str, payloads: list[bytes]) -> Samples:
    """Samples of FFmpeg's decoder."""
    decoder: Any = av.CodecContext.create(codec, "r")
    decoder.sample_rate, decoder.layout = RATE, "mono"
    frames = [frame.to_ndarray()[0] for payload in payloads for frame in decoder.decode(av.Packet(payload))]
    return np.concatenate(frames).astype(np.int16)


def described_by_ffmpeg(pcm: Samples) -> bytes:
    """What FFmpeg's encoder of comfort noise says of it: level and ten coefficients, once it has heard enough."""
    return coded("comfortnoise", pcm, 640)[-1]


def sounding_by_ffmpeg(payload: bytes) -> Samples:
    """What FFmpeg's decoder of comfort noise makes of a description, once it has faded in."""
    return decoded("comfortnoise", [payload] * 50)[RATE:]


async def listen(to: Phone, decibels: float) -> Samples:
    """Wait for half a second at a level."""
    heard: list[Samples] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(heard) < 25:
            number, payload = await to.rtp.next()
            assert number == PCMA[0]
            pcm = decoded(PCMA[1], [payload])
            heard = [*heard, pcm] if abs(level(pcm) - decibels) < 2 * FAITHFUL_DB else []
    return np.concatenate(heard)


@pytest.mark.parametrize("decibels", [40, 55])
async def test_noise_that_ffmpeg_describes_is_heard_at_its_level_and_as_dull(tmp_path: Path, decibels: int) -> None:
    async with (
        exchange(tmp_path, "ada", "bob") as here,
        phone(here, "ada") as ada,
        phone(here, "bob") as bob,
    ):
        await bob.register()
        bob.answers = takes("8 101")
        ada.call("bob", ada.sdp("0 13 101"))
        await ada.wait_for(Answered)
        await hears(bob, PCMA, 880, [Voice(ada.rtp, PCMU, 880)])
        payload = described_by_ffmpeg(dull_noise(decibels))
        assert len(payload) == 11
        ada.rtp.send(payload, NOISE)
        heard = await listen(bob, decibels)
        assert abs(level(heard) - decibels) < FAITHFUL_DB
        assert low_share(heard) > 0.8


async def test_what_is_described_sounds_by_ffmpeg_as_what_it_would_have_described_itself(tmp_path: Path) -> None:
    noise = dull_noise(55)
    theirs = described_by_ffmpeg(noise)
    reference = sounding_by_ffmpeg(theirs)
    assert low_share(reference) > 0.8

    def is_alike(payload: bytes) -> bool:
        ours = sounding_by_ffmpeg(payload)
        described, heard = payload[0] - theirs[0], level(ours) - level(reference)
        return abs(described) <= FAITHFUL_DB and abs(heard) < FAITHFUL_DB and low_share(ours) > 0.8

    async with (
        exchange(tmp_path, "ada", "bob", describes_silence=True) as here,
        phone(here, "ada") as ada,
        phone(here, "bob") as bob,
    ):
        await bob.register()
        bob.answers = takes("8 101")
        ada.call("bob", ada.sdp("0 13 101"))
        await ada.wait_for(Answered)

        async def murmur() -> None:
            loop = asyncio.get_running_loop()
            due = loop.time()
            for packet in itertools.cycle(coded(PCMA[1], noise)):
                bob.rtp.send(packet, PCMA[0])
                due += 0.02
                await asyncio.sleep(due - loop.time())

        murmuring = asyncio.create_task(murmur())
        payloads: list[bytes] = []
        try:
            # A machine that stumbles leaves gaps in the noise, which are described as well; the next is of noise again.
            async with asyncio.timeout(PATIENCE_S):
                while not payloads or not is_alike(payloads[-1]):
                    number, payload = await ada.rtp.next()
                    payloads += [payload] if number == NOISE else []
        except TimeoutError:
            raise AssertionError(f"{[one.hex() for one in payloads]}, and FFmpeg says {theirs.hex()}") from None
        finally:
            murmuring.cancel()


def capture(packets: list[tuple[float, bytes]]) -> bytes:
    """A file of libpcap with these datagrams, each at its second."""
    text = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)
    for at, data in packets:
        udp = struct.pack("!HHHH", 4_000, 4_002, 8 + len(data), 0) + data
        loopback = 0x7F00_0001
        ip = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, loopback, loopback)
        frame = bytes(12) + b"\x08\x00" + ip + udp
        text += struct.pack("<IIII", int(at), round(at % 1 * 1_000_000), len(frame), len(frame)) + frame
    return text


def spoken_then_described(noise: bytes) -> bytes:
    """Two seconds of a tone, then four described, five times a second."""
    turn = 2 * math.pi * 440 / RATE
    tone = (8_000 * np.sin(turn * np.arange(2 * RATE))).astype(np.int16)
    sound = [(at * FRAME, PCMU[0], payload) for at, payload in enumerate(coded(PCMU[1], tone))]
    silence = [(2 * RATE + at * RATE // 5, NOISE, noise) for at in range(20)]
    packets = [
        (at / RATE, struct.pack("!BBHII", 0x80, number, sequence, at, 0x5119) + payload)
        for sequence, (at, number, payload) in enumerate(sound + silence)
    ]
    return capture(packets)


@pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="SIPp plays a capture by a raw socket, which only root may open")
async def test_noise_that_sipp_sends_from_a_capture_is_heard_by_a_phone_without_it(tmp_path: Path) -> None:
    decibels = 45
    (tmp_path / "noise.pcap").write_bytes(spoken_then_described(described_by_ffmpeg(dull_noise(decibels))))
    steps = [
        *invite("ada", body=SDP.replace("AVP 0", "AVP 0 13")),
        expect(180, more=OPTIONAL),
        expect(200, more='rrs="true"', pattern="RTP/AVP 0 13"),
        request("ACK", "[next_url]", 2),
        '<nop><action><exec play_pcap_audio="noise.pcap"/></action></nop>',
        '<pause milliseconds="6500"/>',
        *bye(3),
    ]
    async with exchange(tmp_path, "ada", "bob", order=(Algorithm.MD5,)) as here, phone(here, "ada") as ada:
        await ada.register()
        ada.answers = takes("8 101")
        running = asyncio.create_task(run_sipp(tmp_path, scenario("noise", *steps), here.port))
        await hears(ada, PCMA, 440, [])
        heard = await listen(ada, decibels)
        assert abs(level(heard) - decibels) < FAITHFUL_DB
        assert low_share(heard) > 0.8
        status, said = await running
        assert status == 0, said
        await here.becomes_empty()
