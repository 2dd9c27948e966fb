"""Rules 36 to 41: preload hints and rendition reports."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from roomtone.checks.hls.attributes import whole
from roomtone.checks.hls.seen import Probe
from roomtone.checks.hls.verdict import Rule, Verdict, absent, judged

if TYPE_CHECKING:
    from roomtone.checks.hls.playlist import MediaPlaylist
    from roomtone.checks.hls.seen import Rendition, Seen

TOGETHER_S = 0.05
GONE_SHARE = 0.02


def _hints(seen: Seen) -> Verdict:
    problems, looked_at, changed = [], 0, []
    for rendition in seen.renditions:
        for playlist in rendition.playlists:
            types = Counter(hint.get("TYPE") for hint in playlist.hints)
            problems += [f"{rendition.name}: {n} hints of TYPE={of}" for of, n in types.items() if n > 1]
        for before, after in pairwise(rendition.playlists):
            hint = next((one.get("URI") for one in before.hints if one.get("TYPE") == "PART"), None)
            new = _first_new_part(before, after)
            if hint is None or new is None:
                continue
            looked_at += 1
            if new != hint:
                changed.append(f"{hint} was hinted at and {new} was listed")
    if len(changed) > GONE_SHARE * looked_at:
        problems += changed  # now and then a plan really changes
    if not looked_at and not problems:
        return absent("no part was hinted at")
    return judged(problems, looked_at, "hints came true")


def _first_new_part(before: MediaPlaylist, after: MediaPlaylist) -> str | None:
    number, count = before.next
    for segment in after.all_segments:
        if segment.number >= number and len(segment.parts) > (count if segment.number == number else 0):
            return segment.parts[count if segment.number == number else 0].uri
    return None


def _hinted_parts(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        listed = {rendition.resolve(part.uri) for _, part in rendition.parts() if not part.gap}
        for url, exchange in rendition.hinted.items():
            if url not in listed:
                continue  # a hint may be dropped, and ends in 404 then
            looked_at += 1
            fetched = rendition.media.get(url)
            if exchange.status not in {200, 206}:
                problems.append(f"{url}, asked for when hinted at, is {exchange.status or 'not answered'}")
            elif fetched is not None and fetched.body != exchange.body:
                problems.append(f"{url} came otherwise when it was asked for early")
    return judged(problems, looked_at, "hinted parts fetched before they were listed")


def _open_ranges(seen: Seen) -> Verdict:
    pieces = [hint for _, state in seen.states() for hint in state.playlist.hints if "BYTERANGE-START" in hint]
    listed = any(part.byte_range for rendition in seen.renditions for _, part in rendition.parts())
    if not pieces and not listed:
        return absent("parts are resources of their own")
    problems = [] if pieces else ["parts are pieces of a segment, and hints have no BYTERANGE-START"]
    probes = seen.probed(Probe.OPEN_RANGE)
    problems += [f"{one.exchange.url}: {one.exchange.status}" for one in probes if one.exchange.status != 206]  # noqa: PLR2004
    return judged(problems, len(pieces), "hints of pieces")


def _together(seen: Seen) -> Verdict:
    late, looked_at = [], 0
    for rendition in seen.renditions:
        listed = _listed_at(rendition)
        for url, exchange in rendition.hinted.items():
            if url not in listed or exchange.status not in {200, 206}:
                continue
            looked_at += 1
            if exchange.ended_at > listed[url] + TOGETHER_S + seen.slack_s:
                late.append(f"{url} came {(exchange.ended_at - listed[url]) * 1000:.0f} ms after it was listed")
    problems = late if len(late) > 0.05 * looked_at else []
    return judged(problems, looked_at, f"hinted parts came with the playlist that lists them, {len(late)} late")


def _listed_at(rendition: Rendition) -> dict[str, float]:
    found: dict[str, float] = {}
    for state in rendition.states:
        for segment in state.playlist.all_segments:
            for part in segment.parts:
                found.setdefault(rendition.resolve(part.uri), state.exchange.answered_at)
    return found


def _reports(seen: Seen) -> Verdict:
    if not seen.multivariant:
        return absent("the URL is a media playlist")
    exchange, playlist = seen.multivariant[-1]
    all_ = {urljoin(exchange.url, uri) for uri in playlist.uris}
    if len(all_) < 2:  # noqa: PLR2004 - there must be another to report
        return absent("there is one media playlist")
    problems, looked_at = [], 0
    for rendition, state in seen.states():
        if not state.playlist.has_parts or state.playlist.ended:
            continue
        looked_at += 1
        told = {rendition.resolve(report.get("URI", "")): report for report in state.playlist.reports}
        missing = all_ - told.keys() - {rendition.url}
        problems += [f"{rendition.name} does not report {url}" for url in sorted(missing)]
        for report in state.playlist.reports:
            if report.get("URI", "").startswith(("http:", "https:")):
                problems.append(f"{rendition.name} reports an absolute URI")
            if whole(report, "LAST-MSN") is None or whole(report, "LAST-PART") is None:
                problems.append(f"{rendition.name}: a report lacks LAST-MSN or LAST-PART")
    return judged(problems, looked_at, "playlists report all others")


def _reports_current(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    by_url = {rendition.url: rendition for rendition in seen.renditions}
    for rendition, state in seen.states():
        for report in state.playlist.reports:
            other = by_url.get(rendition.resolve(report.get("URI", "")))
            segment, part = whole(report, "LAST-MSN"), whole(report, "LAST-PART")
            if other is None or segment is None or part is None:
                continue
            known = [one for one in other.states if one.exchange.answered_at < state.exchange.asked_at]
            if not known:
                continue
            looked_at += 1
            newest, parts = known[-1].playlist.last
            behind = parts - 1 - part if newest == segment else (newest - segment) * 2
            if newest > segment + 1 or (behind > 1 and not (newest == segment + 1 and parts <= 1)):
                problems.append(
                    f"{rendition.name} reports {segment}.{part} of {other.name}, which was at {newest}.{parts - 1}"
                )
    return judged(problems, looked_at, "reports as new as what they report")


RULES = (
    Rule(36, "one hint of a type, and it comes true", "S 4.4.5.3", _hints),
    Rule(37, "a hinted part can be asked for before it exists", "S 6.2.6", _hinted_parts),
    Rule(38, "pieces are hinted with BYTERANGE-START and served to open ranges", "S 4.4.5.3", _open_ranges),
    Rule(39, "a hinted part is there when the playlist lists it", "S 6.2.6", _together),
    Rule(40, "each playlist reports all others", "S 4.4.5.4", _reports),
    Rule(41, "reports are no more than a part behind", "S 4.4.5.4", _reports_current),
)
