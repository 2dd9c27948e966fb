"""Which transaction a message belongs to (RFC 3261 sections 17.1.3 and 17.2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from roomtone.protocols.sip.message import Request, Response

Key: TypeAlias = tuple[object, ...]


def client_key(response: Response) -> Key:
    """Our branch and the method; a branch alone is shared by an INVITE and its CANCEL."""
    return response.via.branch, response.cseq.method


def server_key(request: Request, method: str) -> tuple[Key, bool]:
    """Key of the transaction of this method that a request belongs to, and whether it is one of RFC 2543.

    Branch, sent-by and method where the branch has the cookie. Else what RFC 2543 compares, but for the tag in To:
    an ACK has one where its INVITE had none, so that is looked at by `acknowledges`.
    """
    via = request.via
    if via.has_cookie:
        return (via.branch, via.host.lower(), via.port, method), False
    via_text = request.headers.get("via")
    return (request.uri_text, request.from_tag, request.call_id, request.cseq.number, via_text, method), True
