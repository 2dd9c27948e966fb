"""What a room is to dial, and what comes of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import CallError
from roomtone.control.calls.reasons import CallEnd
from roomtone.control.calls.values import Caller, Target
from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.uri import SipUri, TelUri, parse_uri

if TYPE_CHECKING:
    from roomtone.protocols.sdp.telephony import MediaSecurity

MAX_KEYS = 256
MAX_DIALLED = 512
MAX_HEADERS, MAX_HEADER = 32, 512
LONGEST_RINGING_S = 600
_SEPARATORS = str.maketrans("", "", " -().\u00a0\u202f/")
_LOOKS_DIALLED = re.compile(r"\+?[0-9][0-9 \u00a0\u202f().\/-]*")
_HEADER = re.compile(r"[Xx]-[A-Za-z0-9_-]{1,62}")
_KEYS = re.compile(r"[0-9*#A-Da-dwW]*")


@dataclass(frozen=True, slots=True)
class DialRequest:
    """Whom a room calls, and as whom they take part."""

    room: str
    to: str
    """A number, an account, or a SIP or tel URI."""
    trunk: str = ""
    """The trunk it goes by; empty: where a call to it would lead from an account."""
    identity: str = ""
    """Empty: ``sip_`` and what is dialled."""
    name: str = ""
    metadata: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    shown_number: str = ""
    """The number that calls; empty: the trunk's, or the room's name."""
    shown_name: str = ""
    ringing_timeout_s: float | None = None
    most_s: float | None = None
    """How long it may last once answered; None: as long as it likes."""
    keys: str = ""
    """Pressed once it is answered; each ``w`` waits half a second."""
    joins_early: bool = False
    """Whether the participant appears at once, and not when it is answered."""
    rings_in: str = ""
    """The country in whose way the room hears that it rings, such as ``US``; empty: it does not. Joins early."""
    hides_number: bool = False
    """Whether the participants are not told the number."""
    headers: tuple[tuple[str, str], ...] = ()
    """Of the INVITE; their names begin with ``X-``."""
    referred_by: str = ""
    """Who has the room call, as it says itself (RFC 3892)."""
    security: MediaSecurity | None = None
    """How its media is secured; None: as the trunk or account says."""


def checked(request: DialRequest) -> DialRequest:
    """Give back a request that makes sense; raise `CallError`."""
    if not request.to or len(request.to) > MAX_DIALLED or not request.to.isprintable():
        raise CallError(CallEnd.BAD_REQUEST, f"what is dialled is 1 to {MAX_DIALLED} printable characters")
    if len(request.keys) > MAX_KEYS or _KEYS.fullmatch(request.keys) is None:
        raise CallError(CallEnd.BAD_REQUEST, f"keys are at most {MAX_KEYS} of 0-9, *, #, A-D, and w for half a second")
    if request.ringing_timeout_s is not None and not 1 <= request.ringing_timeout_s <= LONGEST_RINGING_S:
        raise CallError(CallEnd.BAD_REQUEST, f"it rings for 1 to {LONGEST_RINGING_S} s")
    for name, value in request.headers:
        if _HEADER.fullmatch(name) is None or not value.isprintable() or len(value) > MAX_HEADER:
            detail = f"headers are called X-..., and their values are at most {MAX_HEADER} printable characters"
            raise CallError(CallEnd.BAD_REQUEST, detail)
    if len(request.headers) > MAX_HEADERS:
        raise CallError(CallEnd.BAD_REQUEST, f"there are at most {MAX_HEADERS} headers")
    if request.rings_in and not request.joins_early:
        raise CallError(CallEnd.BAD_REQUEST, "a room hears it ring only where the participant joins early")
    if request.most_s is not None and request.most_s <= 0:
        raise CallError(CallEnd.BAD_REQUEST, "a call lasts some time")
    return request


def plain_number(text: str) -> str:
    """Take from a dialled number what is only for the eye (RFC 3966 section 5.1.1); other texts stay as they are."""
    text = text.strip()
    return text.translate(_SEPARATORS) if _LOOKS_DIALLED.fullmatch(text) else text


def number_of(to: str) -> str:
    """Give the number or name in what is dialled: of a URI its user, of a number itself without separators."""
    if to.startswith(("sip:", "sips:", "tel:")):
        try:
            uri = parse_uri(to)
        except SipSyntaxError as error:
            raise CallError(CallEnd.BAD_REQUEST, f"{to!r} is no URI: {error}") from error
        match uri:
            case SipUri():
                return uri.username or uri.host
            case TelUri():
                return plain_number(uri.digits)
            case _:
                raise CallError(CallEnd.BAD_REQUEST, f"{to!r} cannot be called")
    return plain_number(to)


def uri_target(to: str) -> Target | None:
    """Give the way to what is dialled where it is a SIP URI, else None."""
    return Target(to) if to.startswith(("sip:", "sips:")) else None


def caller_of(request: DialRequest) -> Caller:
    """Say who calls: the room, by the number that is shown."""
    return Caller(
        request.shown_number or request.room, request.shown_name, shown=request.shown_number, headers=request.headers
    )
