"""Phones call into rooms: each hears the others by their tones and not itself, and is a track the others can take."""

from __future__ import annotations

import asyncio
import importlib.util
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import av
import pytest
from foreign_phones import baresip, has_baresip, linear, share_of
from phone_peers import Exchange, Phone, Rtp, exchange, phone
from sip_peers import PATIENCE_S, until

from roomtone.control.calls import RuleTarget, TargetKind
from roomtone.control.rooms import CloseReason, Participant, ParticipantKind, RoomOptions
from roomtone.media.values import MediaKind
from roomtone.protocols.sip.agent import Answered, Ended, EndReason, Refused
from roomtone.protocols.sip.digest import Algorithm

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
MD5 = (Algorithm.MD5,)
NUMBER = "7000"
WINDOW = 1_600
"""Samples that are judged at once: a fifth of a second."""


def mu_law(sample: int) -> int:
    """Encode one sample (ITU-T G.711, table 2a)."""
    magnitude = min(abs(sample), 32_635) + 132
    exponent = magnitude.bit_length() - 8
    code = ((exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)) & 0x7F
    return ~(code | (0x80 if sample < 0 else 0)) & 0xFF


class Voice:
    """What a phone says: a tone, a packet for each that it hears, so that the server's own clock paces it."""

    def __init__(self, rtp: Rtp, hertz: float) -> None:
        self._rtp = rtp
        self._hertz = hertz
        self._said = 0

    def say(self) -> None:
        """Say a fiftieth of a second."""
        turn = 2 * math.pi * self._hertz / 8_000
        samples = [round(8_000 * math.sin(turn * (self._said + at))) for at in range(160)]
        self._said += 160
        self._rtp.send(bytes(mu_law(sample) for sample in samples))


async def hears(rtp: Rtp, wanted: dict[float, float], unwanted: tuple[float, ...], say: Callable[[], None]) -> None:
    """Wait for a stretch in which these tones have at least such a part of the sound, and those hardly any."""
    samples: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while True:
            _, payload = await rtp.next()
            say()
            samples += linear(payload)
            if len(samples) < WINDOW:
                continue
            stretch, samples = samples[:WINDOW], []
            loud = all(share_of(stretch, hertz) > share for hertz, share in wanted.items())
            if loud and all(share_of(stretch, hertz) < 0.01 for hertz in unwanted):
                return


async def track_hears(who: Participant, hertz: float, say: Callable[[], None]) -> None:
    """Take a participant's track as Opus, decode it with FFmpeg, and wait for its tone."""
    (track,) = who.publications.values()
    sink = Rtp()
    transport = await who.room.router.open_plain_transport()
    await transport.connect("127.0.0.1", sink.port)
    await transport.consume(MediaKind.AUDIO, track.producer, payload_types=[(111, 111)])
    decoder = av.CodecContext.create("libopus", "r")
    samples: list[int] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                number, payload = await sink.next()
                say()
                assert number == 111
                for frame in decoder.decode(av.Packet(payload)):
                    samples += frame.to_ndarray()[0][:: 6 * frame.layout.nb_channels].tolist()
                if len(samples) < WINDOW:
                    continue
                stretch, samples = samples[-WINDOW:], []
                if share_of(stretch, hertz) > 0.9:
                    return
    finally:
        await transport.close()
        sink.close()


@asynccontextmanager
async def caller(here: Exchange, name: str, number: str = NUMBER) -> AsyncIterator[Phone]:
    """A phone that has called into the room."""
    async with phone(here, name) as made:
        assert (await made.register()).status == 200
        made.call(number, made.sdp("0 101"))
        await made.wait_for(Answered)
        yield made


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob", order=MD5) as made:
        await made.book.dispatch.create("standup", [NUMBER], RuleTarget(TargetKind.ROOM, room="standup"))
        yield made


async def left_the_room(here: Exchange) -> None:
    """Nothing of a call is left in the room or the engine."""
    room = here.rooms.find("standup")
    await until(lambda: not room.participants and not here.rooms.mixes and not len(here.calls))
    await here.rooms.close_room(room)
    await here.becomes_empty()


