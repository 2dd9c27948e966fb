"""What a caller of the server API may do, as LiveKit reads its token's grants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.policy import AccessError, Grant, Role, require
from roomtone.protocols.livekit import TwirpCode, TwirpError

if TYPE_CHECKING:
    from roomtone.control.policy import AccessToken

_DENIED = "permissions denied"


class Caller:
    """Who calls; each check raises `TwirpError` when its token does not grant it."""

    def __init__(self, token: AccessToken, base_url: str = "http://localhost/") -> None:
        self._token = token
        self.base_url = base_url
        """Where it reached this server, for URLs that it is told."""

    def must_create(self) -> None:
        """Check ``roomCreate``: rooms may be made and deleted."""
        self._check(self._token.grants.room_create)

    def must_list(self) -> None:
        """Check ``roomList``."""
        self._check(self._token.grants.room_list)

    def must_administer(self, room: str) -> None:
        """Check ``roomAdmin`` for a room; what an account got when it logged in is for all rooms."""
        try:
            require(self._token, room, Grant.ADMINISTER)
        except AccessError:
            self._check(granted=False)

    def must_send_to(self, room: str, destination: str) -> None:
        """Check ``roomAdmin`` for a room and ``destinationRoom`` for another."""
        self.must_administer(room)
        self._check(self._token.role is not None or self._token.grants.destination_room == destination)

    def must_administer_sip(self) -> None:
        """Check ``sip.admin``: trunks and dispatch rules are made, listed and deleted."""
        self._check(self._token.administers_sip or self._token.role is Role.ADMIN)

    def must_call_by_sip(self) -> None:
        """Check ``sip.call``: rooms call phones, and phones in them are transferred."""
        self._check(self._token.calls_by_sip or self._token.role is Role.ADMIN)

    def must_administer_ingress(self) -> None:
        """Check ``ingressAdmin``: places for sources are made, changed, listed and deleted."""
        self._check(self._token.grants.ingress_admin)

    def _check(self, granted: bool) -> None:
        if not granted:
            raise TwirpError(TwirpCode.UNAUTHENTICATED, _DENIED)
