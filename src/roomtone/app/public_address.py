"""Ask a STUN server (RFC 8489) which address the world sees us under."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import struct

from roomtone.config.types import parse_address

MAGIC_COOKIE = 0x2112_A442
BINDING_REQUEST, BINDING_SUCCESS = 0x0001, 0x0101
XOR_MAPPED_ADDRESS = 0x0020
FAMILY_IPV4, FAMILY_IPV6 = 1, 2
HEADER = struct.Struct("!HHI12s")
RETRIES_S = (0.5, 1.0, 2.0)
"""Waits before each repetition; RFC 8489 section 6.2.1 starts at 500 ms and doubles."""


def binding_request(transaction: bytes) -> bytes:
    """Write a request without attributes."""
    return HEADER.pack(BINDING_REQUEST, 0, MAGIC_COOKIE, transaction)


def mapped_address(response: bytes, transaction: bytes) -> str | None:
    """Read the address out of a response; None when it is not the answer to this request."""
    if len(response) < HEADER.size:
        return None
    kind, length, cookie, echoed = HEADER.unpack_from(response)
    if kind != BINDING_SUCCESS or cookie != MAGIC_COOKIE or echoed != transaction:
        return None
    body = response[HEADER.size : HEADER.size + length]
    while len(body) >= 4:  # noqa: PLR2004 - type and length of an attribute
        attribute, size = struct.unpack_from("!HH", body)
        value = body[4 : 4 + size]
        if attribute == XOR_MAPPED_ADDRESS:
            return _unmask(value, transaction)
        body = body[4 + size + (-size % 4) :]
    return None


async def ask_public_address(server: str) -> str | None:
    """Query ``host:port``; None when nothing answers in time or the name is unknown."""
    host, port = parse_address(server)
    transaction = secrets.token_bytes(12)
    loop = asyncio.get_running_loop()
    found: asyncio.Future[str] = loop.create_future()
    try:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Listener(transaction, found), remote_addr=(host, port)
        )
    except OSError:
        return None
    try:
        for wait in RETRIES_S:
            transport.sendto(binding_request(transaction))
            done, _pending = await asyncio.wait({found}, timeout=wait)
            if done:
                return found.result()
        return None
    finally:
        transport.close()


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, transaction: bytes, found: asyncio.Future[str]) -> None:
        self._transaction = transaction
        self._found = found

    def datagram_received(self, data: bytes, _addr: object) -> None:
        address = mapped_address(data, self._transaction)
        if address is not None and not self._found.done():
            self._found.set_result(address)


def _unmask(value: bytes, transaction: bytes) -> str | None:
    mask = struct.pack("!I", MAGIC_COOKIE) + transaction
    size = {FAMILY_IPV4: 4, FAMILY_IPV6: 16}.get(value[1] if len(value) > 1 else 0)
    if size is None or len(value) < 4 + size:
        return None
    packed = bytes(a ^ b for a, b in zip(value[4 : 4 + size], mask, strict=False))
    return str(ipaddress.ip_address(packed))
