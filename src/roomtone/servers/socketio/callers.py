"""Who calls: the bearer of a room token, of an account's token, or of a key's token with roomAdmin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.control.accounts import AccountError
from roomtone.control.policy import AccessError, AccessToken, Grant, permissions_of, require
from roomtone.control.policy.roles import Ability, require_ability, room_grants
from roomtone.control.rooms import Permissions

if TYPE_CHECKING:
    from roomtone.servers.socketio.context import SfuContext


class Standing(StrEnum):
    """What others are told of a peer that has no account; an account's role is told otherwise."""

    MODERATOR = "moderator"
    PARTICIPANT = "participant"


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a valid token."""

    token: AccessToken
    email: str | None = None

    @property
    def identity(self) -> str:
        """Who it is: the token's ``sub``."""
        return self.token.identity

    def administers(self, room: str) -> bool:
        """Whether it may act for others in a room; a grant that names no room is for all."""
        grants = self.token.grants
        return grants.room_admin and (not grants.room or grants.room == room)

    def permissions_in(self, room: str) -> Permissions:
        """Say what it may do in a room it wants to join; raise `AccessError` when it may not join."""
        role = self.token.role
        if role is not None:
            require_ability(role, Ability.JOIN_ROOMS)
            return permissions_of(replace(self.token, grants=room_grants(role, room)))
        try:
            require(self.token, room, Grant.JOIN)
        except AccessError:
            if self.administers(room):
                return Permissions()  # it joins for somebody else, who is nobody special
            raise
        return permissions_of(self.token)


async def read_caller(context: SfuContext, token: str | None) -> Caller:
    """Check a token and look its account up; raise `AccessError`."""
    access = context.keys.verify(token, context.wall_clock())
    if access.account_id is None or context.accounts is None:
        return Caller(access)
    try:
        account = await context.accounts.find(access.account_id)
    except AccountError:
        return Caller(access)  # it was deleted meanwhile; the token says what it may do
    return Caller(replace(access, name=access.name or account.name or account.username), account.email)
