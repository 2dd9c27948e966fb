"""Rules 1 to 8: durations that never change, parts, what the server promises."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from roomtone.checks.hls.attributes import number
from roomtone.checks.hls.verdict import Rule, Verdict, absent, judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roomtone.checks.hls.playlist import Part, Segment
    from roomtone.checks.hls.seen import Rendition, Seen

ROUNDING_S = 0.0006
"""Durations are written to the millisecond or finer."""
LEAST_PART = 0.85
HOLD_BACK_TARGETS, HOLD_BACK_PARTS, LEAST_HOLD_BACK_PARTS = 3, 3, 2
LATE_SHARE = 0.05


def _part_inf(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        targets = {playlist.part_target for playlist in rendition.playlists if playlist.part_target is not None}
        if len(targets) > 1:
            problems.append(f"{rendition.name}: PART-TARGET changed: {sorted(targets)}")
        for playlist in rendition.playlists:
            looked_at += playlist.has_parts
            if playlist.has_parts and playlist.part_target is None:
                problems.append(f"{rendition.name}: parts without EXT-X-PART-INF:PART-TARGET")
    return judged(problems, looked_at, "playlists with parts")


def _parts_not_longer(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition, target in _with_target(seen):
        for _, part in rendition.parts():
            looked_at += 1
            if part.duration > target + ROUNDING_S:
                problems.append(f"{part.uri} lasts {part.duration} s, the target is {target} s")
    return judged(problems, looked_at, "parts")


def _parts_not_shorter(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition, target in _with_target(seen):
        for segment, part, after in _followed(rendition):
            if part.independent or part.gap or after is None or after.gap:
                continue
            looked_at += 1
            if part.duration < LEAST_PART * target - ROUNDING_S:
                where = f"part of segment {segment.number}"
                problems.append(f"{part.uri}, {where}, lasts {part.duration} s: under 85 % of {target} s")
    return judged(problems, looked_at, "parts that may not be short")


def _parts_in_time(seen: Seen) -> Verdict:
    late, looked_at, longest = [], 0, 0.0
    for rendition, target in _with_target(seen):
        listed = _listed_at(rendition)
        for (first, _), (second, waited) in pairwise(listed):
            if not waited:
                continue  # how long nothing was asked is no fault of the origin
            looked_at += 1
            longest = max(longest, second - first)
            if second - first > target + seen.slack_s:
                late.append(f"{rendition.name}: {second - first:.3f} s between two parts, the target is {target} s")
    if len(late) <= LATE_SHARE * looked_at:
        return judged([], looked_at, f"intervals between parts, the longest {longest:.3f} s, {len(late)} of them late")
    return judged(late, looked_at, "intervals")


def _target_duration(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        texts = {playlist.target_text for playlist in rendition.playlists}
        if len(texts) > 1:
            problems.append(f"{rendition.name}: TARGETDURATION changed: {sorted(texts)}")
        fractions = [text or "absent" for text in texts if not (text.isascii() and text.isdigit())]
        problems += [f"{rendition.name}: TARGETDURATION is no whole number: {text}" for text in fractions]
        target = rendition.newest.target_duration if rendition.states else None
        for segment in rendition.segments():
            looked_at += segment.uri is not None
            if target is not None and int(segment.duration + 0.5) > target:
                problems.append(f"segment {segment.number} lasts {segment.duration} s, the target is {target:.0f} s")
    return judged(problems, looked_at, "segments")


def _part_hold_back(seen: Seen) -> Verdict:
    problems, values = [], set()
    targets = [target for _, target in _with_target(seen)]
    for rendition, state in seen.states():
        if not state.playlist.has_parts or not targets:
            continue
        value = number(state.playlist.control, "PART-HOLD-BACK")
        if value is None:
            problems.append(f"{rendition.name}: parts without PART-HOLD-BACK")
            continue
        values.add(value)
        times = value / max(targets)
        if value < LEAST_HOLD_BACK_PARTS * max(targets) - ROUNDING_S:
            problems.append(f"{rendition.name}: PART-HOLD-BACK {value} s is {times:.2f} PART-TARGETs, 2 are needed")
        elif value < HOLD_BACK_PARTS * max(targets) - ROUNDING_S:
            problems.append(f"{rendition.name}: PART-HOLD-BACK {value} s is {times:.2f} PART-TARGETs, Apple wants 3")
    if len(values) > 1:
        problems.append(f"PART-HOLD-BACK differs: {sorted(values)}")
    return judged(problems, len(values), f"value of PART-HOLD-BACK: {', '.join(f'{one} s' for one in values)}")


def _hold_back(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition, state in seen.states():
        value = number(state.playlist.control, "HOLD-BACK")
        if value is None or state.playlist.target_duration is None:
            continue
        looked_at += 1
        if value < HOLD_BACK_TARGETS * state.playlist.target_duration - ROUNDING_S:
            problems.append(f"{rendition.name}: HOLD-BACK {value} s is under three target durations")
    return judged(problems, looked_at, "playlists with HOLD-BACK")


def _can_block(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition, state in seen.states():
        if not state.playlist.has_parts:
            continue
        if state.playlist.control.get("CAN-BLOCK-RELOAD") != "YES":
            problems.append(f"{rendition.name}: parts without CAN-BLOCK-RELOAD=YES")
        elif state.wanted is not None and not state.playlist.ended:
            looked_at += 1
            if state.playlist.next <= (state.wanted[0], state.wanted[1] or 0):
                problems.append(f"{state.exchange.url} answered without what it waited for")
    return (
        judged(problems, looked_at, "blocking answers had what was waited for")
        if problems or looked_at
        else absent("no parts are offered")
    )


def _with_target(seen: Seen) -> Iterator[tuple[Rendition, float]]:
    for rendition in seen.renditions:
        target = next((one.part_target for one in rendition.playlists if one.part_target is not None), None)
        if target is not None:
            yield rendition, target


def _followed(rendition: Rendition) -> Iterator[tuple[Segment, Part, Part | None]]:
    """Give each part with the next of the same segment; None after the last."""
    for segment in rendition.segments():
        for at, part in enumerate(segment.parts):
            yield segment, part, segment.parts[at + 1] if at + 1 < len(segment.parts) else None


def _listed_at(rendition: Rendition) -> list[tuple[float, bool]]:
    """When each new end of the playlist came, and whether the request was waiting for it."""
    seen_last, found = (-1, 0), list[tuple[float, bool]]()
    for state in rendition.states:
        if state.playlist.next > seen_last:
            seen_last = state.playlist.next
            waited = state.wanted is not None and state.exchange.took_s > 0.0
            found.append((state.exchange.answered_at, waited))
    return found


RULES = (
    Rule(1, "PART-INF wherever there are parts; PART-TARGET never changes", "S 4.4.3.7", _part_inf),
    Rule(2, "no part is longer than PART-TARGET", "S 4.4.4.9", _parts_not_longer),
    Rule(3, "parts last at least 85 % of PART-TARGET", "S 4.4.4.9", _parts_not_shorter),
    Rule(4, "a part is listed within one PART-TARGET of the one before", "S 6.2.1", _parts_in_time),
    Rule(5, "TARGETDURATION is whole, never changes, and bounds every EXTINF", "S 4.4.3.1", _target_duration),
    Rule(6, "PART-HOLD-BACK is three PART-TARGETs or more, one value for all", "S 4.4.3.8, A 14.3", _part_hold_back),
    Rule(7, "HOLD-BACK is three target durations or more", "S 4.4.3.8", _hold_back),
    Rule(8, "CAN-BLOCK-RELOAD=YES with parts, and it is true", "S 4.4.3.8", _can_block),
)
