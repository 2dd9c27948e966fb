"""What a user agent asks others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request, Response


class Challenged(NamedTuple):
    """A request of ours that was answered 401 or 407."""

    method: str
    uri: str
    """Request-URI as it was sent, and will be sent again."""
    body: bytes
    owner: object
    """Of the request's handle."""


class Authenticator(Protocol):
    """Has credentials."""

    def answer(self, request: Challenged, response: Response) -> bytes | None:
        """Write Authorization and Proxy-Authorization lines, each with its end; None: no (other) credentials."""


class Guard(Protocol):
    """Looks at requests outside of dialogs before anything else does."""

    def check(self, request: Request, flow: Flow) -> tuple[int, bytes] | None:
        """Let a request pass with None, or refuse it: status and header lines (a challenge), each with its end."""
