"""Messages out of a byte stream (RFC 3261, 18.3): Content-Length frames them, empty lines between them are keep-alives.

A framing error cannot be mended: the connection ends.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.message.parse import LIMITS, Limits

_LENGTHS = re.compile(rb"\r\n(?:content-length|l)[ \t]*:(?:[ \t]|\r\n[ \t])*([^\r\n]*)", re.IGNORECASE)
_NUMBER = re.compile(rb"[0-9]{1,10}").fullmatch
_PING = b"\r\n\r\n"


class KeepAlive(Enum):
    """Line breaks between messages (RFC 5626, 3.5.1)."""

    PING = auto()
    """A double CRLF: answered by one CRLF."""
    PONG = auto()
    """A single CRLF."""


class StreamFramer:
    """Cuts the bytes of one connection into messages.

    Inputs: `handle_bytes`. Outputs: `poll` until None: the bytes of one whole message (for `parse_message`) or a
    `KeepAlive`. Order: that of the stream. Limits: those of one message; at most one incomplete message is kept.
    `poll` raises `SipSyntaxError` when the stream cannot be framed, and from then on always.
    """

    __slots__ = ("_buffer", "_error", "_limits", "_scanned", "_wanted")

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._scanned = 0
        self._wanted = 0  # bytes of the message at the front; 0 as long as its headers are incomplete
        self._error: SipSyntaxError | None = None

    @property
    def pending(self) -> int:
        """Bytes kept of what is not complete."""
        return len(self._buffer)

    def handle_bytes(self, data: bytes) -> None:
        """Take bytes of the stream."""
        if self._error is None:
            self._buffer += data

    def poll(self) -> bytes | KeepAlive | None:
        """Give the next message or keep-alive; None when more bytes are needed. Raises `SipSyntaxError`."""
        if self._error is not None:
            raise self._error
        try:
            return self._next()
        except SipSyntaxError as error:
            self._error = error
            self._buffer.clear()
            raise

    def _next(self) -> bytes | KeepAlive | None:
        buffer = self._buffer
        if not self._wanted:
            if buffer.startswith((b"\r", b"\n")):
                return self._line_breaks()
            self._wanted = self._frame()
        if not self._wanted or len(buffer) < self._wanted:
            return None
        message = bytes(buffer[: self._wanted])
        del buffer[: self._wanted]
        self._wanted = self._scanned = 0
        return message

    def _line_breaks(self) -> KeepAlive | None:
        buffer = self._buffer
        if buffer[:4] == _PING:
            del buffer[:4]
            return KeepAlive.PING
        if _PING.startswith(buffer):
            # One CRLF may be a pong or half a ping. Only what follows tells; `flush` when nothing does.
            return None
        if buffer[:2] == b"\r\n":
            del buffer[:2]
            return KeepAlive.PONG
        raise SipSyntaxError(Fault.LINE_BREAK, 0, "a bare CR or LF between messages")

    def flush(self) -> KeepAlive | None:
        """Say that nothing follows for now: a lone CRLF at the front is a pong then."""
        if self._error is None and self._buffer == b"\r\n":
            self._buffer.clear()
            return KeepAlive.PONG
        return None

    def _frame(self) -> int:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end < 0:
            self._scanned = len(buffer)
        if max(end, self._scanned) > self._limits.header_bytes:
            raise SipSyntaxError(Fault.TOO_LONG, self._limits.header_bytes, "headers too long")
        if end < 0:
            return 0
        lengths = {match.strip(b" \t") for match in _LENGTHS.findall(buffer, 0, end)}
        if not lengths:
            raise SipSyntaxError(Fault.CONTENT_LENGTH, end, "no Content-Length on a stream")
        if len({number.lstrip(b"0") for number in lengths}) > 1:
            raise SipSyntaxError(Fault.REPEATED_HEADER, end, "Content-Lengths that differ")
        length = lengths.pop()
        if _NUMBER(length) is None:
            raise SipSyntaxError(Fault.CONTENT_LENGTH, end, f"no length: {bytes(length[:20])!r}")
        if int(length) > self._limits.body_bytes:
            raise SipSyntaxError(Fault.TOO_LONG, end, "body too long")
        return end + 4 + int(length)
