"""What is read of fragmented MP4 (ISO/IEC 14496-12): headers, fragments, sample flags."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTAINERS = frozenset({"moov", "trak", "mdia", "minf", "stbl", "mvex", "moof", "traf", "edts"})
_NOT_SYNC = 0x01_0000
_BASE_IS_MOOF = 0x02_0000
_SAMPLE_ENTRY = 8
_VISUAL_ENTRY, _AUDIO_ENTRY = 78, 28
MAX_SAMPLES = 100_000
"""Samples that are read of one run."""


class BoxError(Exception):
    """It is no sequence of whole boxes."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box, its header left out."""

    type: str
    body: memoryview

    def children(self, skip: int = 0) -> Iterator[Box]:
        """Give the boxes in it, after ``skip`` bytes."""
        return read_boxes(self.body[skip:])


@dataclass(frozen=True, slots=True)
class Track:
    """A track of a header."""

    id: int
    timescale: int
    entry: str
    """Type of its sample entry."""
    inside: tuple[str, ...]
    """Types of the boxes in the sample entry."""
    samples: int
    default_duration: int
    default_flags: int


@dataclass(frozen=True, slots=True)
class TrackFragment:
    """Samples of one track in one fragment; times in ticks of the track."""

    track: int
    base_is_moof: bool
    decode_time: int | None
    duration: int
    samples: int
    sync: tuple[bool, ...]
    """Of each sample, whether decoding can begin with it."""
    first_offset: int
    """Composition offset of the first sample."""


@dataclass(frozen=True, slots=True)
class Media:
    """What a part or segment holds."""

    order: tuple[str, ...]
    """Types of its boxes."""
    sequences: tuple[int, ...]
    fragments: tuple[TrackFragment, ...]
    payload: bytes
    """Of all `mdat` boxes, one after the other."""


def read_boxes(data: memoryview | bytes) -> Iterator[Box]:
    """Give the boxes of some bytes in order; raise `BoxError`."""
    view = memoryview(data)
    at = 0
    while at < len(view):
        if len(view) - at < 8:  # noqa: PLR2004 - size and type
            raise BoxError("a box is cut short")
        size, head = int.from_bytes(view[at : at + 4]), 8
        if size == 1:
            size, head = int.from_bytes(view[at + 8 : at + 16]), 16
        elif size == 0:
            size = len(view) - at
        if size < head or at + size > len(view):
            raise BoxError("a box is longer than what holds it")
        yield Box(bytes(view[at + 4 : at + 8]).decode("latin-1"), view[at + head : at + size])
        at += size


def read_tracks(data: bytes) -> tuple[Track, ...]:
    """Read the tracks of a header; raise `BoxError`."""
    defaults: dict[int, tuple[int, int]] = {}
    tracks = []
    try:
        boxes = list(_walk(data))
        for path, box in boxes:
            if path == "moov/mvex/trex":
                track, _, duration, _, flags = struct.unpack_from(">IIIII", box.body, 4)
                defaults[track] = (duration, flags)
        for path, box in boxes:
            if path == "moov/trak":
                tracks.append(_track(box, defaults))
    except (struct.error, IndexError) as error:
        raise BoxError(str(error)) from error
    return tuple(tracks)


def read_media(data: bytes, tracks: tuple[Track, ...]) -> Media:
    """Read a part or segment; raise `BoxError`."""
    by_id = {track.id: track for track in tracks}
    order, sequences, fragments, payload = [], [], [], bytearray()
    try:
        for box in read_boxes(data):
            order.append(box.type)
            if box.type == "mdat":
                payload += box.body
            if box.type == "moof":
                for child in box.children():
                    if child.type == "mfhd":
                        sequences.append(struct.unpack_from(">I", child.body, 4)[0])
                    if child.type == "traf":
                        fragments.append(_fragment(child, by_id))
    except (struct.error, IndexError) as error:
        raise BoxError(str(error)) from error
    return Media(tuple(order), tuple(sequences), tuple(fragments), bytes(payload))


def _walk(data: bytes | memoryview, path: str = "") -> Iterator[tuple[str, Box]]:
    for box in read_boxes(data):
        here = f"{path}/{box.type}" if path else box.type
        yield here, box
        if box.type in _CONTAINERS:
            yield from _walk(box.body, here)


