"""SIP messages (RFC 3261, 7): bytes to values and back.

`parse_message` and `StreamFramer` read, `build_request` and `respond` write, `Headers` are ordered lines with an index.
"""

from __future__ import annotations

from roomtone.protocols.sip.message.build import build_request, respond
from roomtone.protocols.sip.message.check import (
    ANYTHING,
    Capabilities,
    Refusal,
    can_be_answered,
    check_request,
    check_response,
    refusal_of,
)
from roomtone.protocols.sip.message.framer import KeepAlive, StreamFramer
from roomtone.protocols.sip.message.headers import Headers, header_line
from roomtone.protocols.sip.message.message import AnyMessage, Message, Request, Response
from roomtone.protocols.sip.message.parse import LIMITS, Limits, parse_message
from roomtone.protocols.sip.message.status import REASON_PHRASES, reason_phrase

__all__ = [
    "ANYTHING",
    "LIMITS",
    "REASON_PHRASES",
    "AnyMessage",
    "Capabilities",
    "Headers",
    "KeepAlive",
    "Limits",
    "Message",
    "Refusal",
    "Request",
    "Response",
    "StreamFramer",
    "build_request",
    "can_be_answered",
    "check_request",
    "check_response",
    "header_line",
    "parse_message",
    "reason_phrase",
    "refusal_of",
    "respond",
]
