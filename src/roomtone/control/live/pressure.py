"""How full the queues of a live stream are, and whether who sends it is slowed down for that. Pure.

These values are what the API answers, and their sentences are those of its description: they are written once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from roomtone.media.values import IngestPace, IngestProtocol, PressureLevel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.media import Report

_DESCRIBED = {"use_attribute_docstrings": True, "extra": "forbid"}


class SlowingMeans(StrEnum):
    """By what a source is told to send less."""

    TCP = "tcp"
    """Nothing is read of it, and nothing acknowledged: its connection fills, and it waits."""
    FLOW_WINDOW = "flow_window"
    """The flow window of SRT: two packets each 10 ms, 2 Mbit/s; what becomes too old meanwhile the sender drops."""
    NONE = "none"
    """Its protocol has no such thing: groups of pictures are lost instead."""


_MEANS = {
    IngestProtocol.RTMP: SlowingMeans.TCP,
    IngestProtocol.RTMPS: SlowingMeans.TCP,
    IngestProtocol.SRT: SlowingMeans.FLOW_WINDOW,
}


class QueueKind(StrEnum):
    """What waits in a queue."""

    WAY_IN = "way_in"
    """What an encoder has sent; its units are the bundles that wait, of all streams."""
    TRACK = "track"
    """Units of a track that wait for their place in the lists."""
    TRANSCODER = "transcoder"
    """Units that wait for who codes them anew for the lists."""
    MAKING = "making"
    """Likewise, for who watches by WebRTC."""
    READER = "reader"
    """Packets for one who reads by SRT; the level counts how late it acknowledges, too."""
    MEMORY = "memory"
    """Segments in memory; beyond the limit the oldest are dropped before their time."""


@dataclass(frozen=True, slots=True)
class QueuePressure:
    """A queue as it is now; null: that is not limited, or not counted."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DESCRIBED

    name: str
    kind: QueueKind
    level: PressureLevel
    """normal; elevated from half of its limit on; high from three quarters; critical from nine tenths. A level ends a
    tenth of the limit under where it begins."""
    bytes: int
    bytes_limit: int | None
    units: int | None
    units_limit: int | None
    units_dropped: int
    groups_dropped: int
    """Groups of pictures of which something or all was lost, since it did not fit."""
    slows_source: bool
    """Whether the source is slowed down where this is critical; who reads beside the stream slows nobody."""


@dataclass(frozen=True, slots=True)
class SourcePressure:
    """What sends the stream."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DESCRIBED

    protocol: IngestProtocol | None
    """null: a room, whose participants are not slowed down."""
    means: SlowingMeans
    pace: IngestPace
    slowdowns: int
    """How often it was slowed down."""


@dataclass(frozen=True, slots=True)
class StreamPressure:
    """How full the queues of a live stream are."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DESCRIBED

    level: PressureLevel
    """The highest of all its queues."""
    source: SourcePressure
    queues: tuple[QueuePressure, ...]
    memory_bytes: int
    """What all live streams hold in memory."""
    memory_limit: int
    memory_level: PressureLevel


def source_of(
    protocol: IngestProtocol | None, pace: IngestPace = IngestPace.FREE, slowdowns: int = 0
) -> SourcePressure:
    """Say by what a source is slowed down, and whether it is; WebRTC has nothing for it."""
    means = SlowingMeans.NONE if protocol is None else _MEANS.get(protocol, SlowingMeans.NONE)
    return SourcePressure(protocol, means, pace, slowdowns)


def read_pressure(source: SourcePressure, reports: Iterable[Report], readers: Iterable[Report]) -> StreamPressure:
    """Read what the engine says of a stream's queues, and of who reads it by SRT."""
    queues = []
    total: Report = {}
    for report in reports:
        if report["type"] == "packager-queue":
            queues.append(_queue(report))
        elif report["type"] == "live-memory":
            total = report
    queues += [_reader(report) for report in readers]
    order = list(PressureLevel)
    return StreamPressure(
        level=max((queue.level for queue in queues), key=order.index, default=PressureLevel.NORMAL),
        source=source,
        queues=tuple(queues),
        memory_bytes=_count(total, "bytes"),
        memory_limit=_count(total, "bytesLimit"),
        memory_level=PressureLevel(str(total.get("level", PressureLevel.NORMAL.value))),
    )


def _queue(report: Report) -> QueuePressure:
    return QueuePressure(
        name=str(report["name"]),
        kind=QueueKind(str(report["kind"])),
        level=PressureLevel(str(report["level"])),
        bytes=_count(report, "bytes"),
        bytes_limit=_limit(report, "bytesLimit"),
        units=_limit(report, "units"),
        units_limit=_limit(report, "unitsLimit"),
        units_dropped=_count(report, "unitsDropped"),
        groups_dropped=_count(report, "groupsDropped"),
        slows_source=bool(report["slowsSource"]),
    )


def _reader(report: Report) -> QueuePressure:
    return QueuePressure(
        name=str(report["id"]),
        kind=QueueKind.READER,
        level=PressureLevel(str(report.get("level", PressureLevel.NORMAL.value))),
        bytes=_count(report, "bytes_waiting"),
        bytes_limit=_limit(report, "bytes_limit"),
        units=None,
        units_limit=None,
        units_dropped=_count(report, "units_dropped"),
        groups_dropped=_count(report, "groups_dropped"),
        slows_source=False,
    )


def _count(report: Report, name: str) -> int:
    return int(report.get(name) or 0)


def _limit(report: Report, name: str) -> int | None:
    value = report.get(name)
    return int(value) if isinstance(value, int | float) else None
