"""REGISTER, between SIP and the registrar (RFC 3261 section 10.3, RFC 3327, RFC 5626)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roomtone.control.calls import BindingError, BindingRefusal, Contact, Registration
from roomtone.protocols.sip.flow import Transport
from roomtone.protocols.sip.headers import (
    Wildcard,
    contact_expires,
    contact_quality,
    flow_id,
    instance_id,
    parse_seconds,
)
from roomtone.protocols.sip.message import header_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roomtone.control.calls import Binding, Registrar
    from roomtone.protocols.sip.flow import Flow
    from roomtone.protocols.sip.headers import Address
    from roomtone.protocols.sip.message import Request

_OK, _BAD, _TOO_BRIEF, _OUT_OF_ORDER = 200, 400, 423, 500
_BY_REFUSAL = {BindingRefusal.OUT_OF_ORDER: _OUT_OF_ORDER, BindingRefusal.BAD_CONTACT: _BAD}


class BrowserBindings:
    """Ends the bindings of browsers with the connection they live on: there is no other way to a browser.

    Limits: an account is kept once for each connection there is.
    """

    def __init__(self, registrar: Registrar) -> None:
        self._registrar = registrar
        self._accounts: dict[int, set[str]] = {}

    def note(self, account: str, flow: Flow) -> None:
        """Note that an account has registered over this flow."""
        if flow.transport in {Transport.WS, Transport.WSS}:
            self._accounts.setdefault(flow.connection, set()).add(account)

    def connection_opened(self, flow: Flow) -> None:
        """Nobody has registered over it yet."""

    def connection_closed(self, flow: Flow, reason: str) -> None:
        """Forget who registered over it."""
        del reason
        for account in self._accounts.pop(flow.connection, ()):
            self._registrar.forget_flow(account, flow)


def register(registrar: Registrar, account: str, request: Request, flow: Flow, now: float) -> tuple[int, bytes]:
    """Do what a REGISTER asks for; give the status and header lines of its answer. Raises `SipSyntaxError`.

    ``now`` is in seconds since the epoch.
    """
    contacts = request.contacts
    if isinstance(contacts, Wildcard):
        if parse_seconds(request.headers.text("expires"), "Expires") != 0:
            return _BAD, b""
        registrar.unregister_all(account)
        return _OK, b""
    path = tuple(request.headers.items("path")) if "path" in request.headers else ()
    registration = Registration(
        account=account,
        flow=flow,
        call_id=request.call_id,
        cseq=request.cseq.number,
        path=path,
        user_agent=request.headers.text("user-agent") or "",
    )
    try:
        held = registrar.register(registration, [_contact(one, request) for one in contacts], now)
    except BindingError as error:
        if error.refusal is BindingRefusal.TOO_BRIEF:
            return _TOO_BRIEF, _line("Min-Expires", str(registrar.rules.min_expires_s))
        return _BY_REFUSAL[error.refusal], b""
    return _OK, _bindings(held, now) + b"".join(_line("Path", hop) for hop in path)


def _contact(address: Address, request: Request) -> Contact:
    instance, number = instance_id(address), flow_id(address)
    return Contact(
        uri=address.uri.serialize(),
        expires_s=contact_expires(address, request.headers),
        q=contact_quality(address),
        instance="" if instance is None else f"{instance};{number or 0}",
    )


def _bindings(held: Sequence[Binding], now: float) -> bytes:
    return b"".join(
        _line("Contact", f"<{binding.contact}>;expires={max(1, round(binding.expires_at - now))}") for binding in held
    )


def _line(name: str, value: str) -> bytes:
    return header_line(name, value) + b"\r\n"
