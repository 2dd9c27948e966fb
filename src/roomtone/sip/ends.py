"""States of calls, and why they end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent import EndReason
from roomtone.sip.errors import PeerError, SipCode, peer_error

if TYPE_CHECKING:
    from roomtone.protocols.sip.message import Request, Response


class CallState(StrEnum):
    """How far a call is."""

    TRYING = "trying"
    """The INVITE is out, or has come in, and nobody has said anything."""
    RINGING = "ringing"
    EARLY = "early"
    """Sound flows before the answer (183 with a description)."""
    ANSWERED = "answered"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CallEnd:
    """Why a call is over."""

    reason: EndReason
    status: int | None = None
    """Of the final response where it was refused."""
    message: Request | Response | None = None
    """What ended it: a response, a BYE or CANCEL with its Reason header (RFC 3326); None where there was none."""


__all__ = ["CallEnd", "CallState", "EndReason"]


def failure_of(end: CallEnd) -> PeerError:
    """Say what kept a call from being answered."""
    match end.reason:
        case EndReason.REFUSED:
            return peer_error(end.message, "call")  # type: ignore[arg-type]
        case EndReason.CANCELLED:
            return PeerError(SipCode.CANCELLED, "call: cancelled")
        case EndReason.TIMEOUT:
            return PeerError(SipCode.NO_ANSWER, "call: no final response")
        case EndReason.TRANSPORT_ERROR:
            return PeerError(SipCode.UNREACHABLE, "call: the INVITE could not be sent")
        case _:
            return PeerError(SipCode.REFUSED, f"call: {end.reason}")
