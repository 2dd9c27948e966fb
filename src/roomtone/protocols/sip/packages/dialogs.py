"""Dialogs of somebody (package ``dialog``, RFC 4235): what lamps beside keys and call pickup show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args
from xml.etree import ElementTree as ET

from roomtone.protocols.sip.packages.body import BodyError, number, read_xml, required, text_of, write_xml

NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"
DialogInfoState = Literal["trying", "proceeding", "early", "confirmed", "terminated"]
_STATES = frozenset(get_args(DialogInfoState))


@dataclass(frozen=True, slots=True)
class DialogEntry:
    """One dialog; ``id`` is the notifier's word for it."""

    id: str
    state: DialogInfoState
    direction: Literal["initiator", "recipient"] | None = None
    """Whether the entity sent the INVITE."""
    call_id: str | None = None
    local_tag: str | None = None
    remote_tag: str | None = None
    local: str | None = None
    """Identity of the entity's side: a URI."""
    remote: str | None = None


@dataclass(frozen=True, slots=True)
class DialogInfo:
    """A state of all dialogs of an entity, or what has changed (``full`` is false)."""

    entity: str
    """Whose dialogs: a URI."""
    version: int
    """One more with each document to a subscriber."""
    dialogs: tuple[DialogEntry, ...] = ()
    full: bool = True

    def serialize(self) -> bytes:
        """Write the body."""
        root = ET.Element("dialog-info", xmlns=NAMESPACE, version=str(self.version))
        root.set("state", "full" if self.full else "partial")
        root.set("entity", self.entity)
        for dialog in self.dialogs:
            element = ET.SubElement(root, "dialog", id=dialog.id)
            for name, value in (
                ("call-id", dialog.call_id),
                ("local-tag", dialog.local_tag),
                ("remote-tag", dialog.remote_tag),
                ("direction", dialog.direction),
            ):
                if value is not None:
                    element.set(name, value)
            ET.SubElement(element, "state").text = dialog.state
            for name, uri in (("local", dialog.local), ("remote", dialog.remote)):
                if uri is not None:
                    ET.SubElement(ET.SubElement(element, name), "identity").text = uri
        return write_xml(root)

    @staticmethod
    def parse(body: bytes) -> DialogInfo:
        """Read a body. Raises `BodyError`."""
        root = read_xml(body, NAMESPACE, "dialog-info")
        state = required(root, "state")
        if state not in {"full", "partial"}:
            raise BodyError(f"no state: {state[:20]}")
        dialogs = tuple(_entry(element) for element in root.findall(f"{{{NAMESPACE}}}dialog"))
        return DialogInfo(required(root, "entity"), number(root.get("version"), "version"), dialogs, state == "full")


def _entry(element: ET.Element) -> DialogEntry:
    state = text_of(element.find(f"{{{NAMESPACE}}}state"))
    direction = element.get("direction")
    if state not in _STATES:
        raise BodyError(f"no state of a dialog: {str(state)[:20]}")
    if direction not in {None, "initiator", "recipient"}:
        raise BodyError(f"no direction: {str(direction)[:20]}")
    return DialogEntry(
        required(element, "id"),
        state,  # type: ignore[arg-type]
        direction,  # type: ignore[arg-type]
        element.get("call-id"),
        element.get("local-tag"),
        element.get("remote-tag"),
        text_of(element.find(f"{{{NAMESPACE}}}local/{{{NAMESPACE}}}identity")),
        text_of(element.find(f"{{{NAMESPACE}}}remote/{{{NAMESPACE}}}identity")),
    )
