"""Trunks: peers that carry calls to and from the public network; kept in SQL, served from memory."""

from __future__ import annotations

import asyncio
import random
import re
import time
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from roomtone.control.calls.directory.trunk import Trunk, read_trunk, trunk_record
from roomtone.control.calls.directory.trunk_life import TrunkLife
from roomtone.control.calls.errors import PhoneError, PhoneRefusal
from roomtone.protocols.sip.uri import SipUri, parse_uri
from roomtone.store import StoreError, StoreFailure

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
            self._add(
                read_trunk(record, self._secrets.unseal(record.password_sealed) if record.password_sealed else "")
            )

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

    def of_login(self, username: str, host: str) -> Trunk | None:
        """Find the trunk that calls with a user name, and from an address."""
        trunk = self._logins.get(username)
        if trunk is None or not trunk.wants_both:
            return trunk
        try:
            address = ip_address(host)
        except ValueError:
            return None
        return trunk if any(address in ip_network(text) for text in trunk.addresses) else None

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
        record = trunk_record(trunk, self._secrets.seal(trunk.password) if trunk.password else "", self.clock())
        try:
            await self._table.add(record)
        except StoreError as error:
            if error.failure is not StoreFailure.TAKEN:
                raise
            raise PhoneError(PhoneRefusal.TRUNK_EXISTS, f"there is a trunk {trunk.name!r} already") from error
        return self._add(read_trunk(record, trunk.password))

    async def change(self, trunk: Trunk) -> Trunk:
        """Put a trunk in the place of that of the same name; raise `PhoneError`."""
        self.life(trunk.name)
        _check(trunk)
        record = trunk_record(trunk, self._secrets.seal(trunk.password) if trunk.password else "", trunk.created_at)
        await self._table.replace(record)
        return self._add(read_trunk(record, trunk.password))

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
        believed = [trunk for trunk in self._trunks.values() if not trunk.wants_both]
        found = [(ip_network(text), trunk) for trunk in believed for text in trunk.addresses]
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
    if trunk.wants_both and not (trunk.accepts_login and trunk.addresses):
        raise _bad("a trunk whose calls need both an address and a login has addresses and accepts a login")
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
