"""Rules 9 to 13: skipping, dates, sequence numbers, what stays."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from roomtone.checks.hls.attributes import number
from roomtone.checks.hls.rules.shape import ROUNDING_S
from roomtone.checks.hls.seen import Probe
from roomtone.checks.hls.verdict import Rule, Verdict, judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roomtone.checks.hls.playlist import Segment
    from roomtone.checks.hls.seen import Rendition, Seen

SKIP_TARGETS, LEAST_TARGETS = 6, 3
LONG_WINDOW_S = 120.0
SAME_TIME_S = 0.010


def _can_skip(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition, state in seen.states():
        playlist = state.playlist
        until = number(playlist.control, "CAN-SKIP-UNTIL")
        if until is None and "CAN-SKIP-DATERANGES" in playlist.control:
            problems.append(f"{rendition.name}: CAN-SKIP-DATERANGES without CAN-SKIP-UNTIL")
        if until is None and playlist.has_parts and playlist.window_s > LONG_WINDOW_S + 2 * seen.target_s:
            problems.append(f"{rendition.name}: {playlist.window_s:.0f} s are listed and CAN-SKIP-UNTIL is not offered")
        if until is not None and playlist.target_duration is not None:
            looked_at += 1
            if until < SKIP_TARGETS * playlist.target_duration - ROUNDING_S:
                problems.append(f"{rendition.name}: CAN-SKIP-UNTIL {until} s is under six target durations")
    return judged(problems, looked_at, "playlists with CAN-SKIP-UNTIL")


def _dates(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition, state in seen.states():
        dates = [one.date_time for one in state.playlist.all_segments if one.date_time is not None]
        looked_at += 1
        if not dates and state.playlist.all_segments:
            problems.append(f"{rendition.name}: a playlist without EXT-X-PROGRAM-DATE-TIME")
        if any(later < earlier for earlier, later in pairwise(dates)):
            problems.append(f"{rendition.name}: EXT-X-PROGRAM-DATE-TIME runs backwards")
    zeros = [(rendition, zero) for rendition in seen.renditions for zero in _zeros(rendition)]
    for rendition, zero in zeros:
        first_of, first = zeros[0]
        if rendition is not first_of and abs(zero - first) > SAME_TIME_S:
            problems.append(
                f"{rendition.name} is {(zero - first) * 1000:.0f} ms from {first_of.name} at one media time"
            )
    return judged(problems, looked_at, f"playlists, {len({one.url for one, _ in zeros})} renditions compared by tfdt")


def _zeros(rendition: Rendition) -> Iterator[float]:
    """Give the date at the zero of the media's time, by the first segment whose date and media are known."""
    for segment in rendition.segments():
        if segment.date_time is None or segment.gap:
            continue
        media = rendition.read(segment, segment)
        if media is None and segment.parts:
            media = rendition.read(segment.parts[0], segment)
        tracks = rendition.tracks(segment)
        if media is None or not media.fragments or not tracks or media.fragments[0].decode_time is None:
            continue
        first = media.fragments[0]
        scale = next((track.timescale for track in tracks if track.id == first.track), 0)
        if scale and first.decode_time is not None:
            yield segment.date_time - (first.decode_time + first.first_offset) / scale
            return


def _sequences(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        known: dict[str, Segment] = {}
        for playlist in rendition.playlists:
            looked_at += 1
            for segment in playlist.segments:
                before = known.setdefault(segment.uri or "", segment)
                if before.number != segment.number:
                    problems.append(f"{segment.uri} was segment {before.number} and is {segment.number}")
                elif before.discontinuities != segment.discontinuities:
                    problems.append(
                        f"{segment.uri}: discontinuity {before.discontinuities} became {segment.discontinuities}"
                    )
        for earlier, later in pairwise(rendition.playlists):
            if later.media_sequence < earlier.media_sequence:
                problems.append(f"{rendition.name}: MEDIA-SEQUENCE fell to {later.media_sequence}")
    return judged(problems, looked_at, "playlists")


def _never_short(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        first = rendition.playlists[0].media_sequence if rendition.states else 0
        for playlist in rendition.playlists:
            if playlist.media_sequence == first or playlist.target_duration is None:
                continue
            looked_at += 1
            least = LEAST_TARGETS * playlist.target_duration
            if playlist.window_s < least - ROUNDING_S:
                problems.append(f"{rendition.name}: {playlist.window_s:.1f} s are listed, {least:.0f} s must be")
    return judged(problems, looked_at, "playlists after a removal")


def _removed_stay(seen: Seen) -> Verdict:
    probes = seen.probed(Probe.REMOVED_SEGMENT)
    problems = [
        f"{one.exchange.url} is {one.exchange.status} though its time is not over"
        for one in probes
        if one.exchange.status not in {200, 206}
    ]
    return judged(problems, len(probes), "removed segments that could be fetched")


RULES = (
    Rule(9, "CAN-SKIP-UNTIL is six target durations or more, and offered for long windows", "S 4.4.3.8", _can_skip),
    Rule(10, "PROGRAM-DATE-TIME everywhere, rising, equal across renditions", "S B.1", _dates),
    Rule(11, "sequence numbers rise by what was removed", "S 6.2.2", _sequences),
    Rule(12, "never less than three target durations are listed after a removal", "S 6.2.2", _never_short),
    Rule(13, "removed segments stay fetchable", "S 6.2.2", _removed_stay),
)
