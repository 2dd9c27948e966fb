"""What a ladder gives up and takes back, by tables of loads."""

from __future__ import annotations

import pytest

from roomtone.workers.transcode.controller import CALM, OFF, STEPS, Controller, Load, Step

BUSY, IDLE, FAIR = Load(0.97), Load(0.2), Load(0.7)


def play(controller: Controller, *loads: Load) -> list[tuple[int, Step]]:
    return [(change.rung, change.step) for load in loads for change in controller.handle_load(load)]


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        ([], []),
        ([FAIR] * 30, []),
        ([BUSY], []),
        ([BUSY, FAIR, BUSY], []),
        ([BUSY] * 2, [(0, STEPS[1])]),
        ([BUSY] * 4, [(0, STEPS[1]), (0, STEPS[2])]),
        ([Load(0.3, skipped=5)], [(0, STEPS[1])]),
        ([BUSY] * 2 + [IDLE] * (CALM - 1), [(0, STEPS[1])]),
        ([BUSY] * 2 + [IDLE] * CALM, [(0, STEPS[1]), (0, STEPS[0])]),
        ([IDLE] * 100, []),
    ],
    ids=["nothing", "fair", "once", "wavering", "busy", "busier", "left out", "not yet calm", "calm", "idle"],
)
def test_loads_and_what_follows(loads: list[Load], expected: list[tuple[int, Step]]) -> None:
    assert play(Controller(2), *loads) == expected


def test_the_rate_goes_first_then_pictures_then_the_size_then_the_rung() -> None:
    changes = play(Controller(2), *[BUSY] * 40)
    assert changes == [*[(0, step) for step in STEPS[1:]], (0, OFF), *[(1, step) for step in STEPS[1:]]]
    rates, every, sizes = zip(*[(step.rate, step.every, step.size) for step in STEPS], strict=True)
    assert list(rates) == sorted(rates, reverse=True)
    assert list(every) == sorted(every)
    assert list(sizes) == sorted(sizes, reverse=True)


def test_the_smallest_rung_is_never_shed() -> None:
    controller = Controller(1)
    play(controller, *[BUSY] * 100)
    assert controller.steps == [STEPS[-1]]


def test_what_was_given_up_last_is_taken_back_first_and_one_at_a_time() -> None:
    controller = Controller(2)
    play(controller, *[BUSY] * 12)
    taken_back = play(controller, *[IDLE] * CALM * 6)
    assert taken_back == [(1, STEPS[0]), *[(0, step) for step in reversed(STEPS)]]
    assert controller.steps == [Step(), Step()]


def test_what_was_taken_back_too_soon_is_taken_back_later_the_next_time() -> None:
    controller = Controller(1)
    play(controller, *[BUSY] * 2, *[IDLE] * CALM)
    play(controller, *[BUSY] * 2)
    assert play(controller, *[IDLE] * (2 * CALM - 1)) == []
    assert play(controller, IDLE) == [(0, Step())]


def test_changes_say_why() -> None:
    controller = Controller(1)
    reasons = [change.why for load in [BUSY, BUSY, Load(0.1, 7)] for change in controller.handle_load(load)]
    assert reasons == ["at work 97% of the time", "7 units were left out"]
