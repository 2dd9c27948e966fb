"""Which packages there are, and XML that is safe to read."""

from __future__ import annotations

from enum import StrEnum
from xml.etree import ElementTree as ET

MAX_BODY = 65_536
"""Bytes of a body that are read."""
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'


class EventPackage(StrEnum):
    """Packages whose bodies are known here, as Event names them."""

    DIALOG = "dialog"
    PRESENCE = "presence"
    MESSAGE_SUMMARY = "message-summary"
    REG = "reg"
    REFER = "refer"

    @property
    def content_type(self) -> str:
        """Media type of its bodies, as Content-Type and Accept name it."""
        return _TYPES[self]


_TYPES = {
    EventPackage.DIALOG: "application/dialog-info+xml",  # RFC 4235
    EventPackage.PRESENCE: "application/pidf+xml",  # RFC 3856, RFC 3863
    EventPackage.MESSAGE_SUMMARY: "application/simple-message-summary",  # RFC 3842
    EventPackage.REG: "application/reginfo+xml",  # RFC 3680
    EventPackage.REFER: "message/sipfrag;version=2.0",  # RFC 3515
}


class BodyError(ValueError):
    """A body that is none of its package; it came from a peer."""


def read_xml(body: bytes, namespace: str, root: str) -> ET.Element:
    """Read an XML body with this root element. Raises `BodyError`, also for one that declares entities of its own."""
    if len(body) > MAX_BODY:
        raise BodyError(f"{len(body)} bytes")
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body or b"\0" in body:  # no UTF-16 either, where these would hide
        raise BodyError("a document type")
    try:
        found = ET.fromstring(body)  # noqa: S314 - no document type, so no entities; and bounded
    except (ET.ParseError, ValueError, LookupError) as error:
        raise BodyError(str(error)) from None
    if found.tag != f"{{{namespace}}}{root}":
        raise BodyError(f"no {root} of {namespace}: {found.tag[:80]}")
    return found


def write_xml(root: ET.Element) -> bytes:
    """Write an XML body."""
    return _DECLARATION + ET.tostring(root)


def required(element: ET.Element, name: str) -> str:
    """Read an attribute. Raises `BodyError` when there is none."""
    value = element.get(name)
    if value is None:
        raise BodyError(f"{element.tag} without {name}")
    return value


def number(text: str | None, name: str) -> int:
    """Read a number that is not negative. Raises `BodyError`."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > len(str(2**32)):
        raise BodyError(f"{name} is no number")
    return int(text)


def text_of(element: ET.Element | None) -> str | None:
    """Text of an element, stripped; None when there is neither."""
    return None if element is None or element.text is None else element.text.strip()
