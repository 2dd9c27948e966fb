"""Trunks: peers that carry calls to and from the public network; kept in SQL, served from memory."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from roomtone.control.calls.errors import PhoneError, PhoneRefusal
from roomtone.control.calls.trunk_life import TrunkLife
from roomtone.protocols.sdp.telephony import MediaSecurity
from roomtone.protocols.sip.uri import SipUri, parse_uri
from roomtone.store import SipTrunkRecord, StoreError, StoreFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from ipaddress import IPv4Network, IPv6Network

    from roomtone.control.calls.ports import Secrets, TrunkTable

MAX_TRUNKS = 1_000
MAX_ADDRESSES = 100
MAX_SECRET = 128
MAX_TRUNK_NUMBERS = 1_000
MAX_NOTE = 65_536
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,63}")
_USER = re.compile(r"[A-Za-z0-9+._*#~-]{0,64}")
_HOST = re.compile(r"[A-Za-z0-9.-]{0,253}")


@dataclass(frozen=True, slots=True)
class Trunk:
    """A peer, and how it is spoken to; the password in the clear is in memory only."""

    name: str
    uri: str = ""
    """Where requests go: host, port and transport; a name is looked up."""
    username: str = ""
    password: str = field(default="", repr=False)
    registers: bool = False
    """Whether we register there."""
    probes: bool = True
    """Whether it is asked by OPTIONS if it is there."""
    addresses: tuple[str, ...] = ()
    """Addresses and networks whose calls are taken for the trunk's."""
    accepts_login: bool = False
    """Whether calls that prove its username and password are taken for the trunk's."""
    tls_names: tuple[str, ...] = ()
    """Names in client certificates (RFC 5922) whose calls are taken for the trunk's."""
    proxy: str = ""
    """Server that all requests to it go by, as their first Route; empty: they go to the uri."""
    domain: str = ""
    """Domain of From, To and the asserted identity; empty: the URI's host."""
    caller_id: str = ""
    """Number that calls show there; empty: the caller's account."""
    security: MediaSecurity = MediaSecurity.OPTIONAL
    large_by_tcp: bool = True
    """Whether INVITEs that may not fit a datagram are tried by TCP first."""
    numbers: tuple[str, ...] = ()
    """Numbers that calls by it may be for; empty: all."""
    callers: tuple[str, ...] = ()
    """Numbers that calls by it may come from; empty: all."""
    note: str = ""
    """What another protocol keeps with the trunk."""
    created_at: float = 0.0

    def takes(self, caller: str, called: str) -> bool:
        """Whether a call that comes by it is taken."""
        return (not self.numbers or called in self.numbers) and (not self.callers or caller in self.callers)

    @property
    def server(self) -> SipUri:
        """The URI, read."""
        uri = parse_uri(self.uri)
        assert isinstance(uri, SipUri)  # noqa: S101 - checked when it was made
        return uri

    @property
    def its_domain(self) -> str:
        """The domain that calls there are of."""
        return self.domain or self.server.host


