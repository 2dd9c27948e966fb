"""The timer wheel against a sorted list."""

from __future__ import annotations

import random
from typing import Any

import pytest

from roomtone.protocols.sip.wheel import Timer, TimerWheel


def fire(wheel: TimerWheel, now: int) -> list[Any]:
    return list(iter(lambda: wheel.poll(now), None))


def test_timers_fire_in_order_and_not_early() -> None:
    wheel = TimerWheel(1_000)
    for at in (1_500, 1_001, 33_000, 1_500, 90_000_000):
        wheel.arm(at, at)
    assert fire(wheel, 1_000) == []
    assert fire(wheel, 1_499) == [1_001]
    assert fire(wheel, 1_500) == [1_500, 1_500]
    assert fire(wheel, 89_999_999) == [33_000]
    assert fire(wheel, 90_000_000) == [90_000_000]
    assert wheel.next_timeout() is None


def test_a_cancelled_timer_never_fires_and_is_gone_at_once() -> None:
    wheel = TimerWheel()
    timer = wheel.arm(10, "a")
    wheel.cancel(timer)
    wheel.cancel(timer)
    assert not timer.is_armed
    assert len(wheel) == 0
    assert wheel.next_timeout() is None
    assert fire(wheel, 1_000) == []


def test_a_timer_cancelled_by_one_of_the_same_moment_does_not_fire() -> None:
    wheel = TimerWheel()
    wheel.arm(10, "first")
    second = wheel.arm(10, "second")
    assert wheel.poll(10) == "first"
    wheel.cancel(second)
    assert wheel.poll(10) is None


def test_a_deadline_that_has_passed_fires_at_the_next_poll() -> None:
    wheel = TimerWheel(500)
    wheel.arm(20, "late")
    assert wheel.next_timeout() == 500
    assert fire(wheel, 500) == ["late"]


def test_a_clock_that_went_back_fires_nothing() -> None:
    wheel = TimerWheel(500)
    wheel.arm(600, "x")
    assert fire(wheel, 400) == []
    assert fire(wheel, 600) == ["x"]


@pytest.mark.parametrize("seed", range(20))
def test_any_sequence_does_what_a_sorted_list_does(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    now = chance.choice([0, 63, 4_095, 1_800_000_000_000, (1 << 36) - 70])
    wheel = TimerWheel(now)
    armed: dict[int, tuple[int, int, Timer]] = {}
    for n in range(3_000):
        match chance.random():
            case x if x < 0.6:
                at = now + int(2 ** chance.uniform(0, 26)) - 2
                armed[n] = (max(at, now), n, wheel.arm(at, n))
            case x if x < 0.85 and armed:
                wheel.cancel(armed.pop(chance.choice(list(armed)))[2])
            case _:
                soon = wheel.next_timeout()
                assert (soon is None) == (not armed)
                assert soon is None or soon <= min(armed.values())[0]
                now += int(2 ** chance.uniform(0, 22))
                due = sorted(entry for entry in armed.values() if entry[0] <= now)
                assert fire(wheel, now) == [entry[1] for entry in due]
                for entry in due:
                    del armed[entry[1]]
        assert len(wheel) == len(armed)


def test_following_next_timeout_reaches_every_deadline_on_time() -> None:
    chance = random.Random(4)  # noqa: S311
    wheel = TimerWheel(7)
    for _ in range(500):
        at = 7 + int(2 ** chance.uniform(0, 30))
        wheel.arm(at, at)
    seen: list[int] = []
    turns = 0
    while (now := wheel.next_timeout()) is not None:
        turns += 1
        fired = fire(wheel, now)
        assert all(at == now for at in fired)
        seen += fired
    assert seen == sorted(seen)
    assert len(seen) == 500
    assert turns < 500 * 6


def test_slots_passed_by_keep_nothing() -> None:
    wheel = TimerWheel()
    for at in range(1, 100_000, 7):
        wheel.arm(at, at)
    fire(wheel, 100_000)
    assert len(wheel) == 0
    assert not any(wheel._slots)
