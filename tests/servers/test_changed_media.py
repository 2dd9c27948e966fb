"""Media that changes in the middle of a call, from one phone through to the other: tones before and after."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from foreign_phones import baresip, has_baresip
from phone_peers import Exchange, Phone, Rtp, exchange, phone
from sip_peers import PATIENCE_S, until
from sipp_scenes import OPTIONAL, SDP, bye, call, expect, request, run_sipp, scenario
from test_phone_conversion import PCMA, PCMU, Voice, hears

from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sip.agent import Answered, Invited, Leg, Reoffered
from roomtone.protocols.sip.digest import Algorithm
from roomtone.protocols.sip.message import Response

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("roomtone._core") is None, reason="roomtone._core is not built"),
    pytest.mark.timeout(120),
]
VP8 = "a=rtpmap:97 VP8/90000"
KEYFRAME = b"\x10\x00" + bytes(range(200))
"""The only packet of a keyframe (RFC 7741)."""


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Exchange]:
    async with exchange(tmp_path, "ada", "bob", order=(Algorithm.MD5,)) as made:
        yield made


@pytest.fixture
async def pair(here: Exchange) -> AsyncIterator[tuple[Phone, Phone]]:
    async with AsyncExitStack() as phones:
        made = [await phones.enter_async_context(phone(here, name)) for name in ("ada", "bob")]
        for one in made:
            assert (await one.register()).status == 200
        made[1].answers = takes("0 101")
        yield made[0], made[1]


def takes(formats: str) -> Callable[[Phone, Invited], None]:
    """Answer calls with these codecs."""

    def answer(one: Phone, event: Invited) -> None:
        one.agent.answer_invite(event.leg, one.now(), body=one.sdp(formats))

    return answer


def with_pictures(one: Phone, pictures: Rtp, formats: str = "0 101") -> bytes:
    """A description of a phone with pictures of a socket of their own."""
    return one.sdp(formats, f"m=video {pictures.port} RTP/AVP 97", VP8)


async def talk(pair: tuple[Phone, Phone]) -> Leg:
    """A call in PCMU in which each hears the other's tone."""
    ada, bob = pair
    ada.call("bob", ada.sdp("0 101"))
    leg = (await ada.wait_for(Answered)).leg
    await tones(ada, bob, PCMU, PCMU)
    return leg


async def tones(ada: Phone, bob: Phone, hers: tuple[int, str], his: tuple[int, str]) -> None:
    """Each hears the other's tone, in the codec it has."""
    voices = [Voice(ada.rtp, hers, 880), Voice(bob.rtp, his, 440)]
    for one in (ada, bob):
        one.rtp.drain()
    for voice in voices * 5:
        voice.say()
    await hears(ada, hers, 440, voices)
    await hears(bob, his, 880, voices)


