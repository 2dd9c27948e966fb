"""The checker against an origin in virtual time: a good one fails nothing, one with a defect fails that rule."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hls_origin import BASE, Origin
from virtual_time import run_virtual

from roomtone.checks.hls import RULES, CannotCheckError, Outcome, judge, observe
from roomtone.checks.hls.seen import Seen

if TYPE_CHECKING:
    from roomtone.checks.hls import Verdict

SECONDS = 9.0
DEFECTS = (
    (1, "no_part_inf"),
    (2, "long_part"),
    (3, "short_part"),
    (4, "late_parts"),
    (5, "fractional_target"),
    (6, "short_part_hold_back"),
    (7, "short_hold_back"),
    (8, "no_blocking"),
    (9, "early_skip"),
    (10, "no_dates"),
    (10, "dates_apart"),
    (11, "renumbered"),
    (12, "short_window"),
    (13, "removed_gone"),
    (14, "parts_leave"),
    (15, "parts_differ"),
    (16, "no_independent"),
    (17, "misaligned"),
    (18, "no_map"),
    (19, "lost_part"),
    (20, "old_version"),
    (22, "no_codecs"),
    (23, "no_waiting"),
    (24, "slow_when_there"),
    (25, "part_alone_ok"),
    (26, "far_ok"),
    (27, "past_last_refused"),
    (28, "nonsense_ok"),
    (30, "answers_differ"),
    (32, "delta_differs"),
    (33, "skips_too_much"),
    (34, "skips_unasked"),
    (35, "delta_without_map"),
    (36, "wrong_hint"),
    (37, "hint_404"),
    (38, "pieces_unhinted"),
    (39, "hint_late"),
    (40, "no_reports"),
    (41, "old_reports"),
    (42, "http1"),
    (43, "no_gzip"),
    (44, "no_cache_control"),
    (45, "no_cors"),
    (46, "slow_line"),
    (47, "no_base_is_moof"),
    (48, "hev1"),
    (49, "bad_padding"),
    (50, "time_runs_back"),
    (51, "range_unnamed"),
    (51, "range_without_beginning"),
    (51, "range_ends_before"),
    (51, "range_lasts_otherwise"),
    (51, "range_says_two_things"),
    (51, "range_moves"),
    (51, "range_of_no_class"),
    (51, "range_of_words"),
)


def check(origin: Origin, seconds: float = SECONDS, url: str = BASE + "index.m3u8") -> dict[int, Verdict]:
    async def run() -> Seen:
        async with origin.client() as client:
            return await observe(client, url, seconds, clock=asyncio.get_running_loop().time)

    return {rule.number: verdict for rule, verdict in judge(run_virtual(run()))}


def failed(verdicts: dict[int, Verdict]) -> dict[int, str]:
    return {number: one.evidence for number, one in verdicts.items() if one.outcome is Outcome.FAIL}


def test_there_are_fifty_one_rules_in_order() -> None:
    assert [rule.number for rule in RULES] == list(range(1, 52))


def test_a_good_origin_fails_no_rule() -> None:
    verdicts = check(Origin())
    assert failed(verdicts) == {}
    not_applicable = {number for number, one in verdicts.items() if one.outcome is Outcome.NOT_APPLICABLE}
    # No HOLD-BACK, no end, no stall, no pieces of segments, no encryption.
    assert not_applicable == {7, 21, 29, 31, 38, 49}


@pytest.mark.parametrize(("rule", "defect"), DEFECTS)
def test_a_defect_fails_its_rule(rule: int, defect: str) -> None:
    assert rule in failed(check(Origin(defect)))


def test_a_stream_that_ends_well_fails_no_rule() -> None:
    verdicts = check(Origin(ends_at=9.3), 30)
    assert failed(verdicts) == {}
    assert verdicts[21].outcome is verdicts[31].outcome is Outcome.PASS


@pytest.mark.parametrize(("rule", "defect"), [(21, "hint_after_end"), (31, "no_release")])
def test_a_defect_at_the_end_fails_its_rule(rule: int, defect: str) -> None:
    assert rule in failed(check(Origin(defect, ends_at=9.3), 90))


def test_a_hold_that_ends_in_503_is_right_and_one_that_does_not_is_wrong() -> None:
    assert check(Origin(stalls_at=8.0), 22)[29].outcome is Outcome.PASS
    assert 29 in failed(check(Origin("no_503", stalls_at=8.0), 22))


def test_a_media_playlist_alone_can_be_checked() -> None:
    verdicts = check(Origin(), url=BASE + "high/index.m3u8")
    assert failed(verdicts) == {}
    assert verdicts[22].outcome is verdicts[40].outcome is Outcome.NOT_APPLICABLE


def test_what_is_no_playlist_cannot_be_checked() -> None:
    with pytest.raises(CannotCheckError, match="404"):
        check(Origin(), url=BASE + "high/nothing.m3u8")
