"""What a token's bearer may do in a room, in the words of rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.rooms import ParticipantKind, Permissions, TrackSource

if TYPE_CHECKING:
    from roomtone.control.policy.tokens import AccessToken

_KINDS = {
    "ingress": ParticipantKind.INGEST,
    "egress": ParticipantKind.EGRESS,
    "sip": ParticipantKind.SIP,
    "agent": ParticipantKind.AGENT,
}


def permissions_of(token: AccessToken) -> Permissions:
    """Give what a participant that joins with this token may do."""
    grants = token.grants
    known = {source.value: source for source in TrackSource}
    sources = frozenset(known[name] for name in grants.can_publish_sources if name in known)
    # Sources nobody knows are none: an empty set would stand for all of them.
    only_unknown = bool(grants.can_publish_sources) and not sources
    return Permissions(
        can_publish=grants.can_publish and not only_unknown,
        publish_sources=sources,
        can_subscribe=grants.can_subscribe,
        can_publish_data=grants.may_publish_data,
        can_update_own_metadata=grants.can_update_own_metadata,
        hidden=grants.hidden,
        recorder=grants.recorder,
        agent=grants.agent or kind_of(token) is ParticipantKind.AGENT,
        moderator=grants.room_admin,
    )


def kind_of(token: AccessToken) -> ParticipantKind:
    """Give how much of a participant the bearer is; what no kind is known for is a person."""
    return _KINDS.get(token.kind.lower(), ParticipantKind.STANDARD)
