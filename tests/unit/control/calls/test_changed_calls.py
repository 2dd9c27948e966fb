"""Changes that one side asks for in the middle of a call, and what the other side has to say to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from browser_sdp import browser_sdp
from calls_world import FakeSignal, World, sdp
from test_phone_calls import answered, assert_nothing_is_left, consumers, formats

from roomtone.control.calls import Call, CallEnd, CallState, Ended, Offered, PickedUp, Reanswered, Transfer
from roomtone.control.calls.parties.changing import CHANGE_TIMEOUT_S
from roomtone.media.fake_objects import FakeMixer
from roomtone.media.values import ErrorCode, Failed
from roomtone.protocols.sdp import parse_session

VIDEO = ("m=video 4002 RTP/AVP 97", "a=rtpmap:97 H264/90000")
HIS_VIDEO = ("m=video 5002 RTP/AVP 97", "a=rtpmap:97 H264/90000")
NO_VIDEO = "m=video 0 RTP/AVP 97"
WITH_PICTURES = {"Router": 1, "Transport": 4, "Producer": 4, "Consumer": 4}
SOUND_ONLY = {"Router": 1, "Transport": 2, "Producer": 2, "Consumer": 2}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.open()
    yield world
    await world.close()


def sections(text: str) -> list[tuple[str, bool]]:
    """Kinds of the sections of a description, and whether each is there."""
    return [(one.kind, one.port > 0) for one in parse_session(text).media]


def numbers(text: str) -> dict[str, int]:
    """Payload types by the names of codecs of the first section."""
    return {one.name: one.payload_type for one in parse_session(text).media[0].rtp_maps}


async def adds_pictures(world: World, *, by_callee: bool = False) -> tuple[Call, FakeSignal, FakeSignal]:
    """A call in which one side offers pictures, and the other has been asked."""
    call, caller, callee = await answered(world)
    near, far = (callee, caller) if by_callee else (caller, callee)
    call.post(near, Offered("more", sdp(4000, "0 101", *VIDEO)))
    await world.settle()
    return call, near, far


@pytest.mark.parametrize("by_callee", [False, True], ids=["caller", "callee"])
async def test_pictures_that_one_side_adds_are_offered_to_the_other_and_then_answered(
    world: World, by_callee: bool
) -> None:
    call, near, far = await adds_pictures(world, by_callee=by_callee)
    assert far.last[0] == "reoffer"
    assert sections(far.last[1]) == [("audio", True), ("video", True)]
    assert formats(far.last[1], 1) == ("97",)
    assert "answer_offer" not in near.words, "who asked waits for the other side"
    assert consumers(world) == [True, True], "the sound goes on meanwhile"
    call.post(far, Reanswered(sdp(5000, "0 101", *HIS_VIDEO)))
    await world.settle()
    assert near.last[:2] == ("answer_offer", "more")
    assert sections(near.last[2]) == [("audio", True), ("video", True)]
    assert world.objects() == WITH_PICTURES
    assert consumers(world) == [True] * 4
    # And away again, which the other side is told of, and need not be waited for.
    call.post(near, Offered("less", sdp(4000, "0 101", NO_VIDEO)))
    await world.settle()
    assert near.last[:2] == ("answer_offer", "less")
    assert far.last[0] == "reoffer"
    assert sections(far.last[1]) == [("audio", True), ("video", False)]
    call.post(far, Reanswered(sdp(5000, "0 101", NO_VIDEO)))
    await world.settle()
    assert world.objects() == SOUND_ONLY
    # Who was told that they end has not refused them: it is asked again.
    call.post(near, Offered("again", sdp(4000, "0 101", *VIDEO)))
    await world.settle()
    assert sections(far.last[1]) == [("audio", True), ("video", True)]
    call.post(near, Ended(CallEnd.COMPLETED))
    await assert_nothing_is_left(world)


@pytest.mark.parametrize(
    "answer",
    [Reanswered(None, 488), Reanswered(None, 408), Reanswered(sdp(5000, "0 101", NO_VIDEO))],
    ids=["refused", "not answered", "without"],
)
async def test_pictures_that_the_other_side_refuses_are_not_there_and_it_is_not_asked_again(
    world: World, answer: Reanswered
) -> None:
    call, near, far = await adds_pictures(world)
    call.post(far, answer)
    await world.settle()
    assert near.last[:2] == ("answer_offer", "more")
    assert sections(near.last[2]) == [("audio", True), ("video", False)]
    assert world.objects() == SOUND_ONLY, "what was opened for the pictures is closed"
    assert consumers(world) == [True, True]
    asked = far.words.count("reoffer")
    # A phone that describes pictures each time it holds or resumes does not have the other side asked each time.
    call.post(near, Offered("hold", sdp(4000, "0 101", "a=sendonly", *VIDEO)))
    await world.settle()
    assert (near.last[:2], far.words.count("reoffer")) == (("answer_offer", "hold"), asked)
    # Until that side wants pictures itself: then it is this one that is asked.
    call.post(far, Offered("his", sdp(5000, "0 101", *HIS_VIDEO)))
    await world.settle()
    assert near.last[0] == "reoffer"
    call.post(near, Reanswered(sdp(4000, "0 101", *VIDEO)))
    await world.settle()
    assert sections(far.last[2]) == [("audio", True), ("video", True)]


async def test_a_codec_that_would_pass_is_offered_to_the_other_side_after_it_was_converted(world: World) -> None:
    call, caller, callee = await answered(world)
    call.post(caller, Offered("other", sdp(4000, "8 101")))
    await world.settle()
    assert caller.last[:2] == ("answer_offer", "other"), "sound is converted at once"
    assert formats(caller.last[2]) == ("8", "101")
    assert len(world.link.find(FakeMixer)) == 1
    assert callee.last[0] == "reoffer"
    assert formats(callee.last[1])[0] == "8", "what would pass comes first"
    call.post(callee, Reanswered(sdp(5000, "8 101")))
    await world.settle()
    assert world.objects() == SOUND_ONLY
    assert call.codec == "PCMA/8000"
    call.post(callee, Ended(CallEnd.COMPLETED))
    await assert_nothing_is_left(world)


async def test_a_side_that_keeps_its_codec_hears_the_other_converted(world: World) -> None:
    call, caller, callee = await answered(world)
    call.post(caller, Offered("other", sdp(4000, "8 101")))
    await world.settle()
    call.post(callee, Reanswered(None, 488))
    await world.settle()
    assert call.state is CallState.ANSWERED
    assert call.codec == "PCMA/8000 to PCMU/8000"
    assert len(world.link.find(FakeMixer)) == 1
    asked = callee.words.count("reoffer")
    call.post(caller, Offered("hold", sdp(4000, "8 101", "a=sendonly")))
    await world.settle()
    assert callee.words.count("reoffer") == asked, "nothing of the codecs has changed"


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_codec_that_nobody_can_convert_waits_for_the_other_side(world: World, accepts: bool) -> None:
    call, caller, callee = await answered(world)
    call.post(caller, Offered("g729", sdp(4000, "18 101")))
    await world.settle()
    assert caller.words == ["answer"]
    assert formats(callee.last[1]) == ("18", "101")
    call.post(callee, Reanswered(sdp(5000, "18 101")) if accepts else Reanswered(None, 488))
    await world.settle()
    if accepts:
        assert formats(caller.last[2]) == ("18", "101")
        assert call.codec == "G729/8000"
    else:
        assert caller.last == ("refuse_offer", "g729", CallEnd.MEDIA_INCOMPATIBLE)
        assert call.codec == "PCMU/8000"
    assert consumers(world) == [True, True]
    assert world.objects() == SOUND_ONLY


async def test_a_number_keeps_its_meaning_while_a_call_lasts(world: World) -> None:
    """RFC 3264 section 8.3.2: the other side has known 96 as Opus from the first offer of ours."""
    call, caller, callee = await answered(world)
    assert numbers(callee.told[0][3])["opus"] == 96
    call.post(caller, Offered("other", sdp(4000, "96 8 101", "a=rtpmap:96 L16/8000")))
    await world.settle()
    again = numbers(callee.last[1])
    assert again["opus"] == 96
    assert again["L16"] not in {96, 101, 102}
    assert again["telephone-event"] in {101, 102}


async def test_a_change_while_the_other_side_makes_an_offer_itself_is_to_be_made_again(world: World) -> None:
    call, caller, callee = await answered(world)
    callee.is_busy = True
    call.post(caller, Offered("g729", sdp(4000, "18 101")))
    await world.settle()
    assert caller.last == ("postpone_offer", "g729"), "there is no answer to it yet"
    call.post(caller, Offered("more", sdp(4000, "0 101", *VIDEO)))
    await world.settle()
    assert sections(caller.last[2]) == [("audio", True), ("video", False)], "the sound needs nobody else"
    assert world.objects() == SOUND_ONLY


async def test_an_offer_of_the_other_side_is_answered_while_a_change_waits_for_it(world: World) -> None:
    call, near, far = await adds_pictures(world)
    call.post(far, Offered("crossed", sdp(5000, "0 101", "a=sendonly")))
    await world.settle()
    assert far.last[:2] == ("answer_offer", "crossed"), "its own came first, ours is sent again"
    assert sections(far.last[2]) == [("audio", True)]
    call.post(far, Reanswered(sdp(5000, "0 101", *HIS_VIDEO)))
    await world.settle()
    assert sections(near.last[2]) == [("audio", True), ("video", True)]
    assert world.objects() == WITH_PICTURES


async def test_who_asked_is_answered_when_the_other_side_takes_too_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, late = asyncio.get_running_loop(), 0.0
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + late)
    call, near, far = await adds_pictures(world)
    assert "answer_offer" not in near.words
    late = CHANGE_TIMEOUT_S + 1
    await asyncio.sleep(0)
    await world.settle()
    assert near.last[:2] == ("answer_offer", "more")
    assert sections(near.last[2]) == [("audio", True), ("video", False)]
    # What it says at last is taken all the same, and it is told how things are.
    call.post(far, Reanswered(sdp(5000, "0 101", *HIS_VIDEO)))
    await world.settle()
    assert call.state is CallState.ANSWERED
    call.post(near, Offered("hold", sdp(4000, "0 101", "a=inactive")))
    await world.settle()
    assert sections(far.last[1]) == [("audio", True), ("video", False)]


async def test_a_change_that_is_given_up_meanwhile_changes_nothing_for_who_asked(world: World) -> None:
    call, near, far = await adds_pictures(world)
    near.given_up.add("more")
    call.post(far, Reanswered(sdp(5000, "0 101", *HIS_VIDEO)))
    await world.settle()
    assert "answer_offer" not in near.words
    assert sections(far.last[1]) == [("audio", True), ("video", False)], "it is told that there are none after all"
    call.post(far, Reanswered(sdp(5000, "0 101", NO_VIDEO)))
    await world.settle()
    assert world.objects() == SOUND_ONLY


@pytest.mark.parametrize("who", ["near", "far", "operator"])
async def test_a_call_that_ends_while_a_change_waits_leaves_nothing(world: World, who: str) -> None:
    call, near, far = await adds_pictures(world)
    if who == "operator":
        call.ask_to_end(CallEnd.REMOVED)
    else:
        call.post(near if who == "near" else far, Ended(CallEnd.COMPLETED))
    await assert_nothing_is_left(world)
    answers = near.words.count("refuse_offer") + near.words.count("postpone_offer")
    assert answers == (0 if who == "near" else 1)


async def test_a_party_that_leaves_takes_the_change_that_waits_for_it_along(world: World) -> None:
    await world.phone("cleo", "h1")
    call, near, far = await adds_pictures(world)
    moved = asyncio.create_task(world.calls.command(call.id, Transfer(leg_id(call, near), "cleo")))
    await world.settle()
    call.post(world.signalling.legs[-1], PickedUp(sdp(6000, "0 101")))
    await world.settle()
    await moved
    assert near.last == ("postpone_offer", "more")
    assert far.last[0] == "end"
    assert call.state is CallState.ANSWERED


def leg_id(call: Call, signal: FakeSignal) -> str:
    return next(leg.id for leg in call.legs if leg.signal is signal)


async def test_an_engine_without_room_for_pictures_leaves_the_sound(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, caller, callee = await answered(world)
    state = world.link._state
    real = state.run

    def run(command: object) -> object:
        if type(command).__name__ == "OpenPlainTransport":
            return Failed(code=ErrorCode.INTERNAL, message="no port is left"), []
        return real(command)

    monkeypatch.setattr(state, "run", run)
    call.post(caller, Offered("more", sdp(4000, "0 101", *VIDEO)))
    await world.settle()
    assert sections(caller.last[2]) == [("audio", True), ("video", False)]
    assert "reoffer" not in callee.words
    assert call.state is CallState.ANSWERED


async def test_a_browser_is_offered_pictures_in_its_bundle(world: World) -> None:
    world.signalling.browsers = True
    await world.phone("bob", "h1")
    call, caller = await world.call("bob", browser_sdp("0 126"), is_browser=True)
    callee = world.signalling.legs[-1]
    call.post(callee, PickedUp(browser_sdp("0 101", "a=rtpmap:101 telephone-event/8000", setup="active")))
    await world.settle()
    call.post(caller, Offered("more", browser_sdp("0 126", version=2, video="96 97")))
    await world.settle()
    assert callee.last[0] == "reoffer"
    offer = parse_session(callee.last[1])
    assert offer.bundle == ("0", "1")
    assert sections(callee.last[1]) == [("audio", True), ("video", True)]
    answer = browser_sdp("0 101", "a=rtpmap:101 telephone-event/8000", setup="active", version=2, video="96")
    call.post(callee, Reanswered(answer))
    await world.settle()
    assert sections(caller.last[2]) == [("audio", True), ("video", True)]
    assert world.objects() == {"Router": 1, "Transport": 2, "Producer": 4, "Consumer": 4}
