"""Types of single settings: addresses, port ranges, lists that may also be written with commas."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, PlainSerializer

MAX_PORT = 65_535


class Address(NamedTuple):
    """A host and a port, written ``host:port``, IPv6 hosts in brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class PortRange(NamedTuple):
    """Inclusive range of ports, written ``low-high``; ``0-0`` lets the kernel choose."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low}-{self.high}"


def parse_address(value: object) -> Address:
    """Read ``host:port``."""
    if isinstance(value, Address):
        return value
    if not isinstance(value, str):
        raise ValueError('write the address as "host:port"')  # noqa: TRY004 - pydantic reports ValueError
    host, colon, port = value.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or not port.isdecimal() or int(port) > MAX_PORT or (":" in host and not bracketed):
        raise ValueError(f'"{value}" is no address: write "127.0.0.1:8080" or "[::1]:8080"')
    return Address(host[1:-1] if bracketed else host, int(port))


def parse_port_range(value: object) -> PortRange:
    """Read ``low-high`` or one port."""
    if isinstance(value, PortRange):
        return value
    text = str(value)
    low, dash, high = text.partition("-")
    high = high if dash else low
    if not low.strip().isdecimal() or not high.strip().isdecimal():
        raise ValueError(f'"{text}" is no port range: write "40000-40099"')
    ports = PortRange(int(low), int(high))
    if ports.low > ports.high or ports.high > MAX_PORT:
        raise ValueError(f'"{text}" is no port range: the first port must not be above the last, nor {MAX_PORT}')
    return ports


def _split(value: object) -> object:
    """Let a list be written as one string with commas, as environment variables do."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


AddressSetting = Annotated[Address, BeforeValidator(parse_address), PlainSerializer(str, return_type=str)]
OptionalAddress = Annotated[
    Address | None,
    BeforeValidator(lambda value: None if value in {"", None} else parse_address(value)),
    PlainSerializer(lambda value: str(value) if value else "", return_type=str),
]
Addresses = Annotated[tuple[AddressSetting, ...], BeforeValidator(_split)]
PortRangeSetting = Annotated[PortRange, BeforeValidator(parse_port_range), PlainSerializer(str, return_type=str)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_split)]
