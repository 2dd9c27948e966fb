"""How full queues of streams are: what the engine says, as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roomtone.control.live import QueueKind, SlowingMeans
from roomtone.control.live.pressure import read_pressure, source_of
from roomtone.media.values import IngestPace, IngestProtocol, PressureLevel

if TYPE_CHECKING:
    from roomtone.media import Report


@pytest.mark.parametrize(
    ("protocol", "means"),
    [
        (IngestProtocol.RTMP, SlowingMeans.TCP),
        (IngestProtocol.RTMPS, SlowingMeans.TCP),
        (IngestProtocol.SRT, SlowingMeans.FLOW_WINDOW),
        (IngestProtocol.RTP, SlowingMeans.NONE),
        (IngestProtocol.MPEGTS, SlowingMeans.NONE),
        (None, SlowingMeans.NONE),
    ],
)
def test_each_protocol_says_by_what_it_is_slowed(protocol: IngestProtocol | None, means: SlowingMeans) -> None:
    source = source_of(protocol, IngestPace.SLOWED, 3)
    assert (source.means, source.pace, source.slowdowns) == (means, IngestPace.SLOWED, 3)


def queue(level: str, **more: int | str | bool | None) -> Report:
    common = {"type": "packager-queue", "name": "track-3", "kind": "track", "units": 7, "slowsSource": False}
    return {**common, "level": level, "bytes": 1, "bytesLimit": None, **more}


def test_the_level_is_that_of_the_fullest_and_readers_are_queues_too() -> None:
    reader: Report = {
        "type": "playout",
        "id": "playout-9",
        "level": "critical",
        "bytes_waiting": 5,
        "bytes_limit": 24,
        "units_dropped": 40,
        "groups_dropped": 2,
    }
    total: Report = {"type": "live-memory", "level": "high", "bytes": 80, "bytesLimit": 100}
    read = read_pressure(source_of(IngestProtocol.SRT), [queue("normal"), queue("high"), total], [reader])
    assert read.level is PressureLevel.CRITICAL
    assert (read.memory_bytes, read.memory_limit, read.memory_level) == (80, 100, PressureLevel.HIGH)
    first, _, last = read.queues
    assert (first.bytes_limit, first.units, first.units_dropped) == (None, 7, 0)
    assert (last.kind, last.name, last.groups_dropped) == (QueueKind.READER, "playout-9", 2)
    assert (last.units, last.slows_source) == (None, False)


def test_nothing_that_has_no_queue_yet_is_under_pressure() -> None:
    read = read_pressure(source_of(None), [], [])
    assert (read.level, read.queues, read.memory_limit) == (PressureLevel.NORMAL, (), 0)
