"""How a user agent behaves, how much it holds, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass, field

METHODS = frozenset({
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "MESSAGE", "UPDATE", "PRACK", "REFER", "NOTIFY", "SUBSCRIBE",
    "PUBLISH", "REGISTER",
})  # fmt: skip
EXTENSIONS = frozenset({"100rel", "timer", "replaces", "norefersub"})


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Behaviour of a user agent."""

    methods: frozenset[str] = METHODS
    """What is handed up; others are refused with 405."""
    extensions: frozenset[str] = EXTENSIONS
    """What peers may require; a request that requires more is refused with 420."""
    product: str = ""
    """Value of Server and User-Agent; empty: neither is written."""
    session_expires_s: int = 1_800
    """Session interval that is asked for (RFC 4028); 0: none."""
    min_session_s: int = 90
    """Shorter intervals are refused with 422."""
    reliable_provisionals: bool = True
    """Whether 100rel is offered (RFC 3262)."""
    max_subscription_s: int = 3_600
    """Longest life granted to a subscription."""
    min_subscription_s: int = 60
    """Shorter ones are refused with 423."""
    published_packages: frozenset[str] = frozenset()
    """Packages whose states are kept here; with none, each PUBLISH is handed up as any other request."""


@dataclass(frozen=True, slots=True)
class AgentLimits:
    """How much a user agent holds."""

    legs: int = 100_000
    """INVITEs and the dialogs they made; a further INVITE is refused with 503, one of ours with `TooManyError`."""
    forks: int = 16
    """Dialogs that one INVITE of ours may make; responses of others are dropped."""
    subscriptions: int = 100_000
    """In both roles; a further SUBSCRIBE or REFER is refused with 503, one of ours with `TooManyError`."""
    publications: int = 100_000
    """States published here and by us, each; a further PUBLISH is refused with 503, one of ours with `TooManyError`."""
    state_bytes: int = 65_536
    """Longest state that is kept; a longer one is refused with 413."""
    provisionals: int = 16
    """Reliable provisional responses of ours that wait for their turn."""
    tries: int = 3
    """How often a request is sent with new credentials or another session interval."""


@dataclass(slots=True)
class AgentCounters:
    """Sums since the start."""

    malformed: int = 0
    """Messages with headers that could not be read; requests among them were answered 400."""
    out_of_dialog: int = 0
    """Requests of dialogs there are not, answered 481."""
    out_of_order: int = 0
    """Requests with an old CSeq, answered 500."""
    stray_acks: int = 0
    forks_ended: int = 0
    """2xx that came after another was taken; acknowledged, and ended by BYE."""
    forks_dropped: int = 0
    """Responses of more forks than there may be."""
    glares: int = 0
    """Offers that crossed: 491 sent or received."""
    refused: int = 0
    """INVITEs and subscriptions refused because of a limit."""
    merged: int = 0
    """Requests that came by two ways, answered 482."""
    challenges: int = 0
    """Requests of ours sent again with credentials."""
    started: int = 0
    ended: dict[str, int] = field(default_factory=dict)
    """Legs by `EndReason`."""


class TooManyError(RuntimeError):
    """There are as many as may be; nothing was sent. It may be tried again."""


class WrongStateError(RuntimeError):
    """What was asked for cannot be done now, and nothing was sent."""
