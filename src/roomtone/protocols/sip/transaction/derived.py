"""Requests that a transaction makes of its INVITE: the ACK of a failure, and the CANCEL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.grammar import encode
from roomtone.protocols.sip.message import Request, parse_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.protocols.sip.message import Response


def ack_of_failure(invite: bytes, response: Response) -> bytes:
    """Write the ACK of a 3xx to 6xx (RFC 3261 section 17.1.1.3): like the INVITE, but with the To of the response."""
    return _derive("ACK", invite, response.headers.lines_of("to")[:1])


def cancel_of(invite: bytes, headers: Sequence[bytes] = ()) -> bytes:
    """Write the CANCEL of an INVITE (9.1), with further header lines."""
    return _derive("CANCEL", invite, None, headers)


def _derive(method: str, invite: bytes, to: list[bytes] | None, headers: Sequence[bytes] = ()) -> bytes:
    request = parse_message(invite)
    assert isinstance(request, Request)  # noqa: S101 - it is one of ours
    of = request.headers.lines_of
    return b"\r\n".join(
        [
            encode(f"{method} {request.uri_text} SIP/2.0"),
            of("via")[0],
            b"Max-Forwards: 70",
            *of("route"),
            of("from")[0],
            *(to or of("to")[:1]),
            of("call-id")[0],
            encode(f"CSeq: {request.cseq.number} {method}"),
            *headers,
            b"Content-Length: 0",
            b"",
            b"",
        ]
    )
