"""Bindings in ``Contact`` (RFC 3261, 10, 20.10; RFC 5626; RFC 5627), and lists of hops: ``Path``, ``Service-Route``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.protocols.sip.headers.address import Address, parse_address
from roomtone.protocols.sip.headers.valued import parse_quality, parse_seconds

if TYPE_CHECKING:
    from roomtone.protocols.sip.message.headers import Headers


def contact_expires(contact: Address, headers: Headers) -> int | None:
    """Seconds a contact asks to live: its own ``expires``, else the ``Expires`` header; None when neither is there.

    Raises `SipSyntaxError` for what is no number.
    """
    own = parse_seconds(contact.params.get("expires"), "Contact")
    return own if own is not None else parse_seconds(headers.text("expires"), "Expires")


def contact_quality(contact: Address) -> float:
    """How much a contact wants to be tried: 0 to 1, 1 when it does not say. Raises `SipSyntaxError`."""
    return parse_quality(contact.params.get("q"), "Contact")


def instance_id(contact: Address) -> str | None:
    """``+sip.instance`` without its brackets (RFC 5626, 4.1): which device this is; None when it does not say."""
    value = contact.params.get("+sip.instance")
    return value.strip("<>") if value else None


def flow_id(contact: Address) -> int | None:
    """``reg-id`` (RFC 5626, 4.2): which of a device's flows this is. Raises `SipSyntaxError`."""
    return parse_seconds(contact.params.get("reg-id"), "Contact")


def hops(headers: Headers, header: str) -> list[Address]:
    """Addresses in ``Path`` (RFC 3327), ``Service-Route`` (RFC 3608) or any list of addresses, in order."""
    return [parse_address(item, header) for item in headers.items(header)]
