"""What the application hands to the API: settings, rooms, clocks; and what the API keeps beside them."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from roomtone.control.accounts import AccountError
from roomtone.control.live import (
    Ingests,
    IngressBook,
    Ingresses,
    Inputs,
    Listing,
    Listings,
    LiveAccess,
    LiveLimits,
    LiveShelf,
    LiveStreams,
    Playouts,
    PlayRights,
    PublishRights,
    Pulls,
    RoomMaking,
    Rung,
    Sealing,
    SlateRules,
    Slates,
    SoundCodec,
    StreamEncryption,
    StreamKeys,
    TermsWish,
    TranscodeRules,
    Transcodings,
    WatchRules,
    rungs_of,
)
from roomtone.control.policy import AccessDenial, AccessError, IceServerRule, JoinLimiter, KeyTable, Role
from roomtone.control.policy.attempts import AttemptsError
from roomtone.protocols.sdp import Support
from roomtone.servers.api.resources import ResourceTable
from roomtone.store import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

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


async def _role_of(accounts: Accounts, login: str, password: str, address: str) -> Role:
    """Give the role of who logs in as an encoder does, by a password alone."""
    try:
        return Role((await accounts.log_ins.check(login, password, None, address)).role)
    except (AccountError, AttemptsError) as error:
        raise AccessError(AccessDenial.WRONG_PASSWORD, str(error)) from error
    except StoreError as error:
        raise AccessError(AccessDenial.UNDECIDED, "accounts cannot be read now: try again") from error


def live_limits(live: LiveSettings) -> LiveLimits:
    """Say what the settings say of rooms that go live."""
    return LiveLimits(**live.model_dump(include=set(LiveLimits.__dataclass_fields__)))


def live_listings(live: LiveSettings) -> Listings:
    """Say what the settings say of how streams are listed: of all, and of single ones."""
    default = Listing(live.window_s * 1000, live.part_ms, StreamEncryption(live.encryption), live.segments_per_key)
    by_name = {
        name: TermsWish(
            public=said.public,
            encryption=None if said.encryption is None else StreamEncryption(said.encryption),
            segments_per_key=said.segments_per_key,
        )
        for name, said in live.streams.items()
    }
    return Listings(default, by_name)


def slate_rules(live: LiveSettings) -> SlateRules:
    """Say what the settings say of slates: of all, and of single streams."""
    by_name = {name: said.slate for name, said in live.streams.items() if said.slate is not None}
    return SlateRules(live.slate, by_name, live.slate_after_s, live.slate_for_s)


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
    stream_keys: StreamKeys | None = None
    ingress_book: IngressBook | None = None
    shelf: LiveShelf | None = None
    """The front door, once it is open."""
    picture: Callable[[bytes], Awaitable[bytes]] | None = None
    """Makes a JPEG of a keyframe."""
    webhooks: DeadLetters | None = None
    phone_book: PhoneBook | None = None
    pulls: Pulls | None = None
    """Once the engine runs."""
    calls: Calls | None = None
    """Of phones, once SIP is open."""
    limiter: JoinLimiter = field(init=False)
    listings: Listings = field(init=False)
    """How streams are listed, of which the settings or requests say something."""
    live: LiveStreams = field(init=False)
    rights: PublishRights = field(init=False)
    """Who may publish by SRT and RTMP; a hook joins it when there is one."""
    ingests: Ingests = field(init=False)
    ingresses: Ingresses | None = field(init=False, default=None)
    """Where there is a book of them."""
    access: LiveAccess = field(init=False)
    playouts: Playouts = field(init=False)
    """Who reads live streams by SRT."""
    inputs: Inputs = field(init=False)
    sealing: Sealing = field(init=False)
    """How streams are encrypted, by name."""
    slates: Slates = field(init=False)
    """What is shown of encoders' streams while their encoders are away."""
    transcodings: Transcodings = field(init=False)
    ice_rules: tuple[IceServerRule, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Take from the settings what requests need."""
        limits = self.settings.limits
        self.transcodings = Transcodings(self.engine, transcode_rules(self.settings.live))
        self.listings = live_listings(self.settings.live)
        self.live = LiveStreams(
            self.rooms, live_limits(self.settings.live), transcodings=self.transcodings, listings=self.listings
        )
        if self.accounts is None:
            self.keys = KeyTable(self.settings.api_keys, limits.max_token_ttl_s)
        else:
            self.keys = self.accounts.parts.keys
        live = self.settings.live
        self.rights = PublishRights(
            self.keys,
            self.wall_clock,
            open_to_loopback=self.settings.server.dev,
            stream_keys=self.stream_keys,
            accounts=None if self.accounts is None else partial(_role_of, self.accounts),
        )
        self.ingests = Ingests(
            self.engine,
            self.rights,
            rooms=self.rooms,
            max_streams=live.max_streams,
            clock=self.wall_clock,
            listings=self.listings,
            transcodings=self.transcodings,
        )
        if self.ingress_book is not None:
            self.rights.ingresses = self.ingress_book
            self.ingresses = Ingresses(self.ingress_book, self.ingests, self.rooms, clock=self.wall_clock)
        self.live.is_taken = self.ingests.by_name.__contains__
        watching = WatchRules(public=live.public, open_to_loopback=self.settings.server.dev, grant_s=live.grant_s)
        self.access = LiveAccess(self.keys, watching, clock=self.wall_clock)
        play_rights = PlayRights(self.access, self.rights, self._is_public)
        self.playouts = Playouts(play_rights, max_readers=self.settings.srt.max_readers, clock=self.wall_clock)
        self.ingests.playouts = self.playouts
        self.inputs = Inputs(self.engine, self.ingests, self.listings, clock=self.wall_clock)
        self.sealing = Sealing(self.engine, self.listings, self.live, self.ingests, self.inputs.by_name.__contains__)
        self.slates = Slates(self.ingests, slate_rules(live), self._has_own_source)
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

    def _has_own_source(self, name: str) -> bool:
        """Whether a stream comes by itself, by an input or a pull: nobody asks then whether it may come back."""
        return name in self.inputs.by_name or (self.pulls is not None and name in self.pulls.by_name)

    def _is_public(self, name: str) -> bool:
        stream = self.live.by_name.get(name)
        return (self.listings.current(name) if stream is None else stream.terms).public


_AUTO = "auto"


def _making(wanted: str) -> RoomMaking:
    """Say when tracks are made anew for rooms; left alone, on demand where what does so is installed."""
    if wanted != _AUTO:
        return RoomMaking(wanted)
    return RoomMaking.OFF if importlib.util.find_spec("av") is None else RoomMaking.DEMAND


def transcode_rules(live: LiveSettings) -> TranscodeRules:
    """Give how live streams are made anew; raise `LookupError` where there is no ladder of the name."""
    own = {name: tuple(Rung(**rung.model_dump()) for rung in rungs) for name, rungs in live.ladders.items()}
    width, height = map(int, live.program_size.split("x"))
    return TranscodeRules(
        rungs=rungs_of(live.ladder, own),
        rooms=live.transcode_rooms,
        sound=SoundCodec(live.sound),
        encoders=tuple(live.encoders),
        hevc_encoders=tuple(live.hevc_encoders),
        av1_encoders=tuple(live.av1_encoders),
        preset=live.encoder_preset,
        measure=live.measure_quality,
        making=_making(live.webrtc_making),
        room_lines=live.webrtc_lines,
        program_size=(width, height),
        program_fps=live.program_fps,
        slate_of=slate_rules(live).shown_of,
    )
