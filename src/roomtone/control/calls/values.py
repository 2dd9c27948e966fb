"""Values of calls: who calls whom, where they can be reached, what happens on a leg."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NewType

from roomtone.protocols.sdp.telephony import MediaSecurity

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from roomtone.control.calls.directory.bindings import Binding
    from roomtone.control.calls.directory.trunk import Trunk
    from roomtone.control.calls.parties.call import Call
    from roomtone.control.calls.parties.commands import Command
    from roomtone.control.calls.parties.keypad import KeyKind
    from roomtone.control.calls.parties.legs import Leg
    from roomtone.control.calls.ports import Signal
    from roomtone.control.calls.reasons import CallEnd
    from roomtone.media import Router
    from roomtone.media.values import MixerInputId
    from roomtone.protocols.sip.flow import Flow

CallId = NewType("CallId", str)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: a phone account, or a number behind a trunk."""

    account: str
    """Of a trunk's call: the number."""
    name: str = ""
    security: MediaSecurity = MediaSecurity.OPTIONAL
    trunk: str = ""
    """The trunk it comes by; empty: it is an account of ours."""
    shown: str = ""
    """The number it is to show, whatever number a trunk shows otherwise."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers of its INVITE, as they are."""


@dataclass(frozen=True, slots=True)
class Target:
    """One way to reach a peer: a contact by the flow it registered over, or a URI."""

    uri: str
    path: tuple[str, ...] = ()
    """Route to it, the next hop first (RFC 3327)."""
    flow: Flow | None = None
    """None: found by the URI."""
    account: str = ""
    security: MediaSecurity = MediaSecurity.OPTIONAL
    large_by_stream: bool = True
    """Whether requests that may not fit a datagram are tried by TCP first (RFC 3261 section 18.1.1)."""
    stream: Flow | None = None
    """The way for these."""
    found_by: str = ""
    """The host whose records led to ``flow``; empty where nothing was looked for."""
    is_last: bool = True
    """Whether no other way is left."""
    trunk: Trunk | None = None
    """The trunk that carries it."""
    binding: Binding | None = None
    """The registration it is of."""
    others: tuple[Target, ...] = ()
    """Other flows to the same device, for when this one is dead (RFC 5626 section 5.3)."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """An INVITE of a known caller."""

    caller: Caller
    called: str
    """The number or name dialled: the user part of the Request-URI."""
    sdp: str | None
    """None: the peer wants an offer (RFC 3261 section 13.2.1)."""
    instance: str = ""
    """One device of the account that is called (RFC 5627); empty: all of them."""
    hops: int = 71
    """By how many servers it may still go on, this one among them (RFC 3261 section 8.1.1.6)."""


class CallState(StrEnum):
    """How far a call is."""

    ROUTING = "routing"
    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Rang:
    """A provisional response of a callee, with a description of early media or without."""

    status: int
    sdp: str | None


@dataclass(frozen=True, slots=True)
class PickedUp:
    """A callee answered."""

    sdp: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """A leg is over: refused, cancelled, hung up or lost."""

    end: CallEnd


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer in the middle of the call; without a description the peer wants one of ours.

    ``offer`` is signalling's, for `Signal.answer_offer` and `Signal.refuse_offer`.
    """

    offer: Any = field(repr=False)
    sdp: str | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Our answer has arrived; with the peer's answer where the offer was ours."""

    sdp: str | None


@dataclass(frozen=True, slots=True)
class Reanswered:
    """What came of an offer of ours in the middle of the call; ``sdp`` is None where it was refused, by ``status``."""

    sdp: str | None
    status: int = 200


@dataclass(frozen=True, slots=True)
class InfoSent:
    """A peer sent INFO, such as digits; ``reply`` takes the status it is answered with."""

    content_type: str
    body: bytes
    reply: Callable[[int], None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Referred:
    """A peer asks for the other side to be connected with somebody else (RFC 3515).

    ``referral`` is signalling's, for `Signal.accept_referral`, `Signal.refuse_referral` and `Signal.tell_referral`.
    """

    referral: Any = field(repr=False)
    to: str | None
    """The number or name asked for; None: somebody that is not ours to call."""
    replaces: Dialog | None = None
    """The leg whose place the other side takes: an attended transfer (RFC 3891); ``to`` has no meaning then."""
    referred_by: str = ""
    """Who refers, to be passed on as it is (RFC 3892)."""


@dataclass(frozen=True, slots=True)
class Dialog:
    """A leg of a call of ours that a peer has named; ``signal`` is None where it named none that there is."""

    call: Call | None
    signal: Signal | None


@dataclass(frozen=True, slots=True)
class Redirected:
    """A callee says where else to call (RFC 3261 section 21.3): numbers and names of ours, the best first."""

    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RangTooLong:
    """Nobody answered in time. ``hunt`` says whom of those that were called one after the other."""

    hunt: object


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key was heard on a leg."""

    key: str
    kind: KeyKind
    heard: MixerInputId | None = None
    """Where, if by a mixer."""
    duration_ms: int = 160


@dataclass(frozen=True, slots=True)
class Waited:
    """What was waited for has not come in time."""


@dataclass(frozen=True, slots=True)
class ChangeTookLong:
    """The other side has not said in time what it makes of a change."""


@dataclass(frozen=True, slots=True)
class MediaLost:
    """The engine lost what carries the call's media."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """An INVITE that takes the place of a leg (RFC 3891); the event's signal is its own."""

    invitation: Invitation
    replaced: Signal


@dataclass(frozen=True, slots=True)
class Commanded:
    """An operator or program wants something; ``reply`` is None once it is done, or has a `PhoneError`."""

    command: Command
    reply: asyncio.Future[None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Another call asks for legs of this one: the far side of ``replaced``, or all where that is None.

    ``into_room``: a room asks for the party that is on its way there, and for nobody else.
    """

    to: Call
    replaced: Signal | None
    meets: Leg | None = None
    """Whom the far side is to talk to."""
    into_room: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """Legs of another call that has ended for it, with the routers they are on: they are this call's now."""

    legs: tuple[Leg, ...]
    routers: tuple[Router, ...]
    ends_at: float | None = None
    """When the other call would have had to end, by the loop's clock."""


@dataclass(frozen=True, slots=True)
class NotGiven:
    """Another call gives no leg away."""

    end: CallEnd
    rang_at: str = ""
    """The number it rang at, and does not any more: whoever is transferred there is to ring there instead."""


@dataclass(frozen=True, slots=True)
class KeysSent:
    """All keys that a leg was to get are out."""

    leg: Leg


@dataclass(frozen=True, slots=True)
class KeyAnswered:
    """A peer has answered a key that was sent as INFO."""

    leg: Leg
    status: int


LegEvent = Rang | PickedUp | Ended | Offered | Acknowledged | Reanswered | InfoSent | Referred | Redirected
CallEvent = (
    LegEvent
    | RangTooLong
    | KeyPressed
    | Waited
    | ChangeTookLong
    | MediaLost
    | TakenOver
    | Commanded
    | GiveUp
    | Given
    | NotGiven
    | KeysSent
    | KeyAnswered
)
