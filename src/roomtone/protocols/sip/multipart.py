"""Bodies of several parts (RFC 2046, 5.1; RFC 5621): SDP beside ISUP, presence lists, signed bodies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import Fault, SipBuildError, SipSyntaxError
from roomtone.protocols.sip.grammar import Params, make_params
from roomtone.protocols.sip.headers.valued import Disposition, MediaType, parse_disposition, parse_media_type
from roomtone.protocols.sip.message.headers import Headers
from roomtone.protocols.sip.message.names import KEY_OF

if TYPE_CHECKING:
    from roomtone.protocols.sip.message.message import Message

MAX_PARTS = 32
MAX_DEPTH = 4
"""Multiparts inside multiparts."""
_PLAIN_TEXT = MediaType("text", "plain")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a body: its headers and its bytes."""

    headers: Headers
    body: bytes

    @property
    def content_type(self) -> MediaType:
        """Media type; ``text/plain`` when it does not say. Raises `SipSyntaxError`."""
        text = self.headers.text("content-type")
        return _PLAIN_TEXT if text is None else parse_media_type(text)

    @property
    def disposition(self) -> Disposition | None:
        """What the part is for; None when it does not say. Raises `SipSyntaxError`."""
        text = self.headers.text("content-disposition")
        return None if text is None else parse_disposition(text)


def parse_multipart(body: bytes, boundary: str) -> list[Part]:
    """Cut a multipart body into its parts. Raises `SipSyntaxError` (``MULTIPART``)."""
    if not boundary:
        raise SipSyntaxError(Fault.MULTIPART, 0, "no boundary")
    mark = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    pieces = (b"\r\n" + body).split(mark)
    if len(pieces) > MAX_PARTS + 2:
        raise SipSyntaxError(Fault.MULTIPART, 0, "too many parts")
    found: list[Part] = []
    position = len(pieces[0])
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return found
        padding, line_break, content = piece.partition(b"\r\n")
        if not line_break or padding.strip(b" \t"):
            raise SipSyntaxError(Fault.MULTIPART, position, "a boundary that is no line")
        found.append(_part(content, position))
        position += len(mark) + len(piece)
    raise SipSyntaxError(Fault.MULTIPART, len(body), "the last boundary is missing")


def _part(content: bytes, position: int) -> Part:
    if content.startswith(b"\r\n"):
        return Part(Headers([]), content[2:])
    head, blank, body = content.partition(b"\r\n\r\n")
    if not blank:
        raise SipSyntaxError(Fault.MULTIPART, position, "no empty line behind a part's headers")
    lines: list[bytes] = []
    for line in head.split(b"\r\n"):
        if line[:1] in {b" ", b"\t"} and lines:
            lines[-1] += b"\r\n" + line
        else:
            lines.append(line)
    if any(b":" not in line or b"\n" in line.replace(b"\r\n", b"") for line in lines):
        raise SipSyntaxError(Fault.MULTIPART, position, "a part's header without colon")
    return Part(Headers(lines, [KEY_OF[line[: line.index(b":")]] for line in lines]), body)


def find_body(message: Message, content_type: str, depth: int = MAX_DEPTH) -> bytes | None:
    """Return the first body of this media type in a message, alone or in (nested) multiparts; None when none is there.

    Raises `SipSyntaxError` for a body that cannot be read.
    """
    text = message.headers.text("content-type")
    if text is None or not message.body:
        return None
    return _find(parse_media_type(text), message.body, content_type, depth)


def _find(kind: MediaType, body: bytes, wanted: str, depth: int) -> bytes | None:
    if kind.name == wanted:
        return body
    if kind.type != "multipart" or depth == 0:
        return None
    for part in parse_multipart(body, kind.boundary or ""):
        found = _find(part.content_type, part.body, wanted, depth - 1)
        if found is not None:
            return found
    return None


def make_multipart(parts: list[Part], boundary: str, subtype: str = "mixed") -> tuple[str, bytes]:
    """Make a multipart body: its Content-Type and bytes. Raises `SipBuildError` when the boundary is in a part."""
    mark = b"--" + boundary.encode()
    if not boundary or any(mark in part.body for part in parts):
        raise SipBuildError("boundary", "empty, or in a part")
    pieces = [b"\r\n".join([mark, *part.headers.lines, b"", part.body]) for part in parts]
    params: Params = make_params([("boundary", boundary)])
    kind = MediaType("multipart", subtype, params)
    return kind.serialize(), b"\r\n".join([*pieces, mark + b"--", b""])