async def test_two_phones_hear_each_other_and_not_themselves(here: Exchange) -> None:
    async with caller(here, "ada") as ada, caller(here, "bob") as bob:
        voices = [Voice(ada.rtp, 880), Voice(bob.rtp, 440)]

        def say() -> None:
            for voice in voices:
                voice.say()

        await hears(ada.rtp, {440: 0.9}, (880,), say)
        await hears(bob.rtp, {880: 0.9}, (440,), say)
        room = here.rooms.find("standup")
        for name, hertz in (("ada", 880.0), ("bob", 440.0)):
            who = room.participants[f"sip_{name}"]
            assert who.kind is ParticipantKind.SIP
            assert who.attributes["sip.phoneNumber"] == name
            await track_hears(who, hertz, say)
        ada.hang_up((await ada.wait_for(Answered)).leg)
        await until(lambda: "sip_ada" not in room.participants)
        bob.hang_up((await bob.wait_for(Answered)).leg)
        await left_the_room(here)


@pytest.mark.skipif(not has_baresip, reason="baresip is not installed")
async def test_a_foreign_phone_is_heard_in_a_room(here: Exchange, tmp_path: Path) -> None:
    async with caller(here, "ada") as ada, baresip(tmp_path / "bob", "bob", "bobbob", here.port, 440) as bob:
        bob.do("dial", NUMBER)
        await bob.says("Call established")
        voice = Voice(ada.rtp, 880)
        await hears(ada.rtp, {440: 0.9}, (880,), voice.say)


async def test_a_muted_phone_is_not_heard_and_one_on_hold_hears_nothing(here: Exchange) -> None:
    async with caller(here, "ada") as ada, caller(here, "bob") as bob:
        voices = [Voice(ada.rtp, 880), Voice(bob.rtp, 440)]

        def say() -> None:
            for voice in voices:
                voice.say()

        await hears(ada.rtp, {440: 0.9}, (880,), say)
        room = here.rooms.find("standup")
        (track,) = room.participants["sip_bob"].publications.values()
        await here.rooms.mute(track, muted=True, by_server=True)
        await hears(ada.rtp, {}, (440, 880), say)
        await here.rooms.mute(track, muted=False, by_server=True)
        await hears(ada.rtp, {440: 0.9}, (880,), say)
        leg = (await bob.wait_for(Answered)).leg
        assert (await bob.reoffer(leg, bob.sdp("0 101", "a=sendonly"))).status == 200
        bob.rtp.drain()
        for _ in range(25):
            await ada.rtp.next()
            say()
        assert bob.rtp.drain() == []
        await hears(ada.rtp, {440: 0.9}, (880,), say)  # it still speaks
        assert (await bob.reoffer(leg, bob.sdp("0 101"))).status == 200
        await hears(bob.rtp, {880: 0.9}, (440,), say)


async def test_who_is_removed_from_the_room_is_hung_up(here: Exchange) -> None:
    async with caller(here, "ada") as ada:
        room = here.rooms.find("standup")
        await here.rooms.end(room.participants["sip_ada"], CloseReason.REMOVED)
        assert (await ada.wait_for(Ended)).reason is EndReason.REMOTE
        await left_the_room(here)


@pytest.mark.parametrize(
    ("options", "formats", "status", "warning"),
    [
        (RoomOptions(e2ee=True), "0 101", 488, "room_is_encrypted"),
        (RoomOptions(locked=True), "0 101", 403, "Forbidden"),
        (RoomOptions(), "18", 488, "Not Acceptable Here"),
    ],
)
async def test_a_room_that_cannot_have_a_phone_refuses_it_and_nothing_is_left(
    here: Exchange, options: RoomOptions, formats: str, status: int, warning: str
) -> None:
    await here.rooms.create("standup", options)
    async with phone(here, "ada") as ada:
        assert (await ada.register()).status == 200
        ada.call(NUMBER, ada.sdp(formats))
        refused = await ada.wait_for(Refused)
        assert refused.response is not None
        assert refused.response.status == status
        assert refused.response.headers.text("warning") == f'399 roomtone "{warning}"'
        await left_the_room(here)
