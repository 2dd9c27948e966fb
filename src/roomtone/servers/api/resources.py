"""Resources of WHIP and WHEP: what a Location names, until its participant or viewer ends."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from roomtone.control.rooms import Participant

if TYPE_CHECKING:
    from roomtone.control.policy import JoinTicket
    from roomtone.control.rooms import CloseReason, Connection, EventMailbox, Member, Subscription
    from roomtone.protocols.whip import IceGeneration


class ResourceKind(StrEnum):
    """Which protocol made it."""

    WHIP = "whip"
    WHEP = "whep"


@dataclass(eq=False, slots=True)
class EventStreamResource:
    """A WHEP event stream: wanted types and the mailbox that fills from its creation on."""

    wanted: frozenset[str]
    mailbox: EventMailbox
    reading: bool = False
    active: bool = False
    """Whether the reader was last told of an active source."""


@dataclass(eq=False, slots=True)
class Resource:
    """One WHIP or WHEP session."""

    kind: ResourceKind
    id: str
    room: str
    member: Member
    connection: Connection
    generation: IceGeneration
    token_digest: bytes
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    """What is sent, by the place of its media section in the offer."""
    mids: dict[str, int] = field(default_factory=dict)
    streams: dict[str, EventStreamResource] = field(default_factory=dict)
    patching: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def path(self) -> str:
        """Its path on this server."""
        return f"/{self.kind.value}/{self.room}/{self.id}"


def digest(token: str | None) -> bytes:
    """Fingerprint of a token, so that a resource need not keep it."""
    return hashlib.sha256((token or "").encode()).digest()


def new_id() -> str:
    """Make an id nobody guesses (RFC 9725 section 5 asks for it)."""
    return secrets.token_urlsafe(18)


class ResourceTable:
    """All resources. Limit: those of rooms and addresses; a resource leaves with its member. ``ended`` counts why."""

    def __init__(self) -> None:
        self.ended: Counter[CloseReason] = Counter()
        self._resources: dict[tuple[ResourceKind, str, str], Resource] = {}

    def __len__(self) -> int:
        return len(self._resources)

    def add(self, resource: Resource, ticket: JoinTicket) -> None:
        """Add a resource until its member ends; the join's place is given back then."""
        key = (resource.kind, resource.room, resource.id)
        self._resources[key] = resource

        def follow(member: Member) -> None:
            def ended(reason: CloseReason) -> None:
                if isinstance(member, Participant) and member.successor is not None:
                    resource.member = member.successor  # it was moved to another room, and this is still its path
                    follow(resource.member)
                    return
                self._resources.pop(key, None)
                self.ended[reason] += 1
                ticket.release()

            member.when_closed(ended)

        follow(resource.member)

    def get(self, kind: ResourceKind, room: str, id_: str) -> Resource | None:
        """Find a resource."""
        return self._resources.get((kind, room, id_))
