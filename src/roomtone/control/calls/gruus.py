"""Temporary GRUUs (RFC 5627): names of one device that tell nobody whose it is."""

from __future__ import annotations

import secrets
from collections import deque

MOST = 8
"""Names of one device that lead to it; the oldest is forgotten for a new one."""
PREFIX = "tgruu."


class Gruus:
    """The names there are: those of a device as long as it is registered, and none over a restart.

    Limits: ``MOST`` for each device, and devices are bindings.
    """

    def __init__(self) -> None:
        self._devices: dict[str, tuple[str, str]] = {}
        self._names: dict[tuple[str, str], deque[str]] = {}

    def __len__(self) -> int:
        return len(self._devices)

    def make(self, account: str, instance: str) -> str:
        """Make a new name, with each registration (RFC 5627 section 5.4)."""
        held = self._names.setdefault((account, instance), deque())
        if len(held) >= MOST:
            del self._devices[held.popleft()]
        name = PREFIX + secrets.token_hex(12)
        held.append(name)
        self._devices[name] = account, instance
        return name

    def newest(self, account: str, instance: str) -> str:
        """Give the newest name of a device; empty where there is none."""
        held = self._names.get((account, instance))
        return held[-1] if held else ""

    def find(self, name: str) -> tuple[str, str] | None:
        """Give whose name it is: account and instance."""
        return self._devices.get(name)

    def forget(self, account: str, instance: str) -> None:
        """Forget the names of a device."""
        for name in self._names.pop((account, instance), ()):
            self._devices.pop(name, None)
