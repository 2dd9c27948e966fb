"""What we call ourselves: the address a peer reaches us at, for sockets that listen on all."""

from __future__ import annotations

import socket

ANY = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognised, not bound
REMEMBERED = 4_096
"""Peers whose side of us is remembered; the oldest is forgotten for another."""


class LocalAddresses:
    """Finds the address of ours from which a peer is reached. Limits: ``REMEMBERED``."""

    def __init__(self, announced: str | None = None) -> None:
        self._announced = announced
        self._known: dict[str, str] = {}

    def toward(self, bound: str, remote: str) -> str:
        """Return what we call ourselves towards ``remote`` on a socket bound to ``bound``."""
        if self._announced is not None and not remote.startswith("127.") and remote != "::1":
            return self._announced
        if bound not in ANY:
            return bound
        known = self._known.get(remote)
        if known is None:
            if len(self._known) >= REMEMBERED:
                del self._known[next(iter(self._known))]
            known = self._known[remote] = _route(remote) or bound
        return known


def _route(remote: str) -> str | None:
    """Ask the system which address it would send from; nothing is sent."""
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((remote, 9))
            name: str = probe.getsockname()[0]
            return name
    except OSError:
        return None
