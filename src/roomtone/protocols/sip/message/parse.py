"""Bytes of one message into a `Request` or `Response`: the start line and the shape of every header line are checked.

Values stay as they are until somebody asks. Bare CR or LF in the header part is refused: a peer that takes it for the
end of a line would see other headers than we do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from roomtone.protocols.sip.errors import Fault, SipSyntaxError
from roomtone.protocols.sip.grammar import decode
from roomtone.protocols.sip.message.headers import SPACE, Headers, line_value
from roomtone.protocols.sip.message.message import Request, Response
from roomtone.protocols.sip.message.names import KEY_OF, METHOD_OF
from roomtone.protocols.sip.message.status import HIGHEST, LOWEST

_FOLDED_BREAK = re.compile(rb"\r\n(?![ \t])")
_TOKEN = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]{1,128}").fullmatch
_USUAL = re.compile(rb"([A-Z]+) ([!#-;=?-~]+) SIP/2\.0").fullmatch
_VERSION = re.compile(rb"SIP/[0-9]+\.[0-9]+", re.IGNORECASE).fullmatch
_STATUS = re.compile(rb"(SIP/[0-9]+\.[0-9]+) ([0-9]{3})(?: ([^\r\n]*))?", re.IGNORECASE).fullmatch
_LONGEST_LENGTH = 10
_CALL_SIGN = re.compile(rb"SIP/[0-9]", re.IGNORECASE).match
_REQUEST_WORDS = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may be; beyond it `SipSyntaxError` (``TOO_LONG``, ``TOO_MANY_HEADERS``)."""

    header_bytes: int = 65_536
    """Start line and headers together."""
    header_lines: int = 512
    body_bytes: int = 1_048_576


LIMITS = Limits()


def parse_message(data: bytes, limits: Limits = LIMITS) -> Request | Response:
    """Read one whole message, as a datagram or `StreamFramer` delivers it.

    Leading empty lines are skipped (7.5). The body is as long as ``Content-Length`` says, further bytes are dropped
    (18.3); without it the rest is the body. Raises `SipSyntaxError`.
    """
    if not data or data[0] in _BREAKS:
        data = data.lstrip(b"\r\n")
        if not data:
            raise SipSyntaxError(Fault.EMPTY, 0, "nothing but line breaks")
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise SipSyntaxError(Fault.NO_END_OF_HEADERS, len(data), "no empty line behind the headers")
    if end > limits.header_bytes:
        raise SipSyntaxError(Fault.TOO_LONG, limits.header_bytes, "headers too long")
    head = data[:end]
    lines = head.splitlines()
    if b"\r\n".join(lines) != head:  # it splits at bare ones too
        raise SipSyntaxError(Fault.LINE_BREAK, 0, "a bare CR or LF")
    start = lines.pop(0)
    values = _values(lines)
    if values is not None and len(lines) <= limits.header_lines:
        headers = Headers(lines, list(values), values)
    elif len(lines) <= limits.header_lines and (keys := _plain_keys(lines)) is not None:
        headers = Headers(lines, keys)
    else:
        lines = _FOLDED_BREAK.split(head)
        start = lines.pop(0)
        headers = Headers(lines, _keys(lines, len(start) + 2, limits))
    if start[:4] in _STATUS_STARTS and _CALL_SIGN(start):
        status, reason = _status_line(start)
        return Response(status, reason, headers, _body(data, end, headers, limits))
    try:
        method, uri_text = _request_line(start)
        return Request(method, uri_text, headers, _body(data, end, headers, limits))
    except SipSyntaxError as error:
        error.headers = headers
        raise


_BREAKS = b"\r\n"
_STATUS_STARTS = frozenset([b"SIP/", b"sip/", b"Sip/"])


def _values(lines: list[bytes]) -> dict[str, bytes] | None:
    """Read lines into key and value; None when a name comes twice, or a line has none."""
    try:
        values = {KEY_OF[parts[0]]: parts[2].strip(SPACE) for line in lines if (parts := line.partition(b":"))[1]}
    except SipSyntaxError:
        return None
    return values if len(values) == len(lines) else None


