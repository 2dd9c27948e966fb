"""Calls by trunks: who calls and what was dialled of those that come, what is shown by those that go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.calls import Caller
from roomtone.protocols.sip.headers import Address, hides_identity, parse_asserted
from roomtone.protocols.sip.message import header_line
from roomtone.protocols.sip.uri import SipUri, TelUri, make_sip_uri

if TYPE_CHECKING:
    from roomtone.control.calls import Target, Trunk
    from roomtone.protocols.sip.message import Request
    from roomtone.protocols.sip.uri import Uri

ANONYMOUS = "anonymous"
MAX_NUMBER = 64


def caller_of(trunk: Trunk, request: Request) -> Caller:
    """Tell who calls: the asserted identity, which a trunk is believed, else From. Raises `SipSyntaxError`."""
    asserted = parse_asserted(request.headers) if "p-asserted-identity" in request.headers else []
    address = asserted[0] if asserted else request.from_
    number = _user(address.uri)[:MAX_NUMBER]
    if hides_identity(request.headers) or not number or not number.isprintable():
        return Caller(ANONYMOUS, "", trunk.security, trunk.name)
    return Caller(number, address.display[:MAX_NUMBER], trunk.security, trunk.name)


def called_of(trunk: Trunk, request: Request) -> str:
    """Tell what was dialled. Calls to the contact we registered have it in To. Raises `SipSyntaxError`."""
    number = _user(request.uri)
    if trunk.registers and number == trunk.username:
        number = _user(request.to.uri) or number
    return number[:MAX_NUMBER]


def identities(trunk: Trunk, target: Target, caller: Caller) -> tuple[Address, Address, bytes]:
    """Give From and To of a call by a trunk, and the line that asserts who calls. Raises `SipBuildError`."""
    domain = trunk.its_domain
    number = caller.shown or trunk.caller_id or caller.account
    us = Address(make_sip_uri(domain, user=number).serialize(), display=caller.name)
    them = SipUri("sip", domain, target.uri.partition(":")[2].partition("@")[0])
    shown = header_line("P-Asserted-Identity", us.serialize()) + b"\r\n"
    return us, Address(them.serialize()), shown


def _user(uri: Uri) -> str:
    match uri:
        case SipUri():
            return uri.username.partition(";")[0]
        case TelUri():
            return uri.digits
        case _:
            return ""
