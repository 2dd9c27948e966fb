"""Rules 32 to 35: delta updates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.checks.hls.attributes import number
from roomtone.checks.hls.playlist import merge_delta
from roomtone.checks.hls.rules.shape import ROUNDING_S
from roomtone.checks.hls.verdict import Rule, Verdict, absent, judged

if TYPE_CHECKING:
    from roomtone.checks.hls.playlist import Segment
    from roomtone.checks.hls.seen import Delta, Seen


def _merges(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for one in _skipping(seen):
        merged = merge_delta(one.held, one.delta)
        if merged is None:
            problems.append(f"{one.exchange.url} skips segments that were never listed")
            continue
        looked_at += 1
        for ours, theirs in zip(merged, one.whole.segments, strict=False):
            if _identity(ours) != _identity(theirs):
                problems.append(f"segment {theirs.number} differs once the delta is merged")
        if len(merged) != len(one.whole.segments):
            problems.append(f"{len(merged)} segments once the delta is merged, {len(one.whole.segments)} in the whole")
    return _or_absent(seen, problems, looked_at, "deltas merged into the whole playlist")


def _identity(segment: Segment) -> tuple[object, ...]:
    date = None if segment.date_time is None else round(segment.date_time, 3)
    return segment.number, segment.uri, round(segment.duration, 5), segment.gap, segment.discontinuity, date


def _boundary(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for one in _skipping(seen):
        until = number(one.whole.control, "CAN-SKIP-UNTIL")
        if until is None:
            problems.append(f"{one.exchange.url} skips and CAN-SKIP-UNTIL is not offered")
            continue
        looked_at += 1
        first_kept = one.delta.media_sequence + (one.delta.skipped or 0)
        newest_skipped = next((each for each in one.whole.segments if each.number == first_kept - 1), None)
        if newest_skipped is None:
            continue
        behind = one.whole.behind_s(newest_skipped)
        if behind < until - ROUNDING_S:
            problems.append(f"segment {newest_skipped.number} is skipped {behind:.1f} s from the end, under {until} s")
    return _or_absent(seen, problems, looked_at, "deltas kept all within the skip boundary")


def _only_when_asked(seen: Seen) -> Verdict:
    problems = [f"{state.exchange.url} has EXT-X-SKIP unasked" for _, state in seen.states() if state.playlist.skipped]
    problems += [f"{one.exchange.url} skips nothing" for one in seen.deltas if one.delta.skipped == 0]
    return judged(problems, sum(1 for _ in seen.states()), "playlists asked for without _HLS_skip were whole")


def _state(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for one in _skipping(seen):
        first = one.delta.segments[0] if one.delta.segments else one.delta.open
        same = next((each for each in one.whole.all_segments if first and each.number == first.number), None)
        if first is None or same is None:
            continue
        looked_at += 1
        if first.map_uri is None and same.map_uri is not None:
            problems.append("the delta does not say which EXT-X-MAP is in force")
        if first.key is None and same.key is not None:
            problems.append("the delta does not say which EXT-X-KEY is in force")
        if first.discontinuities != same.discontinuities and first.key is None:
            problems.append(f"segment {first.number} has discontinuity number {first.discontinuities} in the delta")
    return _or_absent(seen, problems, looked_at, "deltas with all state")


def _skipping(seen: Seen) -> list[Delta]:
    return [one for one in seen.deltas if one.delta.skipped]


def _or_absent(seen: Seen, problems: list[str], looked_at: int, what: str) -> Verdict:
    if not problems and not looked_at:
        offered = any("CAN-SKIP-UNTIL" in state.playlist.control for _, state in seen.states())
        return absent("there was nothing to skip" if offered else "CAN-SKIP-UNTIL is not offered")
    return judged(problems, looked_at, what)


RULES = (
    Rule(32, "a delta merged into the earlier playlist is the whole one", "S 6.2.5.1", _merges),
    Rule(33, "nothing nearer than the skip boundary is skipped", "S 6.2.5.1", _boundary),
    Rule(34, "nothing is skipped unasked, and no delta skips nothing", "S 6.2.5.1", _only_when_asked),
    Rule(35, "a delta has what its first segment needs", "S 6.2.5.1", _state),
)
