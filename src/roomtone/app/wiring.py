"""Control and the API over an engine: the one place that knows their constructors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.rooms import RoomLimits, Rooms
from roomtone.servers.api import ApiContext, create_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from roomtone.config import Settings
    from roomtone.media import Engine


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs on top of the engine."""

    rooms: Rooms
    api: ASGIApp


def wire(settings: Settings, engine: Engine, version: str) -> Parts:
    """Put control and the API together."""
    rooms = Rooms(engine, room_limits(settings))
    return Parts(rooms, create_app(ApiContext(settings=settings, rooms=rooms, engine=engine, version=version)))


def room_limits(settings: Settings) -> RoomLimits:
    """Limits of rooms, from the settings."""
    return RoomLimits(**settings.rooms.model_dump(), plain_listen_ip=settings.plain.listen_ip)


def room_gauges(rooms: Rooms) -> Mapping[str, float]:
    """Values for the metrics."""
    all_rooms = list(rooms.by_name.values())
    participants = [participant for room in all_rooms for participant in room.participants.values()]
    return {
        "rooms": len(all_rooms),
        "participants": len(participants),
        "viewers": sum(len(room.viewers) for room in all_rooms),
        "publications": sum(len(participant.publications) for participant in participants),
        "subscriptions": len(rooms.subscriptions),
        "connections": len(rooms.connections),
    }
