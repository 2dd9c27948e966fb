"""What a user agent tells its user.

Legs, calls, requests and subscriptions in them are handles: they are compared by identity, and their ``owner`` is
for the user.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent.inviting import OutgoingInvite
    from roomtone.protocols.sip.agent.leg import Leg
    from roomtone.protocols.sip.agent.outgoing import Outgoing
    from roomtone.protocols.sip.agent.publications import Publication
    from roomtone.protocols.sip.agent.published import StateChange
    from roomtone.protocols.sip.agent.subscription import Subscription
    from roomtone.protocols.sip.message import Request, Response
    from roomtone.protocols.sip.transaction import ServerTransaction


class EndReason(StrEnum):
    """Why a leg, a request or a subscription came to its end."""

    LOCAL = "local"
    """Our user ended it."""
    REMOTE = "remote"
    """The peer ended it."""
    CANCELLED = "cancelled"
    """Whoever sent the INVITE gave up before it was answered."""
    REFUSED = "refused"
    """By a final response of 300 or more."""
    FORKED = "forked"
    """Another fork of the INVITE was answered."""
    REPLACED = "replaced"
    """Another dialog took its place (RFC 3891)."""
    GONE = "gone"
    """The peer does not know the dialog any more (481), or does not answer in it (408)."""
    TIMEOUT = "timeout"
    """No final response."""
    TRANSPORT_ERROR = "transport_error"
    NO_ACK = "no_ack"
    """Our 2xx was never acknowledged."""
    NO_PRACK = "no_prack"
    """Our reliable provisional response was never acknowledged."""
    EXPIRED = "expired"
    """Nothing refreshed it in time."""
    ABANDONED = "abandoned"
    """Our user never answered it."""
    MALFORMED = "malformed"
    """The peer sent what cannot be understood where it had to be."""


class Invited(NamedTuple):
    """A new INVITE: `UserAgent.progress`, `answer`, `refuse`."""

    leg: Leg
    request: Request
    replaces: Leg | None
    """The leg whose place it takes when it is answered (RFC 3891); that one is then ended."""


class Progressed(NamedTuple):
    """A provisional response to an INVITE of ours, but 100; ``leg`` is None when it has no tag."""

    call: OutgoingInvite
    leg: Leg | None
    response: Response
    wants_answer: bool
    """It is reliable and has an offer: `UserAgent.acknowledge_progress` is to be called with the answer."""


class Answered(NamedTuple):
    """The first 2xx to an INVITE of ours. The INVITE had no offer: `UserAgent.acknowledge` is to be called."""

    call: OutgoingInvite
    leg: Leg
    response: Response


class Refused(NamedTuple):
    """An INVITE of ours came to nothing."""

    call: OutgoingInvite
    response: Response | None
    reason: EndReason


class Confirmed(NamedTuple):
    """Our 2xx has been acknowledged; the ACK has the answer when the offer was in the 2xx."""

    leg: Leg
    ack: Request


class Pracked(NamedTuple):
    """A reliable provisional response of ours has been acknowledged.

    ``transaction`` is there when the PRACK has an offer or an answer: `UserAgent.respond` is to be called for an offer,
    and was done for an answer.
    """

    leg: Leg
    request: Request
    transaction: ServerTransaction | None


class Reoffered(NamedTuple):
    """A re-INVITE or an UPDATE: `UserAgent.respond`. Refreshes without a body are answered by the agent itself."""

    leg: Leg
    transaction: ServerTransaction
    request: Request


class Requested(NamedTuple):
    """Any other request, in a dialog or outside: `UserAgent.respond`, `accept_refer`, `accept_subscription`."""

    leg: Leg | None
    transaction: ServerTransaction
    request: Request


class Responded(NamedTuple):
    """The final response to a request of ours other than an initial INVITE; None: why there was none."""

    outgoing: Outgoing
    response: Response | None
    reason: EndReason | None


class Ended(NamedTuple):
    """A leg is over; nothing more will come of it."""

    leg: Leg
    reason: EndReason
    message: Request | Response | None


class Notified(NamedTuple):
    """A NOTIFY of a subscription of ours; it has been answered."""

    subscription: Subscription
    request: Request


class Resubscribed(NamedTuple):
    """A subscriber refreshed; what was notified last has been sent again."""

    subscription: Subscription
    request: Request


class SubscriptionEnded(NamedTuple):
    """A subscription is over, in either role."""

    subscription: Subscription
    reason: EndReason
    message: Request | Response | None


class StateChanged(NamedTuple):
    """Somebody published, changed or took back a state, or it expired; a PUBLISH has been answered."""

    change: StateChange


class PublicationEnded(NamedTuple):
    """What we published is not there any more, or never was."""

    publication: Publication
    reason: EndReason
    response: Response | None


AgentEvent: TypeAlias = (
    Invited
    | Progressed
    | Answered
    | Refused
    | Confirmed
    | Pracked
    | Reoffered
    | Requested
    | Responded
    | Ended
    | Notified
    | Resubscribed
    | SubscriptionEnded
    | StateChanged
    | PublicationEnded
)
