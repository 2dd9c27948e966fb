"""Problem bodies (RFC 9457), which RFC 9725 section 4.1 recommends."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong: ``code`` is stable for programs, ``detail`` for people."""

    status: int
    code: str
    detail: str
    line: int | None = None

    def body(self) -> dict[str, str | int]:
        """Give the JSON object."""
        content: dict[str, str | int] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.line is not None:
            content["line"] = self.line
        return content
