"""Rules 42 to 46: HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.checks.hls.seen import Probe
from roomtone.checks.hls.verdict import Rule, Verdict, absent, judged

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.checks.hls.seen import Exchange, Probed, Seen

OK, NO_CONTENT, PARTIAL, NOT_MODIFIED, UNSATISFIABLE = 200, 204, 206, 304, 416
DELAY_S = 0.05
LEAST_BLOCKING, MOST_BLOCKING = 3, 12
EXPOSED = ("age", "date")


def _one_connection(seen: Seen) -> Verdict:
    if not seen.url.startswith("https:"):
        return absent("the URL is plain HTTP; players get HTTP/2 over HTTPS only")
    versions = {one.http_version for one in seen.exchanges if one.status}
    problems = [f"answered by {version}" for version in sorted(versions - {"HTTP/2", "HTTP/3"})]
    alone = min((one.exchange.took_s for one in seen.probed(Probe.PLAIN)), default=0.0)
    beside = seen.probed(Probe.BESIDE_MEDIA)
    for one in beside:
        delay = one.exchange.took_s - alone
        if delay > DELAY_S + seen.slack_s:
            problems.append(f"a playlist came {delay * 1000:.0f} ms later beside old segments")
    return judged(problems, len(beside), f"playlists beside segments, over {', '.join(sorted(versions))}")


def _encodings(seen: Seen) -> Verdict:
    problems = []
    for one in seen.probed(Probe.GZIP):
        headers = one.exchange.headers
        if headers.get("content-encoding") not in {"gzip", "br", "zstd"}:
            problems.append("playlists are not compressed for who takes gzip")
        elif "accept-encoding" not in headers.get("vary", "").lower():
            problems.append("a compressed playlist has no Vary: Accept-Encoding")
    cut = [one.exchange.status for one in seen.probed(Probe.PLAYLIST_RANGE) if one.exchange.status != OK]
    problems += [f"a Range request of a playlist is {status}, it is to be ignored" for status in cut]
    media = [one.exchange.headers.get("content-encoding", "identity") for one in seen.probed(Probe.MEDIA_GZIP)]
    problems += [f"media is re-encoded by {encoding}" for encoding in media if encoding != "identity"]
    probes = seen.probed(Probe.GZIP, Probe.PLAYLIST_RANGE, Probe.MEDIA_GZIP)
    return judged(problems, len(probes), "requests for encodings and ranges of playlists")


def _caching(seen: Seen) -> Verdict:
    problems = list[str]()
    looked_at = 0
    target = seen.target_s
    for exchange in _playlists(seen):
        looked_at += 1
        blocking = "_HLS_msn=" in exchange.url
        age = exchange.max_age_s
        if age is None:
            problems.append(f"{exchange.url} has no Cache-Control: max-age")
        elif blocking and not LEAST_BLOCKING * target <= age <= MOST_BLOCKING * target:
            problems.append(
                f"{exchange.url}: max-age={age}, three to twelve target durations are {3 * target:.0f} s on"
            )
        elif not blocking and age >= target:
            problems.append(f"{exchange.url}: max-age={age} for a playlist of this moment")
    for rendition in seen.renditions:
        window = rendition.newest.window_s if rendition.states else 0
        for exchange in rendition.media.values():
            looked_at += 1
            control, age = exchange.headers.get("cache-control", ""), exchange.max_age_s
            if exchange.status in {OK, PARTIAL} and "immutable" not in control and (age is None or age < window):
                problems.append(f"{exchange.url}: Cache-Control is {control or 'absent'}, media never change")
    for one in seen.probed(Probe.MISSING):
        age = one.exchange.max_age_s
        if age is not None and age > target:
            problems.append(f"what is missing is cached for {age} s")
    return judged(problems, looked_at, "answers with fit Cache-Control")


def _playlists(seen: Seen) -> list[Exchange]:
    followed = [state.exchange for _, state in seen.states() if not state.playlist.ended]
    return followed + [one.exchange for one in seen.probed(Probe.PLAIN) if one.exchange.status == OK]


def _conditions(seen: Seen) -> Verdict:
    problems = list[str]()
    looked_at = 0
    for probe, find in _CONDITIONS.items():
        for one in seen.probed(probe):
            looked_at += probe is not Probe.GZIP
            problems += find(one)
    return judged(problems, looked_at, "conditional, range and preflight requests")


def _wrong_head(one: Probed) -> list[str]:
    if one.exchange.status != OK or one.exchange.body:
        return [f"HEAD {one.exchange.url} is {one.exchange.status}"]
    return [] if "content-length" in one.exchange.headers else ["HEAD tells no Content-Length"]


def _wrong_range_beyond(one: Probed) -> list[str]:
    told = one.exchange.headers.get("content-range", "")
    if one.exchange.status == UNSATISFIABLE and told.startswith("bytes */"):
        return []
    return [f"a range beyond the end is {one.exchange.status} ({told or 'no Content-Range'})"]


def _wrong_condition(one: Probed) -> list[str]:
    status = one.exchange.status
    return [] if status == NOT_MODIFIED else [f"If-None-Match with the ETag is {status}, 304 is due"]


def _wrong_preflight(one: Probed) -> list[str]:
    allowed = one.exchange.headers.get("access-control-allow-headers", "").lower()
    if one.exchange.status in {OK, NO_CONTENT} and ("range" in allowed or "*" in allowed):
        return []
    return [f"the preflight is {one.exchange.status} and allows {allowed or 'nothing'}"]


def _wrong_origin(one: Probed) -> list[str]:
    headers, problems = one.exchange.headers, []
    if "access-control-allow-origin" not in headers:
        problems.append("pages of other origins may not read it: no Access-Control-Allow-Origin")
    exposed = headers.get("access-control-expose-headers", "").lower()
    missing = [name for name in EXPOSED if name not in exposed and "*" not in exposed]
    if missing:
        problems.append(f"{' and '.join(missing)} are not exposed to pages")
    return problems


def _wrong_range(one: Probed) -> list[str]:
    told = one.exchange.headers.get("content-range", "")
    if one.exchange.status != PARTIAL:
        return [f"a Range request of media is {one.exchange.status}, 206 is due"]
    if not told.startswith("bytes 0-99/") or len(one.exchange.body) != 100:  # noqa: PLR2004 - as asked
        return [f"bytes 0-99 were asked for, {told or 'no Content-Range'} came with {len(one.exchange.body)} bytes"]
    return []


_CONDITIONS: dict[Probe, Callable[[Probed], list[str]]] = {
    Probe.HEAD: _wrong_head,
    Probe.RANGE: _wrong_range,
    Probe.RANGE_BEYOND: _wrong_range_beyond,
    Probe.NOT_MODIFIED: _wrong_condition,
    Probe.PREFLIGHT: _wrong_preflight,
    Probe.GZIP: _wrong_origin,
}


def _round_trip(seen: Seen) -> Verdict:
    trips = sorted(one.exchange.took_s for one in seen.probed(Probe.PLAIN))
    targets = [one.part_target for rendition in seen.renditions for one in rendition.playlists if one.part_target]
    if not trips or not targets:
        return absent("no parts are offered")
    worst = trips[min(len(trips) - 1, int(0.95 * len(trips)))]
    problems = [f"95 % of round trips are under {worst:.3f} s, PART-TARGET is {min(targets)} s"]
    return judged(
        problems if worst > min(targets) + seen.slack_s else [], len(trips), f"round trips, 95 % under {worst:.3f} s"
    )


RULES = (
    Rule(42, "HTTP/2 or 3, and no playlist waits behind media", "S B.1", _one_connection),
    Rule(43, "playlists are compressed and not cut; media are as they are", "S B.1", _encodings),
    Rule(44, "Cache-Control fits what is served", "S 6.2.5.2, B.1", _caching),
    Rule(45, "HEAD, Range, ETag and CORS behave", "RFC 9110", _conditions),
    Rule(46, "PART-TARGET is above the round trip", "A 14.2", _round_trip),
)
