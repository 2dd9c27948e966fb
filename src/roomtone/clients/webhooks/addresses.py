"""Where a webhook may go: a name is looked up, its addresses are checked, and a connection is to one of these.

Nothing is looked up a second time between the check and the connection, so a name cannot change its address there.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Protocol

import httpcore

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_MASK = (1 << 32) - 1

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class AddressRefusedError(Exception):
    """A webhook may not go to this address."""


class Resolver(Protocol):
    """Looks names up."""

    async def __call__(self, host: str, port: int) -> list[str]:
        """Give the addresses of a host; raise ``OSError``."""
        ...


async def look_up(host: str, port: int) -> list[str]:
    """Ask the system's resolver; it knows the odd forms of addresses too, such as 127.1."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))


def is_public(text: str) -> bool:
    """Whether an address is one of the public Internet: not loopback, private, link-local, shared or multicast."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        inner = _inside(address)
        if inner is None:
            return address in _UNICAST and address.is_global
        address = inner
    return address.is_global and not address.is_multicast


def _inside(address: IPv6Address) -> IPv4Address | None:
    """Give the IPv4 address that an IPv6 one leads to: mapped, 6to4 (RFC 3056) or NAT64."""
    if address in _NAT64:
        return IPv4Address(int(address) & _MASK)
    return address.ipv4_mapped or address.sixtofour


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for HTTP, to checked addresses only."""

    def __init__(
        self,
        *,
        allow_private: bool,
        resolver: Resolver = look_up,
        backend: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._resolver = resolver
        self._backend = backend or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's interface
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first checked address that answers; raise `AddressRefusedError` when there is none."""
        allowed = await self._allowed(host, port, timeout)
        for address in allowed[:-1]:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._backend.connect_tcp(allowed[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's interface
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: webhooks go over the network."""
        del timeout, socket_options
        raise AddressRefusedError(f"webhooks do not go to Unix sockets: {path}")

    async def sleep(self, seconds: float) -> None:
        """Wait; the library does so between attempts to connect."""
        await self._backend.sleep(seconds)

    async def _allowed(self, host: str, port: int, limit_s: float | None) -> list[str]:
        try:
            async with asyncio.timeout(limit_s):
                found = await self._resolver(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"the name {host} was not found in time") from error
        except OSError as error:
            raise httpcore.ConnectError(f"the name {host} was not found: {error}") from error
        allowed = [address for address in found if self._allow_private or is_public(address)]
        if not found:
            raise httpcore.ConnectError(f"the name {host} has no address")
        if not allowed:
            text = f"{host} is {', '.join(found)}: webhooks go to public addresses only (webhooks.allow_private)"
            raise AddressRefusedError(text)
        return allowed
