"""When new requests are refused: above a bound, until below half of it, for the cause that came first."""

from __future__ import annotations

import pytest

from roomtone.protocols.sip.overload import Overload, OverloadCause

LAG, QUEUE = OverloadCause.LOOP_LAG, OverloadCause.QUEUE


def test_it_begins_above_its_bound_and_ends_below_half_of_it() -> None:
    overload = Overload({QUEUE: 10})
    seen = []
    for level in (10, 11, 10, 5, 11, 5, 4, 10, 11):
        overload.heed(QUEUE, level)
        seen.append(overload.cause)
    assert seen == [None, QUEUE, QUEUE, QUEUE, QUEUE, QUEUE, None, None, QUEUE]


@pytest.mark.parametrize("bound", [1, 2, 3])
def test_the_smallest_bounds_end_too(bound: int) -> None:
    overload = Overload({QUEUE: bound})
    overload.heed(QUEUE, bound + 1)
    assert overload.cause is QUEUE
    overload.heed(QUEUE, 0)
    assert overload.cause is None


def test_of_two_causes_the_first_is_told_and_the_other_remains() -> None:
    overload = Overload({LAG: 0.5, QUEUE: 10})
    overload.heed(LAG, 0.6)
    overload.heed(QUEUE, 11)
    assert overload.cause is LAG
    overload.heed(LAG, 0.0)
    assert overload.cause is QUEUE
    overload.heed(LAG, 0.6)
    assert overload.cause is QUEUE
    overload.heed(QUEUE, 0)
    assert overload.cause is LAG
    overload.heed(LAG, 0.1)
    assert overload.cause is None


def test_a_level_without_a_bound_is_a_defect() -> None:
    with pytest.raises(KeyError):
        Overload().heed(LAG, 1.0)
