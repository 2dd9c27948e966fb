"""Hold, mute and keys: who hears what, asked for by a phone or from outside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from calls_world import FakeSignal, World, sdp

from roomtone.control.calls import (
    Call,
    CallEnd,
    Command,
    Ended,
    Hold,
    Mute,
    Offered,
    PhoneError,
    PhoneRefusal,
    PickedUp,
    PressKeys,
    melody,
)
from roomtone.media.fake_objects import FakeConsumer, FakeMixer, FakeProducer
from roomtone.media.values import MixerClip, ProducerSilent

MUSIC = MixerClip(rate_hz=8_000, samples=b"\1\0" * 80, repeat=True)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(music=MUSIC)
    await world.open()
    await world.phone("bob", "h1")
    yield world
    await world.close()


async def talking(world: World, answer: str | None = None) -> tuple[Call, FakeSignal, FakeSignal]:
    call, caller = await world.call("bob", sdp())
    callee = world.signalling.legs[-1]
    call.post(callee, PickedUp(answer or sdp(5000, "0 101")))
    await world.settle()
    return call, caller, callee


def what_is_heard(world: World, call: Call) -> list[str]:
    """What each party is sent."""
    found = []
    for leg in call.parties:
        (stream,) = leg.media.streams.values()
        assert stream.consumer is not None
        held = world.link.objects[stream.consumer.id]
        assert isinstance(held, FakeConsumer)
        found.append("nothing" if held.paused else source_of(world, held.producer))
    return found


def source_of(world: World, producer: int | None) -> str:
    if producer is None:
        return "nothing"
    for mixer in world.link.find(FakeMixer):
        if producer in mixer.outputs:
            if mixer.inputs:
                return "mix"
            return "music" if mixer.sources else "silence"
    held = world.link.objects[producer]
    assert isinstance(held, FakeProducer)
    return "nothing" if held.paused else "other"


async def command(world: World, call: Call, wanted: Command) -> None:
    task = asyncio.create_task(world.calls.command(call.id, wanted))
    await world.settle()
    await task


@pytest.mark.parametrize(
    "offer",
    [sdp(4000, "0 101", "a=sendonly"), sdp(4000, "0 101", "a=inactive"), sdp(4000, "0 101", place="0.0.0.0")],
    ids=["sendonly", "inactive", "old"],
)
async def test_who_is_held_by_a_phone_hears_music_and_the_phone_nothing(world: World, offer: str) -> None:
    call, caller, callee = await talking(world)
    call.post(caller, Offered("hold", offer))
    await world.settle()
    assert caller.last[:2] == ("answer_offer", "hold")
    assert what_is_heard(world, call) == ["nothing", "music"]
    call.post(caller, Offered("on", sdp(4000, "0 101")))
    await world.settle()
    assert what_is_heard(world, call) == ["other", "other"]
    assert world.link.find(FakeMixer) == [], "the music is over"
    assert "end" not in callee.words


async def test_both_may_hold_and_then_nobody_hears_anything(world: World) -> None:
    call, caller, callee = await talking(world)
    call.post(caller, Offered("hold", sdp(4000, "0", "a=sendonly")))
    call.post(callee, Offered("hold", sdp(5000, "0", "a=inactive")))
    await world.settle()
    assert what_is_heard(world, call) == ["nothing", "nothing"]
    call.post(caller, Offered("on", sdp(4000, "0")))
    await world.settle()
    assert what_is_heard(world, call) == ["music", "nothing"]


async def test_a_phone_that_only_sends_from_the_beginning_holds_nobody(world: World) -> None:
    call, caller = await world.call("bob", sdp(4000, "0", "a=sendonly"))
    call.post(world.signalling.legs[0], PickedUp(sdp(5000, "0", "a=recvonly")))
    await world.settle()
    assert what_is_heard(world, call) == ["nothing", "other"]
    del caller


async def test_without_music_what_the_holder_sends_is_heard() -> None:
    world = World()
    await world.open()
    await world.phone("bob", "h1")
    call, caller, _ = await talking(world)
    call.post(caller, Offered("hold", sdp(4000, "0", "a=sendonly")))
    await world.settle()
    assert what_is_heard(world, call) == ["nothing", "other"]
    await world.close()


async def test_a_leg_is_held_and_resumed_from_outside(world: World) -> None:
    call, caller, callee = await talking(world)
    await command(world, call, Hold(call.parties[1].id, on=True))
    assert what_is_heard(world, call) == ["nothing", "music"]
    assert call.parties[1].held
    # A hold of the phone comes on top and ends by itself.
    call.post(callee, Offered("hold", sdp(5000, "0", "a=inactive")))
    await world.settle()
    assert what_is_heard(world, call) == ["music", "nothing"]
    call.post(callee, Offered("on", sdp(5000, "0")))
    await world.settle()
    assert what_is_heard(world, call) == ["nothing", "music"]
    await command(world, call, Hold(call.parties[1].id, on=False))
    assert what_is_heard(world, call) == ["other", "other"]
    del caller


async def test_a_held_call_that_ends_leaves_nothing(world: World) -> None:
    call, caller, _ = await talking(world)
    await command(world, call, Hold(call.parties[1].id, on=True))
    call.post(caller, Ended(CallEnd.COMPLETED))
    await world.settle()
    assert world.objects() == {}


async def test_who_cannot_be_played_to_is_held_in_silence(world: World) -> None:
    g729 = sdp(4000, "18")
    call, caller = await world.call("bob", g729)
    call.post(world.signalling.legs[0], PickedUp(sdp(5000, "18")))
    await world.settle()
    call.post(caller, Offered("hold", sdp(4000, "18", "a=sendonly")))
    await world.settle()
    assert what_is_heard(world, call) == ["nothing", "nothing"]
    assert len(world.calls) == 1


@pytest.mark.parametrize("answer", [sdp(5000, "0 101"), sdp(5000, "9 101")], ids=["as it is", "converted"])
async def test_nobody_hears_who_is_muted(world: World, answer: str) -> None:
    call, _, _ = await talking(world, answer)
    heard = "mix" if "9" in answer.split("AVP ")[1].split() else "other"
    await command(world, call, Mute(call.parties[0].id, on=True))
    assert what_is_heard(world, call) == [heard, "nothing"]
    await command(world, call, Mute(call.parties[0].id, on=False))
    assert what_is_heard(world, call) == [heard, heard]


async def test_keys_go_as_events_where_they_were_agreed_on(world: World) -> None:
    call, _, callee = await talking(world)
    pressing = asyncio.create_task(world.calls.command(call.id, PressKeys(call.parties[1].id, "12#")))
    await world.settle()
    (mixer,) = world.link.find(FakeMixer)
    assert [key for _, key in mixer.pressed] == ["1", "2", "#"]
    assert what_is_heard(world, call) == ["other", "silence"]
    with pytest.raises(PhoneError) as refused:
        await command(world, call, PressKeys(call.parties[0].id, "1"))
    assert refused.value.refusal is PhoneRefusal.WRONG_STATE
    await pressing
    assert what_is_heard(world, call) == ["other", "other"]
    assert world.link.find(FakeMixer) == []
    assert "info" not in callee.words


async def test_keys_go_by_info_to_a_phone_without_events(world: World) -> None:
    call, _, callee = await talking(world, sdp(5000, "0"))
    await command(world, call, PressKeys(call.parties[1].id, "5d"))
    assert [one[2] for one in callee.told if one[0] == "info"] == [
        b"Signal=5\r\nDuration=160\r\n",
        b"Signal=D\r\nDuration=160\r\n",
    ]


async def test_keys_go_as_tones_to_a_phone_that_takes_no_info(world: World) -> None:
    call, _, callee = await talking(world, sdp(5000, "0"))
    callee.info_status = 415
    pressing = asyncio.create_task(world.calls.command(call.id, PressKeys(call.parties[1].id, "5")))
    await world.settle()
    (clip,) = [source for mixer in world.link.find(FakeMixer) for source in mixer.sources.values()]
    assert isinstance(clip, MixerClip)
    assert not clip.repeat
    assert what_is_heard(world, call) == ["other", "music"]
    await pressing
    assert what_is_heard(world, call) == ["other", "other"]


async def test_commands_that_cannot_be_done_say_why(world: World) -> None:
    call, _, _ = await talking(world)
    ringing, _ = await world.call("bob", sdp())
    for wanted, where, refusal in (
        (Hold("nobody", on=True), call, PhoneRefusal.NO_SUCH_LEG),
        (PressKeys(call.parties[0].id, "hello"), call, PhoneRefusal.BAD_KEYS),
        (Mute(ringing.legs[0].id, on=True), ringing, PhoneRefusal.WRONG_STATE),
    ):
        with pytest.raises(PhoneError) as refused:
            await command(world, where, wanted)
        assert refused.value.refusal is refusal
    with pytest.raises(PhoneError):
        await world.calls.command("no such call", Hold("a", on=True))


async def test_keys_of_a_call_that_ends_are_not_said_to_be_sent(world: World) -> None:
    call, caller, _ = await talking(world)
    pressing = asyncio.create_task(world.calls.command(call.id, PressKeys(call.parties[1].id, "1" * 32)))
    await world.settle()
    call.post(caller, Ended(CallEnd.COMPLETED))
    await world.settle()
    with pytest.raises(PhoneError) as ended:
        await pressing
    assert ended.value.refusal is PhoneRefusal.NO_SUCH_CALL
    assert world.objects() == {}


def test_the_melody_is_sound_that_does_not_clip() -> None:
    clip = melody()
    samples = memoryview(clip.samples).cast("h")
    assert clip.repeat
    assert 5 < len(samples) / clip.rate_hz < 30
    assert 2_000 < max(samples) < 12_000


async def test_a_peer_that_falls_silent_is_counted_once_and_one_that_holds_is_not(world: World) -> None:
    call, _, callee = await talking(world)
    silent = [stream.producer for leg in call.parties for stream in leg.media.streams.values()]
    call.post(callee, Offered(1, sdp(5000, "0 101", "a=inactive")))
    await world.settle()
    for producer in silent:  # the one that has put the other on hold says nothing, and has said so
        assert producer is not None
        world.link.emit(ProducerSilent(producer=producer.id, encoding=0))
    await world.settle()
    assert world.calls.silences == 1
    assert world.calls.silences == 1
    call.ask_to_end(CallEnd.REMOVED)
    await world.settle()
    world.link.emit(ProducerSilent(producer=silent[0].id, encoding=0))  # type: ignore[union-attr]
    await world.settle()
    assert world.calls.silences == 1  # of a call that is over nobody is missed
