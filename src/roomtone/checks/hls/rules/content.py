"""Rules 14 to 22: what becomes of parts, keyframes, alignment, headers, gaps, the end, the multivariant playlist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.checks.hls.attributes import number
from roomtone.checks.hls.playlist import parse_media
from roomtone.checks.hls.rules.shape import ROUNDING_S
from roomtone.checks.hls.seen import Probe
from roomtone.checks.hls.verdict import Rule, Verdict, absent, judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roomtone.checks.hls.playlist import MediaPlaylist, Segment
    from roomtone.checks.hls.seen import Rendition, Seen

TAIL_TARGETS = 3
VERSION_OF_SKIP, VERSION_OF_DATE_RANGES = 9, 10
ENOUGH_SEGMENTS = 10
ONE_FRAME_S = 0.05
OK, AT_ONCE_S = 200, 1.0


def _parts_stay(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        had_parts: set[int] = set()
        for playlist in rendition.playlists:
            tail = TAIL_TARGETS * (playlist.target_duration or seen.target_s)
            for segment in playlist.segments:
                if segment.number not in had_parts or playlist.behind_s(segment) > tail - ROUNDING_S:
                    continue
                looked_at += 1
                if not segment.parts and not playlist.ended:
                    behind = playlist.behind_s(segment)
                    problems.append(f"segment {segment.number} lost its parts {behind:.1f} s from the end")
            had_parts |= {one.number for one in playlist.all_segments if one.parts}
    gone = seen.probed(Probe.REMOVED_PART)
    problems += [
        f"{one.exchange.url} is {one.exchange.status}" for one in gone if one.exchange.status not in {200, 206}
    ]
    return judged(problems, looked_at, f"segments near the end kept their parts, {len(gone)} parts gone were fetched")


def _parts_are_parent(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        for segment in rendition.segments():
            whole = rendition.read(segment, segment)
            if whole is None or not segment.parts or any(part.gap for part in segment.parts):
                continue
            if abs(sum(part.duration for part in segment.parts) - segment.duration) > ONE_FRAME_S:
                continue  # parts of before the check began are not known
            pieces = [rendition.read(part, segment) for part in segment.parts]
            if any(piece is None for piece in pieces):
                continue
            looked_at += 1
            if b"".join(piece.payload for piece in pieces if piece is not None) != whole.payload:
                problems.append(f"{segment.uri} is not its parts one after the other")
    return judged(problems, looked_at, "segments compared with their parts")


def _independent(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.videos:
        for segment, part in rendition.parts():
            media = rendition.read(part, segment)
            sync = media.fragments[0].sync if media is not None and media.fragments else ()
            if not sync:
                continue
            looked_at += 1
            if sync[0] and not part.independent:
                problems.append(f"{part.uri} begins with a keyframe and is not marked INDEPENDENT")
            if part.independent and not any(sync):
                problems.append(f"{part.uri} is marked INDEPENDENT and has no keyframe")
    return judged(problems, looked_at, "parts of video")


def _aligned(seen: Seen) -> Verdict:
    if len(seen.videos) < 2:  # noqa: PLR2004 - two are needed to differ
        return absent("there is one video rendition")
    problems, looked_at = [], 0
    first, *others = seen.videos
    starts = _starts(first)
    for rendition in others:
        for number_, start in _starts(rendition).items():
            if number_ not in starts:
                continue
            looked_at += 1
            if abs(start - starts[number_]) > ONE_FRAME_S:
                apart = start - starts[number_]
                problems.append(f"segment {number_} of {rendition.name} begins {apart:+.3f} s from {first.name}")
    return judged(problems, looked_at, "segments compared")


def _starts(rendition: Rendition) -> dict[int, float]:
    return {one.number: one.date_time for one in rendition.segments() if one.date_time is not None}


def _maps(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        before: Segment | None = None
        for segment in rendition.segments():
            uri = segment.uri or (segment.parts[0].uri if segment.parts else "")
            if segment.map_uri is None and uri.partition("?")[0].endswith((".m4s", ".mp4", ".m4v", ".m4a")):
                problems.append(f"{uri} has no EXT-X-MAP before it")
            looked_at += segment.map_uri is not None
            if before is not None and before.number + 1 == segment.number:
                changed = before.map_uri != segment.map_uri
                if (
                    changed
                    and not segment.discontinuity
                    and _entries(rendition, before) != _entries(rendition, segment)
                ):
                    problems.append(f"segment {segment.number} has another EXT-X-MAP and no EXT-X-DISCONTINUITY")
            before = segment
    return judged(problems, looked_at, "segments with a header")


def _entries(rendition: Rendition, segment: Segment) -> object:
    """Give what a header is for; without one that was fetched, its address."""
    exchange = rendition.media.get(rendition.resolve(segment.map_uri or ""))
    return segment.map_uri if exchange is None else exchange.body


def _nothing_missing(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        items = [(part.uri, part.gap, rendition.fetched(part)) for _, part in rendition.parts()]
        items += [(one.uri or "", one.gap, rendition.fetched(one)) for one in rendition.segments()]
        for uri, gap, exchange in items:
            if exchange is None or gap:
                continue
            looked_at += 1
            if exchange.status not in {200, 206}:
                problems.append(f"{uri} is listed, without GAP, and is {exchange.status}")
    return judged(problems, looked_at, "parts and segments fetched")


def _versions(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for playlist in _deltas(seen):
        looked_at += 1
        needed = VERSION_OF_DATE_RANGES if playlist.removed_date_ranges else VERSION_OF_SKIP
        if playlist.version < needed:
            problems.append(f"a delta of EXT-X-VERSION {playlist.version}, {needed} is needed")
    return judged(problems, looked_at, "delta playlists")


def _deltas(seen: Seen) -> Iterator[MediaPlaylist]:
    for one in seen.deltas:
        if one.delta.skipped is not None:
            yield one.delta


def _the_end(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition, state in seen.states():
        if not state.playlist.ended:
            continue
        looked_at += 1
        if state.playlist.hints:
            problems.append(f"{rendition.name}: EXT-X-PRELOAD-HINT beside EXT-X-ENDLIST")
    asked = [one.exchange for one in seen.probed(Probe.WHEN_ENDED)]
    problems += [
        f"{one.url} after the end: {one.status} in {one.took_s:.1f} s"
        for one in asked
        if one.status != OK or one.took_s > AT_ONCE_S + seen.slack_s
    ]
    return judged(problems, looked_at, "playlists with EXT-X-ENDLIST")


def _multivariant(seen: Seen) -> Verdict:
    if not seen.multivariant:
        return absent("the URL is a media playlist")
    problems = []
    _, playlist = seen.multivariant[-1]
    for variant in playlist.variants:
        attributes = variant.attributes
        wanted = ["BANDWIDTH", "CODECS", "AVERAGE-BANDWIDTH"]
        if _is_video(attributes):
            wanted += ["RESOLUTION", "FRAME-RATE"]
        missing = [name for name in wanted if name not in attributes]
        if missing:
            problems.append(f"{variant.uri} lacks {', '.join(missing)}")
        peak, segments = _peak_bps(seen, variant.uri, attributes.get("AUDIO"))
        told = number(attributes, "BANDWIDTH")
        if told is None or not peak:
            continue
        if peak > told:
            problems.append(f"{variant.uri}: BANDWIDTH={told:.0f}, and a segment had {peak:.0f} bit/s")
        if segments >= ENOUGH_SEGMENTS and told > 2 * peak:
            problems.append(f"{variant.uri}: BANDWIDTH={told:.0f} is over twice the measured {peak:.0f} bit/s")
    return judged(problems, len(playlist.variants), "variants, with what they say of themselves")


def _is_video(attributes: object) -> bool:
    codecs = attributes.get("CODECS", "") if isinstance(attributes, dict) else ""
    return any(one.strip().startswith(("avc", "hvc", "hev", "av01", "vp09", "dvh")) for one in codecs.split(","))


def _peak_bps(seen: Seen, uri: str, group: str | None) -> tuple[float, int]:
    """Give the dearest second of a variant with the dearest of its sounds, by complete segments, and their number."""
    peaks, count = 0.0, 0
    for rendition in seen.renditions:
        attributes = rendition.variant.attributes if rendition.variant else {}
        own = rendition.variant is not None and rendition.variant.uri == uri
        if not own and (group is None or attributes.get("GROUP-ID") != group):
            continue
        rates = []
        for segment in rendition.segments():
            exchange = rendition.fetched(segment)
            if exchange is not None and exchange.status in {200, 206} and segment.duration:
                rates.append(8 * len(exchange.body) / segment.duration)
        peaks += max(rates, default=0.0)
        count = len(rates) if own else count
    return peaks, count


def whole_playlist(body: bytes) -> MediaPlaylist:
    """Read the playlist of an answer."""
    return parse_media(body.decode("utf-8", "replace"))


RULES = (
    Rule(14, "parts stay listed until three target durations from the end, and fetchable", "S 6.2.2", _parts_stay),
    Rule(15, "the parts of a segment are the segment", "S 3.2", _parts_are_parent),
    Rule(16, "parts with a keyframe, and only they, are INDEPENDENT", "S 4.4.4.9", _independent),
    Rule(17, "segments align across video renditions", "S 6.2.4", _aligned),
    Rule(18, "EXT-X-MAP comes first; another codec comes with a discontinuity", "S 4.4.4.5", _maps),
    Rule(19, "what is lost is a GAP, never a 404", "S 4.4.4.7", _nothing_missing),
    Rule(20, "EXT-X-VERSION allows what a delta uses", "S 8", _versions),
    Rule(21, "EXT-X-ENDLIST ends hints and waiting", "S 4.4.3.4", _the_end),
    Rule(22, "variants tell CODECS, RESOLUTION, FRAME-RATE and true bandwidths", "S 4.4.6.2", _multivariant),
)
