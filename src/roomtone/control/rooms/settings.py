"""Limits of rooms; `roomtone.config` fills them from the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from roomtone.control.rooms.options import RoomOptions
from roomtone.control.rooms.speakers import SpeakerRules


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """How many of each thing, how long an empty room lives, and what a room is like unless said otherwise."""

    create_on_join: bool = True
    max_rooms: int = 1_000
    max_participants: int = 500
    max_viewers: int = 5_000
    max_tracks_per_participant: int = 32
    max_publications: int = 2_000
    max_ended: int = 1_000
    empty_timeout_s: float = 300.0
    departure_timeout_s: float = 20.0
    lobby_size: int = 100
    lobby_timeout_s: float = 300.0
    chat_max_length: int = 4_000
    chat_burst: int = 10
    chat_per_minute: int = 60
    chat_history: int = 1_000
    chat_keep: bool = False
    codecs: tuple[str, ...] = ()
    routers_per_room: int = 1
    audio_top_n: int = 0
    plain_listen_ip: str = "127.0.0.1"
    speakers: SpeakerRules = field(default_factory=SpeakerRules)

    def defaults(self) -> RoomOptions:
        """Options of a room that was made without any."""
        return RoomOptions(codecs=frozenset(name.upper() for name in self.codecs))
