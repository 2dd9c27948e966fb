"""Bodies about phones and calls."""

# ruff: noqa: TC001 - pydantic reads the annotations

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from roomtone.control.calls import CallEnd, CallState
from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.servers.api.schemas import Body


class _Phones(Body):
    model_config = ConfigDict(use_attribute_docstrings=True, extra="forbid")


class SipAccountCreateBody(_Phones):
    """A new account for phones."""

    username: str
    """As in SIP URIs: 1 to 64 letters, digits, '.', '_', '+' or '-'."""
    password: str = Field(repr=False)
    """What its phone authenticates with, 4 characters or more; it is kept sealed and never shown."""
    name: str = ""
    """Name that those see who are called."""
    media_security: MediaSecurity = MediaSecurity.OPTIONAL
    """off: plain RTP; optional: what the peer offers, plain when we offer, but DTLS to a browser; sdes: SRTP with keys
    in the description; dtls: SRTP by DTLS, over ICE where we offer; the last two refuse all else with 488."""
    algorithm: Literal["", "MD5", "SHA-256", "SHA-512-256"] = ""
    """The only digest algorithm it may use, for a phone that others confuse; empty: all."""


class SipAccountBody(_Phones):
    """An account for phones, without its password."""

    username: str
    name: str
    media_security: MediaSecurity
    algorithm: str
    disabled: bool
    created_at: float
    registered: int
    """Phones registered with it now."""


class RegistrationBody(_Phones):
    """A phone that is registered."""

    account: str
    contact: str
    """URI it is called at."""
    transport: str
    address: str
    """Where it registered from."""
    user_agent: str
    registered_at: float
    expires_at: float


class AccountTargetBody(_Phones):
    """To all phones of an account."""

    kind: Literal["account"]
    account: str


class GroupTargetBody(_Phones):
    """To all phones of several accounts at once; the first that answers has the call."""

    kind: Literal["group"]
    accounts: list[str] = Field(min_length=1, max_length=50)


class UriTargetBody(_Phones):
    """To a URI; a name is looked up by NAPTR, SRV and addresses (RFC 3263)."""

    kind: Literal["uri"]
    uri: str = Field(examples=["sip:door@192.0.2.9:5060"])


class RoomTargetBody(_Phones):
    """To a room."""

    kind: Literal["room"]
    room: str


class RoomOfTargetBody(_Phones):
    """To a room for who calls, or for the number that is dialled: its name is the prefix and that, with `_` between."""

    kind: Literal["room_of_caller", "room_of_number"]
    prefix: str = Field(default="", examples=["call"])
    random: bool = False
    """Whether something that nobody guesses stands behind it."""


class TrunkTargetBody(_Phones):
    """Out by a trunk."""

    kind: Literal["trunk"]
    trunk: str
    """The trunk's name."""
    strip: int = Field(default=0, ge=0, le=64)
    """How many characters are taken off the beginning of the number."""
    prefix: str = Field(default="", examples=["+49"])
    """What is then put before it."""


TargetBody = Annotated[
    AccountTargetBody | GroupTargetBody | UriTargetBody | RoomTargetBody | RoomOfTargetBody | TrunkTargetBody,
    Field(discriminator="kind"),
]


class _DispatchRule(_Phones):
    name: str
    numbers: list[str] = Field(examples=[["2000", "21*"]])
    """Numbers or names as dialled; one that ends in * stands for all that begin so."""
    target: TargetBody
    trunks: list[str] = Field(default_factory=list)
    """Only calls by these trunks; `*` stands for all trunks. Empty: all calls."""
    hide_number: bool = False
    """Whether the room is not told the number that calls."""


class DispatchRuleCreateBody(_DispatchRule):
    """Where calls to some numbers go."""

    pin: str = Field(default="", repr=False, examples=["4711"])
    """Digits to be entered before who calls is in the room; kept sealed and never shown."""


class DispatchRuleBody(_DispatchRule):
    """A dispatch rule."""

    has_pin: bool
    created_at: float


class DirectionQualityBody(_Phones):
    """How good the sound of a leg is, one way; what is not known is null."""

    packets: int
    lost: int | None
    loss: float | None
    """Part of all packets, 0 to 1."""
    jitter_ms: float | None
    mos: float | None
    """Mean opinion score by the E-model, 1 to 4.5."""


class LegQualityBody(_Phones):
    """How good the sound of a leg is."""

    account: str
    received: DirectionQualityBody
    """What arrives from the peer."""
    sent: DirectionQualityBody
    """What arrives at the peer, by its RTCP reports."""
    round_trip_ms: float | None


class LegBody(_Phones):
    """One party of a call that goes on."""

    id: str
    account: str
    """Empty for a URI."""
    state: str
    is_party: bool
    """Whether it talks, and does not only ring."""
    holds: bool
    """Whether its phone has put the other side on hold."""
    held: bool
    """Whether it was put on hold by this API."""
    muted: bool


class CallBody(_Phones):
    """A call that goes on."""

    id: str
    caller: str
    called: str
    state: CallState
    begun_at: float
    answered_at: float | None
    codec: str
    legs: list[LegBody]
    quality: list[LegQualityBody] = Field(default_factory=list)
    """Of each leg that has sound, where it was asked for."""


class NamedLegBody(_Phones):
    """One leg of a call."""

    leg: str
    """Its id in the list of calls."""


class KeysBody(_Phones):
    """Keys for a leg."""

    keys: str = Field(examples=["1234#"])
    """1 to 32 of 0-9, A-D, * and #."""


class TransferBody(_Phones):
    """Who is to talk to whom."""

    leg: str
    """Who stays, and is connected with somebody else; its other side leaves."""
    to: str
    """The number or name of an account, as if it was dialled; a room cannot be the target."""


class RedirectBody(_Phones):
    """Where to ring instead."""

    to: str
    """The number or name of an account, as if it was dialled; a room cannot be the target."""


class MergeBody(_Phones):
    """The other call."""

    call: str


class CallRecordBody(_Phones):
    """A call that has ended."""

    id: str
    caller: str
    called: str
    caller_account: str
    callee_account: str
    begun_at: float
    answered_at: float | None
    ended_at: float
    reason: CallEnd
    status: int
    """The SIP status that the caller was given; 200 once it was answered."""
    codec: str
    quality: list[LegQualityBody]
    """Of each leg, at its end; empty for calls under two seconds."""
