"""Who may do what: tokens and grants, ICE credentials, rates."""

from roomtone.control.policy.ice import IceServerRule, ice_servers
from roomtone.control.policy.rates import JoinLimiter, JoinTicket, RateError
from roomtone.control.policy.tokens import (
    DEV_KEY,
    DEV_SECRET,
    AccessDenial,
    AccessError,
    AccessToken,
    Grant,
    KeyTable,
    VideoGrants,
    require,
)

__all__ = [
    "DEV_KEY",
    "DEV_SECRET",
    "AccessDenial",
    "AccessError",
    "AccessToken",
    "Grant",
    "IceServerRule",
    "JoinLimiter",
    "JoinTicket",
    "KeyTable",
    "RateError",
    "VideoGrants",
    "ice_servers",
    "require",
]
