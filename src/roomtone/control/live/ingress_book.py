"""All ingresses there are, kept in SQL and served from memory; and whether a key opens one."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol

from roomtone.control.live.ingress import (
    MAX_INGRESSES,
    Ingress,
    IngressError,
    IngressInput,
    IngressRefusal,
    check,
    ingress_record,
    read_ingress,
)
from roomtone.control.live.stream_keys import PREFIX
from roomtone.control.policy import AccessDenial, AccessError

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.store import IngressRecord

_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ID_LETTERS = 12


class IngressTable(Protocol):
    """Where ingresses are kept."""

    async def add(self, ingress: IngressRecord) -> None:
        """Add one."""
        ...

    async def replace(self, ingress: IngressRecord) -> None:
        """Put one in the place of that of its id."""
        ...

    async def list(self) -> list[IngressRecord]:
        """Give all of them, the oldest first."""
        ...

    async def delete(self, id_: str) -> bool:
        """Forget one; false where there is no such."""
        ...


class Sealing(Protocol):
    """Seals keys."""

    def seal(self, secret: str) -> str:
        """Encrypt a secret."""
        ...

    def unseal(self, sealed: str) -> str:
        """Give it back."""
        ...


def new_id() -> str:
    """Make an id that no other ingress has."""
    return "IN_" + "".join(secrets.choice(_LETTERS) for _ in range(_ID_LETTERS))


def new_key() -> str:
    """Make a key that nobody guesses."""
    return PREFIX + secrets.token_urlsafe(32)


class IngressBook:
    """Makes, changes, deletes and lists them: in the table first, then in memory. Limit: `MAX_INGRESSES`."""

    def __init__(self, table: IngressTable, sealing: Sealing, clock: Callable[[], float]) -> None:
        self._table = table
        self._sealing = sealing
        self._clock = clock
        self._by_id: dict[str, Ingress] = {}

    async def load(self) -> None:
        """Read the table; raise `StoreError`."""
        records = await self._table.list()
        self._by_id = {
            record.id: read_ingress(record, self._sealing.unseal(record.key_sealed) if record.key_sealed else "")
            for record in records
        }

    def list(self) -> list[Ingress]:
        """Give all ingresses, the oldest first."""
        return sorted(self._by_id.values(), key=lambda one: (one.created_at, one.id))

    def find(self, id_: str) -> Ingress | None:
        """Give an ingress."""
        return self._by_id.get(id_)

    def get(self, id_: str) -> Ingress:
        """Give an ingress that there is; raise `IngressError`."""
        found = self._by_id.get(id_)
        if found is None:
            raise IngressError(IngressRefusal.NO_SUCH_INGRESS, f"there is no ingress {id_!r}")
        return found

    async def add(self, ingress: Ingress) -> None:
        """Keep a new one; raise `IngressError`."""
        check(ingress)
        if len(self._by_id) >= MAX_INGRESSES:
            raise IngressError(IngressRefusal.TOO_MANY, f"there are {MAX_INGRESSES} ingresses already")
        await self._table.add(self._record(ingress))
        self._by_id[ingress.id] = ingress

    async def change(self, ingress: Ingress) -> None:
        """Put one in the place of that of its id; raise `IngressError`."""
        self.get(ingress.id)
        check(ingress)
        await self._table.replace(self._record(ingress))
        self._by_id[ingress.id] = ingress

    async def delete(self, id_: str) -> None:
        """Forget one; raise `IngressError`."""
        self.get(id_)
        await self._table.delete(id_)
        self._by_id.pop(id_, None)

    def require(self, ingress: Ingress, credential: str | None, pushed_by: IngressInput) -> None:
        """Let somebody who shows its key feed an ingress; raise `AccessError`."""
        shown = (credential or "").encode()
        if not ingress.key or not secrets.compare_digest(shown, ingress.key.encode()):
            raise AccessError(AccessDenial.WRONG_STREAM_KEY, "this is not the stream key of this ingress")
        if ingress.input is not pushed_by:
            raise AccessError(AccessDenial.NOT_GRANTED, f"this ingress is fed by {ingress.input.value}")
        if not ingress.enabled:
            raise AccessError(AccessDenial.NOT_GRANTED, "this ingress is disabled")

    def _record(self, ingress: Ingress) -> IngressRecord:
        return ingress_record(ingress, self._sealing.seal(ingress.key) if ingress.key else "")