async def passes(source: Rtp, sink: Rtp, payload: bytes, payload_type: int) -> None:
    """What one sends arrives at the other, byte for byte."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            source.send(payload, payload_type)
            try:
                found = await asyncio.wait_for(sink.next(), 0.1)
            except TimeoutError:
                continue
            if found == (payload_type, payload):
                return


async def test_another_codec_of_one_phone_becomes_that_of_the_other_and_passes_as_it_is(
    here: Exchange, pair: tuple[Phone, Phone]
) -> None:
    ada, bob = pair
    leg = await talk(pair)
    bob.reanswers = lambda one, _: one.sdp("8 101")
    response = await ada.reoffer(leg, ada.sdp("8 101"))
    assert (response.status, parse_session(response.body).media[0].formats[0]) == (200, "8")
    asked = await bob.wait_for(Reoffered)
    assert parse_session(asked.request.body).media[0].formats[0] == "8"
    (running,) = here.calls.all()
    await until(lambda: running.codec == "PCMA/8000" and running.conversion is None)
    await tones(ada, bob, PCMA, PCMA)
    # Not decoded: what is no sound at all arrives as it was sent.
    await passes(ada.rtp, bob.rtp, bytes(range(160)), 8)
    ada.hang_up(leg)
    await here.becomes_empty()


async def test_a_phone_that_keeps_its_codec_hears_what_the_other_has_changed_to(
    here: Exchange, pair: tuple[Phone, Phone]
) -> None:
    ada, bob = pair
    leg = await talk(pair)
    bob.reanswers = lambda *_: 488
    assert (await ada.reoffer(leg, ada.sdp("8 101"))).status == 200
    await bob.wait_for(Reoffered)
    await tones(ada, bob, PCMA, PCMU)
    assert (await ada.reoffer(leg, ada.sdp("0 101"))).status == 200
    await tones(ada, bob, PCMU, PCMU)
    ada.hang_up(leg)
    await here.becomes_empty()


@pytest.mark.parametrize("by_callee", [False, True], ids=["caller", "callee"])
async def test_pictures_are_added_and_taken_away_while_the_sound_goes_on(
    here: Exchange, pair: tuple[Phone, Phone], by_callee: bool
) -> None:
    ada, bob = pair
    leg = await talk(pair)
    near, far = (bob, ada) if by_callee else (ada, bob)
    near_leg = (await bob.wait_for(Invited)).leg if by_callee else leg
    hers, his = Rtp(), Rtp()
    far.reanswers = lambda one, _: with_pictures(one, his)
    response = await near.reoffer(near_leg, with_pictures(near, hers))
    assert response.status == 200
    hers.remote = parse_session(response.body).media[1].port
    his.remote = parse_session((await far.wait_for(Reoffered)).request.body).media[1].port
    assert hers.remote
    assert his.remote
    await passes(hers, his, KEYFRAME, 97)
    await passes(his, hers, KEYFRAME, 97)
    await tones(ada, bob, PCMU, PCMU)
    far.reanswers = lambda one, _: one.sdp("0 101", "m=video 0 RTP/AVP 97")
    response = await near.reoffer(near_leg, near.sdp("0 101", "m=video 0 RTP/AVP 97"))
    assert [one.port > 0 for one in parse_session(response.body).media] == [True, False]
    told = parse_session((await far.wait_for(Reoffered, 2)).request.body)
    assert [(one.kind, one.port > 0) for one in told.media] == [("audio", True), ("video", False)]
    await tones(ada, bob, PCMU, PCMU)

    async def ports() -> int:
        return (await here.kinds())["transports"]

    async with asyncio.timeout(PATIENCE_S):
        while await ports() != 2:  # noqa: ASYNC110 - counters tell nobody
            await asyncio.sleep(0.01)
    ada.hang_up(leg)
    await here.becomes_empty()
    hers.close()
    his.close()


async def test_pictures_that_are_refused_leave_the_sound_and_no_port(here: Exchange, pair: tuple[Phone, Phone]) -> None:
    ada, bob = pair
    leg = await talk(pair)
    bob.reanswers = lambda *_: 488
    pictures = Rtp()
    response = await ada.reoffer(leg, with_pictures(ada, pictures))
    assert response.status == 200
    assert [one.port > 0 for one in parse_session(response.body).media] == [True, False]
    await tones(ada, bob, PCMU, PCMU)
    assert (await here.kinds())["transports"] == 2
    ada.hang_up(leg)
    await here.becomes_empty()
    pictures.close()


async def test_an_offer_that_crosses_one_of_the_peer_is_made_again_and_both_are_answered(
    here: Exchange, pair: tuple[Phone, Phone]
) -> None:
    """Bob has an offer of his own under way when ours comes, so he refuses it for now (491), and his is answered."""
    ada, bob = pair
    leg = await talk(pair)
    hers, his = Rtp(), Rtp()
    his_leg = (await bob.wait_for(Invited)).leg
    crossed: list[asyncio.Task[Response]] = []

    def cross(one: Phone, _: Reoffered) -> bytes | int:
        if crossed:
            return with_pictures(one, his)
        crossed.append(asyncio.create_task(one.reoffer(his_leg, one.sdp("0 101", "a=sendrecv"))))
        return 491

    bob.reanswers = cross
    response = await ada.reoffer(leg, with_pictures(ada, hers))
    assert [one.port > 0 for one in parse_session(response.body).media] == [True, True]
    assert (await crossed[0]).status == 200
    assert here.server.agent.counters.glares == 1
    hers.remote = parse_session(response.body).media[1].port
    his.remote = parse_session((await bob.wait_for(Reoffered, 2)).request.body).media[1].port
    await passes(hers, his, KEYFRAME, 97)
    await tones(ada, bob, PCMU, PCMU)
    ada.hang_up(leg)
    await here.becomes_empty()
    hers.close()
    his.close()


# --- a phone that is not ours ---

PICTURES = "m=video [media_port+2] RTP/AVP 97\na=rtpmap:97 VP8/90000\n"
PAUSE = '<pause milliseconds="1500"/>'


@pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed")
async def test_sipp_changes_its_codec_and_adds_pictures_and_both_come_back_from_it(
    here: Exchange, pair: tuple[Phone, Phone], tmp_path: Path
) -> None:
    """SIPp sends back what comes to the ports it describes, sound and pictures: what is heard has gone both ways."""
    ada, _ = pair
    pictures = Rtp()
    ada.answers = takes("0 101")
    ada.reanswers = lambda one, event: (
        with_pictures(one, pictures) if len(parse_session(event.request.body).media) > 1 else 488
    )
    steps = [
        *call("ada"),
        PAUSE,
        request("INVITE", "[next_url]", 3, body=SDP.replace("AVP 0", "AVP 8")),
        expect(100, more=OPTIONAL),
        expect(200, pattern="m=audio [0-9]+ RTP/AVP 8"),
        request("ACK", "[next_url]", 3),
        PAUSE,
        request("INVITE", "[next_url]", 4, body=SDP.replace("AVP 0", "AVP 8") + PICTURES),
        expect(100, more=OPTIONAL),
        expect(200, pattern="m=video [1-9][0-9]+ RTP/AVP 97"),
        request("ACK", "[next_url]", 4),
        PAUSE,
        PAUSE,
        *bye(5),
    ]
    running = asyncio.create_task(run_sipp(tmp_path, scenario("change", *steps), here.port, "-rtp_echo"))
    await ada.wait_for(Invited)
    voice = Voice(ada.rtp, PCMU, 660)
    await until(lambda: ada.rtp.remote)
    for _ in range(10):
        voice.say()
    await hears(ada, PCMU, 660, [voice])
    asked = await ada.wait_for(Reoffered)  # whether it would have PCMA too: it would not
    assert parse_session(asked.request.body).media[0].formats[0] == "8"
    ada.rtp.drain()
    for _ in range(10):
        voice.say()
    await hears(ada, PCMU, 660, [voice])
    more = await ada.wait_for(Reoffered, 2)
    pictures.remote = parse_session(more.request.body).media[1].port
    await passes(pictures, pictures, KEYFRAME, 97)
    for _ in range(10):
        voice.say()
    await hears(ada, PCMU, 660, [voice])
    code, output = await running
    assert code == 0, output
    await here.becomes_empty()
    pictures.close()


@pytest.mark.skipif(not has_baresip, reason="baresip is not installed")
async def test_baresip_takes_the_codec_that_the_other_side_has_changed_to(here: Exchange, tmp_path: Path) -> None:
    account = "regint=60;audio_codecs=PCMU,PCMA"
    async with (
        phone(here, "ada") as ada,
        baresip(tmp_path / "bob", "bob", "bobbob", here.port, 440, account=account) as bob,
    ):
        ada.call("bob", ada.sdp("0 101"))
        leg = (await ada.wait_for(Answered)).leg
        await bob.says("Call established")
        (running,) = here.calls.all()
        assert running.codec == "PCMU/8000"
        await hears(ada, PCMU, 440, [])
        assert (await ada.reoffer(leg, ada.sdp("8 101"))).status == 200
        await until(lambda: running.codec == "PCMA/8000" and running.conversion is None)
        ada.rtp.drain()
        await hears(ada, PCMA, 440, [])
        ada.hang_up(leg)
        await here.becomes_empty()
