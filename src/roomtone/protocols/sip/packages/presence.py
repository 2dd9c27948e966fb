"""Presence (packages ``presence``, RFC 3856; bodies RFC 3863): whether somebody can be reached, and where."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from roomtone.protocols.sip.packages.body import BodyError, read_xml, required, text_of, write_xml

NAMESPACE = "urn:ietf:params:xml:ns:pidf"


@dataclass(frozen=True, slots=True)
class PresenceTuple:
    """One way to reach somebody."""

    id: str
    is_open: bool | None
    """Whether it takes messages or calls; None: not said."""
    contact: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """The presence of an entity."""

    entity: str
    tuples: tuple[PresenceTuple, ...] = ()
    note: str | None = None

    def serialize(self) -> bytes:
        """Write the body."""
        root = ET.Element("presence", xmlns=NAMESPACE, entity=self.entity)
        for one in self.tuples:
            element = ET.SubElement(root, "tuple", id=one.id)
            status = ET.SubElement(element, "status")
            if one.is_open is not None:
                ET.SubElement(status, "basic").text = "open" if one.is_open else "closed"
            for name, value in (("contact", one.contact), ("note", one.note)):
                if value is not None:
                    ET.SubElement(element, name).text = value
        if self.note is not None:
            ET.SubElement(root, "note").text = self.note
        return write_xml(root)

    @staticmethod
    def parse(body: bytes) -> Presence:
        """Read a body. Raises `BodyError`."""
        root = read_xml(body, NAMESPACE, "presence")
        tuples = tuple(_tuple(element) for element in root.findall(f"{{{NAMESPACE}}}tuple"))
        return Presence(required(root, "entity"), tuples, text_of(root.find(f"{{{NAMESPACE}}}note")))


def _tuple(element: ET.Element) -> PresenceTuple:
    basic = text_of(element.find(f"{{{NAMESPACE}}}status/{{{NAMESPACE}}}basic"))
    if basic not in {None, "open", "closed"}:
        raise BodyError(f"no basic status: {str(basic)[:20]}")
    contact = text_of(element.find(f"{{{NAMESPACE}}}contact"))
    note = text_of(element.find(f"{{{NAMESPACE}}}note"))
    return PresenceTuple(required(element, "id"), None if basic is None else basic == "open", contact, note)
