"""Headers of subscriptions and publications (RFC 6665, RFC 3903): ``Event``, ``Subscription-State``."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import NO_PARAMS, Params
from roomtone.protocols.sip.headers.valued import parse_seconds, parse_valued


class Event(NamedTuple):
    """``Event``: a package (lower case), and the id that tells several subscriptions in one dialog apart."""

    package: str
    id: str | None = None
    params: Params = NO_PARAMS

    def serialize(self) -> str:
        """Write the value."""
        return f"{self.package}{f';id={self.id}' if self.id else ''}{self.params.serialize()}"


def parse_event(text: str) -> Event:
    """Read an ``Event`` (``o`` in compact form). Raises `SipSyntaxError`."""
    word = parse_valued(text, "Event")
    return Event(word.value.lower(), word.params.get("id") or None, word.params.without("id"))


class SubscriptionStatus(StrEnum):
    """State of a subscription (RFC 6665, 4.1.3)."""

    ACTIVE = "active"
    PENDING = "pending"
    TERMINATED = "terminated"


class SubscriptionState(NamedTuple):
    """``Subscription-State``; ``expires`` and ``retry_after`` in seconds, ``reason`` in lower case."""

    status: SubscriptionStatus
    expires: int | None = None
    reason: str | None = None
    retry_after: int | None = None

    def serialize(self) -> str:
        """Write the value."""
        parts = [str(self.status)]
        if self.reason:
            parts.append(f"reason={self.reason}")
        if self.expires is not None:
            parts.append(f"expires={self.expires}")
        if self.retry_after is not None:
            parts.append(f"retry-after={self.retry_after}")
        return ";".join(parts)


def parse_subscription_state(text: str) -> SubscriptionState:
    """Read a ``Subscription-State``. Raises `SipSyntaxError`, also for a state that RFC 6665 does not name."""
    word = parse_valued(text, "Subscription-State")
    if word.value.lower() not in set(SubscriptionStatus):
        raise SipSyntaxError(Fault.HEADER_VALUE, 0, f"no state: {word.value[:20]!r}", header="Subscription-State")
    reason = word.params.get("reason")
    return SubscriptionState(
        SubscriptionStatus(word.value.lower()),
        parse_seconds(word.params.get("expires"), "Subscription-State"),
        reason.lower() if reason else None,
        parse_seconds(word.params.get("retry-after"), "Subscription-State"),
    )
