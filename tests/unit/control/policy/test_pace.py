"""The pace of one client: so many at once, so many in the long run."""

from __future__ import annotations

import pytest

from roomtone.control.policy import Allowance, Pace


def test_a_burst_passes_and_what_is_beyond_it_is_told_when_to_come() -> None:
    allowance = Allowance(Pace(per_second=10, burst=3), now=0)
    assert [allowance.take(0) for _ in range(3)] == [0, 0, 0]
    assert allowance.take(0) == pytest.approx(0.1)
    assert allowance.take(0.05) == pytest.approx(0.05)


def test_what_is_refused_takes_nothing_and_a_pause_fills_no_more_than_a_burst() -> None:
    allowance = Allowance(Pace(per_second=10, burst=2), now=0)
    taken = [allowance.take(0) == 0 for _ in range(50)]
    assert taken.count(True) == 2
    assert allowance.take(0.1) == 0
    assert [allowance.take(100) == 0 for _ in range(3)] == [True, True, False]


def test_a_clock_that_goes_back_takes_nothing_away() -> None:
    allowance = Allowance(Pace(per_second=10, burst=2), now=5)
    assert [allowance.take(now) == 0 for now in (4, 3, 3)] == [True, True, False]
