"""What subscribers are told of an account: where it is registered, who it talks to, its mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.packages import (
    BodyError,
    DialogEntry,
    DialogInfo,
    EventPackage,
    MessageSummary,
    Presence,
    PresenceTuple,
    RegisteredContact,
    Registration,
    RegistrationInfo,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.control.calls import Binding, BindingChange

PACKAGES = (EventPackage.DIALOG, EventPackage.MESSAGE_SUMMARY, EventPackage.PRESENCE, EventPackage.REG)
"""Packages that are served."""
PRIVATE = frozenset({EventPackage.MESSAGE_SUMMARY, EventPackage.REG})
"""Those that an account is told of itself only."""
PUBLISHED = frozenset({EventPackage.PRESENCE, EventPackage.MESSAGE_SUMMARY})
"""Those whose states are published here (RFC 3903): presence by phones, waiting messages by who keeps a mailbox."""


def check_published(package: str, content_type: str, body: bytes) -> int:
    """Give the status that refuses a state; 0 for one that can be told to others."""
    try:
        match package:
            case EventPackage.PRESENCE if content_type == EventPackage.PRESENCE.content_type:
                Presence.parse(body)
            case EventPackage.MESSAGE_SUMMARY if content_type == EventPackage.MESSAGE_SUMMARY.content_type:
                MessageSummary.parse(body)
            case EventPackage.PRESENCE | EventPackage.MESSAGE_SUMMARY:
                return 415
            case _:
                return 0  # refused by the user agent, which names what it keeps
    except BodyError:
        return 400
    return 0


def presence_of(aor: str, published: Sequence[bytes], *, registered: bool) -> bytes:
    """Tell whether somebody can be reached: what its phones published, else whether any is registered (RFC 3856)."""
    documents = [Presence.parse(body) for body in published]
    tuples = [one for document in documents for one in document.tuples]
    notes = [document.note for document in documents if document.note]
    if not tuples:
        tuples = [PresenceTuple("registration", registered, contact=aor if registered else None)]
    unique = {f"{at}-{one.id}": one for at, one in enumerate(tuples)}
    renamed = [PresenceTuple(id_, one.is_open, one.contact, one.note) for id_, one in unique.items()]
    return Presence(aor, tuple(renamed if len(tuples) > 1 else tuples), notes[-1] if notes else None).serialize()


def summary_of(aor: str, published: Sequence[bytes]) -> bytes:
    """Tell whether messages wait (RFC 3842): what was published last; without a mailbox none do."""
    return published[-1] if published else MessageSummary(waiting=False, account=aor).serialize()


def dialogs_of(aor: str, version: int, entries: tuple[DialogEntry, ...]) -> bytes:
    """Tell of all calls of an account (RFC 4235)."""
    return DialogInfo(aor, version, entries).serialize()


def registrations_of(
    aor: str, version: int, held: Sequence[Binding], changes: Sequence[BindingChange], now: float
) -> bytes:
    """Tell where an account is registered, and what has just changed about that (RFC 3680)."""
    events = {change.binding.key: change.event for change in changes}
    gone = [change for change in changes if change.is_end]
    contacts = [
        RegisteredContact(
            one.key[:16],
            one.contact,
            event=events.get(one.key, "registered"),
            expires_s=max(0, round(one.expires_at - now)),
        )
        for one in held
    ]
    contacts += [
        RegisteredContact(one.binding.key[:16], one.binding.contact, is_active=False, event=one.event) for one in gone
    ]
    state = "active" if held else "terminated" if gone else "init"
    registration = Registration(aor, "a1", state, tuple(contacts))
    return RegistrationInfo(version, (registration,)).serialize()
