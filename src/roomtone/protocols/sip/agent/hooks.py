"""What a user agent asks others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.message import Request, Response


class Authenticator(Protocol):
    """Has credentials."""

    def answer(self, request: Request, response: Response, owner: object) -> bytes | None:
        """Write Authorization and Proxy-Authorization lines, each with its end; None: no (other) credentials.

        ``request`` is what was answered 401 or 407, ``owner`` that of its handle.
        """


class Guard(Protocol):
    """Looks at requests outside of dialogs before anything else does."""

    def check(self, request: Request, flow: Flow) -> tuple[int, bytes] | None:
        """Let a request pass with None, or refuse it: status and header lines (a challenge), each with its end."""
