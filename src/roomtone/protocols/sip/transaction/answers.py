"""Responses written by joining lines of their request (RFC 3261 section 8.2.6), once for all responses to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.message import REASON_PHRASES, reason_phrase

if TYPE_CHECKING:
    from roomtone.protocols.sip.message import Request

_START = {status: f"SIP/2.0 {status} {reason}\r\n".encode() for status, reason in REASON_PHRASES.items()}
_COPIED = frozenset({"via", "from", "call-id", "cseq", "to", "timestamp"})
_TRYING, _REDIRECT = 100, 300


class Answers:
    """What all responses to one request have in common.

    ``tag`` is added to To where it has none: by all but 100. Record-Route is copied by 101 to 299 (12.1.1), Timestamp
    by all.
    """

    __slots__ = ("_head", "_record_routes", "has_tag", "tag")

    def __init__(self, request: Request) -> None:
        headers = request.headers
        keys, lines = headers.keys, headers.lines
        routes = b""
        to = b""
        copied = []
        for key, line in zip(keys, lines, strict=True):
            if key in _COPIED:
                if key == "to":
                    to = line
                else:
                    copied.append(line)
            elif key == "record-route":
                routes += line + b"\r\n"
        copied.append(to)  # last, so that a tag can follow
        self._head = b"\r\n".join(copied)
        self._record_routes = routes
        self.has_tag = request.to_tag is not None
        self.tag = b""
        """Of ours, to be written into To."""

    def write(self, status: int, block: bytes = b"", body: bytes = b"", reason: bytes | None = None) -> bytes:
        """Write a response; ``block`` are header lines, each with its end. ``reason`` replaces the usual phrase."""
        if reason is not None:
            start = b"SIP/2.0 %d %b\r\n" % (status, reason)
        else:
            start = _START.get(status) or f"SIP/2.0 {status} {reason_phrase(status)}\r\n".encode()
        if status == _TRYING:
            return b"%b%b\r\n%bContent-Length: 0\r\n\r\n" % (start, self._head, block)
        return b"%b%b%b\r\n%b%bContent-Length: %d\r\n\r\n%b" % (
            start,
            self._head,
            b"" if self.has_tag else b";tag=" + self.tag,
            self._record_routes if status < _REDIRECT else b"",
            block,
            len(body),
            body,
        )
