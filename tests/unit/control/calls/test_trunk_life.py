"""How trunks are: the table, waits that double and are spread, the breaker, and what is asked when."""

from __future__ import annotations

from math import inf

import pytest

from roomtone.control.calls import TrunkDeed, TrunkLife, TrunkReply, TrunkState

NOW = 1_000.0
OK, GONE, AWAY = TrunkReply(200), TrunkReply(None), TrunkReply(503, "Busy")


def life(*, registers: bool = True, probes: bool = True, draw: float = 0.0) -> TrunkLife:
    return TrunkLife(NOW, lambda: draw, registers=registers, probes=probes)


def turn(one: TrunkLife, reply: TrunkReply) -> float:
    """Do what is due, at the time when it is; how long it had to be waited for."""
    at = one.due_at
    one.handle_reply(one.begin(), reply, at)
    return one.due_at - at


def test_a_trunk_registers_and_refreshes_before_that_runs_out() -> None:
    one = life(probes=False)
    assert (one.state, one.due_at, one.deed) == (TrunkState.UNREGISTERED, NOW, TrunkDeed.REGISTER)
    deed = one.begin()
    assert (one.state, one.due_at) == (TrunkState.REGISTERING, inf)
    one.handle_reply(deed, TrunkReply(200, expires_s=600), NOW)
    assert one.state is TrunkState.REGISTERED
    assert NOW + 300 < one.due_at < NOW + 600
    one.begin()
    assert one.state is TrunkState.REGISTERED  # while it is refreshed


def test_waits_double_and_are_spread_and_calls_are_refused_after_three_failures() -> None:
    least, most = life(probes=False, draw=0.0), life(probes=False, draw=0.999_999)
    waits = [(round(turn(least, GONE), 3), round(turn(most, GONE), 3)) for _ in range(9)]
    assert waits[:4] == [(1, 2), (2, 4), (4, 8), (8, 16)]
    assert waits[-1] == (150, 300)
    states = life(probes=False)
    seen = []
    for _ in range(4):
        turn(states, GONE)
        seen.append((states.state, states.is_usable))
    backing_off, down = (TrunkState.BACKING_OFF, True), (TrunkState.DOWN, False)
    assert seen == [backing_off, backing_off, down, down]
    assert states.last_error == "no answer"
    states.begin()
    assert not states.is_usable  # it is tried, and no call is before it has answered
    states.handle_reply(TrunkDeed.REGISTER, OK, NOW + 99)
    assert (states.state, states.failures, states.last_error) == (TrunkState.REGISTERED, 0, "")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_login_that_is_refused_is_not_tried_again_soon(status: int) -> None:
    one = life()
    assert turn(one, TrunkReply(status, "No")) == 150
    assert (one.state, one.last_error) == (TrunkState.DOWN, f"answered {status}: No")


def test_what_the_registrar_asks_for_is_done() -> None:
    one = life(probes=False)
    assert turn(one, TrunkReply(503, retry_after_s=120)) == 120
    assert turn(one, TrunkReply(423, min_expires_s=7_200)) == 0
    assert (one.expires_s, one.failures) == (7_200, 1)


def test_a_registered_trunk_is_asked_and_goes_down_when_it_is_silent() -> None:
    one = life()
    turn(one, OK)
    assert one.deed is TrunkDeed.PROBE
    turn(one, GONE)
    assert (one.state, one.deed) == (TrunkState.REGISTERED, TrunkDeed.PROBE)
    turn(one, TrunkReply(404))  # an answer, whatever it says
    assert one.failures == 0
    for _ in range(3):
        turn(one, AWAY)
    assert (one.state, one.deed) == (TrunkState.DOWN, TrunkDeed.REGISTER)
    turn(one, OK)
    assert one.state is TrunkState.REGISTERED


def test_a_trunk_without_registration_lives_by_its_answers() -> None:
    one = life(registers=False)
    assert one.deed is TrunkDeed.PROBE
    for _ in range(3):
        turn(one, GONE)
    assert one.state is TrunkState.DOWN
    turn(one, TrunkReply(405))
    assert (one.state, one.failures) == (TrunkState.UNREGISTERED, 0)


@pytest.mark.parametrize("probes", [True, False])
def test_calls_that_nobody_answers_open_the_breaker_and_it_is_asked_until_it_answers(probes: bool) -> None:
    one = life(registers=False, probes=probes)
    if probes:
        turn(one, OK)
    one.note_call(NOW, reached=False)
    one.note_call(NOW, reached=True)
    for _ in range(3):
        assert one.is_usable
        one.note_call(NOW, reached=False)
    assert (one.state, one.deed) == (TrunkState.DOWN, TrunkDeed.PROBE)
    assert one.due_at < NOW + 300
    turn(one, OK)
    assert one.is_usable
    assert (one.due_at == inf) is not probes
