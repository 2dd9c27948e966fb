"""The user agent core of SIP: calls, their dialogs, subscriptions, and all other requests."""

from roomtone.protocols.sip.agent.agent import UserAgent
from roomtone.protocols.sip.agent.events import (
    AgentEvent,
    Answered,
    Confirmed,
    Ended,
    EndReason,
    Invited,
    Notified,
    Pracked,
    Progressed,
    PublicationEnded,
    Refused,
    Reoffered,
    Requested,
    Responded,
    Resubscribed,
    StateChanged,
    SubscriptionEnded,
)
from roomtone.protocols.sip.agent.hooks import Authenticator, Guard
from roomtone.protocols.sip.agent.inviting import OutgoingInvite
from roomtone.protocols.sip.agent.leg import Leg
from roomtone.protocols.sip.agent.outgoing import Outgoing
from roomtone.protocols.sip.agent.publications import Publication
from roomtone.protocols.sip.agent.published import StateChange, StateKind
from roomtone.protocols.sip.agent.referral import Referral, RefersToNobodyError, read_referral, replaces_of
from roomtone.protocols.sip.agent.reoffer import Reoffer
from roomtone.protocols.sip.agent.settings import (
    AgentCounters,
    AgentLimits,
    AgentSettings,
    TooManyError,
    WrongStateError,
)
from roomtone.protocols.sip.agent.subscription import Subscription

__all__ = [
    "AgentCounters",
    "AgentEvent",
    "AgentLimits",
    "AgentSettings",
    "Answered",
    "Authenticator",
    "Confirmed",
    "EndReason",
    "Ended",
    "Guard",
    "Invited",
    "Leg",
    "Notified",
    "Outgoing",
    "OutgoingInvite",
    "Pracked",
    "Progressed",
    "Publication",
    "PublicationEnded",
    "Referral",
    "RefersToNobodyError",
    "Refused",
    "Reoffer",
    "Reoffered",
    "Requested",
    "Responded",
    "Resubscribed",
    "StateChange",
    "StateChanged",
    "StateKind",
    "Subscription",
    "SubscriptionEnded",
    "TooManyError",
    "UserAgent",
    "WrongStateError",
    "read_referral",
    "replaces_of",
]
