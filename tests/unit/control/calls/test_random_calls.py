"""Hundreds of calls in which anything may happen at any time, by a seed; afterwards there is nothing."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from typing import Any

import pytest
from calls_world import FakeSignal, World, sdp
from test_call_control import MUSIC

from roomtone.control.calls import (
    Acknowledged,
    Call,
    CallEnd,
    Caller,
    Command,
    Dialog,
    Ended,
    Hold,
    InfoSent,
    Invitation,
    Merge,
    Mute,
    Offered,
    PhoneError,
    PickedUp,
    PressKeys,
    Rang,
    Reanswered,
    Redirect,
    Redirected,
    Referred,
    RuleTarget,
    TakenOver,
    TargetKind,
    Transfer,
)
from roomtone.media.values import ErrorCode, Failed

ENDS = [CallEnd.COMPLETED, CallEnd.CANCELLED, CallEnd.BUSY, CallEnd.DECLINED, CallEnd.UNREACHABLE, CallEnd.LEG_LOST]
OFFERS = [sdp(), sdp(4000, "0"), sdp(4000, "9"), sdp(4000, "8 0 101"), sdp(0), "nonsense", None]
GOOD_OFFERS = [sdp(), sdp(4000, "0"), sdp(4000, "9 101"), sdp(4000, "8 0 101"), sdp(4000, "18")]
ANSWERS = [sdp(5000), sdp(5000, "0"), sdp(5000, "8"), sdp(0), "nonsense", None]
GOOD_ANSWERS = [sdp(5000), sdp(5000, "0"), sdp(5000, "0 101"), sdp(5000, "8"), sdp(5000, "9 101")]
PICTURES = ("m=video 4006 RTP/AVP 97", "a=rtpmap:97 H264/90000")
REOFFERS = [
    sdp(4000, "0 101", *PICTURES),
    sdp(4000, "8 101", *PICTURES),
    sdp(4000, "18"),
    sdp(4000, "0", "a=inactive"),
    sdp(4000, "0 101", "a=sendonly"),
    sdp(4002, "0", place="0.0.0.0"),
    sdp(4004, "8"),
    sdp(0),
    None,
]
REANSWERS = [
    Reanswered(sdp(5000, "0 101", *PICTURES)),
    Reanswered(sdp(5000, "8 101", "m=video 0 RTP/AVP 97")),
    Reanswered(sdp(5000, "18")),
    Reanswered(None, 488),
    Reanswered(None, 491),
]
NUMBERS = ["bob", "cleo", "dora", "nobody"]
OFFER_REPLIES = {"answer_offer", "refuse_offer", "postpone_offer"}
_references = itertools.count()


def something(source: random.Random, call: Call, signal: FakeSignal) -> None:
    """Let anything happen on a leg, likely or not."""
    signal.is_busy = source.random() < 0.1
    match source.randrange(9):
        case 0:
            call.post(signal, Rang(source.choice([180, 183]), source.choice([None, sdp(5000)])))
        case 1 | 2:
            call.post(signal, PickedUp(source.choice(ANSWERS)))
        case 3:
            call.post(signal, Ended(source.choice(ENDS)))
        case 4 | 5:
            call.post(signal, Offered(f"o{next(_references)}", source.choice(REOFFERS)))
        case 6:
            call.post(signal, Acknowledged(source.choice(ANSWERS)))
        case 7 if "reoffer" in signal.words:
            call.post(signal, source.choice(REANSWERS))
        case _:
            call.post(signal, InfoSent("text/plain", b"5", lambda _: None))


def ask(source: random.Random, world: World, call: Call, other: Call) -> asyncio.Task[None]:
    """Want anything of a call, possible or not."""
    leg = source.choice([leg.id for leg in call.legs] or ["gone"])
    on = source.random() < 0.5
    wanted: Command = source.choice(
        [
            Hold(leg, on),
            Mute(leg, on),
            PressKeys(leg, "12"),
            Transfer(leg, source.choice(NUMBERS)),
            Redirect(source.choice(NUMBERS)),
            Merge(other),
        ]
    )
    return asyncio.create_task(world.calls.command(call.id, wanted))


def move(source: random.Random, call: Call, signal: FakeSignal, other: Call, others: list[FakeSignal]) -> None:
    """Let a phone move its other side, take a place, or send a caller elsewhere."""
    named = source.choice(others)
    match source.randrange(4):
        case 0:
            call.post(signal, Referred(f"r{next(_references)}", source.choice([*NUMBERS, None])))
        case 1:
            call.post(signal, Referred(f"r{next(_references)}", "bob", Dialog(other, named)))
        case 2:
            taker = FakeSignal(owner=other)
            others.append(taker)
            other.post(taker, TakenOver(Invitation(Caller("dora"), "ada", source.choice(OFFERS)), named))
        case _:
            call.post(signal, Redirected((source.choice(NUMBERS), source.choice(NUMBERS))))


def step(
    source: random.Random,
    world: World,
    signals: dict[Call, list[FakeSignal]],
    callers: list[FakeSignal],
    asked: list[asyncio.Task[None]],
) -> None:
    """Let something happen in one of the calls; who joins is added to the callers, what is asked to the tasks."""
    busy, other = source.choice(list(signals)), source.choice(list(signals))
    leg: FakeSignal = source.choice([leg.signal for leg in busy.legs] or signals[busy])  # type: ignore[arg-type]
    match source.randrange(5):
        case 0:
            something(source, busy, leg)
        case 1 | 2:
            asked.append(ask(source, world, busy, other))
        case 3:
            others: list[FakeSignal] = [one.signal for one in other.legs] or [*signals[other]]  # type: ignore[misc]
            before = len(others)
            move(source, busy, leg, other, others)
            callers += others[before:]
        case _:
            busy.post(leg, PickedUp(source.choice(GOOD_ANSWERS)))


def break_at_times(source: random.Random, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one of forty commands fail in the engine, but those that close something."""
    state: Any = world.link._state
    real = state.run

    def run(command: Any) -> Any:
        if not type(command).__name__.startswith("Close") and source.random() < 1 / 40:
            return Failed(code=ErrorCode.INTERNAL, message="the engine is out of everything"), []
        return real(command)

    monkeypatch.setattr(state, "run", run, raising=False)


