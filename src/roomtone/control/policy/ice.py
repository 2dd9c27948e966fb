"""Which ICE servers a client is told, and with which credentials."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roomtone.protocols.whip import IceServer

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class IceServerRule:
    """One configured server: fixed credentials, or a secret that makes them for each client."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)
    secret: str | None = field(default=None, repr=False)
    ttl_s: int = 86_400

    def for_client(self, identity: str, now: float) -> list[IceServer]:
        """Give the server to one client."""
        username, credential = self.username, self.credential
        if self.secret is not None:
            # coturn's REST scheme: the name carries the expiry, the password is its HMAC-SHA1.
            username = f"{int(now) + self.ttl_s}:{identity}" if identity else str(int(now) + self.ttl_s)
            digest = hmac.new(self.secret.encode(), username.encode(), hashlib.sha1).digest()
            credential = base64.b64encode(digest).decode()
        return [
            # RFC 9725 section 4.6: STUN servers have no credentials.
            IceServer(url) if url.startswith("stun") else IceServer(url, username, credential)
            for url in self.urls
        ]


def ice_servers(rules: Sequence[IceServerRule], identity: str, now: float) -> list[IceServer]:
    """Give all configured servers to one client."""
    return [server for rule in rules for server in rule.for_client(identity, now)]