def _track(trak: Box, defaults: dict[int, tuple[int, int]]) -> Track:
    id_ = timescale = samples = 0
    entry, inside = "", tuple[str, ...]()
    for path, box in _walk(trak.body):
        long = box.body[0] == 1 if len(box.body) else False
        match path:
            case "tkhd":
                id_ = struct.unpack_from(">I", box.body, 20 if long else 12)[0]
            case "mdia/mdhd":
                timescale = struct.unpack_from(">I", box.body, 20 if long else 12)[0]
            case "mdia/minf/stbl/stts":
                count = struct.unpack_from(">I", box.body, 4)[0]
                samples = sum(struct.unpack_from(">I", box.body, 8 + 8 * at)[0] for at in range(min(count, 1000)))
            case "mdia/minf/stbl/stsd":
                first = next(box.children(_SAMPLE_ENTRY), None)
                if first is not None:
                    entry, inside = first.type, _inside(first)
            case _:
                pass
    duration, flags = defaults.get(id_, (0, 0))
    return Track(id_, timescale, entry, inside, samples, duration, flags)


def _inside(entry: Box) -> tuple[str, ...]:
    for skip in (_VISUAL_ENTRY, _AUDIO_ENTRY, _SAMPLE_ENTRY):
        try:
            found = tuple(box.type for box in entry.children(skip))
        except BoxError:
            continue
        if found and all(type_.isprintable() for type_ in found):
            return found
    return ()


def _fragment(traf: Box, tracks: dict[int, Track]) -> TrackFragment:
    track, base_is_moof, decode_time = 0, False, None
    default_duration = default_flags = 0
    duration = samples = first_offset = 0
    sync: list[bool] = []
    for box in traf.children():
        if box.type == "tfhd":
            flags, track = _flags(box), struct.unpack_from(">I", box.body, 4)[0]
            base_is_moof = bool(flags & _BASE_IS_MOOF)
            of_track = tracks.get(track)
            default_duration = of_track.default_duration if of_track else 0
            default_flags = of_track.default_flags if of_track else 0
            default_duration, default_flags = _tfhd_defaults(box, flags, default_duration, default_flags)
        elif box.type == "tfdt":
            long = box.body[0] == 1
            decode_time = struct.unpack_from(">Q" if long else ">I", box.body, 4)[0]
        elif box.type == "trun":
            run = _run(box, default_duration, default_flags)
            first_offset = run[2] if not samples else first_offset
            samples += len(run[1])
            duration += run[0]
            sync += run[1]
    return TrackFragment(track, base_is_moof, decode_time, duration, samples, tuple(sync), first_offset)


def _flags(box: Box) -> int:
    return int.from_bytes(box.body[1:4])


def _tfhd_defaults(box: Box, flags: int, duration: int, sample_flags: int) -> tuple[int, int]:
    at = 8 + (8 if flags & 0x01 else 0) + (4 if flags & 0x02 else 0)
    if flags & 0x08:
        duration = struct.unpack_from(">I", box.body, at)[0]
        at += 4
    if flags & 0x10:
        at += 4
    if flags & 0x20:
        sample_flags = struct.unpack_from(">I", box.body, at)[0]
    return duration, sample_flags


def _run(box: Box, default_duration: int, default_flags: int) -> tuple[int, list[bool], int]:
    """Give the duration of a run, which of its samples are sync samples, and the first composition offset."""
    flags, count = _flags(box), struct.unpack_from(">I", box.body, 4)[0]
    if count > MAX_SAMPLES:
        raise BoxError(f"a run has {count} samples")
    at = 8 + (4 if flags & 0x01 else 0)
    first_flags = None
    if flags & 0x04:
        first_flags = struct.unpack_from(">I", box.body, at)[0]
        at += 4
    total, sync, first_offset = 0, [], 0
    for sample in range(count):
        duration, sample_flags, offset = default_duration, default_flags, 0
        if sample == 0 and first_flags is not None:
            sample_flags = first_flags
        for bit in (0x100, 0x200, 0x400, 0x800):
            if not flags & bit:
                continue
            if bit == 0x100:  # noqa: PLR2004 - flags of 14496-12 section 8.8.8
                duration = struct.unpack_from(">I", box.body, at)[0]
            elif bit == 0x400:  # noqa: PLR2004
                sample_flags = struct.unpack_from(">I", box.body, at)[0]
            elif bit == 0x800:  # noqa: PLR2004
                offset = struct.unpack_from(">i" if box.body[0] else ">I", box.body, at)[0]
            at += 4
        total += duration
        sync.append(not sample_flags & _NOT_SYNC)
        first_offset = offset if sample == 0 else first_offset
    return total, sync, first_offset