def all_were_told(signals: list[FakeSignal]) -> None:
    """Of an end once, and of what became of a REFER."""
    for signal in signals:
        assert signal.words.count("end") <= 1
        accepted = Counter(one[1] for one in signal.told if one[0] == "accepted")
        final = Counter(one[1] for one in signal.told if one[0] == "progress" and one[2] >= 200)
        assert accepted == final, "who refers is told of the outcome once"
        offers = Counter(one[1] for one in signal.told if one[0] in OFFER_REPLIES)
        assert set(offers.values()) <= {1}, "an offer is answered once"


async def all_end(world: World) -> None:
    """End all calls, those too that others begin meanwhile, and then the rooms."""
    while world.calls.all():
        for call in world.calls.all():
            call.ask_to_end(CallEnd.REMOVED)
        await world.settle()
    assert world.rooms is not None
    for room in tuple(world.rooms.by_name.values()):
        await world.rooms.close_room(room)
    await world.rooms.drain()
    await world.settle()


async def busy_minutes(source: random.Random, world: World, asked: list[asyncio.Task[None]]) -> list[FakeSignal]:
    """Have calls come in, be answered, moved and taken into rooms; give who called."""
    callers: list[FakeSignal] = []
    for number in range(60):
        signal = FakeSignal()
        invitation = Invitation(Caller(f"caller{number}"), source.choice(NUMBERS), source.choice(GOOD_OFFERS))
        signal.owner = world.calls.invited(signal, invitation)
        callers.append(signal)
        await world.settle()
        ringing = [(call, leg.signal) for call in world.calls.all() for leg in call.callees]
        for call, called in ringing:
            if source.random() < 0.3:
                call.post(called, PickedUp(source.choice(GOOD_ANSWERS)))
        for _ in range(source.randrange(6)):
            going_on = {call: [leg.signal for leg in call.legs] or [signal] for call in world.calls.all()}
            if going_on:
                step(source, world, going_on, callers, asked)  # type: ignore[arg-type]
            if source.random() < 0.5:
                await world.settle()
    return callers


