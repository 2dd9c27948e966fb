"""What tests keep in memory instead of a database or a resolver: stream keys, ingresses, addresses of sources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from roomtone.control.live import (
    Ingests,
    IngressBook,
    Ingresses,
    PublishRights,
    PullRefusal,
    PullRefusedError,
    Pulls,
)
from roomtone.control.policy import KeyTable
from roomtone.control.rooms import Rooms
from roomtone.media import Engine, IngestListener
from roomtone.media.values import IngestProtocol
from roomtone.store import IngressRecord, StoreError, StoreFailure, StreamKeyRecord


@dataclass
class KeptKeys:
    """Stream keys."""

    records: list[StreamKeyRecord] = field(default_factory=list)
    broken: bool = False

    async def add(self, key: StreamKeyRecord) -> None:
        self.records.append(key)

    async def find(self, digest: str) -> StreamKeyRecord | None:
        if self.broken:
            raise StoreError(StoreFailure.UNREACHABLE, "gone")
        return next((one for one in self.records if one.digest == digest), None)

    async def list(self, stream: str) -> list[StreamKeyRecord]:
        return [one for one in self.records if one.stream == stream]

    async def count(self, stream: str) -> int:
        return len(await self.list(stream))

    async def remove(self, stream: str, id_: str) -> bool:
        before = len(self.records)
        self.records = [one for one in self.records if (one.stream, one.id) != (stream, id_)]
        return len(self.records) < before


@dataclass
class KeptIngresses:
    """Rows of ingresses, sealed by turning round."""

    rows: dict[str, IngressRecord] = field(default_factory=dict)

    async def add(self, ingress: IngressRecord) -> None:
        self.rows[ingress.id] = ingress

    async def replace(self, ingress: IngressRecord) -> None:
        self.rows[ingress.id] = ingress

    async def list(self) -> list[IngressRecord]:
        return list(self.rows.values())

    async def delete(self, id_: str) -> bool:
        return self.rows.pop(id_, None) is not None

    def seal(self, secret: str) -> str:
        return secret[::-1]

    def unseal(self, sealed: str) -> str:
        return sealed[::-1]


@dataclass
class Targets:
    """Where sources are: all at one address, but what is here."""

    found: list[str] = field(default_factory=lambda: ["203.0.113.7"])
    refusal: PullRefusedError | None = None
    asked: int = 0
    host: str = ""
    """The newest that was asked for."""

    async def find(self, host: str, port: int) -> list[str]:
        self.asked += 1
        self.host = host
        if host == "localhost":
            raise PullRefusedError(PullRefusal.PRIVATE, "localhost is 127.0.0.1")
        if self.refusal is not None:
            raise self.refusal
        if not self.found:
            raise OSError(f"no such host: {host}:{port}")
        return self.found


@dataclass
class IngressStage:
    """Ingresses, and what they need around them."""

    table: KeptIngresses
    rights: PublishRights
    ingests: Ingests
    ingresses: Ingresses
    targets: Targets
    pulls: Pulls
    listener: IngestListener
    """For RTMP."""


@asynccontextmanager
async def ingress_stage(
    engine: Engine,
    rooms: Rooms,
    clock: Callable[[], float],
    keys: KeyTable,
    *,
    open_to_loopback: bool = False,
    **of_pulls: Any,
) -> AsyncIterator[IngressStage]:
    """Ingresses over an engine and rooms, which stay when they end."""
    table, targets = KeptIngresses(), Targets()
    book = IngressBook(table, table, clock)
    rights = PublishRights(keys, clock, open_to_loopback=open_to_loopback, ingresses=book)
    ingests = Ingests(engine, rights, rooms=rooms, clock=clock)
    ingresses = Ingresses(book, ingests, rooms, clock=clock)
    pulls = Pulls(engine, ingests, targets, **of_pulls)
    await ingresses.start(pulls)
    listener = await ingests.listen(IngestProtocol.RTMP, "127.0.0.1:0")
    yield IngressStage(table, rights, ingests, ingresses, targets, pulls, listener)
    await pulls.close_all()
    await ingests.close()
