"""Registrations of an address (package ``reg``, RFC 3680)."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree as ET

from roomtone.protocols.sip.packages.body import BodyError, number, read_xml, required, text_of, write_xml

NAMESPACE = "urn:ietf:params:xml:ns:reginfo"
_STATES = frozenset({"init", "active", "terminated"})
_EVENTS = frozenset({
    "registered", "created", "refreshed", "shortened",
    "expired", "deactivated", "probation", "unregistered", "rejected",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class RegisteredContact:
    """One binding; ``event`` is what happened to it last."""

    id: str
    uri: str
    is_active: bool = True
    event: str = "registered"
    expires_s: int | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """All bindings of one address of record."""

    aor: str
    id: str
    state: str
    """``init``, ``active`` or ``terminated``."""
    contacts: tuple[RegisteredContact, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistrationInfo:
    """A state of registrations, or what has changed (``full`` is false)."""

    version: int
    registrations: tuple[Registration, ...] = ()
    full: bool = True

    def serialize(self) -> bytes:
        """Write the body."""
        root = ET.Element("reginfo", xmlns=NAMESPACE, version=str(self.version))
        root.set("state", "full" if self.full else "partial")
        for one in self.registrations:
            element = ET.SubElement(root, "registration", aor=one.aor, id=one.id, state=one.state)
            for contact in one.contacts:
                state = "active" if contact.is_active else "terminated"
                child = ET.SubElement(element, "contact", id=contact.id, state=state, event=contact.event)
                if contact.expires_s is not None:
                    child.set("expires", str(contact.expires_s))
                ET.SubElement(child, "uri").text = contact.uri
        return write_xml(root)

    @staticmethod
    def parse(body: bytes) -> RegistrationInfo:
        """Read a body. Raises `BodyError`."""
        root = read_xml(body, NAMESPACE, "reginfo")
        state = required(root, "state")
        if state not in {"full", "partial"}:
            raise BodyError(f"no state: {state[:20]}")
        found = tuple(_registration(element) for element in root.findall(f"{{{NAMESPACE}}}registration"))
        return RegistrationInfo(number(root.get("version"), "version"), found, state == "full")


def _registration(element: ET.Element) -> Registration:
    state = required(element, "state")
    if state not in _STATES:
        raise BodyError(f"no state of a registration: {state[:20]}")
    contacts = tuple(_contact(child) for child in element.findall(f"{{{NAMESPACE}}}contact"))
    return Registration(required(element, "aor"), required(element, "id"), state, contacts)


def _contact(element: ET.Element) -> RegisteredContact:
    state, event = required(element, "state"), required(element, "event")
    uri = text_of(element.find(f"{{{NAMESPACE}}}uri"))
    if state not in {"active", "terminated"} or event not in _EVENTS or not uri:
        raise BodyError(f"no contact: {state[:20]} {event[:20]}")
    expires = element.get("expires")
    seconds = None if expires is None else number(expires, "expires")
    return RegisteredContact(required(element, "id"), uri, state == "active", event, seconds)
