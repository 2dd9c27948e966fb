"""Rule 51: spans of time that playlists tell of (section 4.4.5.1)."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING

from roomtone.checks.hls.attributes import number
from roomtone.checks.hls.verdict import Rule, Verdict, judged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roomtone.checks.hls.playlist import MediaPlaylist
    from roomtone.checks.hls.seen import Seen

_DURATIONS = ("DURATION", "PLANNED-DURATION")
_CUES = ("SCTE35-CMD", "SCTE35-OUT", "SCTE35-IN")
_HEX = re.compile(r"0[xX][0-9A-Fa-f]+")
SAME_TIME_S = 0.002
"""Dates are written to a millisecond."""


def _date_ranges(seen: Seen) -> Verdict:
    problems: list[str] = []
    ids: set[tuple[str, str]] = set()
    for rendition in seen.renditions:
        begun: dict[str, str] = {}
        for playlist in rendition.playlists:
            problems += [f"{rendition.name}: {one}" for one in _problems(playlist, begun)]
        ids |= {(rendition.url, id_) for id_ in begun}
    return judged(list(dict.fromkeys(problems)), len(ids), "date ranges")


def _problems(playlist: MediaPlaylist, begun: dict[str, str]) -> Iterator[str]:
    """Say what is wrong with the date ranges of a state; ``begun`` is the START-DATE of each, by ID."""
    if playlist.date_ranges and not any(one.date_time is not None for one in playlist.all_segments):
        yield "EXT-X-DATERANGE without EXT-X-PROGRAM-DATE-TIME"
    said: dict[str, dict[str, str]] = {}
    for attributes in playlist.date_ranges:
        id_ = attributes.get("ID", "")
        start = attributes.get("START-DATE", "")
        if not id_:
            yield "an EXT-X-DATERANGE has no ID"
            continue
        yield from (f"date range {id_} {what}" for what in chain(_of_one(attributes), _of_numbers(attributes)))
        before = said.setdefault(id_, {})
        for name, value in attributes.items():
            if before.setdefault(name, value) != value:
                yield f"date range {id_} has two values of {name}"
        if begun.setdefault(id_, start) != start:
            yield f"date range {id_} began at {begun[id_]} and begins at {start}"


def _of_one(attributes: Mapping[str, str]) -> Iterator[str]:
    start, end = (_date(attributes.get(name)) for name in ("START-DATE", "END-DATE"))
    if start is None:
        yield "has no START-DATE that is a date"
    if "END-DATE" in attributes and end is None:
        yield "has an END-DATE that is no date"
    if start is not None and end is not None:
        if end < start:
            yield "ends before it begins"
        lasts = number(attributes, "DURATION")
        if lasts is not None and abs(end - start - lasts) > SAME_TIME_S:
            yield f"ends {end - start:.3f} s after it begins and has DURATION={lasts}"
    if attributes.get("END-ON-NEXT") == "YES":
        if "CLASS" not in attributes:
            yield "has END-ON-NEXT and no CLASS"
        if "DURATION" in attributes or "END-DATE" in attributes:
            yield "has END-ON-NEXT and an end of its own"


def _of_numbers(attributes: Mapping[str, str]) -> Iterator[str]:
    for name in _DURATIONS:
        if name in attributes and number(attributes, name) is None:
            yield f"has {name}={attributes[name][:40]}, which is no number of at least zero"
    for name in _CUES:
        if name in attributes and _HEX.fullmatch(attributes[name]) is None:
            yield f"has {name} that is no hexadecimal number"


def _date(text: str | None) -> float | None:
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


RULES = (Rule(51, "date ranges have a name and a beginning, and say one thing", "S 4.4.5.1", _date_ranges),)
