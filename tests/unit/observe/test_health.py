from __future__ import annotations

import pytest

from roomtone.observe import OK, Health, ServerInput, ServerState, Verdict, WrongTransition


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def health() -> Health:
    return Health(clock=Clock())


def test_a_starting_server_is_alive_and_not_ready(health: Health) -> None:
    assert health.live
    assert not health.started
    assert not health.ready


def test_a_started_server_is_ready_until_it_drains(health: Health) -> None:
    health.advance(ServerInput.STARTED)
    assert health.ready
    health.advance(ServerInput.STOP)
    assert not health.ready
    assert health.live
    assert health.started
    health.advance(ServerInput.CLOSED)
    assert health.state is ServerState.STOPPED


def test_a_failing_check_takes_readiness_and_only_a_vital_one_takes_life(health: Health) -> None:
    health.advance(ServerInput.STARTED)
    health.watch("store", lambda: Verdict(ok=False, reason="away"))
    assert health.live
    assert not health.ready
    health.watch("engine", lambda: Verdict(ok=False, reason="gone"), vital=True)
    assert not health.live
    health.watch("engine", lambda: OK, vital=True)
    health.watch("store", lambda: OK)
    assert health.ready


def test_a_check_that_raises_has_failed(health: Health) -> None:
    def broken() -> Verdict:
        raise RuntimeError("x")

    health.watch("broken", broken)
    assert health.verdicts() == {"broken": Verdict(ok=False, reason="check failed: RuntimeError")}


def test_inputs_that_mean_nothing_in_a_state_are_refused(health: Health) -> None:
    with pytest.raises(WrongTransition):
        health.advance(ServerInput.CLOSED)


def test_uptime_counts_from_ready() -> None:
    clock = Clock()
    health = Health(clock=clock)
    clock.now = 200.0
    assert health.uptime_s == 0
    health.advance(ServerInput.STARTED)
    clock.now = 230.0
    assert health.uptime_s == 30.0
