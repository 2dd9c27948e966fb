"""The session description in a message, alone or beside other parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.headers import parse_media_type
from roomtone.protocols.sip.multipart import parse_multipart

if TYPE_CHECKING:
    from roomtone.protocols.sip.message import Request, Response

SDP = "application/sdp"


class NoDescriptionError(ValueError):
    """A body, and nothing in it that describes a session: 415."""


def description_of(message: Request | Response) -> str | None:
    """Give the description in a body; None without a body. Raise `NoDescriptionError`, `SipSyntaxError`."""
    if not message.body:
        return None
    kind = message.content_type or SDP
    if kind == SDP:
        return message.body.decode("utf-8", "replace")
    if not kind.startswith("multipart/"):
        raise NoDescriptionError(kind)
    boundary = parse_media_type(message.headers.text("content-type") or "").boundary
    for part in parse_multipart(message.body, boundary or ""):
        try:
            if part.content_type.name == SDP:
                return part.body.decode("utf-8", "replace")
        except SipSyntaxError:
            continue
    raise NoDescriptionError(kind)
