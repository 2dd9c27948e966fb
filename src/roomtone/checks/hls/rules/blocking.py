"""Rules 23 to 31: blocking reload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.checks.hls.seen import Probe
from roomtone.checks.hls.verdict import Rule, Verdict, absent, judged

if TYPE_CHECKING:
    from roomtone.checks.hls.seen import Probed, Seen

OK, BAD_REQUEST, UNAVAILABLE = 200, 400, 503
HOLD_TARGETS = 3
AT_ONCE_S = 0.05


def _waits(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for _, state in seen.states():
        if state.wanted is None or state.playlist.ended:
            continue
        looked_at += 1
        segment, part = state.wanted
        if state.playlist.next <= (segment, part or 0):
            problems.append(f"{state.exchange.url} answered before it was there")
    for one in seen.probed(Probe.SEGMENT_ALONE):
        looked_at += 1
        if one.exchange.status != OK:
            problems.append(f"{one.exchange.url} is {one.exchange.status}")
        elif one.after is not None and one.before.open is not None and not one.after.ended:
            wanted = one.before.open.number
            if wanted not in {segment.number for segment in one.after.segments} and one.after.media_sequence <= wanted:
                problems.append(f"{one.exchange.url} answered before segment {wanted} was complete")
    return judged(problems, looked_at, "blocking requests had what they waited for")


def _at_once(seen: Seen) -> Verdict:
    probes, problems = seen.probed(Probe.SATISFIED, Probe.LEFT_WINDOW), []
    for probe in (Probe.SATISFIED, Probe.LEFT_WINDOW):
        problems += _slow(seen, seen.probed(probe))
    for one in probes:
        if one.exchange.status != OK:
            problems.append(f"{one.exchange.url} is {one.exchange.status}")
        elif one.after is not None and one.after.last < one.before.last:
            problems.append(f"{one.exchange.url} answered with an older playlist")
    return judged(problems, len(probes), "requests for what was there answered at once")


def _slow(seen: Seen, probes: list[Probed]) -> list[str]:
    """Say how slow the fastest of some tries was where it was slow: one alone may be the network's fault."""
    fastest = min((one.exchange for one in probes), key=lambda exchange: exchange.took_s, default=None)
    if fastest is None or fastest.took_s <= AT_ONCE_S + seen.slack_s:
        return []
    return [f"{fastest.url} was there already and took {fastest.took_s:.3f} s"]


def _part_alone(seen: Seen) -> Verdict:
    return _refused(seen.probed(Probe.PART_ALONE), "requests with _HLS_part alone refused")


def _too_far(seen: Seen) -> Verdict:
    return _refused(seen.probed(Probe.TOO_FAR, Probe.PART_TOO_FAR), "requests too far ahead refused")


def _refused(probes: list[Probed], what: str) -> Verdict:
    problems = [
        f"{one.exchange.url} is {one.exchange.status or 'not answered'}, 400 is due"
        for one in probes
        if one.exchange.status != BAD_REQUEST
    ]
    return judged(problems, len(probes), what)


def _past_last(seen: Seen) -> Verdict:
    probes = seen.probed(Probe.PAST_LAST_PART)
    problems = _slow(seen, [one for one in probes if one.before.open is not None])
    for one in probes:
        if one.exchange.status != OK:
            problems.append(f"{one.exchange.url} is {one.exchange.status}")
        elif (
            one.after is not None and one.before.segments and one.after.next <= (one.before.segments[-1].number + 1, 0)
        ):
            problems.append(f"{one.exchange.url} answered without part 0 of the next segment")
    return judged(problems, len(probes), "requests past the last part of a segment")


def _nonsense(seen: Seen) -> Verdict:
    verdict = _refused(seen.probed(Probe.NOT_A_NUMBER, Probe.NEGATIVE), "nonsensical directives refused")
    ended = [one for one in seen.probed(Probe.WHEN_ENDED) if one.exchange.status != OK]
    return judged([f"{ended[0].exchange.url} is {ended[0].exchange.status} after the end"], 1, "") if ended else verdict


def _long_holds(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    limit = HOLD_TARGETS * seen.target_s
    for exchange in seen.exchanges:
        if "_HLS_msn=" not in exchange.url or exchange.took_s < limit - seen.slack_s:
            continue
        looked_at += 1
        if exchange.status != UNAVAILABLE or exchange.took_s > limit + 1 + seen.slack_s:
            answer = exchange.status or "no answer"
            problems.append(f"{exchange.url} was held {exchange.took_s:.1f} s and ended in {answer}, not 503")
    return judged(problems, looked_at, f"requests held for {limit:.0f} s")


def _crowd(seen: Seen) -> Verdict:
    probes = seen.probed(Probe.CROWD)
    if not probes:
        return absent("blocking reload is not offered")
    problems = [f"{one.exchange.url} is {one.exchange.status}" for one in probes if one.exchange.status != OK]
    first = min(one.exchange.answered_at for one in probes)
    # Who has asked when it was there already gets what is there by then.
    waited = [one.exchange for one in probes if one.exchange.asked_at + AT_ONCE_S + seen.slack_s < first]
    if not waited:
        return absent("no two requests waited for the same")
    bodies = {exchange.body for exchange in waited if exchange.status == OK}
    ends = [exchange.answered_at for exchange in waited if exchange.status == OK]
    spread = max(ends, default=0) - min(ends, default=0)
    if len(bodies) > 1:
        problems.append(f"{len(waited)} equal requests got {len(bodies)} different answers")
    if spread > seen.slack_s + AT_ONCE_S:
        problems.append(f"{len(waited)} equal requests were answered over {spread * 1000:.0f} ms")
    return judged(problems, len(waited), f"equal requests, answered within {spread * 1000:.0f} ms")


def _released(seen: Seen) -> Verdict:
    if not any(state.playlist.ended for _, state in seen.states()):
        return absent("the stream did not end while it was watched")
    problems = [
        f"{one.url} was never answered after the stream's end"
        for one in seen.exchanges
        if "_HLS_msn=" in one.url and one.status == 0
    ]
    waits = sum("_HLS_msn=" in one.url for one in seen.exchanges)
    return judged(problems, waits, "blocking requests, all released")


RULES = (
    Rule(23, "a blocking request answers when what it names is there", "S 6.2.5.2", _waits),
    Rule(24, "what is there already is answered at once", "S 6.2.5.2", _at_once),
    Rule(25, "_HLS_part without _HLS_msn is 400", "S 6.2.5.2", _part_alone),
    Rule(26, "too far ahead is 400", "S 6.2.5.2", _too_far),
    Rule(27, "past the last part of a segment means the first of the next", "S 6.2.5.2", _past_last),
    Rule(28, "directives that are no numbers are 400; none matter after the end", "S 6.2.5.2", _nonsense),
    Rule(29, "a hold over three target durations ends in 503", "S 6.2.5.2", _long_holds),
    Rule(30, "equal requests get equal bytes at one time", "S 6.3.2", _crowd),
    Rule(31, "the end releases all who wait", "S 6.2.5.2", _released),
)
