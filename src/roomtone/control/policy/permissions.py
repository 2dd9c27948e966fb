"""What a token's bearer may do in a room, in the words of rooms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from roomtone.control.rooms import ParticipantKind, Permissions, TrackSource

if TYPE_CHECKING:
    from roomtone.control.policy.grants import VideoGrants
    from roomtone.control.policy.tokens import AccessToken, KeyTable
    from roomtone.control.rooms import Participant

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


def renewed_token(
    keys: KeyTable,
    token: AccessToken,
    participant: Participant,
    before: VideoGrants,
    room: str,
    *,
    lifetime_s: float,
    now: float,
) -> str | None:
    """Sign a participant's token anew, for a room, with what it may do and is called now; None when its key is gone.

    ``before`` are the grants that say what else its bearer may do. It lives for ``lifetime_s`` seconds.
    """
    permissions = participant.permissions
    grants = replace(
        before,
        room=room,
        room_join=True,
        can_publish=permissions.can_publish,
        can_subscribe=permissions.can_subscribe,
        can_publish_data=permissions.can_publish_data,
        can_publish_sources=tuple(sorted(source.value for source in permissions.publish_sources)),
        can_update_own_metadata=permissions.can_update_own_metadata,
        hidden=permissions.hidden,
        recorder=permissions.recorder,
        agent=permissions.agent,
        room_admin=permissions.moderator,
    )
    more = {
        "name": participant.name,
        "metadata": participant.metadata,
        "attributes": dict(participant.attributes),
        "kind": token.kind,
    }
    claims = {name: value for name, value in more.items() if value}
    try:
        return keys.renew(token, participant.identity, grants, now, lifetime_s, **claims)
    except KeyError:
        return None
