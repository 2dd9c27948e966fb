"""STUN on the port of SIP (RFC 5626, 3.5.2 and 4.4.2): a phone asks whether its flow lives and how it looks from here.

Only binding requests without credentials are answered; this is no ICE.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

_HEADER = 20
_COOKIE = b"\x21\x12\xa4\x42"
_REQUEST, _RESPONSE = b"\x00\x01", b"\x01\x01"
_XOR_MAPPED_ADDRESS = b"\x00\x20"
_PORT_MASK = 0x2112


def is_stun(data: bytes) -> bool:
    """Whether a datagram is STUN: no message of SIP begins with a byte below 4 (RFC 8489, 6)."""
    return len(data) >= _HEADER and data[0] < 4 and data[4:8] == _COOKIE  # noqa: PLR2004


def answer_binding(data: bytes, host: str, port: int) -> bytes | None:
    """Answer a binding request with where it came from; None for anything else."""
    if data[:2] != _REQUEST or int.from_bytes(data[2:4], "big") != len(data) - _HEADER or len(data) % 4:
        return None
    transaction = data[4:_HEADER]
    address = ip_address(host.partition("%")[0])
    mask = transaction if isinstance(address, IPv6Address) else transaction[:4]
    packed = bytes(a ^ b for a, b in zip(address.packed, mask, strict=True))
    family = b"\x00\x02" if isinstance(address, IPv6Address) else b"\x00\x01"
    value = family + (port ^ _PORT_MASK).to_bytes(2, "big") + packed
    attribute = _XOR_MAPPED_ADDRESS + len(value).to_bytes(2, "big") + value
    return _RESPONSE + len(attribute).to_bytes(2, "big") + transaction + attribute
