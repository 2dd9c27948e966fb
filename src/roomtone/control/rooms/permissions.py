"""What a participant may do in a room, and who may subscribe to what it publishes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roomtone.control.rooms.values import TrackSource


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one participant may do; may change while it is in the room, and then takes effect on media at once."""

    can_publish: bool = True
    publish_sources: frozenset[TrackSource] = frozenset()
    """What it may publish; empty: every source."""
    can_subscribe: bool = True
    can_publish_data: bool = True
    """Data packets and chat."""
    can_update_own_metadata: bool = False
    """Its name, metadata and attributes."""
    hidden: bool = False
    """Others are not told that it is there."""
    recorder: bool = False
    agent: bool = False
    moderator: bool = False
    """It may admit, mute and remove others, and enters locked rooms."""

    def may_publish(self, source: TrackSource) -> bool:
        """Whether it may publish a track of this source."""
        return self.can_publish and (not self.publish_sources or source in self.publish_sources)

    @property
    def is_service(self) -> bool:
        """Whether it works for the room rather than takes part: it asks nobody, and takes no place of a person."""
        return self.recorder or self.agent


@dataclass(frozen=True, slots=True)
class SubscriptionRules:
    """Who may subscribe to a participant's tracks: everybody, or those named, to all or only some tracks.

    Viewers have no identity: only ``all`` lets them watch.
    """

    all: bool = True
    tracks: Mapping[str, frozenset[str] | None] = field(default_factory=dict)
    """By a subscriber's identity the ids of the tracks it may get; None: each."""

    def allows(self, identity: str | None, track: str) -> bool:
        """Whether this subscriber (None: a viewer) may get this track."""
        if self.all:
            return True
        if identity is None or identity not in self.tracks:
            return False
        allowed = self.tracks[identity]
        return allowed is None or track in allowed
