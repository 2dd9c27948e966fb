"""What stands for a forwarded participant in the other room, and what follows from its source."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.control.rooms.permissions import SubscriptionRules
from roomtone.control.rooms.requests import JoinRequest
from roomtone.control.rooms.values import TrackId

if TYPE_CHECKING:
    from roomtone.control.rooms.model import Participant
    from roomtone.control.rooms.permissions import Permissions
    from roomtone.control.rooms.tracks import Publication

_log = logging.getLogger(__name__)


class ForwardingCount(StrEnum):
    """What became of forwardings and of their tracks."""

    STARTED = "started"
    ENDED = "ended"
    TRACK_FORWARDED = "track_forwarded"
    TRACK_FAILED = "track_failed"
    """The other room has no place for it, does not take its codec, or the engine refused."""
    TRACK_BROKEN = "track_broken"
    """Its pipe ended in the engine; another one is made."""


@dataclass(eq=False, slots=True)
class Forwarding:
    """A participant and its mirror in another room."""

    source: Participant
    mirror: Participant
    tracks: dict[TrackId, Publication] = field(default_factory=dict)
    """The mirror's, by the source's ids."""
    repairs: int = 0
    under_way: bool = False
    again: bool = False
    """Something has changed since the mirror was last brought up to date."""


def request_of(source: Participant) -> JoinRequest:
    """Describe a mirror as if it joined."""
    return JoinRequest(
        identity=source.identity,
        name=source.name,
        metadata=source.metadata,
        attributes=tuple(source.attributes.items()),
        kind=source.kind,
        permissions=permissions_of(source),
        protocol=source.protocol,
        account_id=source.account_id,
    )


def permissions_of(source: Participant) -> Permissions:
    """Say what a mirror may do: publish what its source may, and nothing else."""
    return replace(
        source.permissions,
        can_subscribe=False,
        can_publish_data=False,
        can_update_own_metadata=False,
        moderator=False,
    )


def rules_of(forwarding: Forwarding) -> SubscriptionRules:
    """Say who may have a mirror's tracks: the identities whom its source lets have them."""
    rules = forwarding.source.subscription_rules
    if rules.all:
        return SubscriptionRules()
    ids = {track: publication.id for track, publication in forwarding.tracks.items()}
    return SubscriptionRules(
        all=False,
        tracks={
            identity: None if allowed is None else frozenset(ids[TrackId(t)] for t in allowed if TrackId(t) in ids)
            for identity, allowed in rules.tracks.items()
        },
    )
