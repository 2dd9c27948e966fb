"""PINs: when one is whole, which is right, and who is not asked any more; keys in INFO; presses told twice."""

from __future__ import annotations

import pytest

from roomtone.control.calls import Caller, DispatchRule, RuleTarget, TargetKind
from roomtone.control.calls.directory.rules import Entry
from roomtone.control.calls.parties.keypad import KeyFilter, KeyKind, read_info, write_info
from roomtone.control.calls.pins import PinCount, PinEntry, PinGuard, PinRules

MALLORY, ADA = Caller("+49666", trunk="carrier"), Caller("ada")


def entry(room: str, pin: str) -> Entry:
    return Entry(room, DispatchRule(room, ("1",), RuleTarget(TargetKind.ROOM, room=room), pin=pin))


@pytest.mark.parametrize(
    ("keys", "room"),
    [("1234", "a"), ("123456", "b"), ("12#", None), ("9*1234#", "a"), ("1234#", "a"), ("99999999", None)],
)
def test_a_pin_is_whole_by_its_end_key_or_its_length(keys: str, room: str | None) -> None:
    pins = PinEntry([entry("a", "1234"), entry("b", "123456")])
    whole = [pins.press(key) for key in keys]
    assert any(whole) is (keys.endswith("#") or len(keys) >= 6)
    found = pins.take()
    assert (None if found is None else found.room) == room
    assert pins.is_empty


def test_who_was_wrong_too_often_is_not_asked_for_a_while() -> None:
    now = [0.0]
    guard = PinGuard(PinRules(failures=3, window_s=60), lambda: now[0])
    for _ in range(3):
        assert guard.may_try(MALLORY)
        guard.note_failure(MALLORY, PinCount.WRONG)
        guard.note_failure(ADA, PinCount.NOT_ENTERED)
    assert not guard.may_try(MALLORY)
    assert guard.may_try(ADA)
    now[0] = 61
    assert guard.may_try(MALLORY)
    assert guard.counts == {PinCount.WRONG: 3, PinCount.NOT_ENTERED: 3, PinCount.REFUSED: 1}


def test_of_too_many_callers_the_one_that_tried_longest_ago_is_forgotten() -> None:
    guard = PinGuard(PinRules(failures=1, max_callers=2), lambda: 0.0)
    for number in ("1", "2", "3"):
        guard.note_failure(Caller(number), PinCount.WRONG)
    assert [guard.may_try(Caller(number)) for number in ("1", "2", "3")] == [True, False, False]
    assert guard.counts[PinCount.FORGOTTEN] == 1


@pytest.mark.parametrize(
    ("content_type", "body", "read"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=250\r\n", ("5", 250)),
        ("Application/DTMF-Relay; x=y", b"signal = # \n", ("#", 160)),
        ("application/dtmf-relay", b"Signal=55\r\n", None),
        ("application/dtmf-relay", b"Duration=1\r\n", None),
        ("application/dtmf", b" d ", ("D", 160)),
        ("application/dtmf", b"\xff", None),
        ("application/media_control+xml", b"Signal=5", None),
    ],
)
def test_keys_are_read_from_info(content_type: str, body: bytes, read: tuple[str, int] | None) -> None:
    assert read_info(content_type, body) == read


def test_keys_that_are_written_are_read() -> None:
    assert [read_info(*write_info(key, 90)) for key in "0*D"] == [("0", 90), ("*", 90), ("D", 90)]


def test_a_press_that_is_told_in_two_ways_counts_once() -> None:
    keys = KeyFilter()
    told = [
        ("5", KeyKind.EVENT, 0.0, True),
        ("5", KeyKind.INFO, 0.1, False),
        ("5", KeyKind.EVENT, 0.3, True),  # pressed again
        ("6", KeyKind.INFO, 0.4, True),
        ("6", KeyKind.SOUND, 0.9, True),  # too late to be the same
    ]
    assert [keys.accept(key, kind, at) for key, kind, at, _ in told] == [expected for *_, expected in told]
