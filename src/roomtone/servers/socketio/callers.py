"""Who calls: a room token or an account's token, and what it lets its bearer do in a room."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.control.policy import AccessDenial, AccessError, AccessToken
from roomtone.control.rooms import Permissions

if TYPE_CHECKING:
    from roomtone.control.policy import KeyTable


class Role(StrEnum):
    """What others are told of a peer's standing in a room."""

    MODERATOR = "moderator"
    PARTICIPANT = "participant"


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a valid token."""

    identity: str
    token: AccessToken
    name: str = ""
    email: str | None = None
    account_id: str | None = None

    @property
    def may_administer(self) -> str | None:
        """The room it may administer; empty: every room; None: none."""
        grants = self.token.grants
        return grants.room if grants.room_admin else None

    def administers(self, room: str) -> bool:
        """Whether it may act for others in a room."""
        return self.may_administer in {room, ""}

    def permissions_in(self, room: str) -> Permissions:
        """Say what it may do in a room it wants to join; raise `AccessError` when it may not join."""
        grants = self.token.grants
        if not grants.room_join and not self.administers(room):
            raise AccessError(AccessDenial.NOT_GRANTED, "the token does not grant roomJoin")
        if grants.room != room and not self.administers(room):
            raise AccessError(AccessDenial.OTHER_ROOM, "the token is for another room")
        return Permissions(
            can_publish=grants.can_publish, can_subscribe=grants.can_subscribe, moderator=grants.room_admin
        )


def read_caller(keys: KeyTable, token: str | None, now: float) -> Caller:
    """Check a token; raise `AccessError`."""
    access = keys.verify(token, now)
    return Caller(access.identity, access, access.name)
