"""Limits of rooms; `roomtone.config` fills them from the configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """How many of each thing, and how long an empty room lives."""

    create_on_join: bool = True
    max_rooms: int = 1_000
    max_participants: int = 500
    max_viewers: int = 5_000
    max_tracks_per_participant: int = 32
    empty_timeout_s: float = 60.0
    routers_per_room: int = 1
    audio_top_n: int = 0
    plain_listen_ip: str = "127.0.0.1"
