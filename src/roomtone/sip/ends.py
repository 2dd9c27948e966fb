"""States of calls, and why they end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.protocols.sip.agent import EndReason

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
