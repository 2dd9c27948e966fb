"""Rules 47 to 50: what is inside parts and headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.checks.hls.boxes import BoxError, read_boxes, read_tracks
from roomtone.checks.hls.verdict import Rule, Verdict, absent, judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roomtone.checks.hls.boxes import Media, Track, TrackFragment
    from roomtone.checks.hls.playlist import Part, Segment
    from roomtone.checks.hls.seen import Rendition, Seen

BLOCK = 16
NEEDED = {
    "avc1": "avcC",
    "avc3": "avcC",
    "hvc1": "hvcC",
    "av01": "av1C",
    "vp09": "vpcC",
    "mp4a": "esds",
    "Opus": "dOps",
    "fLaC": "dfLa",
    "ac-3": "dac3",
    "ec-3": "dec3",
    "encv": "sinf",
    "enca": "sinf",
    "wvtt": "vttC",
}
"""What a sample entry must hold."""
TICKS = 2
"""Rounding of one edge and the other."""


def _fragments(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        expected: dict[int, int] = {}
        last_sequence = -1
        last: tuple[int, int] = (-1, -1)
        for segment, at, part, media in _media(rendition):
            looked_at += 1
            problems += [f"{part.uri}: {problem}" for problem in _shape_problems(media)]
            unbroken = (segment.number, at - 1) == last or (segment.number == last[0] + 1 and at == 0)
            if segment.discontinuity and at == 0:
                unbroken, last_sequence = False, -1
            for sequence in media.sequences:
                if sequence <= last_sequence and unbroken:
                    problems.append(f"{part.uri}: fragment number {sequence} after {last_sequence}")
                last_sequence = sequence
            for fragment in media.fragments:
                due = expected.get(fragment.track)
                if unbroken and due is not None and abs((fragment.decode_time or 0) - due) > TICKS:
                    problems.append(f"{part.uri}: tfdt {fragment.decode_time}, the samples before end at {due}")
                expected[fragment.track] = (fragment.decode_time or 0) + fragment.duration
            last = (segment.number, at)
        for exchange, tracks in _headers(rendition):
            problems += [f"{exchange}: the header has samples" for track in tracks if track.samples]
    return (
        judged(problems, looked_at, "parts of whole fragments")
        if problems or looked_at
        else absent("no part of fragmented MP4 seen")
    )


def _shape_problems(media: Media) -> Iterator[str]:
    boxes = [type_ for type_ in media.order if type_ in {"moof", "mdat"}]
    if not boxes or boxes != ["moof", "mdat"] * (len(boxes) // 2):
        yield f"is no sequence of moof and mdat: {'+'.join(media.order)}"
    for fragment in media.fragments:
        if fragment.decode_time is None:
            yield "has no tfdt"
        if not fragment.base_is_moof:
            yield "has no default-base-is-moof"


def _media(rendition: Rendition) -> Iterator[tuple[Segment, int, Part, Media]]:
    for segment in rendition.segments():
        for at, part in enumerate(segment.parts):
            media = None if part.gap else rendition.read(part, segment)
            if media is not None:
                yield segment, at, part, media


def _headers(rendition: Rendition) -> Iterator[tuple[str, tuple[Track, ...]]]:
    for uri in {segment.map_uri for segment in rendition.segments() if segment.map_uri}:
        exchange = rendition.media.get(rendition.resolve(uri))
        if exchange is None:
            continue
        try:
            yield uri, read_tracks(exchange.body)
        except BoxError:
            yield uri, ()


def _entries(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        told = rendition.variant.attributes.get("CODECS", "") if rendition.variant else ""
        for uri, tracks in _headers(rendition):
            looked_at += 1
            if not tracks:
                problems.append(f"{uri}: no track can be read")
            for track in tracks:
                if track.entry in {"hev1", "dvhe"}:
                    problems.append(f"{uri}: {track.entry}, players want hvc1")
                needed = NEEDED.get(track.entry)
                if needed is not None and needed not in track.inside:
                    problems.append(f"{uri}: {track.entry} without {needed}")
                if (
                    told
                    and rendition.is_video
                    and not track.entry.startswith("enc")
                    and track.entry.lower() not in (told.lower())
                ):
                    problems.append(f"{uri}: {track.entry}, and CODECS says {told}")
    return judged(problems, looked_at, "headers read")


def _encrypted(seen: Seen) -> Verdict:
    problems, looked_at = [], 0
    for rendition in seen.renditions:
        for segment, part in rendition.parts():
            exchange = rendition.fetched(part)
            if segment.key is None or exchange is None:
                continue
            looked_at += 1
            method = segment.key.get("METHOD")
            if method == "AES-128" and len(exchange.body) % BLOCK:
                problems.append(f"{part.uri}: AES-128 and {len(exchange.body)} bytes: no padding of its own")
            if method in {"SAMPLE-AES", "SAMPLE-AES-CTR"} and not _is_fragment(exchange.body):
                problems.append(f"{part.uri}: {method} and no whole fragment")
    if not looked_at:
        return absent("nothing is encrypted")
    return judged(problems, looked_at, "encrypted parts")


def _is_fragment(body: bytes) -> bool:
    try:
        return {"moof", "mdat"} <= {box.type for box in read_boxes(body)}
    except BoxError:
        return False


def _never_back(seen: Seen) -> Verdict:
    problems = list[str]()
    looked_at = 0
    for rendition in seen.renditions:
        reached: dict[int, int] = {}
        for _, _, part, media in _media(rendition):
            for fragment in media.fragments:
                looked_at += 1
                problems += _back(part, fragment, reached)
    return (
        judged(problems, looked_at, "fragments in order")
        if problems or looked_at
        else absent("no part of fragmented MP4 seen")
    )


def _back(part: Part, fragment: TrackFragment, reached: dict[int, int]) -> Iterator[str]:
    at = fragment.decode_time or 0
    if at < reached.get(fragment.track, 0):
        yield f"{part.uri}: tfdt {at} after {reached[fragment.track]}"
    reached[fragment.track] = at


RULES = (
    Rule(47, "each part is whole fragments on the track's timeline", "CMAF 7.3.2", _fragments),
    Rule(48, "headers describe their codecs", "CMAF 7.3.1", _entries),
    Rule(49, "encrypted parts can be decrypted alone", "S 4.4.4.4", _encrypted),
    Rule(50, "tfdt never runs backwards", "CMAF 7.5.16", _never_back),
)
