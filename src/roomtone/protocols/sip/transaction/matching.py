"""Which transaction a message belongs to (RFC 3261 sections 17.1.3 and 17.2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from roomtone.protocols.sip.message import Request, Response

Key: TypeAlias = tuple[object, ...]


def client_key(response: Response) -> Key:
    """Our branch and the method; a branch alone is shared by an INVITE and its CANCEL."""
    plain = response.plain_via
    if plain is None:
        branch = response.via.branch or ""
        return branch.encode("utf-8", "surrogateescape"), response.cseq.method
    return plain[1], response.cseq.method


def server_key(request: Request, method: str) -> tuple[Key, bool]:
    """Key of the transaction of this method that a request belongs to, and whether it is one of RFC 2543.

    Branch, sent-by and method where the branch has the cookie. Else what RFC 2543 compares, but for the tag in To:
    an ACK has one where its INVITE had none, so that is looked at by whoever asks.
    """
    plain = request.plain_via
    if plain is not None:
        return (plain[1], plain[0].lower(), method), False
    via = request.via
    if via.has_cookie:
        sent_by = via.host if via.port is None else f"{via.host}:{via.port}"
        return ((via.branch or "").encode("utf-8", "surrogateescape"), sent_by.lower().encode(), method), False
    value = request.headers.get("via") or b""
    return (request.uri_text, request.from_tag, request.call_id, request.cseq.number, value, method), True
