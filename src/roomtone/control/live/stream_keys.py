"""Stream keys: secrets that let whoever has one publish under one name, until they are revoked.

Only their SHA-256 is kept; they have 256 random bits, so nothing slower is needed. Limit: `MAX_KEYS` of a stream.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from roomtone.control.live.values import LiveError, LiveRefusal
from roomtone.store import StreamKeyRecord

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "sk_"
"""What a stream key begins with, so that it is told from a token."""
MAX_KEYS = 100
MAX_LABEL = 128


class StreamKeyStore(Protocol):
    """Where keys are kept."""

    async def add(self, key: StreamKeyRecord) -> None:
        """Add a key."""
        ...

    async def find(self, digest: str) -> StreamKeyRecord | None:
        """Give the key of a digest."""
        ...

    async def list(self, stream: str) -> list[StreamKeyRecord]:
        """Give the keys of a stream, the oldest first."""
        ...

    async def count(self, stream: str) -> int:
        """Give how many keys a stream has."""
        ...

    async def remove(self, stream: str, id_: str) -> bool:
        """Forget a key; false where the stream has no such."""
        ...


@dataclass(frozen=True, slots=True)
class NewStreamKey:
    """A key just made: the only time that it is shown."""

    record: StreamKeyRecord
    key: str = field(repr=False)


class StreamKeys:
    """Makes, lists, revokes and checks them; errors of the database are `StoreError`."""

    def __init__(self, store: StreamKeyStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    async def create(self, stream: str, label: str, actor: str) -> NewStreamKey:
        """Make a key of a stream; raise `LiveError` where it has too many."""
        if await self._store.count(stream) >= MAX_KEYS:
            raise LiveError(LiveRefusal.TOO_MANY_KEYS, f"this stream has {MAX_KEYS} keys already")
        key = PREFIX + secrets.token_urlsafe(32)
        record = StreamKeyRecord(
            id=secrets.token_hex(8),
            digest=digest_of(key),
            stream=stream,
            label=label.strip()[:MAX_LABEL],
            created_at=self._clock(),
            created_by=actor[:256],
        )
        await self._store.add(record)
        return NewStreamKey(record, key)

    async def list(self, stream: str) -> list[StreamKeyRecord]:
        """Give the keys of a stream, the oldest first."""
        return await self._store.list(stream)

    async def revoke(self, stream: str, id_: str) -> None:
        """Let a key open nothing from now on; who publishes by it goes on until it is sent away."""
        if not await self._store.remove(stream, id_):
            raise LiveError(LiveRefusal.NO_SUCH_KEY, "this stream has no such key")

    async def opens(self, key: str, stream: str) -> bool:
        """Whether a key lets publish under a name."""
        found = await self._store.find(digest_of(key))
        return found is not None and found.stream == stream


def digest_of(key: str) -> str:
    """Give what is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()
