"""Errors of the SIP core: bytes that are no SIP message, and a message that cannot be built as asked."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomtone.protocols.sip.message.headers import Headers


class Fault(StrEnum):
    """What is wrong with bytes that should be a SIP message; a closed set, used as a metric label."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_MANY_HEADERS = "too_many_headers"
    START_LINE = "start_line"
    METHOD = "method"
    REQUEST_URI = "request_uri"
    VERSION = "version"
    STATUS_CODE = "status_code"
    LINE_BREAK = "line_break"
    HEADER_LINE = "header_line"
    HEADER_NAME = "header_name"
    NO_END_OF_HEADERS = "no_end_of_headers"
    CONTENT_LENGTH = "content_length"
    BODY_SHORT = "body_short"
    MISSING_HEADER = "missing_header"
    REPEATED_HEADER = "repeated_header"
    HEADER_VALUE = "header_value"
    URI = "uri"
    CSEQ_METHOD = "cseq_method"
    MULTIPART = "multipart"


class SipSyntaxError(ValueError):
    """Bytes, a header or a URI that RFC 3261's grammar does not allow.

    ``fault`` names the rule, ``position`` is the offset of the fault in what was given (the message, or the value when
    ``header`` names one). ``headers`` is there when a *request* was bad but its header lines could be read: enough to
    answer it 400 (`answer_to_fault`).
    """

    def __init__(self, fault: Fault, position: int, message: str, *, header: str = "") -> None:
        super().__init__(f"{header + ': ' if header else ''}{message} (at {position})")
        self.fault = fault
        self.position = position
        self.message = message
        self.header = header
        self.headers: Headers | None = None


class SipBuildError(ValueError):
    """A message was asked for that could not be written: raised when it is built, never when it is sent."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(f"{part}: {message}")
        self.part = part
        self.message = message
