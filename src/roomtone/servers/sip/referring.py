"""REFERs of ours: a peer is asked to call somebody, and tells how that goes (RFC 3515)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from roomtone.protocols.sip.errors import SipSyntaxError
from roomtone.protocols.sip.message import Response, parse_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.protocols.sip.agent import EndReason
    from roomtone.protocols.sip.message import Request

_FINAL, _REFUSED = 200, 300
_TIMEOUT = 408


class Referring:
    """One REFER; ``tell`` is called with the first final status of what came of it, and once."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell: Callable[[int], None] | None = tell

    def done(self, response: Response | None) -> None:
        """Take the answer to the REFER: an acceptance says nothing yet."""
        status = _TIMEOUT if response is None else response.status
        if status >= _REFUSED:
            self._settle(status)

    def notified(self, request: Request) -> None:
        """Take a NOTIFY, whose body is a status line; another says nothing."""
        with suppress(SipSyntaxError):
            told = parse_message(request.body.rstrip(b"\r\n") + b"\r\n\r\n")
            if isinstance(told, Response) and told.status >= _FINAL:
                self._settle(told.status)

    def ended(self, reason: EndReason) -> None:
        """Take the end of what tells about it; before a final status nothing is known of what came of it."""
        del reason
        self._settle(_TIMEOUT)

    def _settle(self, status: int) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(status)


def heard_of(owner: object, request: Request) -> None:
    """Hand a NOTIFY to the REFER that it is about, if it is about one of ours."""
    if isinstance(owner, Referring):
        owner.notified(request)


def heard_end(owner: object, reason: EndReason) -> None:
    """Tell a REFER of ours that no more comes about it."""
    if isinstance(owner, Referring):
        owner.ended(reason)
