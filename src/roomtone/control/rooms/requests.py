"""Who wants to be in a room."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.control.rooms.permissions import Permissions
from roomtone.control.rooms.values import ParticipantKind

if TYPE_CHECKING:
    from roomtone.control.rooms.values import Protocol


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """Who wants to be in a room, and what it may do there."""

    identity: str
    name: str = ""
    metadata: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    kind: ParticipantKind = ParticipantKind.STANDARD
    permissions: Permissions = field(default_factory=Permissions)
    protocol: Protocol | None = None
    account_id: str | None = None
    movable: bool = False
    """Its server can tell the peer to go on in another room."""
