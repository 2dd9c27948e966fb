"""How a referred call goes (package ``refer``, RFC 3515): the status line of its last response (RFC 3420)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from roomtone.protocols.sip.message import reason_phrase
from roomtone.protocols.sip.packages.body import BodyError

_STATUS_LINE = re.compile(rb"SIP/2\.0[ \t]+([1-6][0-9]{2})(?:[ \t]+([^\r\n]*))?", re.IGNORECASE).match
_FINAL, _REDIRECT = 200, 300


@dataclass(frozen=True, slots=True)
class Progress:
    """A status of a referred call."""

    status: int
    reason: str

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come."""
        return self.status >= _FINAL

    @property
    def is_success(self) -> bool:
        """Whether it was answered."""
        return _FINAL <= self.status < _REDIRECT

    def serialize(self) -> bytes:
        """Write the body."""
        return f"SIP/2.0 {self.status} {self.reason}\r\n".encode()

    @staticmethod
    def parse(body: bytes) -> Progress:
        """Read the first line of a body. Raises `BodyError`."""
        match = _STATUS_LINE(body)
        if match is None:
            raise BodyError("no status line")
        status = int(match[1])
        return Progress(status, (match[2] or b"").decode("utf-8", "replace") or reason_phrase(status))
