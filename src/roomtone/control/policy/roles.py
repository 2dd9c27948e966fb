"""The roles of accounts, and the one table of what each may do."""

from __future__ import annotations

from enum import StrEnum

from roomtone.control.policy.denials import AccessDenial, AccessError
from roomtone.control.policy.grants import VideoGrants


class Role(StrEnum):
    """What an account is on this server."""

    ADMIN = "admin"
    MODERATOR = "moderator"
    MEMBER = "member"


class Ability(StrEnum):
    """Something a role may do."""

    JOIN_ROOMS = "join_rooms"
    PUBLISH = "publish"
    UPDATE_OWN_METADATA = "update_own_metadata"
    LIST_ROOMS = "list_rooms"
    ADMINISTER_ROOMS = "administer_rooms"
    CREATE_ROOMS = "create_rooms"
    RECORD_ROOMS = "record_rooms"
    MANAGE_INGEST = "manage_ingest"
    MANAGE_WEBHOOKS = "manage_webhooks"
    MANAGE_PHONES = "manage_phones"
    MANAGE_ACCOUNTS = "manage_accounts"
    MANAGE_KEYS = "manage_keys"
    READ_AUDIT = "read_audit"


_MEMBER = frozenset({Ability.JOIN_ROOMS, Ability.PUBLISH, Ability.UPDATE_OWN_METADATA})
_MODERATOR = _MEMBER | {Ability.LIST_ROOMS, Ability.ADMINISTER_ROOMS}
ROLES: dict[Role, frozenset[Ability]] = {
    Role.MEMBER: _MEMBER,
    Role.MODERATOR: _MODERATOR,
    Role.ADMIN: frozenset(Ability),
}
"""What each role may do."""


def may(role: Role | None, ability: Ability) -> bool:
    """Whether a role may do something; who has no role may nothing."""
    return role is not None and ability in ROLES[role]


def require_ability(role: Role | None, ability: Ability) -> None:
    """Refuse with `AccessError` what a role may not do."""
    if not may(role, ability):
        who = "this token is no account's" if role is None else f"a {role.value} may not"
        raise AccessError(AccessDenial.NOT_GRANTED, f"{who}: {ability.value} is needed")


def room_grants(role: Role, room: str) -> VideoGrants:
    """Give what an account's token for one room grants."""
    return VideoGrants(
        room=room,
        room_join=may(role, Ability.JOIN_ROOMS),
        can_publish=may(role, Ability.PUBLISH),
        can_update_own_metadata=may(role, Ability.UPDATE_OWN_METADATA),
        room_admin=may(role, Ability.ADMINISTER_ROOMS),
    )


def server_grants(role: Role) -> VideoGrants:
    """Give what an account may do through the API, in all rooms; joining takes a token for the room."""
    return VideoGrants(
        room_admin=may(role, Ability.ADMINISTER_ROOMS),
        room_list=may(role, Ability.LIST_ROOMS),
        room_create=may(role, Ability.CREATE_ROOMS),
        room_record=may(role, Ability.RECORD_ROOMS),
        ingress_admin=may(role, Ability.MANAGE_INGEST),
        can_publish=False,
        can_subscribe=False,
    )
