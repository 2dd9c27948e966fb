"""What rooms need for webhooks, and what those who send them need in turn."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.store import DeadLetterRecord, WaitingWebhookRecord


@dataclass(frozen=True, slots=True)
class Webhook:
    """An event to tell; those of one room are told in the order in which they were given."""

    id: str
    """The same each time it is sent, so that who is told twice can see it."""
    event: str
    room: str
    body: bytes
    """The JSON that is sent."""
    at: float
    """Seconds since the epoch."""


class WebhookSender(Protocol):
    """Tells events to all targets, at least once each."""

    def send(self, webhook: Webhook) -> None:
        """Take an event; must not block."""


class WebhookStore(Protocol):
    """Keeps webhooks that wait, and those that were given up.

    A waiting one belongs to an ``owner`` until its lease ends: a server that is there no longer.
    """

    async def add(self, webhooks: Sequence[WaitingWebhookRecord]) -> list[int]:
        """Keep webhooks; their ids."""
        ...

    async def delivered(self, ids: Sequence[int]) -> None:
        """Forget webhooks that have arrived."""
        ...

    async def give_up(self, id_: int | None, letter: DeadLetterRecord) -> None:
        """Keep a webhook among those given up instead."""
        ...

    async def revive(self, id_: int, owner: str, lease_until: float) -> WaitingWebhookRecord | None:
        """Have one that was given up wait again; none when there is no such one, or another took it."""
        ...

    async def renew(self, owner: str, lease_until: float) -> None:
        """Go on owning what one owns; a lease of zero leaves it to others."""
        ...

    async def claim(self, owner: str, now: float, lease_until: float, limit: int) -> list[WaitingWebhookRecord]:
        """Take over webhooks whose lease has ended, by id."""
        ...

    async def letter(self, id_: int) -> DeadLetterRecord | None:
        """Give one that was given up."""
        ...

    async def letters(self, limit: int, *, after: int = 0) -> list[DeadLetterRecord]:
        """Give those that were given up, by id, from the one after ``after``."""
        ...

    async def forget(self, id_: int) -> bool:
        """Forget one that was given up; false when there is no such one."""
        ...


class WebhookRefusal(StrEnum):
    """Why a request about webhooks was not done."""

    NO_SUCH_LETTER = "no_such_dead_letter"
    UNKNOWN_TARGET = "unknown_target"
    """Its URL is not among those of the settings."""
    QUEUE_FULL = "queue_full"


class WebhookError(Exception):
    """A request about webhooks was refused; it had no effect."""

    def __init__(self, refusal: WebhookRefusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message


class DeadLetters(Protocol):
    """Webhooks that were given up, for administrators."""

    async def letters(self, limit: int, *, after: int = 0) -> list[DeadLetterRecord]:
        """Give those that were given up, by id, from the one after ``after``."""
        ...

    async def resend(self, id_: int) -> None:
        """Send one again; raise `WebhookError`."""

    async def forget(self, id_: int) -> None:
        """Forget one; raise `WebhookError`."""
