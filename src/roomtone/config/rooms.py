"""Settings of rooms, of who speaks in them and of their chat."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from roomtone.config.section import NotNegative, Positive, Section
from roomtone.config.types import Strings  # noqa: TC001 - pydantic reads the annotation


class RoomSettings(Section):
    """Rooms."""

    create_on_join: bool = True
    """Joining a room that does not exist makes it."""
    max_rooms: Positive = 1_000
    """Most rooms at once; above it 503."""
    max_participants: Positive = 500
    """Most participants of a room (viewers by WHEP not counted); above it 503."""
    max_viewers: Positive = 5_000
    """Most viewers of a room; above it 503."""
    max_tracks_per_participant: Positive = 32
    """Most tracks one participant may publish; above it 422."""
    audio_top_n: Annotated[int, Field(ge=0, le=255)] = 0
    """Forward only the audio of so many participants, those who speak; 0 forwards all."""
    routers_per_room: Positive = 1
    """Media threads whose viewers one room may have; publishers share one, and their tracks are piped to the others."""
    max_publications: Positive = 2_000
    """Most tracks of all participants of a room together; above it 422."""
    empty_timeout_s: NotNegative = 300
    """How long a room lives to which nobody ever came."""
    departure_timeout_s: NotNegative = 20
    """How long a room lives on when all participants and viewers have left."""
    max_ended: Positive = 1_000
    """Ends of participants, viewers and rooms that are remembered for operators, of all rooms; the oldest go."""
    lobby_size: Positive = 100
    """Most people who may wait in the lobby of a room; above it 503."""
    lobby_timeout_s: Positive = 300
    """How long somebody waits in a lobby for an answer."""
    codecs: Strings = ()
    """Codecs that may be published ("VP8", "OPUS"), where a room does not say; empty: all."""


class SpeakerSettings(Section):
    """Who is said to speak, by the audio levels that publishers send (RFC 6464)."""

    interval_ms: Annotated[int, Field(ge=20, le=10_000)] = 400
    """How often that is looked at."""
    threshold_dbov: Annotated[int, Field(ge=-127, le=0)] = -50
    """Softer audio is silence; 0 is full scale."""
    percentile: Annotated[int, Field(ge=1, le=100)] = 40
    """Percentage of an interval that must be loud."""
    smoothing: Annotated[float, Field(ge=0.01, le=1)] = 0.3
    """Weight of the newest interval in the level that is told."""
    hold_ms: Annotated[int, Field(ge=0, le=60_000)] = 1000
    """How long somebody still counts as speaking after falling silent."""
    top_n: Annotated[int, Field(ge=0, le=64)] = 3
    """Most speakers named at once; 0 switches this off."""


class ChatSettings(Section):
    """Text chat of rooms."""

    max_length: Positive = 4_000
    """Longest message in characters; above it 422."""
    burst: Positive = 10
    """Messages of one participant that may come at once; above it 503."""
    per_minute: NotNegative = 60
    """Messages of one participant a minute after that."""
    history: Positive = 1_000
    """Messages of a room kept in memory, unless `keep` is on; the oldest go."""
    keep: bool = False
    """Keep messages in the database under the room's name, for who opens it again; off: they go with the room."""
