"""Calls: rung, answered, held, ended, and nothing left of them, whatever fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from calls_world import KEY, FakeSignal, World, sdp

from roomtone.control.calls import (
    Acknowledged,
    Call,
    CallEnd,
    Caller,
    CallState,
    DispatchRule,
    Ended,
    InfoSent,
    Invitation,
    Offered,
    PhoneError,
    PickedUp,
    Rang,
    Reanswered,
    RuleTarget,
    TargetKind,
)
from roomtone.media.fake_objects import FakeConsumer, FakeMixer
from roomtone.media.values import (
    DtmfReceived,
    EngineCloseReason,
    ErrorCode,
    Failed,
    MixerClosed,
    MixerId,
    MixerInputId,
    RouterClosed,
)
from roomtone.protocols.sdp import parse_session
from roomtone.protocols.sdp.telephony import MediaSecurity

FAX = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=image 4004 udptl t38\r\n"
"""A call that is a fax and nothing else (RFC 3362)."""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    await world.open()
    yield world
    await world.close()


def formats(text: str, at: int = 0) -> tuple[str, ...]:
    return parse_session(text).media[at].formats


async def answered(
    world: World, *, offer: str | None = None, answer: str | None = None
) -> tuple[Call, FakeSignal, FakeSignal]:
    """A call between two phones that is up."""
    if world.accounts.find("bob") is None:
        await world.phone("bob", "h1")
    call, caller = await world.call("bob", offer or sdp())
    callee = world.signalling.legs[-1]
    call.post(callee, PickedUp(answer or sdp(5000, "0 101")))
    await world.settle()
    return call, caller, callee


def consumers(world: World) -> list[bool]:
    """Whether each consumer sends, in the order in which they were made."""
    return [not held.paused for held in world.link.objects.values() if isinstance(held, FakeConsumer)]


async def assert_nothing_is_left(world: World) -> None:
    await world.settle()
    assert len(world.calls) == 0
    assert world.objects() == {}


async def test_a_call_rings_is_answered_and_hung_up(world: World) -> None:
    call, caller, callee = await answered(world)
    assert callee.told[0][:3] == ("invite", "ada", "bob")
    offered = formats(callee.told[0][3])
    assert offered == ("0", "8", "101", "96", "9", "102"), "what the caller has, then what it can be converted to"
    assert caller.words == ["answer"]
    assert formats(caller.last[1]) == ("0", "101"), "the caller is told what the callee has"
    assert (call.state, call.codec) == (CallState.ANSWERED, "PCMU/8000")
    assert world.objects() == {"Router": 1, "Transport": 2, "Producer": 2, "Consumer": 2}
    assert consumers(world) == [True, True]
    call.post(caller, Ended(CallEnd.COMPLETED))
    await assert_nothing_is_left(world)
    assert callee.last == ("end", CallEnd.COMPLETED)
    assert caller.words == ["answer"], "who hung up is told nothing more"
    await world.calls.close()
    record = world.record
    assert (record.caller_account, record.callee_account, record.called) == ("ada", "bob", "bob")
    assert (record.reason, record.status, record.codec) == ("completed", 200, "PCMU/8000")
    assert record.answered_at is not None


async def test_legs_without_a_codec_in_common_are_converted(world: World) -> None:
    await world.phone("bob", "h1")
    call, caller = await world.call("bob", sdp())
    callee = world.signalling.legs[0]
    call.post(callee, PickedUp(sdp(5000, "9 101")))
    await world.settle()
    assert formats(caller.last[1]) == ("0", "101")
    assert call.codec == "PCMU/8000 to G722/8000"
    assert world.objects() == {"Router": 1, "Transport": 2, "Producer": 4, "Consumer": 2, "Mixer": 1}
    assert consumers(world) == [True, True]
    (mixer,) = world.link.find(FakeMixer)
    assert [output.codec.name for output in mixer.outputs.values()] == ["PCMU", "G722"]
    to_caller, to_callee = mixer.outputs
    from_caller, from_callee = mixer.inputs
    for input_, output in ((from_caller, to_callee), (from_callee, to_caller)):
        key = DtmfReceived(
            mixer=MixerId(mixer.id), input=MixerInputId(input_), digit="7", duration_ms=100, inband=False
        )
        world.link.emit(key)
        await world.settle()
        assert mixer.pressed.pop() == (output, "7"), "a key goes on on the other side"
    # Held and resumed as any other call, by the same mixer.
    call.post(caller, Offered("hold", sdp(4000, "0 101", "a=inactive")))
    await world.settle()
    assert consumers(world) == [False, False]
    call.post(caller, Offered("on", sdp(4000, "0 101")))
    await world.settle()
    assert consumers(world) == [True, True]
    assert world.link.find(FakeMixer) == [mixer]
    # A codec that both have makes an end of it.
    call.post(caller, Offered("other", sdp(4000, "9 101")))
    await world.settle()
    assert world.objects() == {"Router": 1, "Transport": 2, "Producer": 2, "Consumer": 2}
    call.post(caller, Ended(CallEnd.COMPLETED))
    await assert_nothing_is_left(world)


async def test_a_conversion_that_breaks_ends_the_call_rather_than_go_on_in_silence(world: World) -> None:
    await world.phone("bob", "h1")
    call, caller = await world.call("bob", sdp())
    callee = world.signalling.legs[0]
    call.post(callee, PickedUp(sdp(5000, "9 101")))
    await world.settle()
    (mixer,) = world.link.find(FakeMixer)
    world.link.emit(MixerClosed(mixer=MixerId(mixer.id), reason=EngineCloseReason.PEER_PANICKED))
    await assert_nothing_is_left(world)
    assert caller.last == callee.last == ("end", CallEnd.MEDIA_LOST)


async def test_the_callee_may_hang_up_too(world: World) -> None:
    call, caller, callee = await answered(world)
    call.post(callee, Ended(CallEnd.COMPLETED))
    await assert_nothing_is_left(world)
    assert caller.last == ("end", CallEnd.COMPLETED)


async def test_all_contacts_ring_the_first_answer_wins_and_the_others_are_cancelled(world: World) -> None:
    await world.phone("bob", "h1", "h2", "h3")
    call, caller = await world.call("bob", sdp())
    first, second, third = world.signalling.legs
    for leg in (first, second):
        call.post(leg, Rang(180, None))
    call.post(second, PickedUp(sdp(5000)))
    call.post(third, PickedUp(sdp(6000)))
    await world.settle()
    assert caller.words == ["ring", "ring", "answer"]
    assert first.last == ("end", CallEnd.ANSWERED_ELSEWHERE)
    assert third.last == ("end", CallEnd.ANSWERED_ELSEWHERE)
    assert world.objects()["Transport"] == 2, "the others' ports are free again"
    call.post(caller, Ended(CallEnd.COMPLETED))
    await assert_nothing_is_left(world)
    assert second.last == ("end", CallEnd.COMPLETED)


async def test_a_caller_that_gives_up_cancels_all(world: World) -> None:
    await world.phone("bob", "h1", "h2")
    call, caller = await world.call("bob", sdp())
    call.post(caller, Ended(CallEnd.CANCELLED))
    await assert_nothing_is_left(world)
    assert [leg.last for leg in world.signalling.legs] == [("end", CallEnd.CANCELLED)] * 2
    await world.calls.close()
    assert (world.record.reason, world.record.status, world.record.answered_at) == ("cancelled", 487, None)


async def test_the_caller_is_told_why_nobody_answered(world: World) -> None:
    await world.phone("bob", "h1", "h2")
    call, caller = await world.call("bob", sdp())
    first, second = world.signalling.legs
    call.post(first, Ended(CallEnd.UNREACHABLE))
    await world.settle()
    assert caller.told == [], "another one still rings"
    call.post(second, Ended(CallEnd.BUSY))
    await assert_nothing_is_left(world)
    assert caller.last == ("end", CallEnd.BUSY)


async def test_nobody_answers_in_time() -> None:
    world = World(ring_timeout_s=0.0)
    await world.open()
    await world.phone("bob", "h1")
    _, caller = await world.call("bob", sdp())
    await assert_nothing_is_left(world)
    assert caller.last == ("end", CallEnd.NO_ANSWER)
    assert world.signalling.legs[0].last == ("end", CallEnd.CANCELLED)
    await world.close()


async def test_early_media_of_the_only_phone_reaches_the_caller(world: World) -> None:
    await world.phone("bob", "h1")
    call, caller = await world.call("bob", sdp())
    callee = world.signalling.legs[0]
    call.post(callee, Rang(183, sdp(5000)))
    await world.settle()
    assert caller.last[:2] == ("ring", 183)
    assert consumers(world) == [True, True]
    early = caller.last[2]
    call.post(callee, PickedUp(sdp(5000)))
    await world.settle()
    assert caller.last == ("answer", early), "the answer does not change"
    assert world.objects() == {"Router": 1, "Transport": 2, "Producer": 2, "Consumer": 2}


async def test_early_media_of_one_of_several_is_not_passed_on(world: World) -> None:
    await world.phone("bob", "h1", "h2")
    call, caller = await world.call("bob", sdp())
    call.post(world.signalling.legs[0], Rang(183, sdp(5000)))
    await world.settle()
    assert caller.last == ("ring", 180, None)


@pytest.mark.parametrize(
    ("line", "place", "reversed_", "flowing"),
    [
        ("a=sendonly", "127.0.0.1", "recvonly", [True, False]),
        ("a=inactive", "127.0.0.1", "inactive", [False, False]),
        ("a=sendrecv", "0.0.0.0", "recvonly", [True, False]),
    ],
)
async def test_hold_stops_the_media_and_resume_starts_it(
    world: World, line: str, place: str, reversed_: str, flowing: list[bool]
) -> None:
    call, caller, callee = await answered(world)
    call.post(caller, Offered("hold", sdp(4000, "0 101", line, place=place)))
    await world.settle()
    assert caller.last[:2] == ("answer_offer", "hold")
    assert f"a={reversed_}" in caller.last[2]
    # Consumers in the order they were made: that of the caller is fed by the callee, and the other way round.
    to_caller, to_callee = consumers(world)
    assert [to_callee, to_caller] == flowing
    call.post(caller, Offered("resume", sdp(4000, "0 101")))
    await world.settle()
    assert "a=sendrecv" in caller.last[2]
    assert consumers(world) == [True, True]
    assert callee.words == ["invite"], "the other side need not be asked"
    call.post(callee, Ended(CallEnd.COMPLETED))
    await assert_nothing_is_left(world)


async def test_an_offer_that_cannot_be_is_refused_and_the_call_goes_on(world: World) -> None:
    call, caller, callee = await answered(world)
    for bad in (
        sdp(4000, "18"),
        sdp(4000, "0", "a=ptime:x"),
        "nonsense",
        sdp(0, "0"),
        sdp(4000, "0", profile="RTP/SAVP"),
    ):
        call.post(caller, Offered("bad", bad))
        await world.settle()
        if callee.last[0] == "reoffer":  # a codec that cannot be converted: the other side is asked first
            call.post(callee, Reanswered(None, 488))
            await world.settle()
            callee.told.pop()
        assert caller.last[:2] == ("refuse_offer", "bad")
    assert consumers(world) == [True, True]
    assert call.state is CallState.ANSWERED


async def test_an_offer_with_other_numbers_moves_the_producers(world: World) -> None:
    call, caller, _ = await answered(world)
    moved = sdp(4444, "0 97", "a=rtpmap:97 telephone-event/8000")
    call.post(caller, Offered("moved", moved))
    await world.settle()
    assert formats(caller.last[2]) == ("0", "97")
    assert world.objects() == {"Router": 1, "Transport": 2, "Producer": 2, "Consumer": 2}


async def test_a_peer_that_wants_an_offer_in_the_middle_gets_one(world: World) -> None:
    call, caller, _ = await answered(world)
    call.post(caller, Offered("empty", None))
    await world.settle()
    assert formats(caller.last[2]) == ("0", "101")
    call.post(caller, Acknowledged(sdp(4000, "0 101", "a=recvonly")))
    await world.settle()
    to_caller, to_callee = consumers(world)
    assert (to_caller, to_callee) == (True, False)


async def test_a_late_offer_is_made_of_what_the_callee_has(world: World) -> None:
    await world.phone("bob", "h1")
    call, caller = await world.call("bob", None)
    callee = world.signalling.legs[0]
    assert formats(callee.told[0][3]) == ("96", "9", "0", "8", "101", "102")
    call.post(callee, PickedUp(sdp(5000, "8 0 101")))
    await world.settle()
    assert formats(caller.last[1]) == ("0", "101"), "one codec, since nothing is converted"
    call.post(caller, Acknowledged(sdp(4000, "0 101")))
    await world.settle()
    assert consumers(world) == [True, True]
    assert call.codec == "PCMU/8000"


async def test_an_ack_that_answers_nothing_does_not_wake_the_call(world: World) -> None:
    call, caller, _ = await answered(world)
    assert call.post(caller, Acknowledged(None))
    assert len(call._inbox) == 0
    assert call.post(caller, Ended(CallEnd.COMPLETED))
    assert len(call._inbox) == 1
    assert call.post(caller, Acknowledged(None))
    assert len(call._inbox) == 2, "what comes after something else is looked at after it"
    await assert_nothing_is_left(world)


@pytest.mark.parametrize("is_idle", [True, False])
async def test_a_late_offer_without_an_answer_ends_the_call(world: World, is_idle: bool) -> None:
    await world.phone("bob", "h1")
    call, caller = await world.call("bob", None)
    callee = world.signalling.legs[0]
    call.post(callee, PickedUp(sdp(5000)))
    if is_idle:
        await world.settle()
    call.post(caller, Acknowledged(None))
    await assert_nothing_is_left(world)
    assert caller.last == callee.last == ("end", CallEnd.MEDIA_INCOMPATIBLE)


@pytest.mark.parametrize(
    ("called", "offer", "end"),
    [
        ("nobody", sdp(), CallEnd.NOT_FOUND),
        ("away", sdp(), CallEnd.NOT_REGISTERED),
        ("7000", sdp(), CallEnd.UNSUPPORTED),
        ("lost", sdp(), CallEnd.UNREACHABLE),
        ("broken", sdp(), CallEnd.UNREACHABLE),
        ("bob", "nonsense", CallEnd.BAD_REQUEST),
        ("bob", sdp(0), CallEnd.MEDIA_INCOMPATIBLE),
        ("bob", FAX, CallEnd.MEDIA_INCOMPATIBLE),
        ("bob", sdp(4000, "0", profile="UDP/TLS/RTP/SAVP"), CallEnd.MEDIA_INCOMPATIBLE),
    ],
)
async def test_calls_that_come_to_nothing_leave_nothing(world: World, called: str, offer: str, end: CallEnd) -> None:
    await world.phone("bob", "h1")
    await world.phone("away")
    await world.phone("lost", "nowhere")
    await world.phone("broken", "broken")
    await world.dispatch.create("room", ["7000"], RuleTarget(TargetKind.ROOM, room="r"))
    _, caller = await world.call(called, offer)
    assert caller.told == [("end", end)]
    await assert_nothing_is_left(world)
    assert world.calls.ended == {end: 1}


@pytest.mark.parametrize(
    "answer", [None, "nonsense", sdp(0), sdp(5000, "18"), sdp(5000, "101"), sdp(5000, "0", profile="RTP/SAVP")]
)
async def test_a_callee_that_cannot_be_bridged_is_hung_up_and_the_caller_told(world: World, answer: str | None) -> None:
    await world.phone("bob", "h1")
    call, caller = await world.call("bob", sdp())
    callee = world.signalling.legs[0]
    call.post(callee, PickedUp(answer))
    await assert_nothing_is_left(world)
    assert caller.last[0] == callee.last[0] == "end"
    assert caller.last[1] in {CallEnd.MEDIA_INCOMPATIBLE, CallEnd.BAD_REQUEST}
    assert "answer" not in caller.words


@pytest.mark.parametrize("kind", ["OpenPlainTransport", "Produce", "Consume", "ConnectPlainTransport"])
async def test_an_engine_that_fails_half_way_leaves_nothing(
    world: World, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.phone("bob", "h1")
    state: Any = world.link._state
    real: Callable[[Any], Any] = state._execute
    seen = 0

    def failing(command: Any) -> Any:
        nonlocal seen
        if type(command).__name__ == kind:
            seen += 1
            if seen == 2:
                raise RuntimeError("the engine is out of everything")
        return real(command)

    def run(command: Any) -> Any:
        try:
            return failing(command), state.take_caused()
        except RuntimeError as error:
            return Failed(code=ErrorCode.INTERNAL, message=str(error)), []

    monkeypatch.setattr(state, "run", run, raising=False)
    call, caller = await world.call("bob", sdp())
    for leg in world.signalling.legs:
        call.post(leg, PickedUp(sdp(5000)))
    await assert_nothing_is_left(world)
    assert seen >= 2
    assert caller.last == ("end", CallEnd.ENGINE_FAILED)
    assert all(leg.last[0] == "end" for leg in world.signalling.legs if leg.told)


async def test_a_broken_router_ends_its_call(world: World) -> None:
    call, caller, callee = await answered(world)
    assert call.router is not None
    world.link.emit(RouterClosed(router=call.router.id, reason=EngineCloseReason.ROUTER_PANICKED))
    for _ in range(20):  # the event comes by a descriptor, not by a task
        await world.settle()
    await assert_nothing_is_left(world)
    assert caller.last == callee.last == ("end", CallEnd.MEDIA_LOST)


async def test_an_operator_ends_a_call(world: World) -> None:
    call, caller, callee = await answered(world)
    world.calls.hang_up(call.id)
    await assert_nothing_is_left(world)
    assert caller.last == callee.last == ("end", CallEnd.REMOVED)
    with pytest.raises(PhoneError):
        world.calls.hang_up(call.id)


async def test_a_server_that_stops_ends_its_calls_and_takes_no_more(world: World) -> None:
    _, caller, callee = await answered(world)
    await world.calls.close()
    assert caller.last == callee.last == ("end", CallEnd.SERVER_SHUTDOWN)
    assert world.record.reason == "server_shutdown"
    assert world.objects() == {}


async def test_one_call_too_many_is_refused() -> None:
    world = World(most=1)
    await world.open()
    await world.phone("bob", "h1")
    await world.call("bob", sdp())
    signal = FakeSignal()
    assert world.calls.invited(signal, Invitation(Caller("ada"), "bob", sdp())) is None
    assert signal.told == [("end", CallEnd.OVERLOADED)]
    await world.close()


async def test_calls_wait_until_their_first_step_is_done_or_has_failed() -> None:
    told: list[int] = []
    world = World(on_waiting=told.append)
    await world.open()
    await world.phone("bob", "h1")
    world.link.stalled = True
    calls = [await world.call("bob", sdp()) for _ in range(3)]
    assert (world.calls.waiting, told) == (3, [1, 2, 3])
    world.link.resume()
    await world.settle()
    assert {call.state for call, _ in calls} == {CallState.RINGING}, "who rings waits for a phone, and not for us"
    assert (world.calls.waiting, told) == (0, [1, 2, 3, 2, 1, 0])
    told.clear()
    await world.call("nobody", sdp())
    assert (world.calls.waiting, told) == (0, [1, 0])
    await world.close()


async def test_a_flood_of_events_ends_its_call_only(world: World) -> None:
    call, caller, _ = await answered(world)
    for _ in range(200):
        call.post(caller, Offered("again", sdp()))
    await assert_nothing_is_left(world)
    assert caller.last == ("end", CallEnd.OVERLOADED)


async def test_info_goes_to_the_other_side_and_the_answer_back(world: World) -> None:
    call, caller, callee = await answered(world)
    replies: list[int] = []
    call.post(caller, InfoSent("application/dtmf-relay", b"Signal=5", replies.append))
    await world.settle()
    assert callee.last == ("info", "application/dtmf-relay", b"Signal=5")
    assert replies == [200]


async def test_info_of_a_call_that_only_rings_is_refused(world: World) -> None:
    await world.phone("bob", "h1")
    call, caller = await world.call("bob", sdp())
    replies: list[int] = []
    call.post(caller, InfoSent("text/plain", b"x", replies.append))
    await world.settle()
    assert replies == [481]


async def test_security_differs_freely_between_the_legs(world: World) -> None:
    await world.phone("bob", "h1", security=MediaSecurity.SDES)
    call, caller = await world.call("bob", sdp())
    callee = world.signalling.legs[0]
    offer = callee.told[0][3]
    assert "m=audio" in offer
    assert "RTP/SAVP " in offer
    assert "a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:" in offer
    secure = sdp(5000, "0 101", f"a=crypto:4 AES_CM_128_HMAC_SHA1_80 {KEY}", profile="RTP/SAVP")
    call.post(callee, PickedUp(secure))
    await world.settle()
    assert "RTP/AVP " in caller.last[1]
    assert "crypto" not in caller.last[1]
    assert consumers(world) == [True, True]


async def test_a_caller_must_be_as_secure_as_its_account_says(world: World) -> None:
    await world.phone("bob", "h1")
    _, caller = await world.call("bob", sdp(), MediaSecurity.SDES)
    assert caller.told == [("end", CallEnd.MEDIA_INCOMPATIBLE)]
    secure = sdp(4000, "0", f"a=crypto:7 AES_CM_128_HMAC_SHA1_80 {KEY}", profile="RTP/SAVP")
    call, caller = await world.call("bob", secure, MediaSecurity.SDES)
    call.post(world.signalling.legs[-1], PickedUp(sdp(5000, "0")))
    await world.settle()
    assert "a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:" in caller.last[1], "the answer has the tag of the offer"


async def test_pictures_pass_where_both_have_a_codec_and_else_have_port_zero(world: World) -> None:
    video = ("m=video 4002 RTP/AVP 97", "a=rtpmap:97 H264/90000")
    fax = "m=image 4004 udptl t38"
    _, caller, _ = await answered(
        world,
        offer=sdp(4000, "0", *video, fax),
        answer=sdp(5000, "0", "m=video 5002 RTP/AVP 97", "a=rtpmap:97 H264/90000"),
    )
    assert [section.port > 0 for section in parse_session(caller.last[1]).media] == [True, True, False]
    assert world.objects() == {"Router": 1, "Transport": 4, "Producer": 4, "Consumer": 4}
    _, caller, _ = await answered(
        world, offer=sdp(4000, "0", *video, fax), answer=sdp(5000, "0", "m=video 0 RTP/AVP 97")
    )
    assert [section.port > 0 for section in parse_session(caller.last[1]).media] == [True, False, False]


async def test_a_target_that_is_not_reached_gives_way_to_the_next(world: World) -> None:
    target = RuleTarget(TargetKind.URI, uri="sip:a@h1 or sip:a@nowhere or sip:a@h2 or sip:a@h3")
    world.dispatch._rules["out"] = DispatchRule("out", ("9",), target)
    call, caller = await world.call("9", sdp())
    assert [leg.uri for leg in world.signalling.legs] == ["sip:a@h1"]
    call.post(world.signalling.legs[0], Ended(CallEnd.UNREACHABLE))
    await world.settle()
    assert [leg.uri for leg in world.signalling.legs] == ["sip:a@h1", "sip:a@h2"]
    call.post(world.signalling.legs[1], Rang(183, sdp(5000, "0 101")))
    call.post(world.signalling.legs[1], PickedUp(sdp(5000, "0 101")))
    await world.settle()
    assert (call.state, caller.words) == (CallState.ANSWERED, ["ring", "answer"])
    assert world.objects()["Transport"] == 2  # the port of the first is free


@pytest.mark.parametrize(
    ("ends", "told", "tried"),
    [
        ([CallEnd.BUSY], CallEnd.BUSY, 1),  # it was reached
        ([CallEnd.UNREACHABLE, CallEnd.UNREACHABLE], CallEnd.UNREACHABLE, 2),
    ],
)
async def test_targets_are_tried_until_one_is_reached_or_none_is_left(
    world: World, ends: list[CallEnd], told: CallEnd, tried: int
) -> None:
    world.dispatch._rules["out"] = DispatchRule("out", ("9",), RuleTarget(TargetKind.URI, uri="sip:a@h1 or sip:a@h2"))
    call, caller = await world.call("9", sdp())
    for end in ends:
        call.post(world.signalling.legs[-1], Ended(end))
        await world.settle()
    assert (call.end, caller.last) == (told, ("end", told))
    assert len(world.signalling.legs) == tried
    assert not world.objects()["Transport"]