@pytest.mark.parametrize("breaks", [False, True], ids=["sound", "breaking"])
@pytest.mark.parametrize("seed", range(6))
async def test_calls_that_are_moved_about_leave_nothing_either(
    seed: int, breaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that are mostly answered: held, transferred, taken over, merged, in any order and at any time."""
    source = random.Random(seed)  # noqa: S311 - a seeded source is the point
    world = World(most=1_000, music=MUSIC)
    await world.open()
    if breaks:
        break_at_times(source, world, monkeypatch)
    for name in ("bob", "cleo", "dora"):
        await world.phone(name, "h1")
    signals: dict[Call, list[FakeSignal]] = {}
    callers: list[FakeSignal] = []
    asked: list[asyncio.Task[None]] = []
    for _ in range(80):
        signal = FakeSignal()
        call = world.calls.invited(
            signal,
            Invitation(Caller(source.choice(["ada", "bob"])), source.choice(NUMBERS[:3]), source.choice(GOOD_OFFERS)),
        )
        assert call is not None
        signals[call] = [signal]
        callers.append(signal)
        signal.owner = call
        await world.settle()
        if call.callees and source.random() < 0.9:
            call.post(call.callees[-1].signal, PickedUp(source.choice(GOOD_ANSWERS)))
        for _ in range(source.randrange(8)):
            step(source, world, signals, callers, asked)
            if source.random() < 0.5:
                await world.settle()
    await world.settle()
    for call in signals:
        if source.random() < 0.3:  # what comes at the same time as the end is answered as well
            asked.append(ask(source, world, call, source.choice(list(signals))))
            await asyncio.sleep(0)
        call.ask_to_end(CallEnd.REMOVED)
    await world.settle()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(one) for one in results} <= {type(None), PhoneError}
    assert len(world.calls) == 0
    assert world.objects() == {}
    assert sum(world.calls.ended.values()) == 80
    assert breaks or world.calls.ended[CallEnd.TRANSFERRED], "calls were merged into others"
    assert CallEnd.FAILED not in world.calls.ended, "no defect of ours was met"
    all_were_told([*callers, *world.signalling.legs])
    await world.close()


@pytest.mark.parametrize("breaks", [False, True], ids=["sound", "breaking"])
@pytest.mark.parametrize("seed", range(6))
async def test_calls_that_go_into_rooms_and_out_of_them_leave_nothing_either(
    seed: int, breaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = random.Random(seed)  # noqa: S311 - a seeded source is the point
    world = World(most=1_000, music=MUSIC, with_rooms=True)
    await world.open()
    for name in ("bob", "cleo", "dora"):
        await world.phone(name, "h1")
    await world.dispatch.create("standup", ["7000"], RuleTarget(TargetKind.ROOM, room="standup"))
    await world.dispatch.create("annex", ["7001"], RuleTarget(TargetKind.ROOM, room="annex"))
    monkeypatch.setitem(globals(), "NUMBERS", [*NUMBERS, "7000", "7001", "7000"])
    if breaks:
        break_at_times(source, world, monkeypatch)
    asked: list[asyncio.Task[None]] = []
    callers = await busy_minutes(source, world, asked)
    await all_end(world)
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(one) for one in results} <= {type(None), PhoneError}
    assert world.objects() == {}
    assert breaks or world.calls.ended[CallEnd.TRANSFERRED], "somebody went elsewhere"
    assert world.calls.started > 60, "rooms and phones took over from others"
    assert CallEnd.FAILED not in world.calls.ended, "no defect of ours was met"
    all_were_told([*callers, *world.signalling.legs])
    await world.close()


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
