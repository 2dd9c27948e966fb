"""Hundreds of calls in which anything may happen at any time, by a seed; afterwards there is nothing."""

from __future__ import annotations

import random

import pytest
from calls_world import FakeSignal, World, sdp

from roomtone.control.calls import (
    Acknowledged,
    Call,
    CallEnd,
    Caller,
    Ended,
    InfoSent,
    Invitation,
    Offered,
    PickedUp,
    Rang,
)

ENDS = [CallEnd.COMPLETED, CallEnd.CANCELLED, CallEnd.BUSY, CallEnd.DECLINED, CallEnd.UNREACHABLE, CallEnd.LEG_LOST]
OFFERS = [sdp(), sdp(4000, "0"), sdp(4000, "9"), sdp(4000, "8 0 101"), sdp(0), "nonsense", None]
ANSWERS = [sdp(5000), sdp(5000, "0"), sdp(5000, "8"), sdp(0), "nonsense", None]
REOFFERS = [
    sdp(4000, "0", "a=inactive"),
    sdp(4000, "0 101", "a=sendonly"),
    sdp(4002, "0", place="0.0.0.0"),
    sdp(4004, "8"),
    sdp(0),
    None,
]


def something(source: random.Random, call: Call, signal: FakeSignal) -> None:
    """Let anything happen on a leg, likely or not."""
    match source.randrange(8):
        case 0:
            call.post(signal, Rang(source.choice([180, 183]), source.choice([None, sdp(5000)])))
        case 1 | 2:
            call.post(signal, PickedUp(source.choice(ANSWERS)))
        case 3:
            call.post(signal, Ended(source.choice(ENDS)))
        case 4 | 5:
            call.post(signal, Offered("offer", source.choice(REOFFERS)))
        case 6:
            call.post(signal, Acknowledged(source.choice(ANSWERS)))
        case _:
            call.post(signal, InfoSent("text/plain", b"5", lambda _: None))


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_nothing_is_left_and_everybody_is_told_of_the_end_once(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - a seeded source is the point
    world = World(most=1_000)
    await world.open()
    await world.phone("bob", "h1")
    await world.phone("cleo", "h1", "h2", "nowhere", "broken")
    running: list[tuple[Call, FakeSignal]] = []
    for _ in range(60):
        signal = FakeSignal()
        call = world.calls.invited(
            signal, Invitation(Caller("ada"), source.choice(["bob", "cleo", "nobody"]), source.choice(OFFERS))
        )
        assert call is not None
        running.append((call, signal))
        for _ in range(source.randrange(6)):
            busy, caller = source.choice(running)
            something(source, busy, source.choice([caller, *(leg.signal for leg in busy.callees)]))  # type: ignore[arg-type]
        if source.random() < 0.5:
            await world.settle()
    await world.settle()
    for call, _ in running:
        call.ask_to_end(CallEnd.REMOVED)
    await world.settle()
    assert len(world.calls) == 0
    assert world.objects() == {}
    assert sum(world.calls.ended.values()) == 60
    assert CallEnd.FAILED not in world.calls.ended, "no defect of ours was met"
    for signal in [*(caller for _, caller in running), *world.signalling.legs]:
        assert signal.words.count("end") <= 1
    await world.close()