def _plain_keys(lines: list[bytes]) -> list[str] | None:
    """Read the names of lines, some of which are the same; None when one has none: it may be a folded one's rest."""
    try:
        keys = [KEY_OF[parts[0]] for line in lines if (parts := line.partition(b":"))[1]]
    except SipSyntaxError:
        return None
    return keys if len(keys) == len(lines) else None


def _keys(lines: list[bytes], position: int, limits: Limits) -> list[str]:
    """Read the names of lines, folded or not; the error says which line has none, and where."""
    if len(lines) > limits.header_lines:
        raise SipSyntaxError(Fault.TOO_MANY_HEADERS, 0, "too many header lines")
    keys = []
    for line in lines:
        if b":" not in line:
            raise SipSyntaxError(Fault.HEADER_LINE, position, f"no colon: {line[:40]!r}")
        try:
            keys.append(KEY_OF[line[: line.index(b":")]])
        except SipSyntaxError as error:
            raise SipSyntaxError(error.fault, position, error.message) from None
        position += len(line) + 2
    return keys


def _request_line(start: bytes) -> tuple[str, str]:
    match = _USUAL(start)
    if match is not None and (method := METHOD_OF.get(match[1])):
        return method, match[2].decode()
    words = start.split(b" ")
    if len(words) != _REQUEST_WORDS:
        raise SipSyntaxError(Fault.START_LINE, 0, f"not three words: {start[:80]!r}")
    written, uri, version = words
    method = METHOD_OF.get(written)
    if method is None:
        if _TOKEN(written) is None:
            raise SipSyntaxError(Fault.METHOD, 0, f"no method: {written[:40]!r}")
        method = written.decode()
    if version != b"SIP/2.0":
        _check_version(version, len(written) + len(uri) + 2)
    if not uri or b"<" in uri or b">" in uri or b"\t" in uri or b'"' in uri:
        raise SipSyntaxError(Fault.REQUEST_URI, len(written) + 1, f"no URI: {uri[:80]!r}")
    return method, decode(uri)


def _check_version(version: bytes, position: int) -> None:
    if _VERSION(version) is None:
        raise SipSyntaxError(Fault.START_LINE, position, f"no version: {version[:20]!r}")
    if version[4:] != b"2.0":
        raise SipSyntaxError(Fault.VERSION, position, f"not SIP/2.0: {version[:20]!r}")


def _status_line(start: bytes) -> tuple[int, str]:
    match = _STATUS(start)
    if match is None:
        raise SipSyntaxError(Fault.STATUS_CODE, 0, f"no status line: {start[:80]!r}")
    _check_version(match[1], 0)
    status = int(match[2])
    if not LOWEST <= status <= HIGHEST:
        raise SipSyntaxError(Fault.STATUS_CODE, match.start(2), f"no status code: {status}")
    return status, decode(match[3] or b"")


def content_length(headers: Headers) -> int | None:
    """Value of Content-Length; None without one. Raises `SipSyntaxError`; lines that contradict each other too."""
    value = headers.get("content-length")
    if value is None:
        return None
    if not value.isdigit() or len(value) > _LONGEST_LENGTH:
        raise SipSyntaxError(Fault.CONTENT_LENGTH, 0, f"no length: {value[:20]!r}", header="Content-Length")
    if headers.has_repeated:
        values = {line_value(line).lstrip(b"0") for line in headers.lines_of("content-length")}
        if len(values) > 1:
            raise SipSyntaxError(Fault.REPEATED_HEADER, 0, "lengths that differ", header="Content-Length")
    return int(value)


def _body(data: bytes, end: int, headers: Headers, limits: Limits) -> bytes:
    start = end + 4
    length = content_length(headers)
    if length == 0:
        return b""
    body = data[start:]
    there = len(body)
    if length is None or length == there:
        length = there
    elif length > there and length <= limits.body_bytes:
        raise SipSyntaxError(Fault.BODY_SHORT, len(data), f"{there} bytes of a body of {length}")
    if length > limits.body_bytes:
        raise SipSyntaxError(Fault.TOO_LONG, start, "body too long")
    return body if length == there else body[:length]
