"""Messages that wait (package ``message-summary``, RFC 3842): the lamp of a voice mailbox."""

from __future__ import annotations

import re
from dataclasses import dataclass

from roomtone.protocols.sip.packages.body import MAX_BODY, BodyError

_CLASSES = ("voice-message", "fax-message", "pager-message", "multimedia-message", "text-message", "none")
_COUNTS = re.compile(r"([0-9]{1,9})/([0-9]{1,9})(?:[ \t]*\(([0-9]{1,9})/([0-9]{1,9})\))?").fullmatch


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """How many messages of one class there are; urgent ones are among the others."""

    new: int
    old: int
    urgent_new: int = 0
    urgent_old: int = 0

    def serialize(self) -> str:
        """Write the value."""
        return f"{self.new}/{self.old} ({self.urgent_new}/{self.urgent_old})"


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """Whether messages wait, and how many, by class (``voice-message`` and others of RFC 3458)."""

    waiting: bool
    account: str | None = None
    """URI of the mailbox."""
    counts: tuple[tuple[str, MessageCounts], ...] = ()

    def serialize(self) -> bytes:
        """Write the body. Raises `ValueError` for a class or an account that cannot be written."""
        lines = [f"Messages-Waiting: {'yes' if self.waiting else 'no'}"]
        if self.account is not None:
            if re.search(r"[\r\n]", self.account):
                raise ValueError("the account holds a line break")
            lines.append(f"Message-Account: {self.account}")
        for name, counts in self.counts:
            if name not in _CLASSES:
                raise ValueError(f"{name!r} is no class of messages")
            lines.append(f"{name.title()}: {counts.serialize()}")
        return "".join([f"{line}\r\n" for line in lines]).encode()

    @staticmethod
    def parse(body: bytes) -> MessageSummary:
        """Read a body; lines that are not known here are left out. Raises `BodyError`."""
        if len(body) > MAX_BODY:
            raise BodyError(f"{len(body)} bytes")
        waiting: bool | None = None
        account = None
        counts = []
        for line in body.decode("utf-8", "replace").splitlines():
            name, colon, value = line.partition(":")
            key, value = name.strip().lower(), value.strip()
            if key == "messages-waiting" and value.lower() in {"yes", "no"}:
                waiting = value.lower() == "yes"
            elif key == "message-account":
                account = value
            elif key in _CLASSES and colon:
                counts.append((key, _counts(value)))
        if waiting is None:
            raise BodyError("no Messages-Waiting")
        return MessageSummary(waiting, account, tuple(counts))


def _counts(value: str) -> MessageCounts:
    match = _COUNTS(value)
    if match is None:
        raise BodyError(f"no counts: {value[:40]!r}")
    new, old, urgent_new, urgent_old = match.groups("0")
    return MessageCounts(int(new), int(old), int(urgent_new), int(urgent_old))
