"""Builders: requests from typed parts, responses by copying lines of the request.

What cannot be written is refused here (`SipBuildError`), never when it is sent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import SipBuildError
from roomtone.protocols.sip.grammar import encode, is_token
from roomtone.protocols.sip.headers.cseq import MAX_CSEQ
from roomtone.protocols.sip.message.headers import Headers, header_line
from roomtone.protocols.sip.message.message import DEFAULT_FORWARDS, MAX_FORWARDS, Request, Response
from roomtone.protocols.sip.message.status import HIGHEST, LOWEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roomtone.protocols.sip.headers.address import Address
    from roomtone.protocols.sip.headers.via import Via
    from roomtone.protocols.sip.uri import Uri

_URI_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*:[^\s<>\"\x00-\x20\x7f]+").fullmatch
_COPIED = frozenset(["via", "from", "to", "call-id", "cseq"])
_COPIED_WITH_ROUTE = _COPIED | {"record-route"}
_COPIED_WITH_TIMESTAMP = _COPIED | {"timestamp"}
_TRYING = 100
_FIRST_REDIRECT = 300


def build_request(
    method: str,
    uri: Uri | str,
    *,
    from_: Address,
    to: Address,
    call_id: str,
    cseq: int,
    via: Via | None = None,
    max_forwards: int = DEFAULT_FORWARDS,
    contact: Address | None = None,
    route: Iterable[Address] = (),
    headers: Iterable[tuple[str, str]] = (),
    content_type: str | None = None,
    body: bytes = b"",
) -> Request:
    """Make a request. Without ``via`` the transaction layer puts one in front (`Headers.prepend`).

    The headers stand in this order: Via, Max-Forwards, Route, From, To, Call-ID, CSeq, Contact, ``headers``,
    Content-Type, Content-Length. Raises `SipBuildError`.
    """
    uri_text = uri if isinstance(uri, str) else uri.serialize()
    if not is_token(method):
        raise SipBuildError("method", f"{method!r} is no token")
    if _URI_TEXT(uri_text) is None:
        raise SipBuildError("uri", f"{uri_text!r} is no URI")
    if not 0 <= cseq <= MAX_CSEQ:
        raise SipBuildError("CSeq", f"{cseq} is no sequence number")
    if not 0 <= max_forwards <= MAX_FORWARDS:
        raise SipBuildError("Max-Forwards", f"{max_forwards} is no number of hops")
    if not call_id or " " in call_id:
        raise SipBuildError("Call-ID", f"{call_id!r} is no Call-ID")
    lines = [] if via is None else [header_line("Via", via.serialize())]
    lines.append(b"Max-Forwards: %d" % max_forwards)
    lines += [header_line("Route", hop.serialize()) for hop in route]
    lines += [
        header_line("From", from_.serialize()),
        header_line("To", to.serialize()),
        header_line("Call-ID", call_id),
        encode(f"CSeq: {cseq} {method}"),
    ]
    if contact is not None:
        lines.append(header_line("Contact", contact.serialize()))
    _finish(lines, headers, content_type, body)
    return Request(method, uri_text, Headers(lines), body)


def respond(
    request: Request | Headers,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    contact: Address | None = None,
    headers: Iterable[tuple[str, str]] = (),
    content_type: str | None = None,
    body: bytes = b"",
    record_route: bool | None = None,
) -> Response:
    """Answer a request: Via, From, To, Call-ID and CSeq are its own lines (RFC 3261, 8.2.6).

    Its headers alone do too, when the rest of it could not be read (`SipSyntaxError.headers`).
    ``to_tag`` is added when To has none (not to 100). ``Record-Route`` is copied by 101 to 299 (12.1.1) unless
    ``record_route`` says otherwise, ``Timestamp`` by 100. Raises `SipBuildError`.
    """
    if not LOWEST <= status <= HIGHEST:
        raise SipBuildError("status", f"{status} is no status code")
    if reason is not None and ("\r" in reason or "\n" in reason):
        raise SipBuildError("reason", "holds a line break")
    if status == _TRYING:
        copied = _COPIED_WITH_TIMESTAMP
    elif status < _FIRST_REDIRECT if record_route is None else record_route:
        copied = _COPIED_WITH_ROUTE
    else:
        copied = _COPIED
    asked = request.headers if isinstance(request, Request) else request
    keys = []
    lines = []
    for key, line in zip(asked.keys, asked.lines, strict=True):
        if key in copied:
            keys.append(key)
            lines.append(line)
    if to_tag is not None and status != _TRYING and "to" in keys:
        at = keys.index("to")
        lines[at] = _tagged(lines[at], to_tag)
    if contact is not None:
        lines.append(header_line("Contact", contact.serialize()))
    _finish(lines, headers, content_type, body)
    return Response(status, reason, Headers(lines), body)


def _tagged(line: bytes, tag: str) -> bytes:
    # Behind the brackets, or anywhere in an address without them, where parameters belong to the header too.
    params = line[line.rfind(b">") + 1 :]
    if b"tag" in params.lower() and _HAS_TAG(params):
        return line
    if not is_token(tag):
        raise SipBuildError("tag", f"{tag!r} is no token")
    return b"%b;tag=%b" % (line, tag.encode())


_HAS_TAG = re.compile(rb";\s*tag\s*=", re.IGNORECASE).search


def _finish(lines: list[bytes], headers: Iterable[tuple[str, str]], content_type: str | None, body: bytes) -> None:
    for name, value in headers:
        lines.append(header_line(name, value))
    if content_type is not None:
        lines.append(header_line("Content-Type", content_type))
    elif body:
        raise SipBuildError("Content-Type", "a body without its type")
    lines.append(b"Content-Length: %d" % len(body))
