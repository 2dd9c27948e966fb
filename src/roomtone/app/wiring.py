"""Control and the API over an engine: the one place that knows their constructors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.policy import IceServerRule, KeyTable
from roomtone.control.rooms import RoomLimits, Rooms
from roomtone.servers.api import ApiContext, ApiSettings, create_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from roomtone.config import IceServer, Settings
    from roomtone.media import Engine


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs on top of the engine."""

    rooms: Rooms
    api: ASGIApp


def wire(settings: Settings, engine: Engine, *, version: str, behind_front_door: bool) -> Parts:
    """Put control and the API together."""
    rooms = Rooms(engine, room_limits(settings))
    context = ApiContext(
        rooms=rooms,
        keys=KeyTable(settings.api_keys),
        settings=api_settings(settings, behind_front_door=behind_front_door),
        version=version,
    )
    return Parts(rooms, create_app(context))


def api_settings(settings: Settings, *, behind_front_door: bool) -> ApiSettings:
    """Limits and options of the API, from the settings."""
    limits = settings.limits
    return ApiSettings(
        dev=settings.server.dev,
        behind_front_door=behind_front_door,
        joins_per_second=limits.joins_per_second,
        sessions_per_address=limits.sessions_per_address,
        max_addresses=limits.max_addresses,
        max_sdp_bytes=limits.max_sdp_bytes,
        max_trickle_bytes=limits.max_trickle_bytes,
        max_json_bytes=limits.max_json_bytes,
        ice_servers=tuple(ice_server_rule(server) for server in settings.ice.servers),
    )


def ice_server_rule(server: IceServer) -> IceServerRule:
    """Turn one configured ICE server into what control hands to clients."""
    return IceServerRule(
        urls=server.urls,
        username=server.username,
        credential=server.credential.get_secret_value() if server.credential else None,
        secret=server.secret.get_secret_value() if server.secret else None,
        ttl_s=server.ttl_s,
    )


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
