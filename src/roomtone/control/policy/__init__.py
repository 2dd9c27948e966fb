"""Who may do what: tokens and grants, ICE credentials, rates."""

from roomtone.control.policy.denials import AccessDenial, AccessError
from roomtone.control.policy.grants import Grant, VideoGrants
from roomtone.control.policy.ice import IceServerRule, ice_servers
from roomtone.control.policy.pace import Allowance, Pace
from roomtone.control.policy.permissions import kind_of, permissions_of, renewed_token
from roomtone.control.policy.rates import JoinLimiter, JoinTicket, RateError
from roomtone.control.policy.roles import ROLES, Ability, Role, may, require_ability, room_grants
from roomtone.control.policy.tokens import (
    ACCOUNT_ISSUER,
    DEV_KEY,
    DEV_SECRET,
    ROOM_ISSUER,
    AccessToken,
    AccountGate,
    KeyTable,
    OwnKeys,
    require,
)

__all__ = [
    "ACCOUNT_ISSUER",
    "DEV_KEY",
    "DEV_SECRET",
    "ROLES",
    "ROOM_ISSUER",
    "Ability",
    "AccessDenial",
    "AccessError",
    "AccessToken",
    "AccountGate",
    "Allowance",
    "Grant",
    "IceServerRule",
    "JoinLimiter",
    "JoinTicket",
    "KeyTable",
    "OwnKeys",
    "Pace",
    "RateError",
    "Role",
    "VideoGrants",
    "ice_servers",
    "kind_of",
    "may",
    "permissions_of",
    "renewed_token",
    "require",
    "require_ability",
    "room_grants",
]