class Trunks:
    """All trunks and how they are. ``load`` reads them; changes go to the table first, then into memory.

    ``changed`` is set when one comes or goes; who keeps them clears it.
    """

    def __init__(
        self,
        table: TrunkTable,
        secrets: Secrets,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.clock = clock
        self.changed = asyncio.Event()
        self._table = table
        self._secrets = secrets
        self._draw = draw
        self._trunks: dict[str, Trunk] = {}
        self._lives: dict[str, TrunkLife] = {}
        self._networks: list[tuple[IPv4Network | IPv6Network, Trunk]] = []
        self._logins: dict[str, Trunk] = {}
        self._certified: dict[str, Trunk] = {}

    def __len__(self) -> int:
        return len(self._trunks)

    async def load(self) -> None:
        """Read what the table has; raise `StoreError`."""
        self._trunks, self._lives = {}, {}
        for record in await self._table.list():
            self._add(_read(record, self._secrets.unseal(record.password_sealed) if record.password_sealed else ""))

    def list(self) -> list[Trunk]:
        """Give all trunks by name."""
        return [self._trunks[name] for name in sorted(self._trunks)]

    def find(self, name: str) -> Trunk | None:
        """Find a trunk."""
        return self._trunks.get(name)

    def life(self, name: str) -> TrunkLife:
        """Give how a trunk is; raise `PhoneError`."""
        if name not in self._lives:
            raise PhoneError(PhoneRefusal.NO_SUCH_TRUNK, f"there is no trunk {name!r}")
        return self._lives[name]

    def of_address(self, host: str) -> Trunk | None:
        """Find the trunk whose calls come from an address; of several, that of the smallest network."""
        if not self._networks:
            return None
        try:
            address = ip_address(host)
        except ValueError:
            return None
        return next((trunk for network, trunk in self._networks if address in network), None)

    def of_login(self, username: str) -> Trunk | None:
        """Find the trunk that calls with a user name."""
        return self._logins.get(username)

    def of_certificate(self, names: Iterable[str]) -> Trunk | None:
        """Find the trunk that calls with a certificate for one of these names; wildcards are none (RFC 5922, 7.2)."""
        return next((trunk for name in names if (trunk := self._certified.get(name.lower())) is not None), None)

    def note_call(self, name: str, *, reached: bool) -> None:
        """Take whether a call was answered at all by a trunk."""
        life = self._lives.get(name)
        if life is not None:
            life.note_call(self.clock(), reached=reached)
            self.changed.set()

    async def create(self, trunk: Trunk) -> Trunk:
        """Make a trunk; raise `PhoneError`."""
        _check(trunk)
        if len(self._trunks) >= MAX_TRUNKS:
            raise PhoneError(PhoneRefusal.BAD_TRUNK, f"there are {MAX_TRUNKS} trunks already")
        record = _record(trunk, self._secrets.seal(trunk.password) if trunk.password else "", self.clock())
        try:
            await self._table.add(record)
        except StoreError as error:
            if error.failure is not StoreFailure.TAKEN:
                raise
            raise PhoneError(PhoneRefusal.TRUNK_EXISTS, f"there is a trunk {trunk.name!r} already") from error
        return self._add(_read(record, trunk.password))

    async def change(self, trunk: Trunk) -> Trunk:
        """Put a trunk in the place of that of the same name; raise `PhoneError`."""
        self.life(trunk.name)
        _check(trunk)
        record = _record(trunk, self._secrets.seal(trunk.password) if trunk.password else "", trunk.created_at)
        await self._table.replace(record)
        return self._add(_read(record, trunk.password))

    async def delete(self, name: str) -> None:
        """Delete a trunk; raise `PhoneError`."""
        if not await self._table.delete(name):
            raise PhoneError(PhoneRefusal.NO_SUCH_TRUNK, f"there is no trunk {name!r}")
        self._trunks.pop(name, None)
        self._lives.pop(name, None)
        self._sort()

    def _add(self, trunk: Trunk) -> Trunk:
        self._trunks[trunk.name] = trunk
        has_server = bool(trunk.uri)
        self._lives[trunk.name] = TrunkLife(
            self.clock(), self._draw, registers=trunk.registers, probes=trunk.probes and has_server
        )
        self._sort()
        return trunk

    def _sort(self) -> None:
        found = [(ip_network(text), trunk) for trunk in self._trunks.values() for text in trunk.addresses]
        self._networks = sorted(found, key=lambda pair: -pair[0].prefixlen)
        self._logins = {trunk.username: trunk for trunk in self._trunks.values() if trunk.accepts_login}
        self._certified = {name.lower(): trunk for trunk in self._trunks.values() for name in trunk.tls_names}
        self.changed.set()


def _check(trunk: Trunk) -> None:
    if _NAME.fullmatch(trunk.name) is None:
        raise _bad("a trunk's name is 1 to 64 letters, digits, spaces, '.', '_' or '-'")
    if trunk.uri and not _is_server(trunk.uri):
        raise _bad("the uri is that of a SIP server, without a user: sip:sip.example.net")
    if not (trunk.uri or trunk.addresses or trunk.accepts_login or trunk.tls_names):
        raise _bad("a trunk has a uri for calls to it, or addresses, a login or a certificate's name for calls from it")
    if trunk.proxy and not _is_server(trunk.proxy):
        raise _bad("the proxy is the uri of a SIP server, without a user: sip:proxy.example.net;transport=tcp")
    if max(len(trunk.numbers), len(trunk.callers)) > MAX_TRUNK_NUMBERS or len(trunk.note) > MAX_NOTE:
        raise _bad(f"a trunk has at most {MAX_TRUNK_NUMBERS} numbers, and {MAX_NOTE} characters beside them")
    _check_login(trunk)
    _check_addresses(trunk.addresses)


def _check_login(trunk: Trunk) -> None:
    if trunk.registers and not (trunk.uri and trunk.username):
        raise _bad("a trunk that is registered with needs a uri and a username")
    if trunk.accepts_login and not (trunk.username and trunk.password):
        raise _bad("a trunk that calls with a login has a username and a password")
    if len(trunk.tls_names) > MAX_ADDRESSES or not all(name and _HOST.fullmatch(name) for name in trunk.tls_names):
        raise _bad(f"tls_names are at most {MAX_ADDRESSES} names of hosts, without wildcards")
    if any(_USER.fullmatch(text) is None for text in (trunk.username, trunk.caller_id)):
        raise _bad("username and caller_id are at most 64 letters, digits or + . _ # * ~ -")
    if len(trunk.password) > MAX_SECRET or not trunk.password.isprintable():
        raise _bad(f"a password is at most {MAX_SECRET} printable characters")
    if _HOST.fullmatch(trunk.domain) is None:
        raise _bad("the domain is a host's name")


def _check_addresses(addresses: tuple[str, ...]) -> None:
    if len(addresses) > MAX_ADDRESSES:
        raise _bad(f"a trunk has at most {MAX_ADDRESSES} addresses")
    for text in addresses:
        try:
            ip_network(text)
        except ValueError as error:
            raise _bad(f"{text!r} is no address and no network: {error}") from error


def _bad(message: str) -> PhoneError:
    return PhoneError(PhoneRefusal.BAD_TRUNK, message)


def _is_server(text: str) -> bool:
    try:
        uri = parse_uri(text)
    except ValueError:
        return False
    return isinstance(uri, SipUri) and not uri.user and not uri.headers


_LISTS = ("numbers", "callers", "tls_names")
_KEPT = ("uri", "username", "registers", "probes", "domain", "caller_id", "large_by_tcp")


def _record(trunk: Trunk, sealed: str, now: float) -> SipTrunkRecord:
    kept = {name: getattr(trunk, name) for name in _KEPT}
    profile = {**kept, "addresses": list(trunk.addresses), "media_security": trunk.security.value}
    profile |= {name: list(value) for name in _LISTS if (value := getattr(trunk, name))}
    for name in ("note", "proxy", "accepts_login"):
        if value := getattr(trunk, name):
            profile[name] = value
    return SipTrunkRecord(trunk.name, json.dumps(profile), sealed, now)


def _read(record: SipTrunkRecord, password: str) -> Trunk:
    profile = json.loads(record.profile)
    return Trunk(
        record.name,
        password=password,
        addresses=tuple(profile["addresses"]),
        security=MediaSecurity(profile["media_security"]),
        created_at=record.created_at,
        note=profile.get("note", ""),
        proxy=profile.get("proxy", ""),
        accepts_login=profile.get("accepts_login", False),
        tls_names=tuple(profile.get("tls_names", ())),
        numbers=tuple(profile.get("numbers", ())),
        callers=tuple(profile.get("callers", ())),
        **{name: profile[name] for name in _KEPT},
    )
