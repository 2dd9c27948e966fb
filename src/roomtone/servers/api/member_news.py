"""What event streams say to a viewer or a publisher: names and data of server-sent events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.rooms import CloseReason, Participant, RoomEventKind, Viewer
from roomtone.media import EngineCommandError
from roomtone.media.values import MediaKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roomtone.control.rooms import Publication, RoomEvent
    from roomtone.media.engine import Report
    from roomtone.servers.api.resources import Resource

News = list[tuple[str, object]]
BANDWIDTH = "bandwidth"
_COME_BACK = frozenset({CloseReason.ROOM_CLOSED, CloseReason.SERVER_SHUTDOWN, CloseReason.MEDIA_FAILED})
_LINE_FIGURES = {
    "estimate": "availableOutgoingBitrate",
    "allocated": "allocatedBitrate",
    "wanted": "wantedBitrate",
    "roundTripTime": "currentRoundTripTime",
    "congestion": "congestionDown",
    "quality": "qualityLevel",
}
_SECTION_FIGURES = {
    "currentSpatialLayer": "currentSpatialLayer",
    "currentTemporalLayer": "currentTemporalLayer",
    "targetSpatialLayer": "targetSpatialLayer",
    "targetTemporalLayer": "targetTemporalLayer",
    "paused": "pauseReason",
    "quality": "qualityLevel",
    "degradation": "degradation",
    "bytesSent": "bytesSent",
}


async def present(resource: Resource) -> News:
    """Tell a new reader what is now."""
    if isinstance(resource.member, Participant):
        tracks = resource.member.publications.values()
        news: News = [("encodings", _encodings(track)) for track in tracks if track.wanted is not None]
        return news + [("quality", _quality(track)) for track in tracks if track.quality is not None]
    if not any(subscription.source for subscription in resource.subscriptions.values()):
        return [_viewer_count(resource)]
    return [("active", {}), ("layers", await _layers(resource)), _viewer_count(resource)]


async def translate(resource: Resource, event: RoomEvent) -> News:
    """Say for this reader what happened in the room; nothing when it does not concern it."""
    member = resource.member
    if isinstance(member, Participant):
        return _for_publisher(member, event) if event.participant == member.identity else []
    if event.kind in {RoomEventKind.VIEWER_JOINED, RoomEventKind.VIEWER_LEFT}:
        if isinstance(member, Viewer) and event.viewer == member.id and event.kind is RoomEventKind.VIEWER_LEFT:
            return [("reconnect", {})] if event.reason in _COME_BACK else []
        return [_viewer_count(resource)]
    if isinstance(member, Viewer) and event.viewer == member.id:
        return await _for_viewer(resource, event)
    of_source = event.kind in {RoomEventKind.TRACK_ACTIVE, RoomEventKind.TRACK_SILENT}
    return [("layers", await _layers(resource))] if of_source and _is_source(resource, event.track) else []


async def bandwidth(resource: Resource) -> dict[str, object]:
    """Figures of a viewer's line and of what it is given, by the place of each video section in the offer."""
    line = await _report(resource.connection.transport.stats)
    sections = {
        str(index): {name: report.get(figure) for name, figure in _SECTION_FIGURES.items()}
        for index, subscription in tuple(resource.subscriptions.items())
        if subscription.offer.kind is MediaKind.VIDEO
        for report in [await _report(subscription.consumer.stats)]
    }
    return {name: line.get(figure) for name, figure in _LINE_FIGURES.items()} | {"media": sections}


def _for_publisher(participant: Participant, event: RoomEvent) -> News:
    track = None if event.track is None else participant.room.publication(event.track)
    if track is None:
        return []
    match event.kind:
        case RoomEventKind.ENCODINGS_WANTED:
            return [("encodings", _encodings(track))]
        case RoomEventKind.QUALITY_CHANGED:
            return [("quality", _quality(track) | {"score": event.score, "degradation": event.degradation})]
        case _:
            return []


async def _for_viewer(resource: Resource, event: RoomEvent) -> News:
    match event.kind:
        case RoomEventKind.SOURCE_SWITCHED if event.track is None:
            gone = not any(subscription.source for subscription in resource.subscriptions.values())
            return [("inactive", {})] if gone else []
        case RoomEventKind.SOURCE_SWITCHED:
            return [("active", {}), ("layers", await _layers(resource))]
        case RoomEventKind.LAYERS_CHANGED | RoomEventKind.VIEWER_STARVED | RoomEventKind.VIEWER_FED:
            return [("layers", await _layers(resource))]
        case _:
            return []


def _encodings(track: Publication) -> dict[str, object]:
    """Of each encoding of a track, whether anybody wants it, in which codec, and up to which temporal layer."""
    rids = track.rids
    wanted = track.wanted or ()
    return {
        "mediaId": track.offer.mid,
        "codec": track.mime,
        "encodings": [
            ({"rid": rids[place]} if place < len(rids) else {})
            | {"active": highest is not None, "maxTemporalLayerId": highest}
            for place, highest in enumerate(wanted)
        ],
    }


def _quality(track: Publication) -> dict[str, object]:
    return {"mediaId": track.offer.mid, "kind": track.offer.kind, "level": track.quality}


def _is_source(resource: Resource, track: str | None) -> bool:
    return any(s.source is not None and s.source.id == track for s in resource.subscriptions.values())


def _viewer_count(resource: Resource) -> tuple[str, object]:
    return "viewercount", {"viewercount": len(resource.member.room.viewers)}


async def _layers(resource: Resource) -> dict[str, list[dict[str, object]]]:
    """Layers of each video section, by its place in the offer; what is not received has ``active`` false.

    ``sent`` says which of them the viewer gets now.
    """
    layers: dict[str, list[dict[str, object]]] = {}
    for index, subscription in tuple(resource.subscriptions.items()):
        source = subscription.source
        if source is None or subscription.offer.kind is not MediaKind.VIDEO:
            continue
        encodings = source.offer.encodings or (None,)
        bitrates = await _bitrates(source)
        layers[str(index)] = [
            {
                "spatialLayerId": place,
                "active": place in source.started_encodings,
                "bitrate": bitrates.get(place, 0),
                "sent": place == subscription.current.spatial and not subscription.starved,
            }
            | ({} if encoding is None or encoding.rid is None else {"rid": encoding.rid})
            for place, encoding in enumerate(encodings)
        ]
    return layers


async def _bitrates(source: Publication) -> dict[int, int]:
    """Bits per second of each encoding as it arrives."""
    try:
        reports = await source.producer.stats()
    except EngineCommandError:
        return {}  # it ended while it was asked
    return {
        int(report["encoding"] or 0): int(report["bitrate"] or 0)
        for report in reports
        if "encoding" in report and "bitrate" in report
    }


async def _report(stats: Callable[[], Awaitable[list[Report]]]) -> Report:
    try:
        return (await stats())[0]
    except EngineCommandError:
        return {}  # it ended while it was asked
