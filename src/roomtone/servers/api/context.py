"""What the application hands to the API: settings, rooms, clocks; and what the API keeps beside them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from roomtone.control.live import (
    IngestRules,
    Ingests,
    Inputs,
    LiveAccess,
    LiveLimits,
    LiveStreams,
    StreamEncryption,
    WatchRules,
    encryption_of,
)
from roomtone.control.policy import IceServerRule, JoinLimiter, KeyTable
from roomtone.protocols.sdp import Support
from roomtone.servers.api.resources import ResourceTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from roomtone.config import Settings
    from roomtone.config.live import LiveSettings
    from roomtone.control.accounts import Accounts, ApiKeys
    from roomtone.control.calls import Calls, PhoneBook
    from roomtone.control.rooms import Rooms
    from roomtone.control.webhooks import DeadLetters
    from roomtone.media import Engine
    from roomtone.store import AuditRecord


class AuditTrail(Protocol):
    """Where audited events can be read."""

    async def list(self, limit: int, *, before: int | None = None, account: str | None = None) -> list[AuditRecord]:
        """Give events, the newest first; ``before`` an id, of one account."""
        ...


def live_limits(live: LiveSettings) -> LiveLimits:
    """Say what the settings say of rooms that go live."""
    given = live.model_dump(exclude={"public", "grant_s", "encryption"})
    return LiveLimits(**given, encryption=StreamEncryption(live.encryption))


@dataclass(eq=False, slots=True)
class ApiContext:
    """Everything a request handler needs."""

    settings: Settings
    rooms: Rooms
    engine: Engine
    version: str = "0.1.0"
    support: Support = field(default_factory=Support)
    wall_clock: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    resources: ResourceTable = field(default_factory=ResourceTable)
    keys: KeyTable = field(init=False)
    """Of the database too, where ``accounts`` are kept; otherwise those of the settings."""
    accounts: Accounts | None = None
    api_keys: ApiKeys | None = None
    audit: AuditTrail | None = None
    webhooks: DeadLetters | None = None
    phone_book: PhoneBook | None = None
    calls: Calls | None = None
    """Of phones, once SIP is open."""
    limiter: JoinLimiter = field(init=False)
    live: LiveStreams = field(init=False)
    ingests: Ingests = field(init=False)
    access: LiveAccess = field(init=False)
    inputs: Inputs = field(init=False)
    ice_rules: tuple[IceServerRule, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Take from the settings what requests need."""
        limits = self.settings.limits
        self.live = LiveStreams(self.rooms, live_limits(self.settings.live))
        if self.accounts is None:
            self.keys = KeyTable(self.settings.api_keys, limits.max_token_ttl_s)
        else:
            self.keys = self.accounts.parts.keys
        live = self.settings.live
        rules = IngestRules(open_to_loopback=self.settings.server.dev, max_streams=live.max_streams)
        self.ingests = Ingests(self.engine, self.keys, rules, clock=self.wall_clock)
        watching = WatchRules(public=live.public, open_to_loopback=self.settings.server.dev, grant_s=live.grant_s)
        self.access = LiveAccess(self.keys, watching, clock=self.wall_clock)
        self.inputs = Inputs(
            self.engine,
            self.ingests,
            window_ms=live.window_s * 1000,
            part_ms=live.part_ms,
            encryption=encryption_of(StreamEncryption(live.encryption), live.segments_per_key),
            clock=self.wall_clock,
        )
        self.limiter = JoinLimiter(
            limits.joins_per_second, limits.sessions_per_address, max_addresses=limits.max_addresses
        )
        self.ice_rules = tuple(
            IceServerRule(
                urls=tuple(server.urls),
                username=server.username,
                credential=None if server.credential is None else server.credential.get_secret_value(),
                secret=None if server.secret is None else server.secret.get_secret_value(),
                ttl_s=server.ttl_s,
            )
            for server in self.settings.ice.servers
        )
