"""What goes wrong: the peer's doing, the way to it, or what was asked for."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.protocols.sip.message import Response

if TYPE_CHECKING:
    from roomtone.protocols.sip.agent import EndReason
    from roomtone.protocols.sip.message import Request


class SipCode(StrEnum):
    """Why something failed."""

    REFUSED = "refused"
    """By the peer, with a final response."""
    NO_ANSWER = "no_answer"
    """The peer did not answer in time (timers B and F of RFC 3261 section 17.1)."""
    CANCELLED = "cancelled"
    UNREACHABLE = "unreachable"
    """No socket of ours leads there, a name has no address, or what was sent could not be."""
    NO_CREDENTIALS = "no_credentials"
    """Challenged, and there is no account, or another realm, or the password is wrong."""
    WRONG_STATE = "wrong_state"
    NO_MEDIA = "no_media"
    """The endpoint has no engine, or the call does its media itself."""
    MEDIA_FAILED = "media_failed"
    """No codec or security in common, or the engine refused."""
    TOO_MANY = "too_many"
    BAD_INPUT = "bad_input"


class SipError(Exception):
    """Something was not done. ``retryable``: the same may succeed later."""

    def __init__(self, code: SipCode, message: str, *, retryable: bool = False) -> None:
        super().__init__(f"{code}: {message}" if message else code.value)
        self.code = code
        self.message = message
        self.retryable = retryable


class PeerError(SipError):
    """The peer refused, or did not answer. ``response`` is its final response; None: there was none."""

    def __init__(self, code: SipCode, message: str, response: Response | None = None) -> None:
        status = None if response is None else response.status
        super().__init__(code, message, retryable=status in _RETRYABLE)
        self.response = response
        self.status = status
        """Status of the response (RFC 3261 section 21)."""


class UseError(SipError):
    """What was asked for cannot be done now, and nothing was sent."""


class Refusal(Exception):  # noqa: N818 - it is what a handler raises to refuse, not a failure of anything
    """Raised by a handler of a `Server` to refuse a request with this status; ``headers`` go into the response."""

    def __init__(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        if not 300 <= status <= 699:  # noqa: PLR2004 - the classes of refusals in RFC 3261 section 21
            raise ValueError(f"{status} refuses nothing")
        super().__init__(f"{status} {reason}".strip())
        self.status = status
        self.reason = reason
        self.headers = headers


_RETRYABLE = frozenset({None, 408, 480, 486, 500, 502, 503, 504, 600})
_CHALLENGES = frozenset({401, 407})


def peer_error(response: Response | None, what: str) -> PeerError:
    """Make the error of a request that was refused with ``response``, or not answered (None)."""
    if response is None:
        return PeerError(SipCode.NO_ANSWER, f"{what}: no answer")
    code = SipCode.NO_CREDENTIALS if response.status in _CHALLENGES else SipCode.REFUSED
    return PeerError(code, f"{what}: {response.status} {response.reason}", response)


def ended_error(reason: EndReason, message: Request | Response | None, what: str) -> PeerError:
    """Make the error of a subscription that ended before it told what was waited for."""
    if isinstance(message, Response):
        return peer_error(message, what)
    return PeerError(SipCode.NO_ANSWER, f"{what}: the peer tells nothing more ({reason})")
